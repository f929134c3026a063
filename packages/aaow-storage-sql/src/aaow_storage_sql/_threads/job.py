"""A job: one call on its way to a thread, and its outcome on its way back to the event loop that waits for it."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aaow_storage.errors import OutcomeUnknownError, StorageError
from aaow_storage_sql._operation import FALL_BACK, Call
from aaow_storage_sql._threads.gil_yield import guard_of
from aaow_storage_sql._tuning import DEFAULT

if TYPE_CHECKING:
    from aaow_storage_sql._statements.connection import SQLConnection

T = TypeVar("T")

MAX_WAKEUPS = DEFAULT.max_wakeups


class Job(Generic[T]):
    """A call that a task of the running event loop is about to wait for.

    A job never runs if its task is cancelled before a thread claims it. A claimed job runs to its end.
    """

    __slots__ = ("_end", "_future", "_interrupt", "_is_claimed", "call", "guard", "loop", "may_be_stored")

    def __init__(self, call: Call[T]) -> None:
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.guard = guard_of(self.loop)
        self._future: asyncio.Future[T] = self.loop.create_future()
        self._end: asyncio.Event | None = None
        self._is_claimed = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self.may_be_stored = False
        """Whether an attempt was sent to be committed and got no answer. Then no later failure means that it is not."""

    @property
    def is_cancelled(self) -> bool:
        """Whether its task was cancelled, so that nothing waits for the outcome."""
        return self._future.cancelled()

    def claim(self) -> bool:
        """Claim the job, to run it or to keep it from running; True for the first call, from any thread."""
        return self._is_claimed.acquire(False)  # half as fast with blocking=

    def release(self) -> None:
        """Undo `claim`: nothing was done, and a thread may claim the job again.

        If the task was cancelled meanwhile, it waits for the end of the claimed job, so this tells it that the job
        never runs.
        """
        self._is_claimed.release()
        if self.is_cancelled and self.claim():
            deliver([Outcome(self, error=asyncio.CancelledError())])

    def wait(self) -> Coroutine[Any, Any, T]:
        """Wait for the outcome of a job that writes nothing; a cancelled task leaves at once."""
        return self._result(is_shielded=False)

    def wait_shielded(self) -> Coroutine[Any, Any, T]:
        """Wait for the outcome; a cancelled task leaves once the job is done, or is sure never to run."""
        return self._result(is_shielded=True)

    async def _result(self, *, is_shielded: bool) -> T:
        self.guard.enter()
        try:
            if self._future.done():
                await asyncio.sleep(0)  # it was settled while the loop was blocked: let the other tasks run first
            return await self._future
        except asyncio.CancelledError:
            if (interrupt := self._interrupt) is not None:
                interrupt()
            if not self._future.cancelled():
                self._future.exception()  # settled just before the cancellation: mark the error as retrieved
            elif is_shielded and not self.claim():
                await self._wait_until_settled()
            raise
        finally:
            self.guard.leave()

    def set_interrupt(self, interrupt: Callable[[], None] | None) -> None:
        """Set the function that makes the running job fail once its task is cancelled; None for no such function.

        It is called on the loop of the task, perhaps after the job is done, and must not block.
        """
        self._interrupt = interrupt

    def abandon(self) -> None:
        """Mark the job as cancelled: no task is going to wait for it."""
        self._future.cancel()

    async def _wait_until_settled(self) -> None:
        """Wait for the outcome, however often the task is cancelled meanwhile."""
        self._end = self._end or asyncio.Event()
        while not self._end.is_set():
            with suppress(asyncio.CancelledError):
                await self._end.wait()

    def settle(self, outcome: "Outcome") -> None:
        """Wake the task that waits; called on its own loop. A second call has no effect."""
        if self._future.done():
            if self._future.cancelled():
                self._end = self._end or asyncio.Event()
                self._end.set()
        elif outcome.error is not None:
            error = _in_doubt(outcome.error) if self.may_be_stored else outcome.error
            self._future.set_exception(_as_future_error(error))
        else:
            self._future.set_result(outcome.value)

    def run_fast_path(self, connection: "SQLConnection") -> "Outcome | None":
        """Run the fast path of the operation; None if there is none, or if it fell back and `run` has to follow."""
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
        """Run the operation."""
        try:
            return Outcome(self, self.call.run(connection))
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            return Outcome(self, error=error)


class Outcome:
    """The value or the error of a job."""

    __slots__ = ("error", "job", "value")

    def __init__(self, job: Job[Any], value: Any = None, *, error: BaseException | None = None) -> None:
        self.job = job
        self.value = value
        self.error = error


def _in_doubt(error: BaseException) -> BaseException:
    """Return the error of a job that may be stored: none that promises that nothing is."""
    if not isinstance(error, StorageError) or not error.is_retryable:
        return error
    unknown = OutcomeUnknownError(
        f"the connection was lost while the store committed, and no later attempt succeeded: {error}; read the records "
        f"to see whether it is stored, or do the same again, which changes nothing then"
    )
    unknown.__cause__ = error
    return unknown


def _as_future_error(error: BaseException) -> BaseException:
    """Return the error, or a RuntimeError in the place of a StopIteration, which no future accepts."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("the operation raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def deliver(outcomes: Sequence[Outcome]) -> None:
    """Send outcomes to the loops that wait for them, and wake each loop once."""
    loops = {outcome.job.loop for outcome in outcomes}
    if len(loops) == 1:
        _notify(outcomes)
        return
    for loop in loops:
        _notify([outcome for outcome in outcomes if outcome.job.loop is loop])


def _notify(outcomes: Sequence[Outcome]) -> None:
    outcomes[0].job.guard.notify(functools.partial(_settle, outcomes))


def _settle(outcomes: Sequence[Outcome]) -> None:
    try:
        for outcome in outcomes[:MAX_WAKEUPS]:
            outcome.job.settle(outcome)
    except BaseException:  # a KeyboardInterrupt may come anywhere
        outcomes[0].job.loop.call_soon(_settle, outcomes)
        raise
    if len(outcomes) > MAX_WAKEUPS:
        outcomes[0].job.loop.call_soon(_settle, outcomes[MAX_WAKEUPS:])
