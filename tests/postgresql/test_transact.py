"""Errors and `transact` on a server: deadlocks, locks that others hold, wrong passwords, outages, commits in doubt."""

import asyncio
from contextvars import Context
from functools import partial

import pytest

from aaow_storage import Session, StorageAdapter, Transaction, TransactionOutcome, create_adapter
from aaow_storage.errors import (
    ContentionError,
    OutcomeUnknownError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
)
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql.testing import Server
from aaow_storage_sql import InDoubtError

pytestmark = pytest.mark.asyncio

OUTAGE_S = 60.0


def session(id: str) -> Session:
    return Session(id=id, workflow_id=None, workflow_snapshot={}, metadata={})


async def test_of_two_transactions_that_deadlock_one_is_run_again(storage: StorageAdapter):
    await storage.create_session(session("a"))
    await storage.create_session(session("b"))
    has_first, is_stored = [[asyncio.Event(), asyncio.Event()] for _ in range(2)]
    runs: list[int] = []

    async def write(transaction: Transaction, number: int) -> None:
        if number in runs:  # a row is free as soon as the loser is rolled back: whoever comes first gets it
            await is_stored[1 - number].wait()
        runs.append(number)
        mine, others = ("a", "b") if number == 0 else ("b", "a")
        await transaction.update_session(mine, metadata={"last": number})
        has_first[number].set()
        await has_first[1 - number].wait()
        await transaction.update_session(others, metadata={"last": number})

    async def store(number: int) -> None:
        await storage.transact(partial(write, number=number))
        is_stored[number].set()

    await asyncio.gather(store(0), store(1))
    assert len(runs) == 3
    last = runs[-1]
    assert [each.metadata for each in await storage.list_sessions()] == [{"last": last}] * 2


async def test_a_deadlock_is_contention_and_aborts_the_transaction(storage: StorageAdapter):
    await storage.create_session(session("a"))
    await storage.create_session(session("b"))
    one, other = [await asyncio.create_task(storage.begin_transaction(), context=Context()) for _ in range(2)]
    await one.update_session("a", status="paused")
    await other.update_session("b", status="paused")
    outcomes = await asyncio.gather(
        one.update_session("b", status="failed"), other.update_session("a", status="failed"), return_exceptions=True
    )
    (error,) = [each for each in outcomes if isinstance(each, BaseException)]
    assert type(error) is ContentionError
    assert error.is_retryable
    lost, won = (one, other) if outcomes[0] is error else (other, one)
    assert lost.outcome is TransactionOutcome.ABORTED
    await won.commit()


async def test_a_pool_whose_connections_are_all_in_use_is_a_busy_store(url: str):
    async with create_adapter("postgresql", url, pool_size=2, acquire_timeout=0.2) as storage:
        await storage.create_session(session("a"))
        holder = await asyncio.create_task(storage.begin_transaction(), context=Context())

        async def pause(transaction: Transaction) -> Session:
            return await transaction.update_session("a", status="paused")

        with pytest.raises(StoreBusyError, match="connections were busy") as raised:
            await storage.transact(pause, attempts=1)
        assert raised.value.is_retryable
        transacting = asyncio.create_task(storage.transact(pause, attempts=50))
        await asyncio.sleep(0.5)
        assert not transacting.done()
        await holder.rollback()
        assert (await transacting).status == "paused"


async def test_what_the_server_refuses_for_good_is_not_retryable(server: Server):
    for url in (server.url("nowhere"), server.url().replace("aaow@", "nobody@")):
        adapter = create_adapter("postgresql", url)
        with pytest.raises(StorageError) as raised:
            await adapter.initialize()
        assert not isinstance(raised.value, StorageUnavailableError)
        assert not raised.value.is_retryable


async def test_a_server_that_restarts_is_waited_for(server: Server):
    async with create_adapter("postgresql", server.url(), acquire_timeout=2.0) as storage:
        await storage.create_session(session("a"))
        runs = 0

        async def count(transaction: Transaction) -> int:
            nonlocal runs
            runs += 1
            stored = await transaction.get_session("a")
            assert stored is not None
            assert stored.metadata is not None
            counted: int = stored.metadata.get("count", 0) + 1
            await transaction.update_session("a", metadata={"count": counted})
            if runs == 1:
                await asyncio.to_thread(server.stop, "immediate")
            return counted

        with pytest.raises(StorageUnavailableError) as raised:
            await storage.transact(count)
        assert raised.value.is_retryable
        assert runs == 1
        transacting = asyncio.create_task(storage.transact(count, outage=OUTAGE_S))
        await asyncio.sleep(0.5)
        assert not transacting.done()
        await asyncio.to_thread(server.start)
        assert await transacting == 1
        stored = await storage.get_session("a")
        assert stored is not None
        assert stored.metadata == {"count": 1}


async def test_a_server_that_is_gone_in_the_middle_of_the_work_is_waited_for(server: Server):
    async with create_adapter("postgresql", server.url(), acquire_timeout=2.0) as storage:
        runs = 0

        async def create(transaction: Transaction) -> None:
            nonlocal runs
            runs += 1
            await transaction.create_session(session("a"))
            if runs == 1:
                await asyncio.to_thread(server.stop, "immediate")
                asyncio.get_running_loop().run_in_executor(None, server.start)

        await storage.transact(create, outage=OUTAGE_S)
        assert runs > 1
        assert [each.id for each in await storage.list_sessions()] == ["a"]


async def test_an_outage_that_is_too_long_raises(server: Server):
    async with create_adapter("postgresql", server.url(), acquire_timeout=0.5) as storage:
        await asyncio.to_thread(server.stop, "immediate")

        async def create(transaction: Transaction) -> None:
            await transaction.create_session(session("a"))

        with pytest.raises(StorageUnavailableError) as raised:
            await storage.transact(create, outage=0.5)
        assert any("The transaction was run" in note for note in raised.value.__notes__)
        await asyncio.to_thread(server.start)


async def test_a_commit_in_doubt_is_not_run_again(storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch):
    runs = 0

    async def create(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.create_session(session("a"))

    commit = PostgreSQLConnection.commit

    def commit_in_doubt(connection: PostgreSQLConnection) -> None:
        commit(connection)
        monkeypatch.undo()
        raise InDoubtError("the connection was lost during COMMIT")

    monkeypatch.setattr(PostgreSQLConnection, "commit", commit_in_doubt)
    with pytest.raises(OutcomeUnknownError) as raised:
        await storage.transact(create, outage=OUTAGE_S)
    assert not raised.value.is_retryable
    assert runs == 1
    assert [each.id for each in await storage.list_sessions()] == ["a"]


async def test_the_outcome_of_a_commit_in_doubt_is_unknown(storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch):
    def commit_in_doubt(connection: PostgreSQLConnection) -> None:
        monkeypatch.undo()
        raise InDoubtError("the connection was lost during COMMIT")

    transaction = await storage.begin_transaction()
    monkeypatch.setattr(PostgreSQLConnection, "commit", commit_in_doubt)
    with pytest.raises(OutcomeUnknownError):
        await transaction.commit()
    assert transaction.outcome is TransactionOutcome.UNKNOWN
