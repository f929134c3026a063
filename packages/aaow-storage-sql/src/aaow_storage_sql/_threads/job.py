"""Work on its way to a thread, and its outcome on its way back to the event loop that waits for it."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aaow_storage_sql._operation import FALL_BACK, Call
from aaow_storage_sql._threads.gil_yield import guard_of

if TYPE_CHECKING:
    from aaow_storage_sql._statements.connection import SQLConnection

T = TypeVar("T")

MOST_AT_ONCE = 16
"""How many tasks are woken in one turn of a loop, so that its timers and its other tasks need not wait for hundreds."""


class Job(Generic[T]):
    """Work that a task of the running event loop is about to wait for.

    A job whose task was cancelled before a thread took it up is never run; one that was taken up is run whole.
    """

    __slots__ = ("_end", "_future", "_interrupt", "_is_claimed", "call", "guard", "loop")

    def __init__(self, call: Call[T]) -> None:
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.guard = guard_of(self.loop)
        self._future: asyncio.Future[T] = self.loop.create_future()
        self._end: asyncio.Event | None = None
        self._is_claimed = threading.Lock()
        self._interrupt: Callable[[], None] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._future.cancelled()

    def claim(self) -> bool:
        """Take the job up, or away; only the first to try may."""
        return self._is_claimed.acquire(blocking=False)

    def release(self) -> None:
        """Undo `take`: nothing was done, and another may try."""
        self._is_claimed.release()

    def wait(self) -> Coroutine[Any, Any, T]:
        """Wait for what comes of work that changes nothing; a task that is cancelled leaves at once."""
        return self._result(settles=False)

    def wait_shielded(self) -> Coroutine[Any, Any, T]:
        """Wait for what comes of the work; a task that is cancelled leaves when the work is done, or never will be."""
        return self._result(settles=True)

    async def _result(self, *, settles: bool) -> T:
        self.guard.enter()
        try:
            if self._future.done():
                await asyncio.sleep(0)  # it came while the loop stood still, and now the other tasks have their turn
            return await self._future
        except asyncio.CancelledError:
            if (interrupt := self._interrupt) is not None:
                interrupt()
            if not self._future.cancelled():
                self._future.exception()  # the outcome came first; an error in it is nobody's any more
            elif settles and not self.claim():
                await self._settled()
            raise
        finally:
            self.guard.leave()

    def set_interrupt(self, interrupt: Callable[[], None] | None) -> None:
        """Say what makes the thread that runs the job fail at it, once its task is cancelled; None for nothing.

        It is called on the loop of the task, perhaps when the job is done, and must not block.
        """
        self._interrupt = interrupt

    def abandon(self) -> None:
        """Say that nobody is going to wait."""
        self._future.cancel()

    async def _settled(self) -> None:
        """Wait until the outcome has come, however often the task is cancelled meanwhile."""
        self._end = self._end or asyncio.Event()
        while not self._end.is_set():
            with suppress(asyncio.CancelledError):
                await self._end.wait()

    def settle(self, outcome: "Outcome") -> None:
        """Wake the task that waits; called on its own loop, and again without effect."""
        if self._future.done():
            if self._future.cancelled():
                self._end = self._end or asyncio.Event()
                self._end.set()
        elif outcome.error is not None:
            self._future.set_exception(_settable(outcome.error))
        else:
            self._future.set_result(outcome.value)

    def run_fast_path(self, connection: "SQLConnection") -> "Outcome | None":
        """Try the work in one statement, and return what came of it; None where it is not done and must be run."""
        call = self.call
        fast_path = call.operation.fast_path
        if fast_path is None:
            return None
        try:
            value = fast_path(connection, *call.args)
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            return Outcome(self, error=error)
        return None if value is FALL_BACK else Outcome(self, value)

    def run(self, connection: "SQLConnection") -> "Outcome":
        """Run the work, and return what came of it."""
        try:
            return Outcome(self, self.call.run(connection))
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            return Outcome(self, error=error)


class Outcome:
    """What came of a job: a value or an error."""

    __slots__ = ("error", "job", "value")

    def __init__(self, job: Job[Any], value: Any = None, *, error: BaseException | None = None) -> None:
        self.job = job
        self.value = value
        self.error = error


def _settable(error: BaseException) -> BaseException:
    """Return the error as a future takes it: all but StopIteration."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("the work raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def deliver(outcomes: Sequence[Outcome]) -> None:
    """Send outcomes to the loops that wait for them, each loop woken once."""
    loops = {outcome.job.loop for outcome in outcomes}
    if len(loops) == 1:
        _wake(outcomes)
        return
    for loop in loops:
        _wake([outcome for outcome in outcomes if outcome.job.loop is loop])


def _wake(outcomes: Sequence[Outcome]) -> None:
    outcomes[0].job.guard.tell(functools.partial(_settle, outcomes))


def _settle(outcomes: Sequence[Outcome]) -> None:
    try:
        for outcome in outcomes[:MOST_AT_ONCE]:
            outcome.job.settle(outcome)
    except BaseException:  # an interrupt from the keyboard comes anywhere
        outcomes[0].job.loop.call_soon(_settle, outcomes)
        raise
    if len(outcomes) > MOST_AT_ONCE:
        outcomes[0].job.loop.call_soon(_settle, outcomes[MOST_AT_ONCE:])
