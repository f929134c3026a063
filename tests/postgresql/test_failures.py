"""If BEGIN, COMMIT, ROLLBACK or a savepoint fails, the first error is raised, and the store works afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import (
    BudgetPool,
    NotFoundError,
    StorageAdapter,
    StorageError,
    StorageOperations,
    TransactionError,
    create_adapter,
)
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import every_call
from aaow_storage_postgresql import _connection

pytestmark = pytest.mark.asyncio

INJECTED = "injected"
ONCE, ALWAYS = 1, 10**9
CALLS = {call.name: call for call in every_call()}


class Failures:
    """Makes the driver raise instead of executing a command, a number of times."""

    def __init__(self) -> None:
        self.command = ""
        self.left = 0

    def arm(self, command: str, times: int = ONCE) -> None:
        """Fail at the next executions of the command."""
        self.command, self.left = command, times

    def meet(self, text: str) -> None:
        """Raise if the text is the armed command."""
        is_it = text == "ROLLBACK" if self.command == "ROLLBACK" else self.command and text.startswith(self.command)
        if is_it and self.left:
            self.left -= 1
            raise psycopg.errors.InternalError_(f"{INJECTED} at {text}")


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> Failures:
    """Failures of all connections."""
    armed = Failures()
    execute, close = psycopg.Connection.execute, psycopg.Connection.close
    run_commands = _connection.run_commands

    def running(driver_connection: Any, commands: Sequence[str]) -> None:
        for command in commands:
            armed.meet(command)
        run_commands(driver_connection, commands)

    def executing(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        armed.meet(query)
        return execute(self, query, *args, **kwargs)

    def closing(self: Any) -> None:
        close(self)
        armed.meet("close")

    monkeypatch.setattr(psycopg.Connection, "execute", executing)
    monkeypatch.setattr(psycopg.Connection, "close", closing)
    monkeypatch.setattr(_connection, "run_commands", running)
    return armed


@pytest_asyncio.fixture
async def storage(url: str, failures: Failures):
    """An adapter on a store that holds the records that the calls use."""
    async with create_adapter("postgresql", url, pool_size=3) as adapter:
        await samples.stored_workflow(adapter, id="w")
        await samples.stored_session(adapter, id="s")
        await adapter.create_budget_pool(BudgetPool(id="p", total_budget=100))
        yield adapter
        failures.arm("")


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """Return the result, or the error."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001 - it is looked at
        return error


async def check_that_it_works(storage: StorageAdapter) -> None:
    """Check that a new record is visible to every kind of read, and that no transaction is open."""
    workflow = await samples.stored_workflow(storage)
    assert await storage.get_workflow(workflow.id) == workflow
    assert workflow in await storage.list_workflows()
    async with storage.transaction() as transaction, transaction.savepoint():
        await transaction.delete_workflow(workflow.id)
    assert await storage.get_workflow(workflow.id) is None


async def alone(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call on the adapter."""
    return await call(storage)


async def in_a_savepoint(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call in a savepoint, which ends with the result or error of the call."""
    async with storage.transaction() as transaction, transaction.savepoint():
        return await call(transaction)


@pytest.mark.parametrize("way", [alone, in_a_savepoint])
@pytest.mark.parametrize("command", ["BEGIN", "SAVEPOINT", "ROLLBACK TO", "ROLLBACK", "RELEASE", "COMMIT", "close"])
async def test_a_call_returns_its_result_or_raises_the_failure_before_it(
    storage: StorageAdapter, failures: Failures, way: Callable[..., Any], command: str
):
    for name in ("save_workflow", "consume_budget", "get_session", "list_sessions", "get_execution_state"):
        for times in (ONCE, ALWAYS):
            failures.arm(command, times)
            found = await outcome(way(storage, CALLS[name].on))
            failures.arm("")
            if isinstance(found, Exception):
                assert isinstance(found, StorageError), name
                assert INJECTED in str(found)
    await check_that_it_works(storage)


@pytest.mark.parametrize("way", [alone, in_a_savepoint])
@pytest.mark.parametrize("command", ["ROLLBACK TO", "ROLLBACK", "RELEASE", "close"])
async def test_a_failing_rollback_does_not_hide_the_error_of_the_call(
    storage: StorageAdapter, failures: Failures, way: Callable[..., Any], command: str
):
    for times in (ONCE, ALWAYS):
        failures.arm(command, times)
        found = await outcome(way(storage, lambda target: target.delete_session("none")))
        failures.arm("")
        assert isinstance(found, NotFoundError)
    await check_that_it_works(storage)


async def test_if_an_operation_cannot_be_undone_alone_the_whole_transaction_is(
    storage: StorageAdapter, failures: Failures
):
    transaction = await storage.begin_transaction()
    await transaction.delete_workflow("w")

    async def fail() -> None:
        async with transaction.savepoint():
            await transaction.delete_budget_pool("p")
            raise ZeroDivisionError

    failures.arm("ROLLBACK TO caller")
    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(TransactionError, match=INJECTED):
        await transaction.commit()
    assert await storage.get_workflow("w") is not None
    assert await storage.get_budget_pool("p") is not None
