"""A thread that runs an event loop, and the calls of other threads, which wait for what the loop does for them.

No lock is held while a call is handed over, since a signal handler or a finalizer may make a call between any two steps
of another one.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

from aaow_storage._failures import note_failure, storage_errors_alone
from aaow_storage._forks import given_up_after_fork
from aaow_storage._open_transactions import BYPASSED, BoundTransactions, add_to_context, transactions_of_context
from aaow_storage.errors import AdapterClosedError, StorageError, TransactionError

T = TypeVar("T")
InCaller = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function in the thread that made the call and waits for it; returns what the function returns."""

INHERITED = (
    "it was opened by the process that this one was forked from, and cannot be used here; open another one with "
    "open_sync() in this process"
)

CLOSED_MEANWHILE = "it was closed before this call had ended; call initialize() to open it again"
"""The `remedy` for a call that another thread has ended by closing the adapter."""

BYPASSED_IN_THREAD = (
    "the adapter was called in a thread that has an open transaction of it (began it, or used it): call the "
    "transaction's operations, or end it first; or call the adapter in another thread"
)
"""What `BYPASSED` says of tasks, for synchronous code."""

_LONGEST_WAIT_S = 0.5
"""After how long a caller that waits looks for signals: one that comes just when it begins to wait does not wake it."""


class _Caller(threading.local):
    """What is known of a thread that makes calls."""

    def __init__(self) -> None:
        self.bound: list[BoundTransactions] = [()]
        """The transactions that its calls began or used, in a list, so that the thread of the loop can set them."""


_caller = _Caller()


class _Call(Generic[T]):
    """An operation that a thread waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, operation: Callable[[InCaller], Awaitable[T]]) -> None:
        self._loop = loop
        self._operation = operation
        self._bound = _caller.bound
        self._given: BoundTransactions = ()
        """The transactions of the caller's context, of asynchronous code that it is called by."""
        self._task: asyncio.Task[None] | None = None
        self._for_caller: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._has_begun = False
        self._is_over = False
        self._returned: T | None = None
        self._raised: BaseException | None = None

    # In the thread of the loop:

    def start(self) -> None:
        """Run the operation in a task, whose context is a copy of the caller's."""
        if not self._is_over:
            self._task = self._loop.create_task(self._run())

    def cancel(self) -> None:
        """Cancel the operation."""
        if self._task is not None:
            self._task.cancel()
        if not self._has_begun:  # and never will
            self.end(asyncio.CancelledError())

    async def _run(self) -> None:
        """Run the operation. Nothing is raised, not even what would end the loop, such as the caller's Ctrl-C."""
        self._has_begun = True
        self._given = transactions_of_context()
        add_to_context(self._bound[0])
        try:
            self._returned = await self._operation(self._in_caller)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            is_of_tasks = isinstance(error, TransactionError) and error.args == (BYPASSED,)
            self._raised = TransactionError(BYPASSED_IN_THREAD) if is_of_tasks else error
        finally:
            self._note_bound()
            self.end()

    async def _in_caller(self, function: Callable[[], Any]) -> Any:
        self._note_bound()
        answer: asyncio.Future[tuple[Any, Exception | None]] = self._loop.create_future()

        def answer_with(returned: Any, raised: Exception | None) -> None:
            if not answer.done():
                answer.set_result((returned, raised))

        def call() -> None:
            returned, raised = None, None
            try:
                returned = function()
            except Exception as error:  # noqa: BLE001 - raised again in the task
                raised = error
            with suppress(RuntimeError):  # the loop is closed, and the task was cancelled
                self._loop.call_soon_threadsafe(answer_with, returned, raised)

        self._for_caller.put(call)
        returned, raised = await answer
        if raised is not None:
            raise raised
        return returned

    def _note_bound(self) -> None:
        """Keep which open transactions the caller has begun or used, for its next call."""
        used = [each for each in transactions_of_context() if each not in self._given]
        bound = dict.fromkeys((*self._bound[0], *used))
        self._bound[0] = tuple(each for each in bound if (held := each()) is not None and held.outcome is None)

    # In any thread:

    def end(self, raised: BaseException | None = None) -> None:
        """Let the caller go on; nothing happens if it may already."""
        if not self._is_over:
            self._raised = raised or self._raised
            self._is_over = True
            self._for_caller.put(None)

    # In the caller's thread:

    def wait(self) -> None:
        """Wait until the operation has ended, and run what it wants to be run in this thread."""
        while not self._is_over:
            function = self._next_message()
            if function is not None:
                function()

    def wait_for_end(self) -> None:
        """Wait until the operation, which was cancelled, has ended."""
        while not self._is_over:
            self._next_message()

    def _next_message(self) -> Callable[[], None] | None:
        with suppress(Empty):
            return self._for_caller.get(timeout=_LONGEST_WAIT_S)
        return None

    def outcome(self) -> T:
        """Return what the operation returned.

        Raises:
            BaseException: what the operation raised.
        """
        raised = self.error()
        if raised is None:
            return cast("T", self._returned)
        try:
            raise raised
        finally:
            del raised  # the traceback refers to this frame

    def error(self) -> BaseException | None:
        """Return what the operation raised, once: the traceback of the error refers to this call."""
        raised, self._raised = self._raised, None
        return raised


class LoopThread:
    """A thread that runs an event loop until it is stopped.

    It is a daemon: a program that ends without having stopped it ends all the same.

    Raises:
        StorageUnavailableError: the machine has no room for another thread or another loop.
    """

    def __init__(self, name: str) -> None:
        with storage_errors_alone():
            self._loop = asyncio.new_event_loop()
        self._calls: set[_Call[Any]] = set()
        self._is_wanted = asyncio.Event()
        self._is_inherited = False
        self._has_ended = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        given_up_after_fork(self)
        try:
            with storage_errors_alone():
                self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    def after_fork_in_child(self) -> None:
        """Refuse calls in a forked process, in which the thread does not run."""
        self._is_inherited = True
        _inherited.append(self)

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked from the one in which the thread runs."""
        return self._is_inherited

    def run(
        self, operation: Callable[[], Awaitable[T]], undo: Callable[[T, BaseException], Awaitable[object]] | None = None
    ) -> T:
        """Run the operation on the loop, in the caller's context; wait for it, and return what it returns.

        If the caller is interrupted, the operation is cancelled, and the exception is raised on when the operation has
        ended. A second interruption does not wait for that.

        Args:
            operation: called on the loop.
            undo: awaited if the caller is interrupted and the operation succeeds all the same, with what the operation
                returned and the interruption.

        Raises:
            AdapterClosedError: the loop has stopped, or runs in the process that this one was forked from.
            StorageError: the call comes from the thread of the loop, or while the interpreter exits.
        """
        return self.run_with_callbacks(lambda _: operation(), undo)

    def run_with_callbacks(
        self,
        operation: Callable[[InCaller], Awaitable[T]],
        undo: Callable[[T, BaseException], Awaitable[object]] | None = None,
    ) -> T:
        """Do what `run` does; the operation gets a function that runs another one in the thread of the caller."""
        self.check_caller()
        call = _Call(self._loop, operation)
        self._calls.add(call)
        try:
            self._hand_over(call, call.start)
            call.wait()
        except BaseException as interruption:
            self._hand_over(call, call.cancel)
            call.wait_for_end()
            self._settle(call, interruption, undo)
            raise
        finally:
            self._calls.discard(call)
        try:
            return call.outcome()
        except asyncio.CancelledError:
            if not self._is_wanted.is_set():
                raise
            raise AdapterClosedError(CLOSED_MEANWHILE) from None

    def check_caller(self) -> None:
        """Check that the calling thread may wait for the loop.

        Raises:
            AdapterClosedError: the loop runs in the process that this one was forked from.
            StorageError: it is the thread of the loop, or the interpreter exits.
        """
        if self._is_inherited:
            raise AdapterClosedError(INHERITED)
        if self._is_caller():
            raise StorageError(
                f"a synchronous call was made by code that runs in {self._thread.name!r}, the thread that would have "
                "to do it, so it would wait for itself: call the asynchronous adapter there, which is `wrapped` of the "
                "synchronous one, or make the call in another thread"
            )
        if sys.is_finalizing():
            raise StorageError("the interpreter exits and its threads have stopped: call storage before that")

    def stop(self) -> None:
        """Cancel what still runs, end the loop and the thread, and wait for that."""
        self.stop_soon()
        if not self._is_caller():
            self._thread.join()

    def stop_soon(self, first: Callable[[], Awaitable[object]] | None = None) -> None:
        """Let the thread end by itself, after it has awaited something; a finalizer may call this."""
        if not self._is_inherited:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop_after, first)

    def _serve(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._wait_until_stopped())
        finally:
            self._has_ended = True
            for call in list(self._calls):
                call.end(AdapterClosedError(CLOSED_MEANWHILE))

    async def _wait_until_stopped(self) -> None:
        await self._is_wanted.wait()

    def _stop_after(self, first: Callable[[], Awaitable[object]] | None) -> None:
        async def stop() -> None:
            try:
                if first is not None:
                    await first()
            finally:
                self._is_wanted.set()

        self._stopping = self._loop.create_task(stop())

    def _hand_over(self, call: _Call[Any], step: Callable[[], None]) -> None:
        """Let the loop do a step of a call."""
        with suppress(RuntimeError):  # the loop is closed, and nothing of the call runs
            self._loop.call_soon_threadsafe(step)
        if self._has_ended:
            call.end(AdapterClosedError(CLOSED_MEANWHILE))

    def _settle(
        self,
        call: _Call[T],
        interruption: BaseException,
        undo: Callable[[T, BaseException], Awaitable[object]] | None,
    ) -> None:
        """Undo what the interrupted call has done nevertheless, or say in a note what became of it."""
        raised = call.error()
        if isinstance(raised, asyncio.CancelledError):
            return
        if raised is not None:
            interruption.add_note(f"The operation that it interrupted failed: {type(raised).__name__}: {raised}")
        elif undo is None:
            interruption.add_note("The operation that it interrupted was done before it could be cancelled.")
        else:
            returned = call.outcome()
            try:
                self.run(lambda: undo(returned, interruption))
            except StorageError as error:
                note_failure(interruption, error)

    def _is_caller(self) -> bool:
        return threading.get_ident() == self._thread.ident and not self._has_ended


_inherited: list[LoopThread] = []
"""Those of a parent process; their loops are not deleted, which would close them, and disturb the parent's."""
