"""What every adapter and transaction inherits: blocks that begin and end, and the guard around an open transaction."""

import asyncio
import contextvars
import copy
import gc
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import pytest

from aaow_storage import Capability, StorageAdapter, StorageOperations, Transaction, TransactionOutcome
from aaow_storage.authoring import OpenTransactions, bind_transaction
from aaow_storage.errors import StorageError, TransactionError

pytestmark = pytest.mark.asyncio


def without_operations(kind: type) -> Any:
    """Return a subclass in which no data operation is missing, nor does anything."""

    async def operation(*_: object) -> None: ...

    return type(kind.__name__, (kind,), dict.fromkeys(StorageOperations.__abstractmethods__, operation))


class FakeTransaction(without_operations(Transaction)):
    """Notes how it is ended."""

    def __init__(self) -> None:
        self.ended: TransactionOutcome | None = None

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self.ended

    async def commit(self) -> None:
        self._end(TransactionOutcome.COMMITTED)

    async def rollback(self) -> None:
        self._end(TransactionOutcome.ROLLED_BACK)

    def savepoint(self) -> Any:
        return self._savepoint()

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        yield

    def _end(self, outcome: TransactionOutcome) -> None:
        if self.ended is not None:
            raise TransactionError(f"it has {self.ended}")
        self.ended = outcome


class FakeAdapter(without_operations(StorageAdapter)):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.last: FakeTransaction = FakeTransaction()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    async def initialize(self, *, migrate: bool = True) -> None:
        self.asked.append(("initialize", migrate))

    async def close(self) -> None:
        self.asked.append("close")

    async def begin_transaction(self, timeout: float = 30.0) -> FakeTransaction:  # noqa: ASYNC109 - the interface's
        self.asked.append(("begin", timeout))
        self.last = FakeTransaction()
        return self.last


async def test_an_adapter_is_initialized_and_closed_by_its_block():
    adapter = FakeAdapter()
    async with adapter as entered:
        assert entered is adapter
        assert adapter.asked == [("initialize", True)]
    with pytest.raises(KeyError):
        async with FakeAdapter() as adapter:
            raise KeyError
    assert adapter.asked == [("initialize", True), "close"]


async def test_a_block_inside_a_block_is_refused_before_anything_is_done():
    async with FakeAdapter() as adapter:
        with pytest.raises(StorageError, match="this FakeAdapter is already in an `async with` block"):
            async with adapter:
                pytest.fail("the second block was entered")
        assert adapter.asked == [("initialize", True)]
    async with adapter:
        pass
    assert adapter.asked == [("initialize", True), "close"] * 2


async def test_an_adapter_can_be_entered_again_after_its_block_failed_to_begin_or_end():
    class Failing(FakeAdapter):
        async def initialize(self, *, migrate: bool = True) -> None:
            await super().initialize(migrate=migrate)
            if len(self.asked) == 1:
                raise KeyError

        async def close(self) -> None:
            await super().close()
            raise LookupError

    adapter = Failing()
    with pytest.raises(KeyError):
        await adapter.__aenter__()
    for _ in range(2):
        with pytest.raises(LookupError):
            async with adapter:
                pass


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_copying_is_refused_with_what_to_do_instead(make_copy: Callable[[object], object]):
    with pytest.raises(StorageError, match=r"^FakeAdapter cannot be copied or pickled: .*create_adapter\(\)$"):
        make_copy(FakeAdapter())
    with pytest.raises(StorageError, match=r"^FakeTransaction cannot be copied or pickled: "):
        make_copy(FakeTransaction())


async def test_a_subclass_may_allow_copies():
    class Copied(FakeAdapter):
        def __reduce__(self) -> Any:
            return Copied, ()

    assert type(copy.deepcopy(Copied())) is Copied


async def test_a_block_commits_at_its_end():
    adapter = FakeAdapter()
    async with adapter.transaction() as transaction:
        assert transaction.outcome is None
    assert transaction.outcome == "committed"
    assert adapter.asked == [("begin", 30.0)]


async def test_the_timeout_is_passed_on():
    adapter = FakeAdapter()
    async with adapter.transaction(timeout=1.5):
        pass
    assert adapter.asked == [("begin", 1.5)]


@pytest.mark.parametrize("error", [KeyError, SystemExit, asyncio.CancelledError])
async def test_a_block_that_raises_rolls_back_and_the_error_goes_on(error: type[BaseException]):
    adapter = FakeAdapter()
    with pytest.raises(error):
        async with adapter.transaction():
            raise error
    assert adapter.last.outcome == "rolled_back"


async def test_a_block_that_is_cancelled_rolls_back():
    adapter, is_inside = FakeAdapter(), asyncio.Event()

    async def hold() -> None:
        async with adapter.transaction():
            is_inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await is_inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert adapter.last.outcome == "rolled_back"


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_transaction_that_the_block_ended_is_left_alone(end: str):
    async with FakeAdapter().transaction() as transaction:
        await getattr(transaction, end)()
    transaction = FakeTransaction()
    await getattr(transaction, end)()
    with pytest.raises(KeyError):
        async with transaction:
            raise KeyError


@pytest.mark.parametrize("outcome", [TransactionOutcome.TIMED_OUT, TransactionOutcome.ABORTED])
async def test_a_block_whose_transaction_was_undone_raises_at_its_end(outcome: TransactionOutcome):
    adapter = FakeAdapter()
    with pytest.raises(TransactionError, match=outcome):
        async with adapter.transaction() as transaction:
            transaction.ended = outcome


async def test_the_error_of_a_block_is_not_replaced_by_that_of_a_late_rollback():
    class Late(FakeTransaction):
        async def rollback(self) -> None:
            raise TransactionError("it ran out of time just now")

    with pytest.raises(KeyError):
        async with Late():
            raise KeyError


@pytest.mark.parametrize("kind", [StorageOperations, StorageAdapter, Transaction])
async def test_an_operation_that_a_backend_forgot_is_named_when_it_is_made(kind: type):
    with pytest.raises(TypeError, match="abstract method"):
        kind()
    assert StorageOperations.__abstractmethods__ <= kind.__abstractmethods__


async def test_a_task_with_an_open_transaction_may_not_call_the_adapter():
    transactions, transaction = OpenTransactions(), FakeTransaction()
    transactions.check()
    transactions.add(transaction)
    with pytest.raises(TransactionError, match="call the transaction's operations, or end it first"):
        transactions.check()
    await transaction.commit()
    transactions.check()


async def test_a_task_that_is_started_inside_a_transaction_is_refused_until_that_has_ended():
    transactions, transaction = OpenTransactions(), FakeTransaction()
    transactions.add(transaction)
    is_over = asyncio.Event()

    async def child() -> None:
        with pytest.raises(TransactionError):
            transactions.check()
        await is_over.wait()
        transactions.check()

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        await asyncio.sleep(0)
        await transaction.rollback()
        is_over.set()


async def test_a_task_with_a_context_of_its_own_is_not_refused():
    transactions = OpenTransactions()
    transactions.add(FakeTransaction())

    async def other() -> None:
        transactions.check()

    await asyncio.create_task(other(), context=contextvars.Context())


async def test_another_adapter_may_be_called_inside_a_transaction():
    transactions = OpenTransactions()
    transactions.add(FakeTransaction())
    OpenTransactions().check()


async def test_a_task_is_refused_for_its_own_open_transaction_alone():
    transactions, first = OpenTransactions(), FakeTransaction()
    began = asyncio.Event()

    async def other() -> None:
        await began.wait()
        second = FakeTransaction()
        transactions.add(second)
        await second.rollback()
        transactions.check()

    beside = asyncio.create_task(other())
    transactions.add(first)
    began.set()
    await beside
    with pytest.raises(TransactionError):
        transactions.check()


async def test_using_a_transaction_binds_it_to_the_task():
    transactions, transaction = OpenTransactions(), FakeTransaction()
    await asyncio.create_task(_add(transactions, transaction))
    transactions.check()
    bind_transaction(transaction)
    bind_transaction(transaction)
    with pytest.raises(TransactionError):
        transactions.check()


async def test_entering_a_transaction_binds_it_to_the_task():
    transactions, transaction = OpenTransactions(), FakeTransaction()
    await asyncio.create_task(_add(transactions, transaction))
    async with transaction:
        with pytest.raises(TransactionError):
            transactions.check()


async def test_a_context_keeps_no_transaction_alive():
    transactions = OpenTransactions()
    for _ in range(3):
        transaction = FakeTransaction()
        transactions.add(transaction)
        await transaction.commit()
    gone = ref(transaction)
    transactions.check()
    del transaction, transactions
    gc.collect()
    assert gone() is None


async def _add(transactions: OpenTransactions, transaction: Transaction) -> None:
    transactions.add(transaction)
