"""Concurrency: many tasks, adapters, threads and processes on one store."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import pytest

from aaow_storage import BudgetPool, BudgetPoolStatus, Capability, QueryFilter, StorageAdapter
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.history import NODES, Entry, History, Writers, initial_calls, make_calls
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S

T = TypeVar("T")

A_FEW = QueryFilter(limit=2)
THREADS = PROCESSES = 4
READS = 20
LONG_S = 0.5
VERY_LONG_S = 7.0
"""Longer than the default lock timeout of database drivers."""


class ConcurrencyTests:
    """Concurrent calls all succeed, and none of their writes is lost."""

    @clause("CON-1")
    async def test_sixty_four_tasks_write_and_read_on_one_adapter(self, storage: StorageAdapter) -> None:
        history = await _prepare_history(storage)
        writing = asyncio.gather(
            _make_writers("task", 48).write(storage, history.record),
            _transactions(storage, 8, history),
        )
        reading = [asyncio.create_task(_read(storage, writing)) for _ in range(8)]
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await writing
            await asyncio.gather(*reading)
        await history.check(storage)

    @clause("CON-1")
    async def test_sixty_four_tasks_write_and_read_on_two_adapters(self, storage: StorageAdapter, store: Store) -> None:
        history = await _prepare_history(storage)
        async with store.open() as other, asyncio.timeout(MANY_END_WITHIN_S):
            writing = asyncio.gather(
                _make_writers("one", 24).write(storage, history.record),
                _make_writers("other", 24).write(other, history.record),
                _transactions(other, 8, history),
            )
            reading = [asyncio.create_task(_read(adapter, writing)) for adapter in (storage, other) * 4]
            await writing
            await asyncio.gather(*reading)
            await history.check(other)
        await _check_reads(storage)

    @clause("CON-1")
    async def test_event_loops_of_four_threads_write_and_read(self, storage: StorageAdapter, store: Store) -> None:
        history = await _prepare_history(storage)
        works = [partial(_write_all, writers=_make_writers(f"thread {number}", 8)) for number in range(THREADS)]
        for entries in await _in_threads(store, works):
            for entry in entries:
                history.record(entry)
        await history.check(storage)

    @clause("CON-1")
    @requires(Capability.DURABLE)
    async def test_four_processes_write_and_read(self, storage: StorageAdapter, store: Store) -> None:
        history = await _prepare_history(storage)
        async with asyncio.timeout(MANY_END_WITHIN_S):
            for entries in await asyncio.gather(
                *(
                    store.run_in_subprocess(_write_all, _make_writers(f"process {number}", 8))
                    for number in range(PROCESSES)
                )
            ):
                for entry in entries:
                    history.record(entry)
        await history.check(storage)

    @clause("CON-1", "OPS-7")
    @requires(Capability.DURABLE)
    async def test_what_another_process_changed_is_read_at_once(self, storage: StorageAdapter, store: Store) -> None:
        workflow = await samples.stored_workflow(storage)
        for name in ("renamed", "renamed again"):
            found = await storage.get_workflow(workflow.id)
            assert found is not None
            assert found.name != name
            await store.run_in_subprocess(subprocess_functions.rename, workflow.id, name)
            found = await storage.get_workflow(workflow.id)
            assert found is not None
            assert found.name == name

    @clause("CON-1")
    @requires(Capability.WRITERS_WAIT)
    @pytest.mark.parametrize(
        "seconds", [LONG_S, pytest.param(VERY_LONG_S, marks=pytest.mark.slow)], ids=["long", "very long"]
    )
    async def test_a_transaction_that_takes_long_fails_nobody_who_waits_for_it(
        self, storage: StorageAdapter, store: Store, seconds: float
    ) -> None:
        async with store.open() as other:
            async with storage.transaction(timeout=MANY_END_WITHIN_S) as transaction:
                await samples.stored_workflow(transaction, id="00")
                waiting = [
                    start_in_fresh_context(work((other, storage)[number % 2], "00", f"{number:02}"))
                    for number, work in enumerate((_save, _save_in_a_block) * 12, start=1)
                ]
                done, _ = await asyncio.wait(waiting, timeout=seconds)
                assert not done, (
                    f"tasks ended while a transaction held the store: {[task.exception() for task in done]}"
                )
                assert await subprocess_functions.workflow_ids(other) == []
                assert await subprocess_functions.workflow_ids(transaction) == ["00"]
            async with asyncio.timeout(MANY_END_WITHIN_S):
                await asyncio.gather(*waiting)
            assert await subprocess_functions.workflow_ids(other) == [f"{number:02}" for number in range(25)]

    @clause("CON-1", "BUD-3")
    async def test_four_threads_never_overspend_and_lose_nothing(self, storage: StorageAdapter, store: Store) -> None:
        root = await samples.stored_pool(storage, total_budget=33, used_budget=0)
        leaf = await samples.stored_pool(storage, parent_pool_id=root.id, total_budget=1000, used_budget=0)
        spent = await _in_threads(
            store,
            [
                partial(
                    subprocess_functions.consume_until_refused,
                    pool_id=leaf.id,
                    amount="0.5",
                    number=number,
                    count=THREADS,
                )
                for number in range(THREADS)
            ],
        )
        assert sum(spent) == 66
        pools = [pool for pool in await storage.list_budget_pools() if isinstance(pool, BudgetPool)]
        assert [pool.used_budget for pool in pools] == [Decimal(33), Decimal(33)]
        assert [pool.status for pool in pools] == [BudgetPoolStatus.EXHAUSTED, BudgetPoolStatus.ACTIVE]

    @clause("CON-1", "APR-2")
    async def test_of_decisions_by_four_threads_one_wins(self, storage: StorageAdapter, store: Store) -> None:
        session = await samples.stored_session(storage)
        ids = [(await samples.stored_request(storage, session.id)).id for _ in range(30)]
        works = [
            partial(subprocess_functions.decide_all, request_ids=ids, number=number, count=THREADS)
            for number in range(THREADS)
        ]
        won = await _in_threads(store, works)
        winners = {request_id: f"process {number}" for number, ids_won in enumerate(won) for request_id in ids_won}
        assert sum(map(len, won)) == len(ids)
        found = {request.id: request.resolved_by for request in await storage.list_approval_requests(session.id)}
        assert found == winners

    @clause("CON-1", "TXN-8")
    async def test_of_transactions_in_four_threads_that_count_up_no_write_is_lost(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_session(storage, id="counter", metadata={"count": 0})
        works = [
            partial(subprocess_functions.count_up, session_id="counter", times=25, number=number, count=THREADS)
            for number in range(THREADS)
        ]
        await _in_threads(store, works)
        counter = await storage.get_session("counter")
        assert counter is not None
        assert counter.metadata == {"count": 100}


async def _write_all(storage: StorageAdapter, writers: Writers) -> list[Entry]:
    """Run the writers, and return what they reported."""
    entries: list[Entry] = []
    await asyncio.gather(writers.write(storage, entries.append), _check_reads(storage))
    return entries


def _make_writers(name: str, count: int) -> Writers:
    return Writers(names=tuple(f"{name} {number:02}" for number in range(count)), turns=1)


async def _prepare_history(storage: StorageAdapter) -> History:
    calls = initial_calls()
    await make_calls(storage, calls)
    return History(calls)


async def _transactions(storage: StorageAdapter, count: int, history: History) -> None:
    """Run tasks that each write one transaction."""
    names = tuple(f"transaction {number:02}" for number in range(count))
    await Writers(names=names, turns=1, in_transactions=True).write(storage, history.record)


async def _read(storage: StorageAdapter, writing: "asyncio.Future[Any]") -> None:
    """Read while the writing goes on, at least once."""
    for _ in range(READS):
        await _check_reads(storage)
        if writing.done():
            break


async def _check_reads(storage: StorageAdapter) -> None:
    """Read some records of each kind, and check that they belong together."""
    for session in await storage.list_sessions(A_FEW):
        state = await storage.get_execution_state(session.id)
        assert state is None or tuple(sorted(state.node_states)) == NODES
    used = {pool.used_budget for pool in await storage.list_budget_pools()}
    assert len(used) == 1
    await storage.list_pending_approvals(A_FEW)


async def _in_threads(store: Store, works: Sequence[Callable[[StorageAdapter], Awaitable[T]]]) -> list[T]:
    """Run each function in its own thread, event loop and adapter."""
    start = threading.Barrier(len(works), timeout=MANY_END_WITHIN_S)

    async def work_on_its_own(work: Callable[[StorageAdapter], Awaitable[T]]) -> T:
        async with store.open() as adapter:
            start.wait()
            return await work(adapter)

    def run(work: Callable[[StorageAdapter], Awaitable[T]]) -> T:
        return asyncio.run(work_on_its_own(work))

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(works)) as pool:
        return await asyncio.gather(*(loop.run_in_executor(pool, run, work) for work in works))


async def _save(storage: StorageAdapter, *ids: str) -> None:
    for each in ids:
        await samples.stored_workflow(storage, id=each)


async def _save_in_a_block(storage: StorageAdapter, *ids: str) -> None:
    async with storage.transaction() as transaction:
        for each in ids:
            await samples.stored_workflow(transaction, id=each)
