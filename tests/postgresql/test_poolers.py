"""The backend through PgBouncer in transaction mode."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from aaow_storage import BudgetPool, QueryFilter, Session, create_adapter
from aaow_storage_postgresql.testing import Server, pgbouncer_of, skipped_where_missing


@pytest.fixture
def pooled(server: Server) -> Iterator[str]:
    """The URL of a database through PgBouncer."""
    with skipped_where_missing(), pgbouncer_of(server) as url:
        yield f"{url}/postgres"


@pytest.mark.asyncio
async def test_each_transaction_may_get_another_connection_of_the_pooler(pooled: str):
    async with create_adapter("postgresql", pooled, pooler="transaction", pool_size=8) as adapter:
        root = BudgetPool(total_budget=1000)
        await adapter.create_budget_pool(root)

        async def work(number: int) -> None:
            session = Session(workflow_id=None, workflow_snapshot={"n": number % 3}, metadata={"n": number})
            await adapter.create_session(session)
            async with adapter.transaction() as transaction:
                await transaction.consume_budget(root.id, 1)
                await transaction.update_session(session.id, status="completed")
            assert (await adapter.get_session(session.id)).status == "completed"
            [found] = await adapter.list_sessions(QueryFilter({"metadata.n": number}))
            assert found.id == session.id

        await asyncio.gather(*map(work, range(60)))
        assert (await adapter.get_budget_pool(root.id)).used_budget == 60
    assert urlsplit(pooled).path == "/postgres"
