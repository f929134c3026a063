"""Pipelined point reads: each caller gets its own record, and no other caller's error."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from aaow_storage import BudgetPool, Session, StorageAdapter, create_adapter
from aaow_storage.errors import CorruptDataError, StorageError, StorageUnavailableError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._server import PostgreSQLServer
from aaow_storage_postgresql.testing import Server
from aaow_storage_sql import Watchdog

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'aaow-storage' AND datname = current_database() AND wait_event_type = 'Lock'
"""
NUMBERS = range(20)


async def fill(storage: StorageAdapter) -> None:
    """Store sessions and budget pools with the same ids, and open the connections."""
    for number in NUMBERS:
        await storage.create_session(Session(id=f"{number}", workflow_id=None, workflow_snapshot={"n": number}))
        await storage.create_budget_pool(BudgetPool(id=f"{number}", total_budget=number))
    await storage.get_session("0")


async def answers(*operations: object) -> list[object]:
    """Wait for all; return their results and errors."""
    return await asyncio.gather(*operations, return_exceptions=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{}, {"pool_size": 2}, {"pooler": "transaction"}], ids=str)
async def test_each_caller_gets_the_record_it_asked_for(url: str, options: dict[str, object]):
    async with create_adapter("postgresql", url, **options) as storage:
        await fill(storage)
        for _ in range(5):
            sessions = [storage.get_session(f"{number}") for number in range(40)]
            counts = [storage.count_sessions() for _ in range(3)]
            pools = [storage.get_budget_pool(f"{number}") for number in range(40)]
            found = await asyncio.gather(*sessions, *counts, *pools)
            assert [session and session.workflow_snapshot["n"] for session in found[:40]] == [*NUMBERS, *[None] * 20]
            assert found[40:43] == [20, 20, 20]
            assert [pool and int(pool.total_budget) for pool in found[43:]] == [*NUMBERS, *[None] * 20]


@pytest.mark.asyncio
async def test_a_read_that_fails_fails_alone(storage: StorageAdapter, raw: Callable[..., list[tuple]]):
    await fill(storage)
    raw("ALTER TABLE budget_pools RENAME TO lost")
    found = await answers(
        *(get(f"{number}") for number in NUMBERS for get in (storage.get_session, storage.get_budget_pool))
    )
    assert [session.id for session in found[::2]] == [f"{number}" for number in NUMBERS]
    assert all(isinstance(error, StorageError) and "budget_pools" in str(error) for error in found[1::2])
    raw("ALTER TABLE lost RENAME TO budget_pools")
    assert all(await answers(*(storage.get_budget_pool(f"{number}") for number in NUMBERS)))


@pytest.mark.asyncio
async def test_a_damaged_record_is_an_error_for_its_own_caller(
    storage: StorageAdapter, raw: Callable[..., list[tuple]]
):
    await fill(storage)
    raw("UPDATE documents SET body = '{}' WHERE digest = (SELECT snapshot_digest FROM sessions WHERE id = '7')")
    found = await answers(*(storage.get_session(f"{number}") for number in NUMBERS))
    assert [number for number, session in enumerate(found) if isinstance(session, CorruptDataError)] == [7]
    assert [session.id for session in found if isinstance(session, Session)] == [f"{n}" for n in NUMBERS if n != 7]


@pytest.mark.asyncio
async def test_all_callers_get_the_timeout_of_the_server(url: str):
    async with create_adapter("postgresql", url, statement_timeout=0.2) as storage:
        await fill(storage)
        with psycopg.connect(url) as holding:
            holding.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            found = await answers(*(storage.get_session(f"{number}") for number in NUMBERS))
            assert [type(error) for error in found] == [StorageUnavailableError] * len(NUMBERS)
        assert all(await answers(*(storage.get_session(f"{number}") for number in NUMBERS)))


@pytest.mark.asyncio
async def test_all_callers_learn_at_once_that_no_server_runs(server: Server, monkeypatch: pytest.MonkeyPatch):
    tries: list[PostgreSQLServer] = []
    connect = PostgreSQLServer.connect

    def count_and_connect(database: PostgreSQLServer, watchdog: Watchdog) -> PostgreSQLConnection:
        tries.append(database)
        return connect(database, watchdog)

    async with create_adapter("postgresql", server.url()) as storage:
        await fill(storage)
        await asyncio.to_thread(server.kill)
        monkeypatch.setattr(PostgreSQLServer, "connect", count_and_connect)
        found = await answers(*(storage.get_session(f"{number}") for number in NUMBERS))
        assert [type(error) for error in found] == [StorageUnavailableError] * len(NUMBERS)
        assert 0 < len(tries) < len(NUMBERS) / 2
        await asyncio.to_thread(server.start)
        assert all(await answers(*(storage.get_session(f"{number}") for number in NUMBERS)))


@pytest.mark.asyncio
async def test_cancelled_reads_do_not_delay_others(storage: StorageAdapter, raw: Callable[..., list[tuple]], url: str):
    await fill(storage)
    with psycopg.connect(url) as holding:
        holding.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        finding = [asyncio.create_task(storage.get_session(f"{number}")) for number in NUMBERS]
        async with asyncio.timeout(20):
            while raw(WAITING) != [(1,)]:
                await asyncio.sleep(0.01)
            pool = asyncio.create_task(storage.get_budget_pool("1"))
            for task in finding:
                task.cancel()
            assert await pool is not None
        assert all(isinstance(error, asyncio.CancelledError) for error in await answers(*finding))
