"""Lost connections and restarted servers: no operation is lost, and none is done twice."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from aaow_storage import BudgetPool, Session, StorageAdapter, TransactionOutcome, create_adapter
from aaow_storage.errors import StorageError, StorageUnavailableError, TransactionError
from aaow_storage_postgresql.testing import Server, proxy_of

CUT_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aaow-storage'"


@pytest.mark.asyncio
async def test_operations_work_after_the_server_ended_every_connection(
    storage: StorageAdapter, raw: Callable[..., list[tuple]]
):
    pool = BudgetPool(total_budget=10)
    await storage.create_budget_pool(pool)
    for used in range(1, 4):
        raw(CUT_ALL)
        assert (await storage.consume_budget(pool.id, 1)).used_budget == used
        raw(CUT_ALL)
        assert (await storage.get_budget_pool(pool.id)).used_budget == used
        raw(CUT_ALL)
        assert len(await storage.list_budget_pools()) == 1


@pytest.mark.asyncio
async def test_a_transaction_ends_with_its_connection(storage: StorageAdapter, raw: Callable[..., list[tuple]]):
    transaction = await storage.begin_transaction()
    await transaction.create_budget_pool(BudgetPool(total_budget=1))
    raw(CUT_ALL)
    with pytest.raises(StorageUnavailableError):
        await transaction.list_budget_pools()
    assert transaction.outcome is TransactionOutcome.ABORTED
    with pytest.raises(TransactionError):
        await transaction.commit()
    assert await storage.list_budget_pools() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("lets_through", [False, True], ids=["before the server has it", "after the server has it"])
async def test_an_operation_whose_commit_loses_its_connection_is_done_once(url: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("postgresql", proxy.url) as adapter:
            pool = BudgetPool(total_budget=10)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await adapter.create_budget_pool(pool)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await adapter.consume_budget(pool.id, 3)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            session = Session(workflow_id=None, workflow_snapshot={"nodes": []})
            await adapter.create_session(session)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await adapter.delete_session(session.id)
            assert proxy.cuts == 4
            assert (await adapter.get_budget_pool(pool.id)).used_budget == Decimal(3)
            assert await adapter.list_sessions() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("lets_through", [False, True], ids=["before the server has it", "after the server has it"])
async def test_a_commit_that_loses_its_connection_reports_its_outcome(url: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("postgresql", proxy.url) as adapter:
            transaction = await adapter.begin_transaction()
            await transaction.create_budget_pool(BudgetPool(id="p", total_budget=1))
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            if lets_through:
                await transaction.commit()
                assert transaction.outcome is TransactionOutcome.COMMITTED
            else:
                with pytest.raises(StorageUnavailableError, match="nothing was stored"):
                    await transaction.commit()
                assert transaction.outcome is TransactionOutcome.ABORTED
            assert [pool.id for pool in await adapter.list_budget_pools()] == ["p"] * lets_through


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [b"INSERT", b"BEGIN", b"SELECT", b"UPDATE"])
@pytest.mark.parametrize("lets_through", [False, True], ids=["before the server has it", "after the server has it"])
async def test_an_operation_that_loses_its_connection_is_done_once(url: str, at: bytes, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("postgresql", proxy.url) as adapter:
            pool = BudgetPool(total_budget=10)
            await adapter.create_budget_pool(pool)
            proxy.cut_once(at, lets_through=lets_through)
            await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            await adapter.consume_budget(pool.id, 3)
            assert [session.id for session in await adapter.list_sessions()] == ["s"]
            assert (await adapter.get_budget_pool(pool.id)).used_budget == Decimal(3)
            assert proxy.cuts == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [Server.stop, Server.kill])
async def test_an_adapter_reconnects_when_the_server_is_back(server: Server, end: Callable[[Server], None]):
    async with create_adapter("postgresql", server.url(), connect_timeout=2, acquire_timeout=5) as adapter:
        await adapter.create_budget_pool(BudgetPool(id="kept", total_budget=1))
        await asyncio.to_thread(end, server)
        for operation in (adapter.list_budget_pools(), adapter.create_budget_pool(BudgetPool(total_budget=1))):
            with pytest.raises(StorageUnavailableError):
                await operation
        with pytest.raises(StorageError):
            await adapter.begin_transaction()
        await asyncio.to_thread(server.start)
        assert [pool.id for pool in await adapter.list_budget_pools()] == ["kept"]
        async with adapter.transaction() as transaction:
            await transaction.create_budget_pool(BudgetPool(id="new", total_budget=1))
        assert {pool.id for pool in await adapter.list_budget_pools()} == {"kept", "new"}
