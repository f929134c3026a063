"""Nodes fail under load: nothing acknowledged is missing, nothing is there twice, and budgets are exact."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import attrs
import pytest

from aaow_storage import (
    BudgetPool,
    Change,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    ToolCallLog,
    create_adapter,
    new_id,
)
from aaow_storage.errors import OutcomeUnknownError, StorageError, StorageUnavailableError
from aaow_storage_mariadb.testing import Cluster, NodeState

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.cluster,
    pytest.mark.slow(seconds=75),
    pytest.mark.xdist_group("mariadb cluster"),
]

CALLERS = 6
SOME, MANY = 60, 3000
ENDS_WITHIN_S = 120.0
PAUSE_S = 0.005
OPTIONS = {"pool_size": CALLERS, "connect_timeout": 2.0, "acquire_timeout": 5.0, "statement_timeout": 5.0}


@attrs.define
class Calls:
    """What became of the calls of one kind, by the ids that each made."""

    acknowledged: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    unknown: set[str] = attrs.field(factory=set)

    def check(self, stored: list[str]) -> None:
        """Check what is stored."""
        found = set(stored)
        assert len(stored) == len(found)
        assert self.acknowledged <= found
        assert found <= self.acknowledged | self.unknown


class Load:
    """Callers that make one call after the other, and never the same twice."""

    def __init__(self, adapters: Sequence[StorageAdapter]) -> None:
        self.adapters = adapters
        self.executions = Calls()
        self.consumptions = Calls()
        self.transactions = Calls()
        self.times: list[float] = []
        """When calls were acknowledged."""
        self.failed_calls_s: list[float] = []
        """How long calls took that failed."""
        self.is_over = False

    async def call(self, number: int) -> None:
        adapter = self.adapters[number % len(self.adapters)]
        while not self.is_over:
            await self._note(adapter, _save, self.executions)
            await self._note(adapter, _consume, self.consumptions)
            await self._note(adapter, _transact, self.transactions)
            await asyncio.sleep(PAUSE_S)

    async def until_more(self, count: int = SOME) -> None:
        """Wait until that many more calls are acknowledged that began after this one."""
        begun = time.monotonic()
        async with asyncio.timeout(ENDS_WITHIN_S):
            while sum(each > begun for each in self.times[-count - CALLERS :]) < count:
                await asyncio.sleep(PAUSE_S)

    async def until_failures(self, count: int = CALLERS) -> None:
        """Wait until that many more calls have failed."""
        wanted = len(self.failed_calls_s) + count
        async with asyncio.timeout(ENDS_WITHIN_S):
            while len(self.failed_calls_s) < wanted:
                await asyncio.sleep(PAUSE_S)

    async def _note(
        self, adapter: StorageAdapter, call: Callable[[StorageAdapter, str], Awaitable[None]], calls: Calls
    ) -> None:
        made, begun = new_id(), time.monotonic()
        try:
            await call(adapter, made)
        except OutcomeUnknownError:
            calls.unknown.add(made)
        except StorageError as error:
            if not error.is_retryable:
                raise
            calls.refused.add(made)
        else:
            calls.acknowledged.add(made)
            self.times.append(time.monotonic())
            return
        self.failed_calls_s.append(time.monotonic() - begun)


async def _save(adapter: StorageAdapter, id: str) -> None:
    await adapter.save_llm_execution("s", "n", LLMExecutionResult(id=id))


async def _consume(adapter: StorageAdapter, id: str) -> None:
    del id
    await adapter.consume_budget("leaf", 1)


async def _transact(adapter: StorageAdapter, id: str) -> None:
    log = ToolCallLog(id=id, session_id="s", node_id="n", tool_call_id="c", tool_name="t", args={})
    async with adapter.transaction() as transaction:
        await transaction.log_tool_call(log)
        await transaction.consume_budget("other", 1)


@asynccontextmanager
async def loaded(
    cluster: Cluster,
    database: str,
    *,
    firsts: Sequence[int] = (0,),
    may_be_unknown: bool = False,
    saves_may_be_unknown: bool = False,
) -> AsyncIterator[Load]:
    """Yield callers at work, with an adapter for each of the first nodes; after the block, check what each node has.

    A save has no mark that one could ask for on another node, since it can be repeated.
    """
    async with AsyncExitStack() as stack:
        urls = [cluster.url(database, first=first) for first in firsts]
        made = [create_adapter("mariadb", url, sync_wait=1, **OPTIONS) for url in urls]
        adapters = [await stack.enter_async_context(each) for each in made]
        adapter = adapters[0]
        await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        await adapter.create_budget_pool(BudgetPool(id="root", total_budget=1_000_000))
        for pool in ("leaf", "other"):
            await adapter.create_budget_pool(BudgetPool(id=pool, parent_pool_id="root", total_budget=1_000_000))
        load = Load(adapters)
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(load.call(number))
            await load.until_more()
            yield load
            load.is_over = True
    await asyncio.to_thread(cluster.heal)
    for node in cluster.nodes:
        await check(node.url(database), load)
    if not may_be_unknown:
        assert load.consumptions.unknown | load.transactions.unknown == set()
    if not (may_be_unknown or saves_may_be_unknown):
        assert load.executions.unknown == set()


async def check(url: str, load: Load) -> None:
    async with create_adapter("mariadb", url, sync_wait=1) as adapter:
        load.executions.check([each.id for each in await adapter.get_llm_executions("s")])
        logs = [each.id for each in await adapter.get_session_tool_calls("s")]
        load.transactions.check(logs)
        used = {pool.id: pool.used_budget for pool in await adapter.list_budget_pools()}
        changes = [change async for change in all_changes(adapter)]
    created = [change.id for change in changes if change.kind == "tool_call"]
    assert sorted(created) == sorted(logs)
    assert sum(change.id == "root" for change in changes) - 1 == used["root"]
    consumed = len(load.consumptions.acknowledged)
    assert consumed <= used["leaf"] <= consumed + len(load.consumptions.unknown)
    assert used["other"] == len(logs)
    assert used["root"] == used["leaf"] + used["other"]
    assert all(each == Decimal(int(each)) for each in used.values())


async def all_changes(adapter: StorageAdapter) -> AsyncIterator[Change]:
    after = None
    while page := await adapter.get_changes(after):
        for change in page:
            yield change
        after = page[-1].position


def gap_s(load: Load) -> float:
    """Return the longest time without an acknowledgement."""
    return max(later - earlier for earlier, later in pairwise(sorted(load.times)))


async def kill_two_in_turn(cluster: Cluster, load: Load) -> None:
    """Kill the node in use, then the next one that is, once the first has joined again."""
    first, second, _ = cluster.nodes
    await asyncio.to_thread(first.kill)
    await load.until_more()
    await asyncio.to_thread(cluster.heal)
    await asyncio.to_thread(second.kill)


async def stand_still(cluster: Cluster, load: Load) -> None:
    """Let the node in use stand still until another has taken its place, then go on."""
    first, second, _ = cluster.nodes
    with first.standing_still():
        await asyncio.to_thread(second.wait_until, lambda state: state.size == 2)
        await load.until_more()


async def cut_off(cluster: Cluster, load: Load) -> None:
    """Cut the node in use off from the others, and not from its clients."""
    first, second, _ = cluster.nodes
    with first.cut_off():
        state = await asyncio.to_thread(first.wait_until, lambda state: not state.is_ready)
        assert state.size == 1
        state = await asyncio.to_thread(second.wait_until, lambda state: state.size == 2)
        assert state.is_ready
        await load.until_more()


async def lose_the_majority(cluster: Cluster, load: Load) -> None:
    """Kill the two others: nothing is acknowledged, and every call ends."""
    first, second, third = cluster.nodes
    await asyncio.to_thread(second.kill)
    await asyncio.to_thread(third.kill)
    assert second.state() == NodeState()
    await asyncio.to_thread(first.wait_until, lambda state: not state.is_ready)
    await load.until_failures()
    acknowledged = len(load.times)
    with pytest.raises(StorageUnavailableError):
        await load.adapters[0].get_session("s")
    await load.until_failures()
    assert len(load.times) == acknowledged
    await asyncio.to_thread(cluster.heal)


async def kill_all(cluster: Cluster, load: Load) -> None:
    """Kill all at once, and start them again."""
    await asyncio.to_thread(cluster.kill)
    await load.until_failures()
    await asyncio.to_thread(cluster.heal)


async def stop_all(cluster: Cluster, load: Load) -> None:
    """Stop one after the other, and start them again."""
    for node in cluster.nodes:
        await asyncio.to_thread(node.stop)
    await load.until_failures()
    await asyncio.to_thread(cluster.heal)


WITHOUT_SERVERS = (lose_the_majority, kill_all, stop_all)
"""What leaves no node that could be asked for the outcome of a commit."""


async def test_nothing_acknowledged_is_missing_or_there_twice_whatever_happens_to_nodes(
    cluster: Cluster, subtests: pytest.Subtests, record_property: Callable[[str, object], None]
):
    for happens in (kill_two_in_turn, stand_still, cut_off, *WITHOUT_SERVERS):
        with subtests.test(happens.__name__), cluster.temporary_database() as url:
            database = url.rpartition("/")[2]
            unknown = {
                "may_be_unknown": happens in WITHOUT_SERVERS,
                "saves_may_be_unknown": happens is stand_still,  # the node may commit once it goes on
            }
            async with loaded(cluster, database, **unknown) as load:
                await happens(cluster, load)
                await load.until_more()
            record_property(f"{happens.__name__}: longest time without an acknowledgement, s", round(gap_s(load), 3))


async def test_transactions_that_meet_others_of_another_node_are_stored_or_refused(cluster: Cluster):
    with cluster.temporary_database() as url:
        async with loaded(cluster, url.rpartition("/")[2], firsts=(0, 1, 2)) as load:
            await load.until_more(MANY)
        assert load.transactions.refused
