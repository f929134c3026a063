"""Sessions: what an update cannot change, and what is deleted with a session."""

from typing import Any

import attrs
import pytest

from aaow_storage import Capability, NotFoundError, StorageAdapter, ValidationError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.refusals import check_raises


class SessionTests:
    """Sessions, beyond the rules of the verbs."""

    @clause("SES-1")
    async def test_what_a_session_was_created_with_cannot_be_updated(self, storage: StorageAdapter) -> None:
        workflow, parent = await samples.stored_workflow(storage), await samples.stored_session(storage)
        session = await samples.stored_session(storage, workflow_id=workflow.id, parent_session_id=parent.id)
        before = await everything_in(storage)
        for field in ("id", "workflow_snapshot", "workflow_id", "parent_session_id", "created_at"):
            for value in (getattr(session, field), None, getattr(parent, field)):
                wrong: Any = {"status": "failed", field: value}
                with pytest.raises(ValidationError) as raised:
                    await storage.update_session(session.id, **wrong)
                assert raised.value.field == field
        assert_identical(await everything_in(storage), before)

    @clause("SES-2")
    async def test_a_session_keeps_its_snapshot_when_the_workflow_changes(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        session = await samples.stored_session(
            storage, workflow_id=workflow.id, workflow_snapshot=samples.a_definition(workflow.definition["revision"])
        )
        assert session.workflow_snapshot == workflow.definition

        await storage.save_workflow(attrs.evolve(workflow, definition={"nodes": ["saved"]}))
        assert_identical(await storage.get_session(session.id), session)
        await storage.update_workflow(workflow.id, definition={"nodes": ["updated"]})
        assert_identical(await storage.get_session(session.id), session)
        await storage.update_session(session.id, status="completed", updated_at=session.updated_at)
        await storage.delete_workflow(workflow.id)
        assert_identical(
            await storage.get_session(session.id), attrs.evolve(session, status="completed", workflow_id=None)
        )

    @clause("SES-2")
    async def test_sessions_that_share_a_snapshot_keep_it_when_one_of_them_goes(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        sessions = [
            await samples.stored_session(storage, workflow_id=workflow.id, workflow_snapshot=workflow.definition)
            for _ in range(3)
        ]
        await storage.delete_session(sessions[0].id)
        assert_identical(await storage.list_sessions(), sessions[1:])
        assert_identical(await storage.get_workflow(workflow.id), workflow)
        await storage.delete_workflow(workflow.id)
        await storage.delete_session(sessions[1].id)
        assert_identical(await storage.list_sessions(), [attrs.evolve(sessions[2], workflow_id=None)])

    @clause("SES-2")
    async def test_a_workflow_keeps_its_definition_when_its_last_session_goes(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        session = await samples.stored_session(storage, workflow_snapshot=workflow.definition)
        await storage.delete_session(session.id)
        assert_identical(await storage.list_workflows(), [workflow])

    @clause("SES-2", "REC-4")
    async def test_a_snapshot_that_is_almost_the_definition_stays_itself(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage, definition={"a": 1, "b": [0]})
        snapshots = ({"a": 1.0, "b": [0]}, {"a": 1, "b": [False]}, {"b": [0], "a": 1}, {"a": True, "b": [0]})
        sessions = [
            await samples.stored_session(storage, workflow_id=workflow.id, workflow_snapshot=snapshot)
            for snapshot in snapshots
        ]
        assert_identical(await storage.list_sessions(), sessions)
        assert_identical(await storage.get_workflow(workflow.id), workflow)

    @clause("SES-3")
    async def test_deleting_a_session_removes_all_that_belongs_to_it_and_nothing_else(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage)
        session, other = [await samples.stored_session(storage, workflow_id=workflow.id) for _ in range(2)]
        pool = await samples.stored_pool(storage)
        executions = []
        for owner in (session, other):
            await storage.save_execution_state(samples.a_state(owner.id, budget_pool_id=pool.id))
            for node in ("draft", "review"):
                execution = await samples.stored_execution(storage, owner.id, node)
                executions.append(execution.id)
                for _ in range(2):
                    await samples.stored_tool_call(storage, execution.id)
            await samples.stored_request(storage, owner.id)
            await samples.stored_request(storage, owner.id, status="approved", resolved_by="ann")
        before = await everything_in(storage)

        await storage.delete_session(session.id)

        after = await everything_in(storage, sessions=[session.id], executions=executions)
        kept: dict[str, list[Any]] = {
            "workflows": [workflow],
            "sessions": [other],
            "budget_pools": [pool],
            "execution_states": [state for state in before["execution_states"] if state.session_id == other.id],
            "llm_executions": [made for made in before["llm_executions"] if made.session_id == other.id],
            "tool_calls": [log for log in before["tool_calls"] if log.execution_id in executions[2:]],
            "approval_requests": [asked for asked in before["approval_requests"] if asked.session_id == other.id],
            "stream_events": [],
        }
        assert_identical(after, kept)
        assert [len(kept[name]) for name in ("execution_states", "llm_executions", "tool_calls")] == [1, 2, 4]
        assert [each.session_id for each in await storage.list_pending_approvals()] == [other.id]
        gone = next(each for each in before["approval_requests"] if each.session_id == session.id)
        assert await storage.get_approval_request(gone.id) is None

    @clause("SES-3")
    async def test_child_sessions_stay_without_a_parent(self, storage: StorageAdapter) -> None:
        parent = await samples.stored_session(storage)
        children = [await samples.stored_session(storage, parent_session_id=parent.id) for _ in range(2)]
        grandchild = await samples.stored_session(storage, parent_session_id=children[0].id)
        for child in children:
            await storage.save_execution_state(samples.a_state(child.id))
            await samples.stored_execution(storage, child.id)
            await samples.stored_request(storage, child.id)
        before = await everything_in(storage)

        await storage.delete_session(parent.id)

        kept = [*(attrs.evolve(child, parent_session_id=None) for child in children), grandchild]
        assert_identical(await everything_in(storage), {**before, "sessions": kept})

    @clause("SES-3")
    async def test_a_session_created_again_starts_empty(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        child = await samples.stored_session(storage, parent_session_id=session.id)
        await storage.save_execution_state(samples.a_state(session.id))
        execution = await samples.stored_execution(storage, session.id)
        await samples.stored_tool_call(storage, execution.id)
        await samples.stored_request(storage, session.id)
        await storage.delete_session(session.id)

        await storage.create_session(session)
        fresh = samples.a_state(session.id, node_states={})
        await storage.save_execution_state(fresh)
        again = await samples.stored_execution(storage, session.id, id=execution.id)

        contents = await everything_in(storage)
        assert_identical(contents["sessions"], [session, attrs.evolve(child, parent_session_id=None)])
        assert_identical(contents["execution_states"], [fresh])
        assert_identical(contents["llm_executions"], [again])
        assert_identical([contents["tool_calls"], contents["approval_requests"]], [[], []])

    @clause("SES-3")
    async def test_ids_of_what_went_with_a_session_are_free_again(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, session.id)
        log = await samples.stored_tool_call(storage, execution.id)
        request = await samples.stored_request(storage, session.id)
        await storage.delete_session(session.id)

        execution = await samples.stored_execution(storage, other.id, id=execution.id)
        log = await samples.stored_tool_call(storage, execution.id, id=log.id)
        request = await samples.stored_request(storage, other.id, id=request.id)
        assert_identical(await storage.get_session_tool_calls(other.id), [log])
        assert_identical(await storage.list_approval_requests(other.id), [request])

    @clause("SES-3")
    @requires(Capability.STREAM_EVENTS)
    async def test_stream_events_stay_when_a_session_goes(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        event = samples.an_event(session.id)
        await storage.save_stream_event(event)
        await storage.delete_session(session.id)
        assert_identical(await storage.get_stream_events(session.id), [event])

    @clause("SES-3", "OPS-5")
    async def test_a_deleted_session_cannot_be_used(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        await storage.save_execution_state(samples.a_state(session.id))
        await storage.delete_session(session.id)
        calls = (
            lambda: storage.update_session(session.id, status="running"),
            lambda: storage.save_execution_state(samples.a_state(session.id)),
            lambda: storage.update_node_state(session.id, "draft", samples.a_node_state("draft")),
            lambda: storage.delete_session(session.id),
        )
        for number, call in enumerate(calls):
            error = await check_raises(NotFoundError, f"calls[{number}] on a deleted session", call)
            assert (error.kind, error.id) == ("session", session.id)
