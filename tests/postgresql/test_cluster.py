"""Failover under load: every acknowledged record is on the standby that takes over."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from aaow_storage import BudgetPool, LLMExecutionResult, Session, StorageAdapter, create_adapter, new_id
from aaow_storage.errors import AlreadyExistsError, StorageUnavailableError
from aaow_storage_postgresql.testing import Server, standby_of

pytestmark = pytest.mark.cluster

CALLERS = 8
BEFORE, AFTER = 200, 200
ENDS_WITHIN_S = 120.0


class Load:
    """Callers that store one record after the other, and repeat each call until it is acknowledged."""

    def __init__(self, adapter: StorageAdapter) -> None:
        self.adapter = adapter
        self.executions: list[str] = []
        self.pools: list[str] = []
        self.times: list[float] = []
        self.is_over = asyncio.Event()

    @property
    def count(self) -> int:
        """How many records were acknowledged."""
        return len(self.times)

    async def call(self) -> None:
        while not self.is_over.is_set():
            await self._store(self._execution, self.executions)
            await self._store(self._pool, self.pools)

    async def _store(self, store: Callable[[str], Awaitable[None]], acknowledged: list[str]) -> None:
        made, was_refused = new_id(), False
        while not self.is_over.is_set():
            try:
                await store(made)
            except StorageUnavailableError:
                was_refused = True
                continue
            except AlreadyExistsError:
                assert was_refused, "an operation that had committed was repeated and failed"
            acknowledged.append(made)
            self.times.append(time.monotonic())
            return

    async def _execution(self, id: str) -> None:
        await self.adapter.save_llm_execution("s", "n", LLMExecutionResult(id=id))

    async def _pool(self, id: str) -> None:
        await self.adapter.create_budget_pool(BudgetPool(id=id, total_budget=1))


async def wait_for_count(load: Load, count: int) -> None:
    """Poll until the callers have stored that many records."""
    async with asyncio.timeout(ENDS_WITHIN_S):
        while load.count < count:
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_acknowledged_records_survive_a_failover(server: Server, record_property: Callable[[str, object], None]):
    with standby_of(server) as standby:
        url = (
            f"postgresql://aaow@127.0.0.1:{server.port},127.0.0.1:{standby.port}/postgres"
            "?target_session_attrs=read-write"
        )
        async with create_adapter("postgresql", url, connect_timeout=2) as adapter:
            await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            load = Load(adapter)
            callers = [asyncio.create_task(load.call()) for _ in range(CALLERS)]
            await wait_for_count(load, BEFORE)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(standby.promote)
            await wait_for_count(load, load.count + AFTER)
            load.is_over.set()
            await asyncio.gather(*callers)
            stored = {execution.id for execution in await adapter.get_llm_executions("s")}
            pools = {pool.id for pool in await adapter.list_budget_pools()}
        gap = max(later - earlier for earlier, later in zip(load.times, load.times[1:], strict=False))
        record_property("longest time without an acknowledgement, s", round(gap, 3))
        assert set(load.executions) <= stored
        assert set(load.pools) <= pools
