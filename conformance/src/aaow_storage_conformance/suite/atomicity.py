"""Atomicity: an operation happens whole or not at all, and every later read sees it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import Capability, ConflictError, NotFoundError, StorageAdapter, ValidationError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in, first_difference
from aaow_storage_conformance.data.kinds import KINDS, SESSION_ID, Kind, each, prepare
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import ENDS_WITHIN_S

TURNS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""Turns of the event loop before an operation is cancelled."""
PARTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Fractions of its duration after which an operation is cancelled: one on a thread takes few turns of the loop."""
SETTLED_WITHIN_S = 1.0

Contents = dict[str, list[Any]]


class AtomicityTests:
    """Operations that are cancelled or fail, and reads by other adapters and processes."""

    @clause("OPS-6", "CON-2")
    async def test_a_state_whose_saving_is_cancelled_is_stored_whole_or_not_at_all(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        names = [f"node {number}" for number in range(30)]
        states = [
            samples.a_state(session.id, node_states={name: samples.a_node_state(name) for name in names})
            for _ in range(2)
        ]
        await storage.save_execution_state(states[0])
        before = await everything_in(storage)
        after = {**before, "execution_states": [states[1]]}

        async def reset() -> None:
            await storage.save_execution_state(states[0])

        await _check_cancelled(storage, lambda: storage.save_execution_state(states[1]), reset, (before, after))

    @clause("OPS-6", "CON-2", "SES-3")
    async def test_a_session_whose_deletion_is_cancelled_is_there_whole_or_gone_whole(
        self, storage: StorageAdapter
    ) -> None:
        session = samples.a_session()
        child = await samples.stored_session(storage)
        await samples.stored_workflow(storage)
        state = samples.a_state(session.id)
        results = [samples.a_result() for _ in range(5)]
        logs = [samples.a_tool_call(result.id) for result in results]
        request = samples.a_request(session.id)

        async def reset() -> None:
            try:
                await storage.update_session(session.id, updated_at=session.updated_at)
            except NotFoundError:
                await storage.create_session(session)
                await storage.save_execution_state(state)
                for result, log in zip(results, logs, strict=True):
                    await storage.save_llm_execution(session.id, "draft", result)
                    await storage.log_tool_call(log)
                await storage.create_approval_request(request)

        without = await everything_in(storage)
        await reset()
        before = await everything_in(storage)
        assert_identical(without["sessions"], [child])
        await _check_cancelled(storage, lambda: storage.delete_session(session.id), reset, (before, without))

    @clause("OPS-6", "CON-2", "BUD-1")
    async def test_a_consumption_that_is_cancelled_reaches_all_ancestors_or_none(self, storage: StorageAdapter) -> None:
        pools: list[Any] = [await samples.stored_pool(storage, used_budget=0)]
        for _ in range(5):
            pools.append(await samples.stored_pool(storage, used_budget=0, parent_pool_id=pools[-1].id))
        consumed = [attrs.evolve(pool, used_budget=Decimal(3)) for pool in pools]
        before = await everything_in(storage)

        async def reset() -> None:
            for pool in pools:
                await storage.update_budget_pool(pool.id, used_budget=0)

        after = {**before, "budget_pools": consumed}
        await _check_cancelled(storage, lambda: storage.consume_budget(pools[-1].id, 3), reset, (before, after))

    @clause("OPS-6", "CON-2")
    async def test_an_execution_whose_saving_is_cancelled_is_the_old_one_or_the_new_one(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        results = [samples.a_result(id="execution") for _ in range(2)]
        contents = []
        for result in results:
            await storage.save_llm_execution(session.id, "draft", result)
            contents.append(await everything_in(storage))

        async def reset() -> None:
            await storage.save_llm_execution(session.id, "draft", results[0])

        await _check_cancelled(
            storage, lambda: storage.save_llm_execution(session.id, "draft", results[1]), reset, contents
        )

    @clause("OPS-6", "CON-2")
    async def test_many_operations_cancelled_at_once_leave_the_adapter_usable(self, storage: StorageAdapter) -> None:
        workflows = [samples.a_workflow() for _ in range(60)]
        tasks = [asyncio.create_task(storage.save_workflow(workflow)) for workflow in workflows]
        for turn, task in enumerate(tasks):
            if turn % 3 == 0:
                task.cancel()
            elif turn % 7 == 0:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
        assert any(cancelled)
        assert not any(isinstance(outcome, Exception) for outcome in outcomes)
        stored = {workflow.id: workflow for workflow in await storage.list_workflows()}
        for workflow, was_cancelled in zip(workflows, cancelled, strict=True):
            assert was_cancelled or workflow.id in stored
            if workflow.id in stored:
                assert_identical(stored[workflow.id], workflow)
        async with asyncio.timeout(ENDS_WITHIN_S):
            await storage.save_workflow(workflows[0])
        assert_identical(await storage.get_workflow(workflows[0].id), workflows[0])

    @clause("OPS-6")
    async def test_an_operation_that_fails_beside_others_takes_none_of_them_along(
        self, storage: StorageAdapter
    ) -> None:
        await prepare(storage)
        pool = await samples.stored_pool(storage)
        await samples.stored_pool(storage, parent_pool_id=pool.id)
        good = [samples.a_session() for _ in range(20)]
        calls: list[Coroutine[Any, Any, Any]] = []
        for session in good:
            calls += (
                storage.create_session(session),
                storage.create_session(samples.a_session(id=SESSION_ID)),
                storage.create_session(samples.a_session(workflow_id="nowhere")),
                storage.save_llm_execution("nowhere", "draft", samples.a_result()),
                storage.delete_budget_pool(pool.id),
                storage.consume_budget(pool.id, 10**9),
            )
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes[::6] == [None] * len(good)
        assert all(isinstance(outcome, LookupError | ConflictError) for outcome in outcomes if outcome is not None)
        assert_identical([await storage.get_session(session.id) for session in good], good)
        assert await storage.count_sessions() == len(good) + 1

    @clause("OPS-6")
    async def test_a_record_spoiled_after_it_was_built_leaves_what_it_would_have_replaced(
        self, storage: StorageAdapter
    ) -> None:
        session, workflow = await samples.stored_session(storage), await samples.stored_workflow(storage)
        execution = await samples.stored_execution(storage, session.id)
        before = await everything_in(storage)
        spoiled_call = samples.a_call()
        spoiled = samples.a_result(id=execution.id, tool_calls=(samples.a_call(), spoiled_call))
        spoiled_call.args["spoiled"] = {1, 2}
        again = samples.a_workflow(id=workflow.id)
        again.definition["spoiled"] = {1, 2}
        with pytest.raises(ValidationError):
            await storage.save_llm_execution(session.id, "review", spoiled)
        with pytest.raises(ValidationError):
            await storage.save_workflow(again)
        assert_identical(await everything_in(storage), before)

    @clause("OPS-7")
    @each(KINDS)
    async def test_another_adapter_sees_what_was_stored_when_the_call_returned(
        self, storage: StorageAdapter, store: Store, kind: Kind
    ) -> None:
        async with store.open() as other:
            await prepare(storage)
            for _ in range(3):
                record = kind.make()
                await kind.store(storage, record)
                assert_identical(await kind.find(other, record), record)
                again = kind.make()
                await kind.store(other, again)
                assert_identical(await kind.find(storage, again), again)

    @clause("OPS-7")
    async def test_another_adapter_sees_each_change_when_the_call_returned(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            workflow, session = await samples.stored_workflow(storage), await samples.stored_session(storage)
            pool = await samples.stored_pool(storage)
            requests = [await samples.stored_request(storage, session.id) for _ in range(3)]
            await samples.stored_execution(storage, session.id)
            await storage.save_execution_state(samples.a_state(session.id))
            seen = await everything_in(other)
            for call in (
                lambda: storage.update_workflow(workflow.id, name="renamed"),
                lambda: storage.update_session(session.id, status="failed"),
                lambda: storage.update_node_state(session.id, "draft", samples.a_node_state("draft")),
                lambda: storage.update_budget_pool(pool.id, metadata=None),
                lambda: storage.consume_budget(pool.id, 1),
                lambda: storage.increase_budget(pool.id, 1),
                lambda: storage.update_approval_request(requests[0].id, context={}),
                lambda: storage.approve_request(requests[0].id, "ann"),
                lambda: storage.reject_request(requests[1].id, "ann"),
                lambda: storage.expire_approvals(requests[2].expires_at),
                lambda: storage.delete_workflow(workflow.id),
                lambda: storage.delete_budget_pool(pool.id),
                lambda: storage.delete_session(session.id),
            ):
                await call()
                now_seen = await everything_in(other)
                assert first_difference(now_seen, seen) is not None
                assert_identical(now_seen, await everything_in(storage))
                seen = now_seen

    @clause("OPS-7")
    @requires(Capability.DURABLE)
    async def test_another_process_sees_what_was_stored_when_the_call_returned(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await prepare(storage)
        await samples.stored_workflow(storage)
        await samples.stored_pool(storage)
        await samples.stored_request(storage, SESSION_ID)
        await storage.save_execution_state(samples.a_state(SESSION_ID))
        assert_identical(await store.run_in_subprocess(everything_in), await everything_in(storage))

    @clause("OPS-7", "LIF-3")
    @requires(Capability.DURABLE)
    async def test_what_another_process_stored_is_there_when_it_has_ended(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await prepare(storage)
        workflow, node = samples.a_workflow(), samples.a_node_state("draft")
        await store.run_in_subprocess(store_from_another_process, workflow, node)
        assert_identical(await storage.get_workflow(workflow.id), workflow)
        state = await storage.get_execution_state(SESSION_ID)
        assert state is not None
        assert_identical(state.node_states["draft"], node)


async def store_from_another_process(storage: StorageAdapter, workflow: Any, node: Any) -> None:
    """Store the workflow and the node state."""
    await storage.save_workflow(workflow)
    await storage.update_node_state(SESSION_ID, node.node_id, node)


async def _check_cancelled(
    storage: StorageAdapter,
    operation: Callable[[], Coroutine[Any, Any, Any]],
    reset: Callable[[], Awaitable[None]],
    allowed: Sequence[Contents],
) -> None:
    """Cancel the operation at many points; after each, the store must hold one of the allowed contents."""
    await reset()
    started = time.perf_counter()
    await operation()
    took = time.perf_counter() - started
    for wait in (*TURNS, *(took * part for part in PARTS)):
        await reset()
        task = asyncio.create_task(operation())
        if isinstance(wait, int):
            for _ in range(wait):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(wait)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
        await _check_settles(storage, allowed if task.cancelled() else allowed[-1:], f"cancelled after {wait}")


async def _check_settles(storage: StorageAdapter, allowed: Sequence[Contents], when: str) -> None:
    """Check that the store comes to hold one of the allowed contents, once nothing is in flight any more."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        found = await everything_in(storage)
        differences = [first_difference(found, contents) for contents in allowed]
        if None in differences:
            return
        assert time.monotonic() < deadline, (
            f"{when}: after {SETTLED_WITHIN_S:g} s the store holds none of the allowed contents: {differences}"
        )
