"""The operations that read over all sessions, and single nodes, for the adapter and for transactions."""

import asyncio
from abc import abstractmethod
from contextlib import AbstractAsyncContextManager

import attrs

from aaow_storage import (
    ApprovalRequest,
    LLMExecution,
    NodeExecutionState,
    NodeState,
    QueryFilter,
    Session,
    StorageOperations,
    ToolCallLog,
    UsageKey,
    UsageSummary,
    WorkflowExecutionState,
)
from aaow_storage.authoring import UsageSums, check_id, node_of, plan_usage
from aaow_storage_memory._copies import copy_record_yielding
from aaow_storage_memory._selection import RecordT, copy_selected, plan, with_session
from aaow_storage_memory._tables import Tables

_EXECUTIONS_PER_STEP = 1_000
"""How many executions are summed before other tasks run."""


class MemoryStoreWideOperations(StorageOperations):
    """Lists, counts and sums over all sessions, and single nodes."""

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[Tables]:
        """Yield one consistent state of the tables. The block must not change them, and must not await."""

    async def get_node_state(self, session_id: str, node_id: str) -> NodeExecutionState | None:
        session_id = check_id("get_node_state", "session_id", session_id)
        node_id = check_id("get_node_state", "node_id", node_id)
        async with self._reading() as tables:
            state = tables.get(WorkflowExecutionState, session_id)
        node = None if state is None else state.node_states.get(node_id)
        return None if node is None else await copy_record_yielding(NodeExecutionState, node, is_stored=True)

    async def list_node_states(self, filter: QueryFilter | None = None) -> list[NodeState]:
        async with self._reading() as tables:
            states = tables.all(WorkflowExecutionState)
        nodes = [node_of(state.session_id, node) for state in states for node in state.node_states.values()]
        return await copy_selected(NodeState, nodes, filter)

    async def list_execution_states(self, filter: QueryFilter | None = None) -> list[WorkflowExecutionState]:
        return await self._list(WorkflowExecutionState, filter)

    async def list_llm_executions(self, filter: QueryFilter | None = None) -> list[LLMExecution]:
        return await self._list(LLMExecution, filter)

    async def count_llm_executions(self, filter: QueryFilter | None = None) -> int:
        return await self._count(LLMExecution, filter)

    async def list_tool_calls(self, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        async with self._reading() as tables:
            calls = [with_session(tables, call) for call in tables.all(ToolCallLog)]
        return await copy_selected(ToolCallLog, calls, filter)

    async def count_approval_requests(self, filter: QueryFilter | None = None) -> int:
        return await self._count(ApprovalRequest, filter)

    async def summarize_usage(
        self, group_by: tuple[UsageKey, ...] | list[UsageKey] = (), filter: QueryFilter | None = None
    ) -> list[UsageSummary]:
        query = plan_usage(group_by, filter)
        async with self._reading() as tables:
            executions = tables.all(LLMExecution)
            workflows = {session.id: session.workflow_id for session in tables.all(Session)}
        sums = UsageSums(query.group_by)
        for start in range(0, len(executions), _EXECUTIONS_PER_STEP):
            for execution in query.plan.select_whole(executions[start : start + _EXECUTIONS_PER_STEP]):
                sums.add(execution, workflows.get(execution.session_id))
            await asyncio.sleep(0)
        return sums.summaries()

    async def _list(self, kind: type[RecordT], filter: QueryFilter | None, **scope: str) -> list[RecordT]:
        async with self._reading() as tables:
            records = tables.all(kind, **scope)
        return await copy_selected(kind, records, filter)

    async def _count(self, kind: type[attrs.AttrsInstance], filter: QueryFilter | None) -> int:
        async with self._reading() as tables:
            records = tables.all(kind)
        return len(plan(kind, filter).select_whole(records))
