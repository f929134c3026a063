"""What a synchronous adapter does by itself: it starts and stops the thread that runs the loop."""

import inspect
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from aaow_storage._adapter import StorageAdapter, Transaction
from aaow_storage._failures import cleaning_up_after
from aaow_storage._finalizer import released_when_dropped
from aaow_storage._forks import given_up_after_fork
from aaow_storage.errors import AdapterClosedError, StorageError, ValidationError
from aaow_storage.sync._calls import SyncCalls
from aaow_storage.sync._loop_thread import INHERITED, InCaller, LoopThread

CLOSED = "call initialize(), or use it in `with`"
"""The `remedy` for a call on an adapter that is not open."""

T = TypeVar("T")
TransactionT = TypeVar("TransactionT")


class AdapterCalls(SyncCalls):
    """The calls of an adapter, which are made on the loop of a thread that lives while the adapter is open.

    Args:
        wrapped: an adapter of any backend, which is not open, and which nothing else uses.
    """

    def __init__(self, wrapped: StorageAdapter) -> None:
        if not isinstance(wrapped, StorageAdapter):
            problem = f"must be a StorageAdapter, such as create_adapter() makes, not {type(wrapped).__name__}"
            raise ValidationError(type(self).__name__, "wrapped", problem)
        self._wrapped = wrapped
        self._opening = threading.RLock()
        """Held by a call that opens or closes the adapter."""
        self._open_thread: LoopThread | None = None
        self._starting_thread: LoopThread | None = None
        self._keep_when_dropped: Callable[[], object] = lambda: None
        self._is_inherited = False
        self._is_in_block = False
        given_up_after_fork(self)

    def __repr__(self) -> str:
        """Show what it stands in front of; the adapters of this project show their store without secrets."""
        return f"{type(self).__name__}({self._wrapped!r})"

    def after_fork_in_child(self) -> None:
        """Refuse operations in a forked process, if it was open: the thread is the parent's."""
        self._opening = threading.RLock()
        self._is_inherited = self._is_inherited or self._open_thread is not None
        self._open_thread = self._starting_thread = None
        self._keep_when_dropped()

    @property
    def wrapped(self) -> StorageAdapter:
        """The asynchronous adapter; its coroutines run on the loop alone."""
        return self._wrapped

    @property
    def _loop_thread(self) -> LoopThread:
        thread = self._open_thread
        if thread is None:
            raise self._closed()
        return thread

    def _open(self, *, migrate: bool) -> None:
        self._check_caller()
        with self._opening:
            if self._is_inherited:
                raise self._closed()
            if self._open_thread is not None:
                self._run(lambda: self.wrapped.initialize(migrate=migrate))
                return
            thread = self._starting_thread = LoopThread(f"event loop of {self._wrapped!r}")
            try:
                thread.run(lambda: self.wrapped.initialize(migrate=migrate), lambda _, __: self.wrapped.close())
            except BaseException:
                thread.stop()
                raise
            finally:
                self._starting_thread = None
            self._keep_when_dropped = _released_when_dropped(self, self._wrapped, thread)
            self._open_thread = thread

    def _close(self) -> None:
        self._check_caller()
        with self._opening:
            thread = self._open_thread
            if thread is None:
                return
            try:
                thread.run(self.wrapped.close)
            except Exception:
                self._stop(thread)
                raise
            self._stop(thread)

    def _check_caller(self) -> None:
        """Check that this thread may wait until another one has opened or closed the adapter.

        Raises:
            StorageError: that other one waits for this thread.
        """
        for thread in (self._starting_thread, self._open_thread):
            if thread is not None:
                thread.check_caller()

    def _stop(self, thread: LoopThread) -> None:
        self._keep_when_dropped()
        self._open_thread = None
        thread.stop()

    def _enter_block(self) -> None:
        if self._is_in_block:
            raise StorageError(
                f"this {type(self).__name__} is already in a `with` block, whose end closes it: "
                "use it without a second block, or make another adapter"
            )
        self._is_in_block = True
        try:
            self._open(migrate=True)
        except BaseException:
            self._is_in_block = False
            raise

    def _leave_block(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        try:
            if error is None:
                self._close()
                return
            with cleaning_up_after(error):
                self._close()
        finally:
            self._is_in_block = False

    def _transact(
        self,
        convert: Callable[[Transaction], TransactionT],
        work: Callable[[TransactionT], T],
        attempts: int,
        outage: float,
        timeout: float,
    ) -> T:
        """Run the work in this thread, in transactions that are begun and ended on the loop."""
        if not callable(work) or inspect.iscoroutinefunction(work):
            what = "a coroutine function" if callable(work) else type(work).__name__
            raise ValidationError("transact", "work", f"must be a function that takes the transaction, not {what}")

        def transact(in_caller: InCaller) -> Awaitable[T]:
            async def work_in_caller(transaction: Transaction) -> T:
                done: T = await in_caller(lambda: work(convert(transaction)))
                return done

            return self.wrapped.transact(work_in_caller, attempts, outage, timeout)

        return self._loop_thread.run_with_callbacks(transact)

    def _closed(self) -> AdapterClosedError:
        return AdapterClosedError(INHERITED) if self._is_inherited else AdapterClosedError(CLOSED)


def _released_when_dropped(adapter: AdapterCalls, wrapped: StorageAdapter, thread: LoopThread) -> Callable[[], object]:
    """Close an adapter that is dropped while it is open, and warn."""
    remedy = "use it in `with`, or call its close()"
    return released_when_dropped(adapter, repr(wrapped), lambda: thread.stop_soon(wrapped.close), remedy)
