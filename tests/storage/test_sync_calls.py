"""Synchronous calls: what they return and raise, and in which threads and contexts."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import (
    Capability,
    DelegatingAdapter,
    QueryFilter,
    Session,
    StorageAdapter,
    Transaction,
    TransactionOutcome,
    open_sync,
)
from aaow_storage.errors import (
    AlreadyExistsError,
    BackendNotFoundError,
    ContentionError,
    NotFoundError,
    StorageError,
    TransactionError,
    ValidationError,
)
from aaow_storage.sync import SyncAdapter, SyncTransaction
from aaow_storage_memory import MemoryAdapter

SOON_S = 10.0


def a_session(id: str = "s") -> Session:
    return Session(id=id, workflow_id=None, workflow_snapshot={"nodes": []})


def create_and_raise(transaction: SyncTransaction, error: type[Exception]) -> None:
    transaction.create_session(a_session("lost"))
    raise error


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result(SOON_S)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncAdapter]:
    url = [str(tmp_path / "store.db")] if request.param == "sqlite" else []
    with open_sync(request.param, *url) as storage:
        yield storage


class Probe(DelegatingAdapter):
    """Calls a function in the operation `last_change`, on the loop."""

    def __init__(self, probe: Callable[[], Any]) -> None:
        super().__init__(MemoryAdapter())
        self.probe = probe

    async def last_change(self) -> Any:
        return self.probe()


# what calls return and raise


def test_a_record_is_stored_and_found(storage: SyncAdapter):
    storage.create_session(a_session())
    changed = storage.update_session("s", only_if={"status": "running"}, status="paused", metadata={"user": "ada"})
    assert changed.status == "paused"
    assert storage.get_session("s") == changed
    assert storage.list_sessions(QueryFilter({"metadata.user": "ada"})) == [changed]
    assert storage.count_sessions() == 1
    assert storage.get_session("none") is None


def test_an_error_of_an_operation_is_raised_in_the_caller(storage: SyncAdapter):
    storage.create_session(a_session())
    with pytest.raises(AlreadyExistsError):
        storage.create_session(a_session())
    with pytest.raises(NotFoundError):
        storage.delete_session("none")
    with pytest.raises(ValidationError, match="status"):
        storage.update_session("s", status="lost")
    with pytest.raises(TypeError):
        storage.get_session()


def test_the_adapter_says_what_it_is_and_can_do(storage: SyncAdapter):
    assert repr(storage) == f"SyncAdapter({storage.wrapped!r})"
    assert storage.capabilities == storage.wrapped.capabilities >= {Capability.STREAM_EVENTS, Capability.CHANGES}
    assert isinstance(storage.wrapped, StorageAdapter)


def test_options_and_urls_are_those_of_open_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with open_sync("sqlite", str(tmp_path / "a.db"), synchronous="NORMAL") as storage:
        storage.create_session(a_session())
    with open_sync(f"file:{tmp_path / 'a.db'}") as storage:
        assert storage.count_sessions() == 1
    monkeypatch.setenv("DATABASE_URL", f"file:{tmp_path / 'a.db'}")
    with open_sync() as storage:
        assert storage.count_sessions() == 1
    with pytest.raises(ValidationError, match="colour"):
        open_sync("memory", colour="red")
    with pytest.raises(BackendNotFoundError):
        open_sync("nothing-like-this")


def test_something_that_is_no_adapter_is_refused():
    with pytest.raises(ValidationError, match=r"wrapped: must be a StorageAdapter"):
        SyncAdapter("memory")


# transactions


def test_a_transaction_is_committed_at_the_end_of_its_block_and_rolled_back_if_that_raises(storage: SyncAdapter):
    with storage.transaction() as transaction:
        transaction.create_session(a_session("kept"))
        assert transaction.outcome is None
    assert transaction.outcome is TransactionOutcome.COMMITTED
    with pytest.raises(ZeroDivisionError), storage.transaction(timeout=5) as transaction:
        create_and_raise(transaction, ZeroDivisionError)
    assert transaction.outcome is TransactionOutcome.ROLLED_BACK
    assert [each.id for each in storage.list_sessions()] == ["kept"]
    with pytest.raises(TransactionError):
        transaction.count_sessions()


def test_a_transaction_that_was_begun_is_ended_by_its_own_block_or_calls(storage: SyncAdapter):
    with storage.begin_transaction() as transaction:
        transaction.create_session(a_session("block"))
    begun = storage.begin_transaction(timeout=5)
    begun.create_session(a_session("lost"))
    begun.rollback()
    begun = storage.begin_transaction()
    begun.create_session(a_session("call"))
    begun.commit()
    assert {each.id for each in storage.list_sessions()} == {"block", "call"}


def test_a_savepoint_that_raises_undoes_its_block_alone(storage: SyncAdapter):
    with storage.transaction() as transaction:
        transaction.create_session(a_session("before"))
        with pytest.raises(StopIteration), transaction.savepoint():
            create_and_raise(transaction, StopIteration)
        with transaction.savepoint() as nothing:
            assert nothing is None
            transaction.create_session(a_session("after"))
    assert {each.id for each in storage.list_sessions()} == {"before", "after"}


def test_a_block_is_entered_once():
    with open_sync("memory") as storage:
        block = storage.transaction()
        with pytest.raises(StorageError, match="has not begun"):
            block.__exit__(None, None, None)
        with block, pytest.raises(StorageError, match="begun already"):
            block.__enter__()


def test_a_call_on_the_adapter_is_refused_in_the_thread_of_an_open_transaction_alone(storage: SyncAdapter):
    storage.create_session(a_session())
    with storage.transaction() as transaction:
        with pytest.raises(
            TransactionError,
            match=r"in a thread that has an open transaction of it .* or call the adapter in another thread",
        ):
            storage.count_sessions()
        transaction.create_session(a_session("own"))
        with pytest.raises(TransactionError):
            next(storage.changes())
        assert in_thread(storage.count_sessions) == 1
    assert storage.count_sessions() == 2


def test_a_thread_that_uses_the_transaction_of_another_is_refused_too(storage: SyncAdapter):
    begun: SyncTransaction = in_thread(storage.begin_transaction)
    assert storage.count_sessions() == 0
    begun.create_session(a_session())
    with pytest.raises(TransactionError):
        storage.count_sessions()
    begun.commit()
    assert storage.count_sessions() == 1


def test_other_adapters_are_not_refused_while_a_transaction_is_open(storage: SyncAdapter):
    with open_sync("memory") as other, storage.transaction() as transaction, other.transaction() as another:
        another.create_session(a_session())
        transaction.create_session(a_session())
        with pytest.raises(TransactionError):
            other.count_sessions()
        with pytest.raises(TransactionError):
            storage.count_sessions()


# transact


def test_work_is_run_again_in_this_thread_after_contention(storage: SyncAdapter):
    threads = []

    def work(transaction: SyncTransaction) -> int:
        threads.append(threading.get_ident())
        transaction.create_session(a_session(f"s {len(threads)}"))
        if len(threads) == 1:
            raise ContentionError("lost")
        with pytest.raises(TransactionError):
            storage.count_sessions()
        return transaction.count_sessions()

    assert storage.transact(work, attempts=2) == 1
    assert threads == [threading.get_ident()] * 2
    assert [each.id for each in storage.list_sessions()] == ["s 2"]


@pytest.mark.parametrize(
    ("raised", "expected"), [(ZeroDivisionError, ZeroDivisionError), (StopIteration, RuntimeError)]
)
def test_an_error_of_the_work_rolls_back_and_is_raised(storage: SyncAdapter, raised: Any, expected: Any):
    def work(transaction: SyncTransaction) -> None:
        transaction.create_session(a_session())
        raise raised

    with pytest.raises(expected):
        storage.transact(work)
    assert storage.count_sessions() == 0


def test_work_that_is_no_ordinary_function_is_refused():
    async def work(transaction: object) -> None:
        """Never runs."""

    with open_sync("memory") as storage:
        with pytest.raises(ValidationError, match="not a coroutine function"):
            storage.transact(work)
        with pytest.raises(ValidationError, match="not int"):
            storage.transact(7)
        with pytest.raises(ValidationError, match="attempts"):
            storage.transact(lambda transaction: transaction.count_sessions(), attempts=0)


def test_an_adapter_that_begins_its_transactions_in_another_way_is_asked_for_them():
    begun = []

    class Own(DelegatingAdapter):
        @contextlib.asynccontextmanager
        async def transaction(self, timeout: float = 30.0) -> AsyncIterator[Transaction]:  # noqa: ASYNC109 - as in the interface
            begun.append(timeout)
            async with self.wrapped.transaction(timeout) as transaction:
                yield transaction

        async def transact(self, work: Any, *arguments: Any) -> Any:
            begun.append(arguments)
            return await self.wrapped.transact(work, *arguments)

    with SyncAdapter(Own(MemoryAdapter())) as storage:
        with storage.transaction(3):
            pass
        assert storage.transact(lambda transaction: transaction.count_sessions(), 4, 0.5, 6) == 0
    assert begun == [3, (4, 0.5, 6)]


# threads, contexts, event loops


def test_many_threads_share_one_adapter(storage: SyncAdapter):
    def work(number: int) -> None:
        storage.create_session(a_session(f"alone {number}"))
        with storage.transaction() as transaction:
            transaction.create_session(a_session(f"together {number}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(12)))
    assert storage.count_sessions() == 24


def test_the_operation_sees_the_context_of_the_caller():
    user: ContextVar[str] = ContextVar("user", default="nobody")
    with SyncAdapter(Probe(user.get)) as storage:
        assert storage.last_change() == "nobody"
        token = user.set("ada")
        assert storage.last_change() == "ada"
        user.reset(token)
        assert in_thread(storage.last_change) == "nobody"


def test_it_works_inside_a_running_event_loop(storage: SyncAdapter):
    async def main() -> int:
        with storage.transaction() as transaction:
            transaction.create_session(a_session())
            with pytest.raises(TransactionError):
                storage.count_sessions()
            assert await asyncio.to_thread(storage.count_sessions) == 0
        return await asyncio.to_thread(storage.count_sessions) + storage.count_sessions()

    assert asyncio.run(main()) == 2


@pytest.mark.asyncio
async def test_a_transaction_of_asynchronous_code_refuses_synchronous_calls_on_the_same_adapter():
    wrapped = MemoryAdapter()
    async with wrapped:
        with SyncAdapter(wrapped) as storage:
            async with wrapped.transaction():
                with pytest.raises(TransactionError):
                    storage.count_sessions()
            assert storage.count_sessions() == 0


def test_a_call_from_the_thread_of_the_loop_is_refused():
    def probe() -> int:
        return storage.count_sessions()

    with SyncAdapter(Probe(probe)) as storage:
        with pytest.raises(StorageError, match=r"would wait for itself: call the asynchronous adapter there"):
            storage.last_change()
        assert storage.count_sessions() == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_an_exception_that_ends_programs_reaches_the_caller_and_leaves_the_loop_running(error: type[BaseException]):
    def probe() -> None:
        raise error

    with SyncAdapter(Probe(probe)) as storage:
        with pytest.raises(error):
            storage.last_change()
        assert storage.count_sessions() == 0
