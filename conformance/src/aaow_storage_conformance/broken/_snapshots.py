"""Mistakes with reads of several steps, between which others write."""

import attrs

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks(
    "TXN-2",
    "OPS-6",
    caught_by=[
        "test_every_read_shows_each_change_of_a_transaction_when_it_was_committed_and_not_before",
        "test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant",
    ],
)
class ListsIdsAndThenRecords(Delegating):
    """Lists the ids, and then reads each record that is still there."""

    async def list_workflows(self, filter=None):
        found = [await self.get_workflow(workflow.id) for workflow in await super().list_workflows(filter)]
        return [workflow for workflow in found if workflow is not None]


@breaks("TXN-2", "OPS-6", caught_by=["test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant"])
class ListsRequestsAndThenLooksAtThem(Delegating):
    """Lists the pending requests, and then reads each as it is by then."""

    async def list_pending_approvals(self, filter=None):
        pending = await super().list_pending_approvals(filter)
        found = [await self.get_approval_request(request.id) for request in pending]
        return [request for request in found if request is not None]


@breaks(
    "TXN-2",
    "OPS-6",
    caught_by=[
        "test_every_read_shows_each_change_of_a_transaction_when_it_was_committed_and_not_before",
        "test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant",
    ],
)
class ListsToolCallsByExecution(Delegating):
    """Lists the executions of a session, and then the tool calls of each."""

    async def get_session_tool_calls(self, session_id, filter=None):
        calls = await super().get_session_tool_calls(session_id, filter)
        if filter is not None:
            return calls
        executions = await self.get_llm_executions(session_id)
        calls = [call for execution in executions for call in await self.get_tool_calls(execution.id)]
        return sorted(calls, key=lambda call: (call.timestamp, call.id))


@breaks("TXN-2", "OPS-6", caught_by=["test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant"])
class CountsWhatIsStillThere(Delegating):
    """Lists what there is to count, and then counts what is still there."""

    async def count_workflows(self, filter=None):
        listed = await self.list_workflows(filter)
        return sum([await self.get_workflow(workflow.id) is not None for workflow in listed])


@breaks("TXN-2", "OPS-6", caught_by=["test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant"])
class ReadsSnapshotsAfterTheirSessions(Delegating):
    """Lists the sessions without their snapshots, and then reads the snapshot of each."""

    async def list_sessions(self, filter=None):
        listed = await super().list_sessions(filter)
        if filter is not None:
            return listed
        whole = [await self.get_session(session.id) for session in listed]
        return [
            session if now is None else attrs.evolve(session, workflow_snapshot=now.workflow_snapshot)
            for session, now in zip(listed, whole, strict=True)
        ]


@breaks("STA-2")
class ReadsNodesAfterTheState(Delegating):
    """Reads the fields of a state, and then the states of its nodes."""

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        if state is None:
            return None
        later = await super().get_execution_state(session_id)
        return attrs.evolve(state, node_states={} if later is None else later.node_states)
