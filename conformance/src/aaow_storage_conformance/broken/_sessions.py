"""Mistakes with workflows and sessions, and what belongs to them."""

import asyncio

import attrs

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    QueryFilter,
    StorageUnavailableError,
    TokenUsage,
    ToolCallLog,
    ValidationError,
)
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


@breaks("WFL-1")
class DeletesSessionsOfWorkflows(Delegating):
    """Deletes the sessions of a deleted workflow."""

    async def delete_workflow(self, id):
        for session in await self.list_sessions():
            if session.workflow_id == id:
                await self.delete_session(session.id)
        await super().delete_workflow(id)


@breaks("WFL-1")
class RefusesToDeleteUsedWorkflows(Delegating):
    """Refuses to delete a workflow that has sessions."""

    async def delete_workflow(self, id):
        if any(session.workflow_id == id for session in await self.list_sessions()):
            raise ValidationError("delete_workflow", "id", "has sessions")
        await super().delete_workflow(id)


@breaks("SES-1")
class IgnoresImmutableFields(Delegating):
    """Ignores the immutable fields of a session in an update."""

    async def update_session(self, id, /, **changes):
        mutable = {"status", "metadata", "updated_at"}
        return await super().update_session(id, **{name: changes[name] for name in changes if name in mutable})


@breaks("SES-1")
class UpdatesTheSnapshot(MemoryAdapter):
    """Lets an update replace the snapshot of a session."""

    async def update_session(self, id, /, **changes):
        snapshot = changes.pop("workflow_snapshot", None)
        updated = await super().update_session(id, **changes)
        if snapshot is None:
            return updated
        async with self._writing() as tables:
            tables.put(id, attrs.evolve(updated, workflow_snapshot=snapshot))
        return await self.get_session(id)


@breaks("SES-1")
class MovesSessions(MemoryAdapter):
    """Lets an update change the workflow or the parent of a session."""

    async def update_session(self, id, /, **changes):
        places = {name: changes.pop(name) for name in ("workflow_id", "parent_session_id") if name in changes}
        updated = await super().update_session(id, **changes)
        async with self._writing() as tables:
            tables.put(id, attrs.evolve(updated, **places))
        return await self.get_session(id)


@breaks("SES-2")
class LooksSnapshotsUp(Delegating):
    """Reads the snapshot of a session from its workflow."""

    async def get_session(self, id):
        session = await super().get_session(id)
        workflow = session and session.workflow_id and await self.get_workflow(session.workflow_id)
        return attrs.evolve(session, workflow_snapshot=workflow.definition) if workflow else session


@breaks("SES-2", "WFL-1")
class DropsSnapshotsWithTheirWorkflow(MemoryAdapter):
    """Deletes a stored document with its workflow, although sessions refer to it."""

    async def delete_workflow(self, id):
        sessions = await self.list_sessions(QueryFilter({"workflow_id": id}))
        await super().delete_workflow(id)
        async with self._writing() as tables:
            for session in sessions:
                tables.put(session.id, attrs.evolve(session, workflow_id=None, workflow_snapshot={}))


@breaks("SES-3")
class DeletesChildSessions(Delegating):
    """Deletes the children of a deleted session."""

    async def delete_session(self, id):
        children = [session.id for session in await self.list_sessions() if session.parent_session_id == id]
        await super().delete_session(id)
        for child in children:
            await self.delete_session(child)


@breaks("SES-3")
class LeavesToolCallsBehind(Delegating):
    """Keeps the tool calls of a deleted session."""

    async def log_tool_call(self, log):
        await super().log_tool_call(log)
        vars(self).setdefault("logs", []).append(log)

    async def get_tool_calls(self, execution_id, filter=None):
        found = await super().get_tool_calls(execution_id, filter)
        return found or [log for log in vars(self).get("logs", []) if log.execution_id == execution_id]


@breaks("SES-3")
class LeavesApprovalsBehind(Delegating):
    """Keeps the approvals of a deleted session."""

    async def create_approval_request(self, request):
        await super().create_approval_request(request)
        vars(self).setdefault("asked", {})[request.id] = request

    async def get_approval_request(self, id):
        return await super().get_approval_request(id) or vars(self).get("asked", {}).get(id)


@breaks("SES-3")
class LeavesTheStateBehind(MemoryAdapter):
    """Keeps the execution state of a deleted session, so the next session of that id gets it."""

    async def delete_session(self, id):
        state = await self.get_execution_state(id)
        await super().delete_session(id)
        if state is not None:
            async with self._writing() as tables:
                tables.put(id, state)


@breaks("SES-3")
class LeavesExecutionsBehind(MemoryAdapter):
    """Keeps the executions of a deleted session that have no tool calls."""

    async def delete_session(self, id):
        executions = await self.get_llm_executions(id)
        left = [each for each in executions if not await self.get_tool_calls(each.id)]
        await super().delete_session(id)
        async with self._writing() as tables:
            for execution in left:
                tables.put(execution.id, execution)


@breaks("SES-3")
class DeletesTooManyApprovals(MemoryAdapter):
    """Deletes the approvals of every session."""

    async def delete_session(self, id):
        await super().delete_session(id)
        async with self._writing() as tables:
            for request in tables.all(ApprovalRequest):
                tables.remove(ApprovalRequest, request.id)


@breaks("SES-3")
class KeepsParentsThatAreGone(MemoryAdapter):
    """Keeps the id of a deleted parent in its children."""

    async def delete_session(self, id):
        children = await self.list_sessions(QueryFilter({"parent_session_id": id}))
        await super().delete_session(id)
        async with self._writing() as tables:
            for child in children:
                tables.put(child.id, child)


@breaks("STA-1")
class ReplacesAllNodes(Delegating):
    """Deletes the nodes that a saved state does not carry."""

    async def save_execution_state(self, state):
        await super().save_execution_state(state)
        vars(self).setdefault("carried", {})[state.session_id] = set(state.node_states)

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        carried = vars(self).get("carried", {}).get(session_id)
        if state is None or carried is None:
            return state
        kept = {node_id: node for node_id, node in state.node_states.items() if node_id in carried}
        return attrs.evolve(state, node_states=kept)


@breaks("STA-1")
class KeepsClearedStateFields(Delegating):
    """Keeps the current node of a state that is saved without one."""

    async def save_execution_state(self, state):
        old = await self.get_execution_state(state.session_id)
        if old is not None and state.current_node_id is None:
            state = attrs.evolve(state, current_node_id=old.current_node_id)
        await super().save_execution_state(state)


@breaks("STA-1")
class KeepsNodesItHas(Delegating):
    """Inserts the new nodes of a saved state, and updates none."""

    async def save_execution_state(self, state):
        old = await self.get_execution_state(state.session_id)
        kept = {} if old is None else dict(old.node_states)
        await super().save_execution_state(attrs.evolve(state, node_states={**state.node_states, **kept}))


@breaks("STA-1")
class MergesStateMetadata(Delegating):
    """Merges the metadata of a saved state into the old metadata."""

    async def save_execution_state(self, state):
        old = await self.get_execution_state(state.session_id)
        if old is not None and old.metadata is not None:
            state = attrs.evolve(state, metadata={**old.metadata, **(state.metadata or {})})
        await super().save_execution_state(state)


@breaks("STA-2")
class ReadsStatesInTwoSteps(Delegating):
    """Reads a state, and then its nodes."""

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        await asyncio.sleep(0)
        later = await super().get_execution_state(session_id)
        return None if state is None or later is None else attrs.evolve(state, node_states=later.node_states)


@breaks("STA-3")
class UpdatesNodesByWritingAll(Delegating):
    """Reads a whole state to update one node, and writes the whole state back."""

    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, state)
        read = await self.get_execution_state(session_id)
        await asyncio.sleep(0)
        await super().save_execution_state(read)


@breaks("STA-2")
class ReadsNodesFirst(Delegating):
    """Reads the nodes, and then the session-level fields."""

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        await asyncio.sleep(0)
        later = await super().get_execution_state(session_id)
        return None if state is None or later is None else attrs.evolve(later, node_states=state.node_states)


@breaks("STA-3")
class KeepsOldNodeErrors(Delegating):
    """Keeps the old error of a node that is saved without one."""

    async def update_node_state(self, session_id, node_id, state):
        old = await self.get_execution_state(session_id)
        if old is not None and node_id in old.node_states and state.error is None:
            state = attrs.evolve(state, error=old.node_states[node_id].error)
        await super().update_node_state(session_id, node_id, state)


@breaks("STA-3")
class StoresANodeUnderWhateverId(Delegating):
    """Stores the state of one node under the id of another."""

    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, attrs.evolve(state, node_id=node_id))


@breaks("STA-3")
class UpdatesOnlyKnownNodes(Delegating):
    """Updates the nodes that a state has, and adds none."""

    async def update_node_state(self, session_id, node_id, state):
        old = await self.get_execution_state(session_id)
        if old is None or node_id in old.node_states:
            await super().update_node_state(session_id, node_id, state)


@breaks("LLM-1")
class ReportsZeroUsage(Delegating):
    """Returns absent usage as zeros."""

    async def save_llm_execution(self, session_id, node_id, result):
        nothing = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, usage=result.usage or nothing))


@breaks("LLM-1")
class AddsTotalsUp(Delegating):
    """Computes `total_tokens` in place of storing it."""

    async def save_llm_execution(self, session_id, node_id, result):
        usage = result.usage
        if usage is not None and usage.prompt_tokens < 1000:
            usage = attrs.evolve(usage, total_tokens=usage.prompt_tokens + usage.completion_tokens)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, usage=usage))


@breaks("LLM-1")
class LosesUsageOfNothing(Delegating):
    """Stores a usage of zeros as None."""

    async def save_llm_execution(self, session_id, node_id, result):
        usage = result.usage if result.usage is not None and result.usage.total_tokens else None
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, usage=usage))


@breaks("LLM-2")
class TakesUnfinishedForFailed(Delegating):
    """Stores a running execution as a failed one."""

    async def save_llm_execution(self, session_id, node_id, result):
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, success=bool(result.success)))


@breaks("LLM-2")
class InsertsExecutionsOnce(Delegating):
    """Refuses an execution that is saved again."""

    async def save_llm_execution(self, session_id, node_id, result):
        if any(result.id == made.id for made in await self.get_llm_executions(session_id)):
            raise AlreadyExistsError("llm_execution", result.id)
        await super().save_llm_execution(session_id, node_id, result)


@breaks("LLM-2")
class ReplacesExecutionsWithTheirCalls(MemoryAdapter):
    """Replaces an execution by deleting it first, with its tool calls."""

    async def save_llm_execution(self, session_id, node_id, result):
        await super().save_llm_execution(session_id, node_id, result)
        calls = await self.get_tool_calls(result.id)
        async with self._writing() as tables:
            for call in calls:
                tables.remove(ToolCallLog, call.id)


@breaks("LLM-3")
class OrdersByTimeAlone(Delegating):
    """Does not order records of one instant by id."""

    async def list_approval_requests(self, session_id, filter=None):
        found = (await super().list_approval_requests(session_id, filter))[::-1]
        return sorted(found, key=lambda request: request.created_at)


@breaks("LLM-3")
class OrdersIdsAsUTF16(Delegating):
    """Orders ids as UTF-16 does."""

    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        return sorted(found, key=lambda log: (log.timestamp, log.id.encode("utf-16-be")))


@breaks("TOO-1")
class BindsEveryExecution(Delegating):
    """Names every execution of a session in one statement."""

    async def get_session_tool_calls(self, session_id, filter=None):
        if len(await self.get_llm_executions(session_id)) > 999:
            raise StorageUnavailableError("too many SQL variables")
        return await super().get_session_tool_calls(session_id, filter)


@breaks("TOO-1")
class ReadsCallsOfTheFirstExecutions(Delegating):
    """Reads the tool calls of the first hundred executions of a session only."""

    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        first = {execution.id for execution in await self.get_llm_executions(session_id, QueryFilter(limit=100))}
        return [call for call in found if call.execution_id in first]
