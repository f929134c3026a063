"""The pool of a server's connections that record changes themselves, and the connections."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from sqlite_as_server import Connection, Settings, SQLiteServer, adapter_of

from aaow_storage import BudgetPool, Capability, ChangeAction, StorageAdapter, Transaction
from aaow_storage.errors import AlreadyExistsError, ContentionError, StorageUnavailableError, StoreBusyError
from aaow_storage_sql import ServerTuning


class UndoneError(Exception):
    """Undoes a savepoint or a transaction."""


async def create_and_fail(transaction: Transaction) -> None:
    async with transaction.savepoint():
        await transaction.create_budget_pool(BudgetPool(id="undone", total_budget=10))
        raise UndoneError


async def changed(storage: StorageAdapter) -> list[tuple[str, ChangeAction]]:
    """Return the ids of the change feed, and what was done."""
    return [(change.id, change.action) for change in await storage.get_changes()]


@pytest.mark.asyncio
async def test_changes_are_stored_with_the_operation_that_made_them(settings: Settings):
    async with adapter_of(settings) as storage:
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=10))
        await storage.consume_budget("p", 1)
        with pytest.raises(AlreadyExistsError):
            await storage.create_budget_pool(BudgetPool(id="p", total_budget=10))
        assert await changed(storage) == [("p", ChangeAction.CREATED), ("p", ChangeAction.UPDATED)]


@pytest.mark.asyncio
async def test_changes_that_a_savepoint_undoes_are_not_stored(settings: Settings):
    async with adapter_of(settings) as storage:
        async with storage.transaction() as transaction:
            await transaction.create_budget_pool(BudgetPool(id="kept", total_budget=10))
            with pytest.raises(UndoneError):
                await create_and_fail(transaction)
        assert await changed(storage) == [("kept", ChangeAction.CREATED)]


@pytest.mark.asyncio
async def test_changes_of_a_transaction_that_is_rolled_back_are_not_stored_by_the_next(settings: Settings):
    async with adapter_of(settings) as storage:
        transaction = await storage.begin_transaction()
        await transaction.create_budget_pool(BudgetPool(id="undone", total_budget=10))
        await transaction.rollback()
        await storage.create_budget_pool(BudgetPool(id="kept", total_budget=10))
        assert await changed(storage) == [("kept", ChangeAction.CREATED)]


@pytest.mark.asyncio
async def test_a_store_that_records_no_changes_begins_another_feed_when_it_does(settings: Settings):
    async with adapter_of(settings) as storage:
        await storage.create_budget_pool(BudgetPool(id="before", total_budget=10))
    async with adapter_of(evolve(settings, changes=False)) as storage:
        await storage.create_budget_pool(BudgetPool(id="meanwhile", total_budget=10))
        assert Capability.CHANGES not in storage.capabilities
    async with adapter_of(evolve(settings, changes=True)) as storage:
        await storage.create_budget_pool(BudgetPool(id="after", total_budget=10))
        assert await changed(storage) == [("after", ChangeAction.CREATED)]


@pytest.fixture
def inserts_in_vain(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of INSERTs, each of which another transaction was quicker than."""
    attempts: list[str] = []
    execute = Connection.execute

    def lose(connection: Connection, text: str, values: Sequence[Any]) -> Any:
        if not text.startswith("INSERT INTO budget_pools"):
            return execute(connection, text, values)
        attempts.append(text)
        error = sqlite3.OperationalError("another was quicker")
        error.sqlite_errorcode = sqlite3.SQLITE_ABORT
        raise error

    monkeypatch.setattr(Connection, "execute", lose)
    return attempts


@pytest.mark.asyncio
async def test_an_operation_that_loses_to_others_each_time_finds_a_busy_store(
    settings: Settings, inserts_in_vain: list[str]
):
    few = evolve(settings, tuning=ServerTuning(max_attempts=3))
    async with adapter_of(few) as storage:
        with pytest.raises(StoreBusyError, match="at each of 3 attempts; try again") as caught:
            await storage.create_budget_pool(BudgetPool(id="p", total_budget=10))
        assert isinstance(caught.value.__cause__, ContentionError)
        assert len(inserts_in_vain) == 3
        assert await storage.list_budget_pools() == []


@pytest.mark.asyncio
async def test_an_operation_in_a_transaction_that_loses_says_so(settings: Settings, inserts_in_vain: list[str]):
    async with adapter_of(settings) as storage:
        transaction = await storage.begin_transaction()
        with pytest.raises(ContentionError):
            await transaction.create_budget_pool(BudgetPool(id="p", total_budget=10))
        assert len(inserts_in_vain) == 1


def test_changes_of_a_transaction_that_the_server_ended_are_forgotten(connection_to_server: Connection):
    connection_to_server.begin_writing()
    connection_to_server.record("budget_pool", "undone", None, "created")
    connection_to_server.driver_connection.execute("ROLLBACK")
    connection_to_server.begin_writing()
    assert connection_to_server.recorder.entries == []


def test_an_error_that_means_that_the_connection_is_lost_closes_it(
    connection_to_server: Connection, monkeypatch: pytest.MonkeyPatch
):
    def fail(connection: Connection, text: str, values: object) -> None:
        raise sqlite3.OperationalError("the connection was lost")

    monkeypatch.setattr(Connection, "execute", fail)
    with pytest.raises(StorageUnavailableError):
        connection_to_server.command("SELECT 1")
    assert connection_to_server.is_lost


def test_a_lost_connection_is_in_no_transaction(server: SQLiteServer):
    connection = server.connect()
    connection.begin_writing()
    connection.close()
    assert not connection.is_in_transaction
