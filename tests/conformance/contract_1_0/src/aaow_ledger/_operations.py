"""The operations on workflows, sessions, execution states, LLM executions, tool calls and stream events."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs

from aaow_ledger._rows import COLUMNS, Rows, checked
from aaow_storage import (
    ApprovalRequest,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    QueryFilter,
    Session,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    ValidationError,
    WorkflowExecutionState,
)
from aaow_storage.authoring import apply_changes, check_id, check_pending, own_changes, plan_query

TIMES = {LLMExecution: "timestamp", ToolCallLog: "timestamp", StreamEvent: "timestamp"}


class RecordOperations(StorageOperations):
    """Workflows, sessions, execution states, LLM executions, tool calls and stream events."""

    @abstractmethod
    def _reading(self) -> Rows:
        """Return the rows to read, or raise if nothing may be read now."""

    @abstractmethod
    def _writing(self) -> AbstractAsyncContextManager[Rows]:
        """Lock the rows to change them."""

    def _get(self, kind: type, id: str) -> Any:
        return self._reading().find(kind, check_id("get", "id", id))

    def _list(self, kind: type, filter: QueryFilter | None, **scope: str) -> list[Any]:
        scope = {name: check_id("list", name, id) for name, id in scope.items()}
        plan = plan_query(kind, filter, TIMES.get(kind, "created_at"))
        return plan.select(self._reading().all(kind, **scope))

    async def _update(self, kind: type, id: str, changes: Any) -> Any:
        id = check_id("update", "id", id)
        changes = own_changes(kind, changes)
        async with self._writing() as rows:
            record = rows.existing(kind, id)
            if isinstance(record, ApprovalRequest):
                check_pending(record)
            rows.put(id, apply_changes(record, changes))
            return rows.find(kind, id)

    async def save_workflow(self, workflow: StoredWorkflow) -> None:
        workflow = checked("save_workflow", "workflow", workflow, StoredWorkflow)
        async with self._writing() as rows:
            rows.put(workflow.id, workflow)

    async def get_workflow(self, id: str) -> StoredWorkflow | None:
        return self._get(StoredWorkflow, id)

    async def list_workflows(self, filter: QueryFilter | None = None) -> list[StoredWorkflow]:
        return self._list(StoredWorkflow, filter)

    async def count_workflows(self, filter: QueryFilter | None = None) -> int:
        return len(self._list(StoredWorkflow, filter))

    async def update_workflow(self, id: str, /, **changes: Any) -> StoredWorkflow:
        return await self._update(StoredWorkflow, id, changes)

    async def delete_workflow(self, id: str) -> None:
        id = check_id("delete_workflow", "id", id)
        async with self._writing() as rows:
            rows.existing(StoredWorkflow, id)
            del rows[StoredWorkflow, id]
            for session in rows.all(Session, workflow_id=id):
                rows.put(session.id, attrs.evolve(session, workflow_id=None))

    async def create_session(self, session: Session) -> None:
        session = checked("create_session", "session", session, Session)
        async with self._writing() as rows:
            rows.check_new(Session, session.id)
            rows.check_parent(StoredWorkflow, session.workflow_id)
            rows.check_parent(Session, session.parent_session_id)
            rows.put(session.id, session)

    async def get_session(self, id: str) -> Session | None:
        return self._get(Session, id)

    async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        return self._list(Session, filter)

    async def count_sessions(self, filter: QueryFilter | None = None) -> int:
        return len(self._list(Session, filter))

    async def update_session(self, id: str, /, **changes: Any) -> Session:
        return await self._update(Session, id, changes)

    async def delete_session(self, id: str) -> None:
        id = check_id("delete_session", "id", id)
        async with self._writing() as rows:
            rows.existing(Session, id)
            del rows[Session, id]
            rows.pop((WorkflowExecutionState, id), None)
            executions = {execution.id for execution in rows.all(LLMExecution, session_id=id)}
            calls = [call.id for call in rows.all(ToolCallLog) if call.execution_id in executions]
            requests = [request.id for request in rows.all(ApprovalRequest, session_id=id)]
            for kind, ids in [(LLMExecution, executions), (ToolCallLog, calls), (ApprovalRequest, requests)]:
                for each in ids:
                    del rows[kind, each]
            for child in rows.all(Session, parent_session_id=id):
                rows.put(child.id, attrs.evolve(child, parent_session_id=None))

    async def save_execution_state(self, state: WorkflowExecutionState) -> None:
        state = checked("save_execution_state", "state", state, WorkflowExecutionState)
        async with self._writing() as rows:
            rows.check_parent(Session, state.session_id)
            old = rows.find(WorkflowExecutionState, state.session_id)
            if old is not None:
                state = attrs.evolve(state, node_states={**old.node_states, **state.node_states})
            rows.put(state.session_id, state)

    async def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
        return self._get(WorkflowExecutionState, session_id)

    async def update_node_state(self, session_id: str, node_id: str, state: NodeExecutionState) -> None:
        session_id = check_id("update_node_state", "session_id", session_id)
        node_id = check_id("update_node_state", "node_id", node_id)
        state = checked("update_node_state", "state", state, NodeExecutionState)
        if state.node_id != node_id:
            raise ValidationError("update_node_state", "state", f"is of the node {state.node_id!r}, not {node_id!r}")
        async with self._writing() as rows:
            rows.check_parent(Session, session_id)
            old = rows.existing(WorkflowExecutionState, session_id)
            rows.put(session_id, attrs.evolve(old, node_states={**old.node_states, node_id: state}))

    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        session_id = check_id("save_llm_execution", "session_id", session_id)
        result = checked("save_llm_execution", "result", result, LLMExecutionResult)
        given = {name: getattr(result, name) for name in COLUMNS[LLMExecutionResult]}
        execution = LLMExecution(session_id=session_id, node_id=node_id, **given)
        async with self._writing() as rows:
            rows.check_parent(Session, session_id)
            rows.put(execution.id, execution)

    async def get_llm_executions(self, session_id: str, filter: QueryFilter | None = None) -> list[LLMExecution]:
        return self._list(LLMExecution, filter, session_id=session_id)

    async def get_node_llm_executions(
        self, session_id: str, node_id: str, filter: QueryFilter | None = None
    ) -> list[LLMExecution]:
        return self._list(LLMExecution, filter, session_id=session_id, node_id=node_id)

    async def log_tool_call(self, log: ToolCallLog) -> None:
        log = checked("log_tool_call", "log", log, ToolCallLog)
        async with self._writing() as rows:
            rows.check_new(ToolCallLog, log.id)
            rows.existing(LLMExecution, log.execution_id)
            rows.put(log.id, log)

    async def get_tool_calls(self, execution_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        return self._list(ToolCallLog, filter, execution_id=execution_id)

    async def get_session_tool_calls(self, session_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        executions = {execution.id for execution in self._list(LLMExecution, None, session_id=session_id)}
        calls = [call for call in self._reading().all(ToolCallLog) if call.execution_id in executions]
        return plan_query(ToolCallLog, filter, "timestamp").select(calls)

    async def save_stream_event(self, event: StreamEvent) -> None:
        event = checked("save_stream_event", "event", event, StreamEvent)
        async with self._writing() as rows:
            rows.put(event.id, event)

    async def get_stream_events(self, stream_id: str, filter: QueryFilter | None = None) -> list[StreamEvent]:
        return self._list(StreamEvent, filter, stream_id=stream_id)
