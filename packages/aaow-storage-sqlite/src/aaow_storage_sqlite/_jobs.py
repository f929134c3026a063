"""Work on its way to a thread, and its outcome on its way back to the event loop that waits for it."""

import asyncio
import threading
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from aaow_storage.errors import AdapterClosedError
from aaow_storage_sql import SQLConnection, Work

T = TypeVar("T")


class Job(Generic[T]):
    """Work that a task of the running event loop is about to wait for.

    A job whose task was cancelled before a thread took it up is not run; one that was taken up is run whole.
    """

    __slots__ = ("_loop", "future", "work")

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future.cancelled()

    def outcome_on(self, connection: SQLConnection) -> "Outcome":
        """Run the work, and return what came of it."""
        try:
            return Outcome(self, value=self.work(connection))
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            return Outcome(self, error=error)


class Outcome:
    """What came of a job: a value or an error."""

    __slots__ = ("_value", "error", "job")

    def __init__(self, job: Job[Any], *, value: Any = None, error: BaseException | None = None) -> None:
        self.job = job
        self._value = value
        self.error = error

    def settle(self) -> None:
        """Wake the task that waits, on its own loop."""
        if self.job.future.done():
            return
        if self.error is not None:
            self.job.future.set_exception(self.error)
        else:
            self.job.future.set_result(self._value)


def deliver(outcomes: Iterable[Outcome]) -> None:
    """Send outcomes to the loops that wait for them, each loop woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.job._loop, []).append(outcome)  # noqa: SLF001 - of this module
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            # The loop is closed: whoever waited there is gone.
            continue


def _settle(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        outcome.settle()


class Inbox(Generic[T]):
    """The queue of a thread. After `close` nothing gets in, and each reader finds None behind what was accepted."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False

    def put(self, item: T) -> None:
        """Accept an item.

        Raises:
            AdapterClosedError: the inbox is closed.
        """
        with self._lock:
            if self._is_closed:
                raise AdapterClosedError("the adapter is closed")
            self._queue.put(item)

    def close(self, readers: int = 1) -> None:
        """Accept nothing more, and let each of the reading threads know."""
        with self._lock:
            self._is_closed = True
            for _ in range(readers):
                self._queue.put(None)

    def take(self) -> T | None:
        """Wait for the next item, None at the end."""
        return self._queue.get()

    def take_waiting(self) -> T | None:
        """Return the next item without waiting, None at the end.

        Raises:
            queue.Empty: nothing waits at this moment.
        """
        return self._queue.get_nowait()
