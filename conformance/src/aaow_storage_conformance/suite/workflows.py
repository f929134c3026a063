"""Workflows: deleting one leaves its sessions, without its id."""

import attrs

from aaow_storage import StorageAdapter
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.samples import a_node_state, a_state, stored_session, stored_workflow


class WorkflowTests:
    """Workflows, beyond the rules of the verbs."""

    @clause("WFL-1")
    async def test_deleting_a_workflow_leaves_its_sessions_whole_without_its_id(self, storage: StorageAdapter) -> None:
        workflow, other = await stored_workflow(storage), await stored_workflow(storage)
        session = await stored_session(storage, workflow_id=workflow.id, workflow_snapshot=workflow.definition)
        child = await stored_session(storage, workflow_id=workflow.id, parent_session_id=session.id)
        bystander = await stored_session(storage, workflow_id=other.id)
        await storage.save_execution_state(a_state(session.id))
        before = await everything_in(storage)

        await storage.delete_workflow(workflow.id)

        kept = [attrs.evolve(session, workflow_id=None), attrs.evolve(child, workflow_id=None), bystander]
        assert_identical(await everything_in(storage), {**before, "workflows": [other], "sessions": kept})

    @clause("WFL-1")
    async def test_a_session_of_a_deleted_workflow_goes_on(self, storage: StorageAdapter) -> None:
        workflow = await stored_workflow(storage)
        session = await stored_session(storage, workflow_id=workflow.id)
        await storage.delete_workflow(workflow.id)

        state = a_state(session.id)
        await storage.save_execution_state(state)
        await storage.update_node_state(session.id, "late", a_node_state("late"))
        updated = await storage.update_session(session.id, status="completed")

        assert updated.workflow_id is None
        assert_identical(updated.workflow_snapshot, session.workflow_snapshot)
        found = await storage.get_execution_state(session.id)
        assert found is not None
        assert set(found.node_states) == {*state.node_states, "late"}

    @clause("WFL-1")
    async def test_a_workflow_saved_again_after_its_deletion_does_not_get_its_sessions_back(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await stored_workflow(storage)
        session = await stored_session(storage, workflow_id=workflow.id)
        await storage.delete_workflow(workflow.id)
        await storage.save_workflow(workflow)

        assert_identical(await storage.get_session(session.id), attrs.evolve(session, workflow_id=None))

    @clause("WFL-1", "OPS-3")
    async def test_saving_a_workflow_again_keeps_its_sessions_attached(self, storage: StorageAdapter) -> None:
        workflow = await stored_workflow(storage)
        session = await stored_session(storage, workflow_id=workflow.id)

        await storage.save_workflow(attrs.evolve(workflow, name="renamed", definition={"nodes": []}))

        assert_identical(await storage.get_session(session.id), session)
