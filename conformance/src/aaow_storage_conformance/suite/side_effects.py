"""Side effects: an operation changes only the fields that it is about, whatever the others hold."""

import itertools
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    ApprovalStatus,
    ApprovalType,
    BudgetExceededError,
    BudgetPool,
    BudgetPoolStatus,
    ConflictError,
    NodeExecutionState,
    NodeExecutionStatus,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in

StatusT = TypeVar("StatusT", bound=StrEnum)

BEFORE = datetime(2023, 7, 8, 9, 10, 11, 12, tzinfo=UTC)
SUCCESSES = (None, True, False)


class SideEffectTests:
    """No field changes but those that an operation is about, and nothing else decides whether it may."""

    @clause("APR-1", "APR-3", "APR-4")
    @pytest.mark.parametrize("type", ApprovalType)
    async def test_what_a_pending_request_holds_stays_when_it_is_updated_or_runs_out(
        self, storage: StorageAdapter, type: ApprovalType
    ) -> None:
        session = await samples.stored_session(storage)
        updated, closed = [await _full_request(storage, session.id, type) for _ in range(2)]
        late = await _full_request(storage, session.id, type, expires_at=BEFORE)
        changed = await storage.update_approval_request(updated.id, context={"new": 1})
        assert_identical(changed, attrs.evolve(updated, context={"new": 1}))
        changed = await storage.update_approval_request(updated.id, expires_at=None)
        assert_identical(changed, attrs.evolve(updated, context={"new": 1}, expires_at=None))
        expired = await storage.update_approval_request(closed.id, status="expired")
        assert_identical(expired, attrs.evolve(closed, status="expired"))
        swept = attrs.evolve(late, status="expired")
        assert_identical(await storage.expire_approvals(), [swept])
        assert_identical(await storage.list_approval_requests(session.id), [changed, expired, swept])

    @clause("APR-1")
    @pytest.mark.parametrize("note", [None, "", "fine"], ids=repr)
    async def test_a_decision_sets_who_when_and_why_and_nothing_else(
        self, storage: StorageAdapter, note: str | None
    ) -> None:
        session = await samples.stored_session(storage)
        for decide, status in (
            (storage.approve_request, ApprovalStatus.APPROVED),
            (storage.reject_request, ApprovalStatus.REJECTED),
        ):
            request = await _full_request(storage, session.id, ApprovalType.WORKFLOW_CALL)
            decided = await decide(request.id, "ann", note)
            assert decided.resolved_at is not None
            assert decided.resolved_at > BEFORE
            expected = attrs.evolve(
                request,
                status=status,
                resolved_by="ann",
                resolution_notes=note,
                resolved_at=decided.resolved_at,
            )
            assert_identical(decided, expected)
            assert_identical(await storage.get_approval_request(request.id), expected)

    @clause("BUD-4")
    @pytest.mark.parametrize("status", BudgetPoolStatus)
    async def test_children_of_every_status_keep_their_parent(
        self, storage: StorageAdapter, status: BudgetPoolStatus
    ) -> None:
        parent = await samples.stored_pool(storage, status=status)
        child = await samples.stored_pool(storage, parent_pool_id=parent.id, status=status, total_budget=0)
        for _ in range(2):
            with pytest.raises(ConflictError):
                await storage.delete_budget_pool(parent.id)
        assert_identical(await storage.list_budget_pools(), [parent, child])
        await storage.delete_budget_pool(child.id)
        await storage.delete_budget_pool(parent.id)
        assert_identical(await storage.list_budget_pools(), [])

    @clause("BUD-1", "BUD-2")
    async def test_amounts_change_with_a_consumption_or_an_increase_and_nothing_else_does(
        self, storage: StorageAdapter
    ) -> None:
        for metadata in (None, {}, {"user": "ann"}):
            root = await samples.stored_pool(storage, total_budget=100, used_budget=1, metadata=metadata)
            leaf = await samples.stored_pool(
                storage, parent_pool_id=root.id, total_budget=50, used_budget=2, metadata=metadata
            )
            consumed = await storage.consume_budget(leaf.id, 3)
            assert_identical(consumed, attrs.evolve(leaf, used_budget=5))
            assert_identical(await storage.get_budget_pool(root.id), attrs.evolve(root, used_budget=4))
            increased = await storage.increase_budget(root.id, 7)
            assert_identical(increased, attrs.evolve(root, used_budget=4, total_budget=107))
            assert_identical(await storage.get_budget_pool(leaf.id), consumed)

    @clause("BUD-1", "ERR-1")
    async def test_of_several_pools_that_refuse_the_nearest_is_named_and_a_suspended_one_before_all(
        self, storage: StorageAdapter
    ) -> None:
        chain: list[BudgetPool] = []
        for total in (3, 2, 1):
            parent_id = chain[-1].id if chain else None
            chain.append(
                await samples.stored_pool(storage, parent_pool_id=parent_id, total_budget=total, used_budget=0)
            )
        for pool in (chain[2], chain[1], chain[0]):
            with pytest.raises(BudgetExceededError) as raised:
                await storage.consume_budget(chain[2].id, 4)
            assert_identical([raised.value.pool, raised.value.current], [pool, pool])
            await storage.update_budget_pool(pool.id, total_budget=9)
        suspended = await storage.update_budget_pool(chain[0].id, status="suspended", total_budget=1)
        with pytest.raises(ConflictError) as refused:
            await storage.consume_budget(chain[2].id, 10)
        assert type(refused.value) is ConflictError
        assert_identical(refused.value.current, suspended)
        nearer = await storage.update_budget_pool(chain[1].id, status="suspended")
        with pytest.raises(ConflictError) as refused:
            await storage.consume_budget(chain[2].id, 1)
        assert_identical(refused.value.current, nearer)

    @clause("SES-3")
    async def test_what_belongs_to_a_session_goes_with_it_whatever_its_status(self, storage: StorageAdapter) -> None:
        other = await samples.stored_session(storage)
        for status in SessionStatus:
            session = await samples.stored_session(storage, status=status)
            executions = await _store_all_that_belongs_to(storage, session.id, status)
            child = await samples.stored_session(storage, parent_session_id=session.id, status=status)
            await storage.delete_session(session.id)
            left = await everything_in(storage, sessions=[session.id], executions=executions)
            kept = [other, attrs.evolve(child, parent_session_id=None)]
            assert_identical(left, {**{name: [] for name in left}, "sessions": kept})
            assert_identical(await storage.list_pending_approvals(), [])
            await storage.delete_session(child.id)

    @clause("WFL-1")
    async def test_sessions_of_every_status_outlive_their_workflow_and_its_parent(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage)
        parent = await samples.stored_session(storage, workflow_id=workflow.id)
        sessions = [
            await samples.stored_session(
                storage, workflow_id=workflow.id, parent_session_id=parent.id, status=status, metadata=None
            )
            for status in SessionStatus
        ]
        await storage.delete_workflow(workflow.id)
        sessions = [attrs.evolve(session, workflow_id=None) for session in (parent, *sessions)]
        assert_identical(await storage.list_sessions(), sessions)
        await storage.delete_session(parent.id)
        sessions = [attrs.evolve(session, parent_session_id=None) for session in sessions[1:]]
        assert_identical(await storage.list_sessions(), sessions)

    @clause("OPS-4", "OPS-3")
    async def test_any_status_may_follow_any_other(self, storage: StorageAdapter) -> None:
        session, pool = await samples.stored_session(storage), await samples.stored_pool(storage)
        state = samples.a_state(session.id, node_states={})
        for status in _in_every_order(SessionStatus):
            changed = await storage.update_session(session.id, status=status)
            assert_identical(changed, attrs.evolve(session, status=status, updated_at=changed.updated_at))
            await storage.save_execution_state(attrs.evolve(state, status=status))
            assert_identical(await storage.get_execution_state(session.id), attrs.evolve(state, status=status))
        for retries, step in enumerate(_in_every_order(NodeExecutionStatus)):
            node = NodeExecutionState(node_id="draft", status=step, retry_count=1000 - retries)
            await storage.update_node_state(session.id, "draft", node)
            found = await storage.get_execution_state(session.id)
            assert found is not None
            assert_identical(found.node_states, {"draft": node})
        for each in _in_every_order(BudgetPoolStatus):
            found_pool = await storage.update_budget_pool(pool.id, status=each)
            assert_identical(found_pool, attrs.evolve(pool, status=each))

    @clause("OPS-3", "OPS-2", "STA-1")
    async def test_a_record_of_any_status_and_type_comes_back_from_every_read(self, storage: StorageAdapter) -> None:
        sessions = [await samples.stored_session(storage, status=status) for status in SessionStatus]
        assert_identical(await storage.list_sessions(), sessions)
        nodes = {each.value: samples.a_node_state(each.value, status=each) for each in NodeExecutionStatus}
        for session in sessions:
            assert_identical(await storage.get_session(session.id), session)
            for status in SessionStatus:
                state = samples.a_state(session.id, status=status, node_states=nodes)
                await storage.save_execution_state(state)
                assert_identical(await storage.get_execution_state(session.id), state)
        pools = [await samples.stored_pool(storage, status=status) for status in BudgetPoolStatus]
        assert_identical([await storage.get_budget_pool(pool.id) for pool in pools], pools)
        assert_identical(await storage.list_budget_pools(), pools)
        requests = [
            await samples.stored_request(storage, sessions[0].id, status=status, type=kind)
            for status, kind in itertools.product(ApprovalStatus, ApprovalType)
        ]
        assert_identical([await storage.get_approval_request(request.id) for request in requests], requests)
        assert_identical(await storage.list_approval_requests(sessions[0].id), requests)
        made = [await samples.stored_execution(storage, sessions[0].id, success=success) for success in SUCCESSES]
        assert_identical(await storage.get_llm_executions(sessions[0].id), made)

    @clause("LLM-2", "OPS-3")
    async def test_an_execution_may_run_again_and_be_of_an_earlier_time(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for one, other in itertools.product(SUCCESSES, repeat=2):
            for success, timestamp in ((one, samples.EPOCH), (other, BEFORE)):
                result = samples.a_result(id="execution", success=success, timestamp=timestamp)
                await storage.save_llm_execution(session.id, "draft", result)
                expected = [samples.an_execution(session.id, "draft", result)]
                assert_identical(await storage.get_llm_executions(session.id), expected)

    @clause("APR-5", "APR-1")
    async def test_a_request_of_any_session_and_type_waits_and_can_be_decided(self, storage: StorageAdapter) -> None:
        requests = []
        for status in SessionStatus:
            session = await samples.stored_session(storage, status=status)
            requests += [await _full_request(storage, session.id, kind) for kind in ApprovalType]
        assert_identical(await storage.list_pending_approvals(), requests)
        for number, request in enumerate(requests):
            await (storage.reject_request if number % 2 else storage.approve_request)(request.id, "ann")
            assert_identical(await storage.list_pending_approvals(), requests[number + 1 :])


def _in_every_order(statuses: type[StatusT]) -> list[StatusT]:
    """Return the members in an order in which each follows each other one and itself."""
    return [status for pair in itertools.product(statuses, repeat=2) for status in pair]


async def _full_request(
    storage: StorageOperations, session_id: str, type: ApprovalType, **fields: Any
) -> ApprovalRequest:
    """Store a pending request with no field None, like one that was decided before and is asked again."""
    resolved = {"resolved_at": BEFORE, "resolved_by": "zoe", "resolution_notes": "asked again"}
    return await samples.stored_request(storage, session_id, type=type, **{**resolved, **fields})


async def _store_all_that_belongs_to(storage: StorageOperations, session_id: str, status: SessionStatus) -> list[str]:
    """Store records of every status that belong to the session; return the ids of the executions."""
    nodes = {each.value: samples.a_node_state(each.value, status=each) for each in NodeExecutionStatus}
    await storage.save_execution_state(samples.a_state(session_id, status=status, node_states=nodes))
    executions = []
    for success in SUCCESSES:
        execution = await samples.stored_execution(storage, session_id, f"node {success}", success=success)
        executions.append(execution.id)
        for error in (None, "", "TimeoutError"):
            await samples.stored_tool_call(storage, execution.id, error=error, duration_ms=None)
    for each in ApprovalStatus:
        await samples.stored_request(storage, session_id, status=each)
        await samples.stored_request(storage, session_id, status=each, expires_at=BEFORE)
    return executions
