"""What every adapter and transaction inherits: blocks that begin and end, and the guard around an open transaction."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aaow_storage import Capability, StorageAdapter, StorageOperations, Transaction, TransactionOutcome
from aaow_storage.authoring import OpenTransactions
from aaow_storage.errors import TransactionError

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
async def test_a_block_that_went_through_is_told_that_all_was_undone(outcome: TransactionOutcome):
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


async def test_the_task_that_holds_a_transaction_cannot_go_around_it():
    transactions, transaction = OpenTransactions(), FakeTransaction()
    transactions.check()
    transactions.add(transaction)
    with pytest.raises(TransactionError, match="use the transaction, or end it first"):
        transactions.check()
    await transaction.commit()
    transactions.check()


async def test_other_tasks_are_not_held_up_and_a_child_is_another_task():
    transactions = OpenTransactions()
    transactions.add(FakeTransaction())

    async def other() -> None:
        transactions.check()

    await asyncio.create_task(other())
    async with asyncio.TaskGroup() as group:
        group.create_task(other())


async def test_each_task_is_held_by_its_own_transaction():
    transactions, first = OpenTransactions(), FakeTransaction()
    transactions.add(first)

    async def other() -> None:
        second = FakeTransaction()
        transactions.add(second)
        await second.rollback()
        transactions.check()

    await asyncio.create_task(other())
    with pytest.raises(TransactionError):
        transactions.check()


async def test_a_task_that_is_gone_is_forgotten_with_its_transaction():
    transactions = OpenTransactions()

    async def hold() -> None:
        transactions.add(FakeTransaction())

    await asyncio.create_task(hold())
    await asyncio.sleep(0)  # the loop lets go of the task
    gc.collect()
    assert len(transactions._by_task) == 0
