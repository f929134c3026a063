"""If a command of transaction control fails, the first error is raised, and the store works afterwards."""

import asyncio
import functools
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aaow_storage import (
    BudgetPool,
    NotFoundError,
    StorageAdapter,
    StorageError,
    StorageOperations,
    Transaction,
    TransactionError,
    create_adapter,
)
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import every_call

pytestmark = pytest.mark.asyncio

INJECTED = "injected"
ONCE, ALWAYS = 1, 10**9
COMMANDS = ("BEGIN", "SAVEPOINT", "ROLLBACK TO", "ROLLBACK", "RELEASE", "COMMIT")
CALLS = {call.name: call for call in every_call()}


class Failures:
    """Makes the driver fail at a command, for so many times from now on, without carrying it out."""

    def __init__(self) -> None:
        self.command = ""
        self.left = self.met = 0

    def arm(self, command: str, times: int = ONCE) -> None:
        """Fail the next so many times."""
        self.command, self.left, self.met = command, times, 0

    def meet(self, text: str) -> None:
        """Raise if the command is armed."""
        is_it = text == "ROLLBACK" if self.command == "ROLLBACK" else self.command and text.startswith(self.command)
        if is_it and self.left:
            self.left -= 1
            self.met += 1
            raise sqlite3.OperationalError(f"{INJECTED} at {text}")


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> Failures:
    """The failures, on every connection that is opened from now on."""
    armed = Failures()

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            armed.meet(sql)
            return super().execute(sql, *parameters)

        def close(self) -> None:
            super().close()
            armed.meet("close")

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Failing))
    return armed


@pytest_asyncio.fixture
async def storage(path: Path, failures: Failures):
    """An adapter on a store of all kinds of records."""
    adapter = create_adapter("sqlite", str(path))
    async with adapter:
        await fill(adapter)
        yield adapter
        failures.arm("")


async def fill(storage: StorageAdapter) -> None:
    """Store the records that the calls name."""
    await samples.stored_workflow(storage, id="w")
    await samples.stored_session(storage, id="s")
    await storage.save_execution_state(samples.a_state("s"))
    await storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
    await samples.stored_tool_call(storage, "e")
    await storage.create_budget_pool(BudgetPool(id="p", total_budget=100))
    await samples.stored_request(storage, "s", id="a")


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """Return the value, or the error."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001 - it is looked at
        return error


def is_injected(found: Any) -> bool:
    """Say whether an outcome is the failure itself."""
    return isinstance(found, StorageError) and INJECTED in str(found)


async def check_that_it_works(storage: StorageAdapter) -> None:
    """Check that later writes are read in every way, and that no transaction is open."""
    workflow = await samples.stored_workflow(storage)
    assert await storage.get_workflow(workflow.id) == workflow
    assert workflow in await storage.list_workflows()
    async with storage.transaction() as transaction:
        assert await transaction.get_workflow(workflow.id) == workflow
        async with transaction.savepoint():
            await transaction.delete_workflow(workflow.id)
    assert await storage.get_workflow(workflow.id) is None
    assert await storage.get_execution_state("none") is None


async def in_a_transaction(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call in a transaction that is committed even if the call fails."""
    async with storage.transaction() as transaction:
        return await outcome(call(transaction))


async def in_a_savepoint(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call in a savepoint, which is undone if the call fails."""
    async with storage.transaction() as transaction, transaction.savepoint():
        return await call(transaction)


async def together(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call beside others that go into the same commit."""
    found, *_ = await asyncio.gather(
        outcome(call(storage)), *(outcome(samples.stored_workflow(storage)) for _ in range(3))
    )
    return found


async def alone(storage: StorageAdapter, call: Callable[[StorageOperations], Awaitable[Any]]) -> Any:
    """Make the call on the adapter."""
    return await call(storage)


async def delete_and_fail(block: AbstractAsyncContextManager[Any], target: StorageOperations, id: str) -> None:
    """Delete a pool in a block that fails."""
    async with block:
        await target.delete_budget_pool(id)
        raise ZeroDivisionError


@pytest.mark.parametrize("way", [alone, together, in_a_transaction, in_a_savepoint])
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name",
    ["save_workflow", "delete_session", "consume_budget", "get_session", "list_sessions", "get_execution_state"],
)
async def test_a_call_raises_the_failure_or_returns_its_usual_outcome(
    storage: StorageAdapter, failures: Failures, way: Callable[..., Any], command: str, name: str
):
    for times in ONCE, ALWAYS:
        failures.arm(command, times)
        found = await outcome(way(storage, CALLS[name].on))
        failures.arm("")
        was_deleted = times == ALWAYS and isinstance(found, NotFoundError)
        if isinstance(found, Exception) and not was_deleted:
            assert is_injected(found)
        await check_that_it_works(storage)


@pytest.mark.parametrize("way", [alone, together, in_a_savepoint])
@pytest.mark.parametrize("command", ["ROLLBACK TO", "ROLLBACK", "RELEASE", "close"])
@pytest.mark.parametrize("times", [ONCE, ALWAYS], ids=["once", "until further notice"])
async def test_the_error_of_a_call_is_not_hidden_by_a_failing_rollback(
    storage: StorageAdapter, failures: Failures, way: Callable[..., Any], command: str, times: int
):
    failures.arm(command, times)
    found = await outcome(way(storage, lambda target: target.delete_session("none")))
    met = failures.met
    failures.arm("")
    assert isinstance(found, NotFoundError)
    notes = getattr(found, "__notes__", [])
    assert not notes or (met and INJECTED in notes[0])
    await check_that_it_works(storage)


@pytest.mark.parametrize("command", ["ROLLBACK TO caller", "RELEASE SAVEPOINT caller", "ROLLBACK"])
async def test_a_transaction_is_rolled_back_whole_if_its_savepoint_cannot_be(
    storage: StorageAdapter, failures: Failures, command: str
):
    transaction = await storage.begin_transaction()
    await transaction.delete_workflow("w")
    failures.arm(command)
    with pytest.raises(ZeroDivisionError):
        await delete_and_fail(transaction.savepoint(), transaction, "p")
    failures.arm("")
    if transaction.outcome is None:
        await transaction.commit()
        assert await storage.get_workflow("w") is None
    else:
        with pytest.raises(TransactionError, match=INJECTED):
            await transaction.commit()
        assert await storage.get_workflow("w") is not None
    assert await storage.get_budget_pool("p") is not None


@pytest.mark.parametrize("times", [ONCE, ALWAYS], ids=["once", "until further notice"])
async def test_the_error_of_a_block_is_not_hidden_by_a_failing_rollback(
    storage: StorageAdapter, failures: Failures, times: int
):
    failures.arm("ROLLBACK", times)
    transaction = await storage.begin_transaction()
    with pytest.raises(ZeroDivisionError) as caught:
        await delete_and_fail(transaction, transaction, "p")
    assert INJECTED in caught.value.__notes__[0]
    failures.arm("")
    assert await storage.get_budget_pool("p") is not None
    await check_that_it_works(storage)


async def test_a_rollback_that_fails_is_reported_by_itself_and_stores_nothing(
    storage: StorageAdapter, failures: Failures
):
    transaction: Transaction = await storage.begin_transaction()
    await transaction.delete_workflow("w")
    failures.arm("ROLLBACK", ALWAYS)
    with pytest.raises(StorageError, match=INJECTED):
        await transaction.rollback()
    failures.arm("")
    assert await storage.get_workflow("w") is not None
    await check_that_it_works(storage)


async def test_the_error_of_a_block_is_not_hidden_by_a_failing_close(path: Path, monkeypatch: pytest.MonkeyPatch):
    adapter = create_adapter("sqlite", str(path))
    closed = adapter.close

    async def failing() -> None:
        await closed()
        raise StorageError(INJECTED)

    monkeypatch.setattr(adapter, "close", failing)
    with pytest.raises(ZeroDivisionError) as caught:
        async with adapter:
            raise ZeroDivisionError
    assert INJECTED in caught.value.__notes__[0]
    with pytest.raises(StorageError, match=INJECTED):
        async with adapter:
            pass


async def test_an_adapter_closes_even_if_the_driver_fails_to_close(storage: StorageAdapter, failures: Failures):
    failures.arm("close", ALWAYS)
    await storage.close()
    await storage.initialize()
    failures.arm("")
    await check_that_it_works(storage)
