"""The connections of an adapter: never more than pool_size, none leaked, and reads that wait for no lock."""

import asyncio
from collections.abc import Callable
from contextvars import Context

import psycopg
import pytest

from aaow_storage import BudgetPool, StorageAdapter, create_adapter
from aaow_storage.errors import StorageUnavailableError, TransactionError

CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aaow-storage' AND datname = current_database()"
)
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'aaow-storage' AND datname = current_database() AND wait_event_type = 'Lock'
"""
SOON_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Poll a condition of the server, which sends no events."""
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_an_adapter_opens_connections_only_for_concurrent_operations(
    storage: StorageAdapter, raw: Callable[..., list[tuple]]
):
    for _ in range(5):
        await storage.list_budget_pools()
    assert raw(CONNECTIONS) == [(1,)]


@pytest.mark.asyncio
async def test_an_adapter_never_has_more_connections_than_pool_size(url: str, raw: Callable[..., list[tuple]]):
    async with create_adapter("postgresql", url, pool_size=4) as adapter:
        works = [adapter.create_budget_pool(BudgetPool(total_budget=1)) for _ in range(100)]
        works += [adapter.list_budget_pools() for _ in range(100)]
        await asyncio.gather(*works)
        assert raw(CONNECTIONS)[0][0] <= 4
        assert len(await adapter.list_budget_pools()) == 100
    await until(lambda: raw(CONNECTIONS) == [(0,)])


@pytest.mark.asyncio
async def test_reads_work_while_every_writer_waits_for_a_lock(url: str, raw: Callable[..., list[tuple]]):
    async with create_adapter("postgresql", url, pool_size=4) as adapter:
        async with adapter.transaction() as transaction:
            await transaction.create_budget_pool(BudgetPool(id="held", total_budget=1))
            waiting = [
                asyncio.create_task(
                    adapter.create_budget_pool(BudgetPool(id="held", total_budget=1)), context=Context()
                )
                for _ in range(10)
            ]
            await until(lambda: raw(WAITING)[0][0] == 2)
            assert await asyncio.create_task(adapter.list_budget_pools(), context=Context()) == []
            for task in waiting:
                task.cancel()
            async with asyncio.timeout(SOON_S):
                await asyncio.wait(waiting)
            assert all(task.cancelled() for task in waiting)
            await until(lambda: raw(WAITING)[0][0] == 0)
        assert [pool.id for pool in await adapter.list_budget_pools()] == ["held"]


@pytest.mark.asyncio
async def test_a_cancelled_read_frees_its_connection(
    storage: StorageAdapter, raw: Callable[..., list[tuple]], url: str
):
    await storage.create_budget_pool(BudgetPool(id="p", total_budget=1))
    holding = psycopg.connect(url)
    holding.execute("LOCK TABLE budget_pools IN ACCESS EXCLUSIVE MODE")
    reading = [asyncio.create_task(storage.get_budget_pool("p")) for _ in range(4)]
    await until(lambda: bool(raw(WAITING)[0][0]))
    for task in reading:
        task.cancel()
    await asyncio.wait(reading)
    await until(lambda: raw(WAITING)[0][0] == 0)
    holding.close()
    assert await storage.get_budget_pool("p") is not None


@pytest.mark.asyncio
async def test_operations_wait_if_the_server_has_no_free_connection(url: str, raw: Callable[..., list[tuple]]):
    raw(f'ALTER DATABASE "{url.rpartition("/")[2]}" CONNECTION LIMIT 4')
    async with create_adapter("postgresql", url, pool_size=16) as adapter:
        pools = [BudgetPool(total_budget=1) for _ in range(50)]
        await asyncio.gather(*map(adapter.create_budget_pool, pools))
        assert len(await adapter.list_budget_pools()) == 50


@pytest.mark.asyncio
async def test_a_transaction_that_times_out_in_a_lock_wait_releases_its_locks(storage: StorageAdapter, url: str):
    for name in ("one", "other"):
        await storage.create_budget_pool(BudgetPool(id=name, total_budget=10))
    async with create_adapter("postgresql", url) as adapter, storage.transaction() as holding:
        await holding.consume_budget("one", 1)
        waiting = await adapter.begin_transaction(timeout=0.3)
        await waiting.consume_budget("other", 1)
        with pytest.raises(StorageUnavailableError, match="statement timeout"):
            await waiting.consume_budget("one", 1)
        async with asyncio.timeout(SOON_S):
            await holding.consume_budget("other", 1)
        with pytest.raises(TransactionError, match="open for longer than"):
            await waiting.commit()
    assert {pool.used_budget for pool in await storage.list_budget_pools()} == {1}
