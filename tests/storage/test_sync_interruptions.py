"""An exception that interrupts a synchronous call, such as that of Ctrl-C, cancels the operation and is raised."""

import asyncio
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import (
    DelegatingAdapter,
    DelegatingTransaction,
    Session,
    StorageAdapter,
    Transaction,
    TransactionOutcome,
    create_adapter,
    open_sync,
)
from aaow_storage.errors import NotFoundError
from aaow_storage.sync import SyncAdapter, SyncTransaction
from aaow_storage_memory import MemoryAdapter

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")

SOON_S = 10.0


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[Callable[[], None]]:
    """A function that does what the terminal does at Ctrl-C; it may be called in any thread."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    assert main is not None
    yield lambda: signal.pthread_kill(main, signal.SIGINT)
    signal.signal(signal.SIGINT, previous)


def a_session(id: str = "s") -> Session:
    return Session(id=id, workflow_id=None, workflow_snapshot={})


class Slow(DelegatingAdapter):
    """Calls a function when an operation has begun, and then waits until it is cancelled or let go on."""

    def __init__(self, when_begun: Callable[[], Any]) -> None:
        super().__init__(MemoryAdapter())
        self.when_begun = when_begun
        self.was_cancelled = False
        self.goes_on_when_cancelled = False
        self.slow = {"create_session"}

    async def wait(self, operation: str) -> None:
        if operation not in self.slow:
            return
        self.slow.discard(operation)
        self.when_begun()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            if not self.goes_on_when_cancelled:
                raise

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        await self.wait(operation)
        return await super().pass_on(operation, *arguments, **options)

    async def initialize(self, *, migrate: bool = True) -> None:
        await self.wait("initialize")
        await super().initialize(migrate=migrate)

    async def close(self) -> None:
        await self.wait("close")
        await super().close()

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - as in the interface
        await self.wait("begin_transaction")
        return await super().begin_transaction(timeout)

    @asynccontextmanager
    async def transaction(self, timeout: float = 30.0) -> AsyncIterator[Transaction]:  # noqa: ASYNC109 - as above
        async with await self.begin_transaction(timeout) as transaction:
            yield transaction


def test_the_operation_is_cancelled_and_the_store_stays_usable(ctrl_c: Callable[[], None]):
    slow = Slow(ctrl_c)
    with SyncAdapter(slow) as storage:
        with pytest.raises(KeyboardInterrupt) as caught:
            storage.create_session(a_session())
        assert slow.was_cancelled
        assert not hasattr(caught.value, "__notes__")
        assert storage.count_sessions() == 0
        storage.create_session(a_session())
        assert storage.count_sessions() == 1


def test_an_operation_that_is_done_all_the_same_is_noted(ctrl_c: Callable[[], None]):
    slow = Slow(ctrl_c)
    slow.goes_on_when_cancelled = True
    with SyncAdapter(slow) as storage:
        with pytest.raises(KeyboardInterrupt) as caught:
            storage.create_session(a_session())
        assert caught.value.__notes__ == ["The operation that it interrupted was done before it could be cancelled."]
        assert storage.count_sessions() == 1


def test_an_operation_that_fails_meanwhile_is_noted(ctrl_c: Callable[[], None]):
    slow = Slow(ctrl_c)
    slow.slow = {"delete_session"}
    slow.goes_on_when_cancelled = True
    with SyncAdapter(slow) as storage, pytest.raises(KeyboardInterrupt) as caught:
        storage.delete_session("none")
    assert NotFoundError.__name__ in caught.value.__notes__[0]


def test_a_second_ctrl_c_does_not_wait_for_the_operation(ctrl_c: Callable[[], None]):
    class Stubborn(DelegatingAdapter):
        async def create_session(self, session: Session) -> None:
            ctrl_c()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ctrl_c()
                await has_interrupted.wait()
            await super().create_session(session)

    has_interrupted = asyncio.Event()
    with SyncAdapter(Stubborn(MemoryAdapter())) as storage:
        with pytest.raises(KeyboardInterrupt) as caught:
            storage.create_session(a_session())
        assert isinstance(caught.value.__context__, KeyboardInterrupt)
        assert storage.count_sessions() == 0
        storage._loop_thread._loop.call_soon_threadsafe(has_interrupted.set)
        storage.close()


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("way", ["begin", "block"])
def test_a_transaction_that_nobody_got_is_rolled_back(ctrl_c: Callable[[], None], way: str, is_late: bool):
    slow = Slow(ctrl_c)
    slow.slow = {"begin_transaction"}
    slow.goes_on_when_cancelled = is_late
    with SyncAdapter(slow) as storage:
        with pytest.raises(KeyboardInterrupt):
            (storage.begin_transaction if way == "begin" else storage.transaction().__enter__)()
        storage.create_session(a_session())
        with storage.transaction() as transaction:
            assert transaction.count_sessions() == 1


def test_a_block_that_is_interrupted_is_rolled_back(ctrl_c: Callable[[], None]):
    def interrupted(transaction: SyncTransaction) -> None:
        transaction.create_session(a_session())
        ctrl_c()
        threading.Event().wait(SOON_S)

    with open_sync("memory") as storage:
        with pytest.raises(KeyboardInterrupt), storage.transaction() as transaction:
            interrupted(transaction)
        assert transaction.outcome is TransactionOutcome.ROLLED_BACK
        assert storage.count_sessions() == 0


@pytest.mark.parametrize("way", ["begin", "block"])
def test_a_commit_that_is_cancelled_at_the_end_of_a_block_is_a_rollback(ctrl_c: Callable[[], None], way: str):
    class SlowToCommit(DelegatingTransaction):
        async def commit(self) -> None:
            ctrl_c()
            await asyncio.Event().wait()

    class Adapter(DelegatingAdapter):
        def wrap_transaction(self, transaction: Transaction) -> Transaction:
            return SlowToCommit(transaction)

    with SyncAdapter(Adapter(MemoryAdapter())) as storage:
        block = storage.begin_transaction() if way == "begin" else storage.transaction()
        with pytest.raises(KeyboardInterrupt), block as transaction:
            transaction.create_session(a_session())
        assert transaction.outcome is TransactionOutcome.ROLLED_BACK
        assert storage.count_sessions() == 0


def test_work_that_is_interrupted_is_rolled_back_and_not_run_again(ctrl_c: Callable[[], None]):
    transactions = []

    def work(transaction: SyncTransaction) -> None:
        transactions.append(transaction)
        transaction.create_session(a_session())
        ctrl_c()
        threading.Event().wait(SOON_S)

    with open_sync("memory") as storage:
        with pytest.raises(KeyboardInterrupt):
            storage.transact(work)
        assert [each.outcome for each in transactions] == [TransactionOutcome.ROLLED_BACK]
        assert storage.count_sessions() == 0


def test_a_pause_between_two_attempts_can_be_interrupted(ctrl_c: Callable[[], None]):
    class Busy(DelegatingAdapter):
        async def transact(self, work: Any, *arguments: Any) -> Any:
            await super().transact(work, *arguments)
            ctrl_c()
            await asyncio.Event().wait()

    with SyncAdapter(Busy(MemoryAdapter())) as storage:
        with pytest.raises(KeyboardInterrupt):
            storage.transact(lambda transaction: transaction.create_session(a_session()))
        assert storage.count_sessions() == 1


def test_opening_can_be_interrupted_and_repeated(ctrl_c: Callable[[], None]):
    for is_late in (False, True):
        slow = Slow(ctrl_c)
        slow.slow = {"initialize"}
        slow.goes_on_when_cancelled = is_late
        storage = SyncAdapter(slow)
        with pytest.raises(KeyboardInterrupt):
            storage.initialize()
        assert not slow.wrapped._is_open
        assert not [each for each in threading.enumerate() if each.name.startswith("event loop of")]
        with storage:
            assert storage.count_sessions() == 0


def test_closing_can_be_interrupted_and_repeated(ctrl_c: Callable[[], None]):
    slow = Slow(ctrl_c)
    storage = SyncAdapter(slow)
    storage.initialize()
    slow.slow = {"close"}
    with pytest.raises(KeyboardInterrupt):
        storage.close()
    assert storage.count_sessions() == 0
    storage.close()
    assert not slow.wrapped._is_open


def test_waiting_for_what_comes_can_be_interrupted(ctrl_c: Callable[[], None]):
    class Watched(DelegatingAdapter):
        async def list_streams(self, *arguments: Any) -> Any:
            asyncio.get_running_loop().call_later(0.01, ctrl_c)
            return await super().list_streams(*arguments)

        watch_stream = StorageAdapter.watch_stream

    with SyncAdapter(Watched(MemoryAdapter())) as storage:
        events = storage.watch_stream("t")
        with pytest.raises(KeyboardInterrupt):
            next(events)
        assert next(events, "no more") == "no more"
        assert storage.count_sessions() == 0


def test_a_write_that_waits_for_the_lock_of_another_process_can_be_interrupted(
    ctrl_c: Callable[[], None], tmp_path: Path
):
    path = str(tmp_path / "store.db")
    with open_sync("sqlite", path) as storage:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.05, ctrl_c).start()
        with pytest.raises(KeyboardInterrupt):
            storage.create_session(a_session("lost"))
        other.execute("ROLLBACK")
        other.close()
        storage.create_session(a_session("kept"))
        assert [each.id for each in storage.list_sessions()] == ["kept"]


def test_an_exception_of_any_signal_handler_interrupts_a_call():
    class TooLateError(Exception):
        """No OSError, because asyncio drops an OSError that is raised while it wakes its loop."""

    def too_late(*_: object) -> None:
        raise TooLateError

    previous = signal.signal(signal.SIGUSR1, too_late)
    main = threading.main_thread().ident
    try:
        with SyncAdapter(Slow(lambda: signal.pthread_kill(main, signal.SIGUSR1))) as storage:
            with pytest.raises(TooLateError):
                storage.create_session(a_session())
            assert storage.count_sessions() == 0
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_signal_handler_may_make_calls_itself(ctrl_c: Callable[[], None]):
    counted = []
    slow = Slow(ctrl_c)
    with SyncAdapter(slow) as storage:

        def count(*_: object) -> None:
            counted.append(storage.count_sessions())
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, count)
        with pytest.raises(KeyboardInterrupt):
            storage.create_session(a_session())
    assert counted == [0]


def test_a_commit_that_is_interrupted_says_by_its_outcome_whether_it_is_stored(
    ctrl_c: Callable[[], None], tmp_path: Path
):
    class Interrupting(DelegatingTransaction):
        async def commit(self) -> None:
            ctrl_c()
            await super().commit()

    class Adapter(DelegatingAdapter):
        def wrap_transaction(self, transaction: Transaction) -> Transaction:
            return Interrupting(transaction)

    def commit(transaction: SyncTransaction) -> None:
        transaction.commit()
        threading.Event().wait(SOON_S)

    with SyncAdapter(Adapter(create_adapter("sqlite", str(tmp_path / "store.db")))) as storage:
        for number in range(10):
            transaction = storage.begin_transaction()
            transaction.create_session(a_session(str(number)))
            with pytest.raises(KeyboardInterrupt):
                commit(transaction)
            if transaction.outcome is None:
                transaction.rollback()
            is_stored = transaction.outcome is TransactionOutcome.COMMITTED
            assert (storage.get_session(str(number)) is not None) == is_stored
