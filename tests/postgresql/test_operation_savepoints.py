"""An operation of a transaction is undone alone, by a savepoint that costs one round trip."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import BudgetPool, NotFoundError, StorageAdapter, Transaction, create_adapter
from aaow_storage.errors import StorageError, TransactionError
from aaow_storage_postgresql import _connection

pytestmark = pytest.mark.asyncio

ANEW = "RELEASE operation; SAVEPOINT operation"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands of savepoints that were sent, each as it was sent; and COMMIT."""
    texts: list[str] = []
    execute, run_commands = psycopg.Connection.execute, _connection.run_commands

    def executing(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if query.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE", "COMMIT")):
            texts.append(query)
        return execute(self, query, *args, **kwargs)

    def running(driver_connection: Any, commands: Sequence[str]) -> None:
        texts.append("; ".join(commands))
        run_commands(driver_connection, commands)

    monkeypatch.setattr(psycopg.Connection, "execute", executing)
    monkeypatch.setattr(_connection, "run_commands", running)
    return texts


@pytest_asyncio.fixture
async def storage(url: str):
    """An adapter on a store with one budget pool."""
    async with create_adapter("postgresql", url) as adapter:
        await adapter.create_budget_pool(BudgetPool(id="p", total_budget=100))
        yield adapter


async def fail(transaction: Transaction) -> None:
    """Run an operation that fails after a statement."""
    with pytest.raises(NotFoundError):
        await transaction.delete_session("none")


async def used(storage: StorageAdapter) -> int:
    """Return what is used of the pool."""
    pool = await storage.get_budget_pool("p")
    assert pool is not None
    return int(pool.used_budget)


async def test_the_savepoint_of_an_operation_is_released_with_the_next_command(
    storage: StorageAdapter, sent: list[str]
):
    sent.clear()
    async with storage.transaction() as transaction:
        await transaction.consume_budget("p", 1)
        await transaction.consume_budget("p", 2)
        async with transaction.savepoint():
            await transaction.consume_budget("p", 4)
    assert sent == [
        "SAVEPOINT operation",
        ANEW,
        "RELEASE operation; SAVEPOINT caller_1",
        "SAVEPOINT operation",
        "RELEASE SAVEPOINT caller_1",
        "COMMIT",
    ]
    assert await used(storage) == 7


async def test_an_operation_that_was_undone_leaves_its_savepoint_to_the_next(storage: StorageAdapter, sent: list[str]):
    sent.clear()
    async with storage.transaction() as transaction:
        await transaction.consume_budget("p", 1)
        await fail(transaction)
        await fail(transaction)
        await transaction.consume_budget("p", 2)
        await fail(transaction)
        async with transaction.savepoint():
            await fail(transaction)
    undone = "ROLLBACK TO operation"
    assert sent == [
        "SAVEPOINT operation",
        ANEW,
        undone,
        undone,
        ANEW,
        undone,
        "RELEASE operation; SAVEPOINT caller_1",
        "SAVEPOINT operation",
        undone,
        "RELEASE SAVEPOINT caller_1",
        "COMMIT",
    ]
    assert await used(storage) == 3


async def test_operations_and_nested_savepoints_are_undone_each_alone(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        await transaction.consume_budget("p", 1)
        with suppress(ZeroDivisionError):
            async with transaction.savepoint():
                await transaction.consume_budget("p", 2)
                async with transaction.savepoint():
                    await transaction.consume_budget("p", 4)
                    await fail(transaction)
                await fail(transaction)
                raise ZeroDivisionError
        await fail(transaction)
        async with transaction.savepoint():
            await transaction.consume_budget("p", 8)
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await transaction.consume_budget("p", 16)
                    raise ZeroDivisionError
            await fail(transaction)
            await transaction.consume_budget("p", 32)
        await fail(transaction)
    assert await used(storage) == 41


async def test_if_the_savepoint_cannot_be_released_nothing_of_the_transaction_is_stored(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch
):
    transaction = await storage.begin_transaction()
    await transaction.consume_budget("p", 1)
    run_commands = _connection.run_commands

    def failing(driver_connection: Any, commands: Sequence[str]) -> None:
        run_commands(driver_connection, ("SELECT 1 / 0", *commands))

    with monkeypatch.context() as patched:
        patched.setattr(_connection, "run_commands", failing)
        with pytest.raises(StorageError, match="division by zero"):
            await transaction.consume_budget("p", 2)
    with pytest.raises(TransactionError, match="division by zero"):
        await transaction.commit()
    assert await used(storage) == 0
