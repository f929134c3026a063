"""A backend that makes every call synchronously: asynchronous, synchronous and asynchronous again, for the suite.

Each call runs in a thread, on the synchronous adapter of the memory backend. What the suite does with tasks is done
with threads here:

- A transaction has a thread of its own. A task that has an open transaction makes its calls on the adapter in the
  thread of the transaction, so the synchronous adapter has to refuse them there.
- A task that is cancelled interrupts its thread as Ctrl-C does the main thread, with an exception that comes while the
  thread waits, and goes on when the call has ended.
- The work of `transact` is run by the thread that called it, which hands it to a task.
- A task that closes the adapter waits until the calls made before have begun, since threads begin in any order.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from aaow_storage import Backend, Capability, DelegatingAdapter, DelegatingTransaction, StorageAdapter, Transaction
from aaow_storage.authoring import check_event_loop, given_up_after_fork
from aaow_storage.errors import AdapterClosedError
from aaow_storage.hookspecs import hookimpl
from aaow_storage.sync import SyncAdapter, SyncIterator, SyncTransaction
from aaow_storage.sync import _loop_thread as module
from aaow_storage_memory import plugin as memory

RETRY_S = 0.005
NO_MORE = object()


class InterruptedInThread(BaseException):
    """What Ctrl-C is to the main thread."""


def interrupt() -> None:
    raise InterruptedInThread


async def finished(work: Coroutine[Any, Any, Any]) -> None:
    """Wait for a clean-up, however often the task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


class Caller:
    """A thread that makes calls, one after the other."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._bound: Any = None
        self.is_busy = False
        self.is_stopped = False
        self._thread = threading.Thread(target=self._serve, name="caller", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._bound = module._caller.bound
        while (task := self._tasks.get()) is not None:
            task()
            del task

    async def call(self, function: Callable[[], Any], calls: SyncAdapter, undo: Callable[[Any], Any] | None) -> Any:
        """Call the function in the thread; a cancellation interrupts what it waits for in its adapter.

        If the call is done by then, `undo` is called with what it returned.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        context = copy_context()

        def settle(returned: Any, raised: BaseException | None) -> None:
            if not done.done():
                done.set_result((returned, raised))

        def run() -> None:
            returned, raised = None, None
            try:
                returned = context.run(function)
            except BaseException as error:  # noqa: BLE001 - raised again in the task
                raised = error
            with contextlib.suppress(RuntimeError):  # the loop of the test is closed
                loop.call_soon_threadsafe(settle, returned, raised)

        self.is_busy = True
        done.add_done_callback(lambda _: setattr(self, "is_busy", False))
        self._tasks.put(run)
        try:
            returned, raised = await asyncio.shield(done)
        except asyncio.CancelledError:
            await finished(self._interrupt(done, calls._open_thread))
            returned, raised = done.result()
            if undo is not None and raised is None:
                await finished(self.call(lambda: undo(returned), calls, None))
            raise
        if raised is not None:
            raise raised
        return returned

    async def _interrupt(self, done: "asyncio.Future[Any]", thread: module.LoopThread | None) -> None:
        """Interrupt the call of this thread, until it has ended."""
        while not done.done():
            for call in list(thread._calls) if thread is not None else []:
                if call._bound is self._bound:
                    call._for_caller.put(interrupt)
            await asyncio.wait([done], timeout=RETRY_S)

    def stop(self) -> None:
        self.is_stopped = True
        self._tasks.put(None)

    def join(self) -> None:
        self._thread.join()


_open: ContextVar[tuple["weakref.ref[InThreadsTransaction]", ...]] = ContextVar("open", default=())


class Calls:
    """The calls of an adapter, each in a thread."""

    def __init__(self, sync: SyncAdapter) -> None:
        self.sync = sync
        self.idle: list[Caller] = []
        self.callers: set[Caller] = set()
        self.is_inherited = False
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        self.is_inherited = True

    def caller(self) -> Caller:
        while self.idle:
            caller = self.idle.pop()
            if not caller.is_busy and not caller.is_stopped:
                return caller
        caller = Caller()
        self.callers.add(caller)
        return caller

    async def call(
        self, function: Callable[[], Any], caller: Caller | None = None, undo: Callable[[Any], Any] | None = None
    ) -> Any:
        check_event_loop()
        if self.is_inherited:
            return function()  # raises, because the adapter is inherited too
        if caller is not None and not caller.is_stopped:
            return await caller.call(function, self.sync, undo)
        own = self.caller()
        try:
            return await own.call(function, self.sync, undo)
        finally:
            self.idle.append(own)

    async def have_begun(self) -> None:
        """Wait until the loop of the synchronous adapter has begun all that was called before, in whatever order."""
        waiting = {caller for caller in self.callers if caller.is_busy}
        while waiting:
            thread = self.sync._open_thread
            calls = list(thread._calls) if thread is not None else []
            begun = [call._bound for call in calls if call._task is not None]
            waiting = {each for each in waiting if each.is_busy and not any(each._bound is bound for bound in begun)}
            await asyncio.sleep(RETRY_S if waiting else 0)

    def stop(self) -> None:
        callers, self.callers, self.idle = self.callers, set(), []
        for caller in callers:
            caller.stop()


class InThreadsTransaction(DelegatingTransaction):
    """Makes its calls in a thread of its own."""

    def __init__(self, sync: SyncTransaction, caller: Caller, calls: Calls) -> None:
        super().__init__(sync.wrapped)
        self.sync = sync
        self.caller = caller
        self.calls = calls
        self.bind()

    def bind(self) -> None:
        """Make the calls of this context on the adapter in this thread."""
        check_event_loop()
        if not any(each() is self for each in _open.get()):
            _open.set((*_open.get(), weakref.ref(self)))

    @property
    def outcome(self) -> Any:
        return self.sync.outcome

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        self.bind()
        return await self.calls.call(lambda: getattr(self.sync, operation)(*arguments, **options), self.caller)

    async def commit(self) -> None:
        await self.pass_on("commit")

    async def rollback(self) -> None:
        await self.pass_on("rollback")

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self.bind()
        block = self.sync.savepoint()
        await self.calls.call(block.__enter__, self.caller, lambda _: block.__exit__(None, None, None))
        try:
            yield
        except BaseException as error:
            raised = error
            if await self.calls.call(lambda: block.__exit__(type(raised), raised, raised.__traceback__), self.caller):
                return
            raise
        await self.calls.call(lambda: block.__exit__(None, None, None), self.caller)

    async def __aenter__(self) -> Self:
        self.bind()
        await self.calls.call(self.sync.__enter__, self.caller, lambda _: self.sync.rollback())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.calls.call(lambda: self.sync.__exit__(kind, error, traceback), self.caller)


class InThreadsAdapter(DelegatingAdapter):
    """Makes its calls on a synchronous adapter, in threads."""

    def __init__(self, wrapped: StorageAdapter) -> None:
        super().__init__(wrapped)
        self.sync = SyncAdapter(wrapped)
        self.calls = Calls(self.sync)
        self.stop_when_dropped = weakref.finalize(self, self.calls.stop)

    def caller(self) -> Caller | None:
        """Return the thread of the transaction that is open in this context, if there is one."""
        for each in _open.get():
            transaction = each()
            if transaction is not None and transaction.calls is self.calls and transaction.outcome is None:
                return transaction.caller
        return None

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        return await self.calls.call(lambda: getattr(self.sync, operation)(*arguments, **options), self.caller())

    async def initialize(self, *, migrate: bool = True) -> None:
        await self.calls.call(lambda: self.sync.initialize(migrate=migrate), undo=lambda _: self.sync.close())

    async def close(self) -> None:
        await self.calls.have_begun()
        await self.calls.call(self.sync.close)
        callers = self.calls.callers
        self.calls.stop()
        for caller in callers:
            await asyncio.to_thread(caller.join)

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - as in the interface
        caller = self.caller()
        if caller is not None:  # refused
            return await self.calls.call(lambda: self.sync.begin_transaction(timeout), caller)
        caller = self.calls.caller()
        try:
            begin = lambda: self.sync.begin_transaction(timeout)  # noqa: E731 - as all the others
            begun = await self.calls.call(begin, caller, lambda begun: begun.rollback())
        except BaseException:
            self.calls.idle.append(caller)
            raise
        return InThreadsTransaction(begun, caller, self.calls)

    async def transact(
        self,
        work: Any,
        attempts: int = 5,
        outage: float = 0.0,
        timeout: float = 30.0,  # noqa: ASYNC109 - as above
    ) -> Any:
        loop, context = asyncio.get_running_loop(), copy_context()

        async def work_in_task(begun: SyncTransaction, caller: Caller) -> Any:
            transaction = InThreadsTransaction(begun, caller, self.calls)
            await self.calls.call(begun.__enter__, caller)
            return await work(transaction)

        def run(begun: SyncTransaction) -> Any:
            caller = Caller()
            done: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

            async def note() -> None:
                try:
                    done.put((await work_in_task(begun, caller), None))
                except BaseException as error:  # noqa: BLE001 - raised again in the thread
                    done.put((None, error))

            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(note(), context=context)))
            returned, raised = done.get()
            caller.stop()
            if raised is not None:
                raise raised
            return returned

        tasks: list[asyncio.Task[None]] = []
        called = run if callable(work) else work
        asked = asyncio.ensure_future(
            self.calls.call(lambda: self.sync.transact(called, attempts, outage, timeout), self.caller())
        )
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            asked.cancel()
            await asyncio.wait([asked])
            raise

    def watch_stream(self, stream_id: str, after: int = 0) -> AsyncGenerator[Any, None]:
        check_event_loop()
        return self.follow(lambda: self.sync.watch_stream(stream_id, after))

    def changes(
        self, after: str | None = None, kinds: Collection[str] | None = None, session_id: str | None = None
    ) -> AsyncGenerator[Any, None]:
        check_event_loop()
        return self.follow(lambda: self.sync.changes(after, kinds, session_id))

    def follow(self, make: Callable[[], SyncIterator[Any]]) -> AsyncGenerator[Any, None]:
        """Iterate in a thread. If the adapter is closed, the synchronous call raises; here the first element does."""
        closed: AdapterClosedError | None = None
        try:
            iterator = make()
        except AdapterClosedError as error:
            closed = error

        async def elements() -> AsyncGenerator[Any, None]:
            if closed is not None:
                raise closed
            own = self.caller()
            caller = own or self.calls.caller()
            try:
                while (element := await self.calls.call(lambda: next(iterator, NO_MORE), caller)) is not NO_MORE:
                    yield element
            finally:
                iterator.close()
                if own is None:
                    self.calls.idle.append(caller)

        return elements()


def create(url: str | None = None, **options: Any) -> InThreadsAdapter:
    return InThreadsAdapter(memory.create(url, **options))


@contextlib.contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    with memory.temporary_store(folder) as url:
        yield url


@hookimpl
def aaow_storage_backend() -> Backend:
    described = memory.aaow_storage_backend()
    return Backend(
        name="in-threads",
        summary="the memory backend, by synchronous calls in threads",
        create=create,
        options=described.options,
        capabilities={Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT},
        contract=described.contract,
        temporary_store=temporary_store,
    )
