"""All operations, for the adapter and for transactions.

An operation checks and copies its arguments, works on the tables without an `await`, and copies its result. So a caller
never holds a stored record, and a change to an argument during the operation has no effect.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, Unpack

import attrs

from aaow_storage import (
    ApprovalChanges,
    ApprovalRequest,
    ApprovalStatus,
    BudgetPool,
    BudgetPoolChanges,
    FieldName,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    QueryFilter,
    Session,
    SessionChanges,
    SessionStatus,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowChanges,
    WorkflowExecutionState,
)
from aaow_storage import now as present
from aaow_storage.authoring import (
    SessionStatusWord,
    apply_changes,
    check_execution_of_call,
    check_id,
    check_instant,
    check_only_if,
    check_pending,
    check_record,
    check_session_status,
    check_text,
    consumed,
    has_run_out,
    increased,
    is_decidable,
    own_changes,
    plan_only_if,
    positive_amount,
    resolved,
)
from aaow_storage.errors import ConflictError, ValidationError
from aaow_storage_memory._copies import copy_record, copy_record_yielding
from aaow_storage_memory._selection import RecordT, calls_of_session, check_and_copy, copy_selected, with_session
from aaow_storage_memory._session_status import put_session, put_state, set_status
from aaow_storage_memory._stream_operations import MemoryStreamOperations
from aaow_storage_memory._tables import Tables

ChangingT = TypeVar("ChangingT", StoredWorkflow, Session, BudgetPool, ApprovalRequest)


class MemoryOperations(MemoryStreamOperations):
    """The operations. A subclass says how they read and write the tables."""

    # workflows

    async def save_workflow(self, workflow: StoredWorkflow) -> None:
        workflow = await check_and_copy("save_workflow", "workflow", workflow, StoredWorkflow)
        async with self._writing() as tables:
            tables.put(workflow.id, workflow)

    async def get_workflow(self, id: str) -> StoredWorkflow | None:
        return await self._get("get_workflow", "id", StoredWorkflow, id)

    async def list_workflows(self, filter: QueryFilter | None = None) -> list[StoredWorkflow]:
        return await self._list(StoredWorkflow, filter)

    async def count_workflows(self, filter: QueryFilter | None = None) -> int:
        return await self._count(StoredWorkflow, filter)

    async def update_workflow(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[WorkflowChanges]
    ) -> StoredWorkflow:
        return await self._update("update_workflow", StoredWorkflow, id, only_if, changes)

    async def delete_workflow(self, id: str) -> None:
        workflow_id = check_id("delete_workflow", "id", id)
        async with self._writing() as tables:
            tables.existing(StoredWorkflow, workflow_id)
            tables.remove(StoredWorkflow, workflow_id)
            for session in tables.all(Session, workflow_id=workflow_id):
                tables.put(session.id, attrs.evolve(session, workflow_id=None))

    # sessions

    async def create_session(self, session: Session) -> None:
        session = await check_and_copy("create_session", "session", session, Session)
        async with self._writing() as tables:
            tables.check_new(Session, session.id)
            tables.check_parent(StoredWorkflow, session.workflow_id)
            tables.check_parent(Session, session.parent_session_id)
            tables.put(session.id, session)

    async def get_session(self, id: str) -> Session | None:
        return await self._get("get_session", "id", Session, id)

    async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        return await self._list(Session, filter)

    async def count_sessions(self, filter: QueryFilter | None = None) -> int:
        return await self._count(Session, filter)

    async def update_session(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[SessionChanges]
    ) -> Session:
        return await self._update("update_session", Session, id, only_if, changes)

    async def delete_session(self, id: str) -> None:
        session_id = check_id("delete_session", "id", id)
        async with self._writing() as tables:
            tables.existing(Session, session_id)
            tables.remove(Session, session_id)
            tables.remove(WorkflowExecutionState, session_id)
            for call in calls_of_session(tables, session_id):
                tables.remove(ToolCallLog, call.id)
            for execution in tables.all(LLMExecution, session_id=session_id):
                tables.remove(LLMExecution, execution.id)
            for request in tables.all(ApprovalRequest, session_id=session_id):
                tables.remove(ApprovalRequest, request.id)
            for event in tables.all(StreamEvent, session_id=session_id):
                tables.remove(StreamEvent, event.id)
            for child in tables.all(Session, parent_session_id=session_id):
                tables.put(child.id, attrs.evolve(child, parent_session_id=None))

    # execution state

    async def save_execution_state(self, state: WorkflowExecutionState) -> None:
        state = await check_and_copy("save_execution_state", "state", state, WorkflowExecutionState)
        async with self._writing() as tables:
            tables.check_parent(Session, state.session_id)
            stored = tables.get(WorkflowExecutionState, state.session_id)
            if stored is not None:
                state = attrs.evolve(state, node_states={**stored.node_states, **state.node_states})
            put_state(tables, state)

    async def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
        return await self._get("get_execution_state", "session_id", WorkflowExecutionState, session_id)

    async def update_node_state(self, session_id: str, node_id: str, state: NodeExecutionState) -> None:
        session_id = check_id("update_node_state", "session_id", session_id)
        node_id = check_id("update_node_state", "node_id", node_id)
        check_record("update_node_state", "state", state, NodeExecutionState)
        if state.node_id != node_id:
            problem = f"is the state of node {state.node_id!r}, not of {node_id!r}"
            raise ValidationError("update_node_state", "state.node_id", problem)
        state = await copy_record_yielding(NodeExecutionState, state)
        async with self._writing() as tables:
            tables.check_parent(Session, session_id)
            stored = tables.existing(WorkflowExecutionState, session_id)
            nodes = {**stored.node_states, node_id: state}
            tables.put(session_id, attrs.evolve(stored, node_states=nodes))

    # LLM executions

    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        session_id = check_id("save_llm_execution", "session_id", session_id)
        node_id = check_id("save_llm_execution", "node_id", node_id)
        check_record("save_llm_execution", "result", result, LLMExecutionResult)
        execution = await copy_record_yielding(LLMExecution, result, session_id=session_id, node_id=node_id)
        async with self._writing() as tables:
            tables.check_parent(Session, session_id)
            tables.put(execution.id, execution)

    async def get_llm_executions(self, session_id: str, filter: QueryFilter | None = None) -> list[LLMExecution]:
        session_id = check_id("get_llm_executions", "session_id", session_id)
        return await self._list(LLMExecution, filter, session_id=session_id)

    async def get_node_llm_executions(
        self, session_id: str, node_id: str, filter: QueryFilter | None = None
    ) -> list[LLMExecution]:
        session_id = check_id("get_node_llm_executions", "session_id", session_id)
        node_id = check_id("get_node_llm_executions", "node_id", node_id)
        return await self._list(LLMExecution, filter, session_id=session_id, node_id=node_id)

    # budgets

    async def create_budget_pool(self, pool: BudgetPool) -> None:
        pool = await check_and_copy("create_budget_pool", "pool", pool, BudgetPool)
        async with self._writing() as tables:
            tables.check_new(BudgetPool, pool.id)
            tables.check_parent(BudgetPool, pool.parent_pool_id)
            tables.put(pool.id, pool)

    async def get_budget_pool(self, id: str) -> BudgetPool | None:
        return await self._get("get_budget_pool", "id", BudgetPool, id)

    async def list_budget_pools(self, filter: QueryFilter | None = None) -> list[BudgetPool]:
        return await self._list(BudgetPool, filter)

    async def get_child_budget_pools(self, parent_id: str, filter: QueryFilter | None = None) -> list[BudgetPool]:
        parent_id = check_id("get_child_budget_pools", "parent_id", parent_id)
        return await self._list(BudgetPool, filter, parent_pool_id=parent_id)

    async def update_budget_pool(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[BudgetPoolChanges]
    ) -> BudgetPool:
        return await self._update("update_budget_pool", BudgetPool, id, only_if, changes)

    async def delete_budget_pool(self, id: str) -> None:
        pool_id = check_id("delete_budget_pool", "id", id)
        async with self._writing() as tables:
            pool = _copy_existing(tables, BudgetPool, pool_id)
            children = tables.all(BudgetPool, parent_pool_id=pool_id)
            if children:
                reason = f"the budget pool {pool_id!r} has children, such as {children[0].id!r}: delete them first"
                raise ConflictError(reason, pool)
            tables.remove(BudgetPool, pool_id)

    async def consume_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("consume_budget", "pool_id", pool_id)
        amount = positive_amount("consume_budget", amount)
        async with self._writing() as tables:
            chain = [_copy_existing(tables, BudgetPool, pool_id)]
            while (parent_id := chain[-1].parent_pool_id) is not None:
                chain.append(_copy_existing(tables, BudgetPool, parent_id))
            chain = consumed(chain, amount)
            for pool in chain:
                tables.put(pool.id, pool)
        return copy_record(BudgetPool, chain[0])

    async def increase_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("increase_budget", "pool_id", pool_id)
        amount = positive_amount("increase_budget", amount)
        async with self._writing() as tables:
            pool = increased(_copy_existing(tables, BudgetPool, pool_id), amount)
            tables.put(pool.id, pool)
        return copy_record(BudgetPool, pool)

    # tool calls

    async def log_tool_call(self, log: ToolCallLog) -> None:
        log = await check_and_copy("log_tool_call", "log", log, ToolCallLog)
        async with self._writing() as tables:
            tables.check_new(ToolCallLog, log.id)
            tables.check_parent(LLMExecution, log.execution_id)
            if log.execution_id is None:
                tables.check_parent(Session, log.session_id)
            else:
                execution = tables.existing(LLMExecution, log.execution_id)
                check_execution_of_call(log.session_id, log.node_id, execution.session_id, execution.node_id)
            tables.put(log.id, log)

    async def get_tool_calls(self, execution_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        execution_id = check_id("get_tool_calls", "execution_id", execution_id)
        async with self._reading() as tables:
            calls = [with_session(tables, call) for call in tables.all(ToolCallLog, execution_id=execution_id)]
        return await copy_selected(ToolCallLog, calls, filter)

    async def get_session_tool_calls(self, session_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        session_id = check_id("get_session_tool_calls", "session_id", session_id)
        async with self._reading() as tables:
            calls = [with_session(tables, call) for call in calls_of_session(tables, session_id)]
        return await copy_selected(ToolCallLog, calls, filter)

    # approvals

    async def create_approval_request(self, request: ApprovalRequest) -> None:
        request = await check_and_copy("create_approval_request", "request", request, ApprovalRequest)
        async with self._writing() as tables:
            tables.check_new(ApprovalRequest, request.id)
            tables.check_parent(Session, request.session_id)
            tables.put(request.id, request)

    async def get_approval_request(self, id: str) -> ApprovalRequest | None:
        return await self._get("get_approval_request", "id", ApprovalRequest, id)

    async def list_approval_requests(
        self, session_id: str | None = None, filter: QueryFilter | None = None
    ) -> list[ApprovalRequest]:
        if session_id is None:
            return await self._list(ApprovalRequest, filter)
        session_id = check_id("list_approval_requests", "session_id", session_id)
        return await self._list(ApprovalRequest, filter, session_id=session_id)

    async def list_pending_approvals(self, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        at = present()
        async with self._reading() as tables:
            requests = [request for request in tables.all(ApprovalRequest) if is_decidable(request, at)]
        return await copy_selected(ApprovalRequest, requests, filter)

    async def update_approval_request(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[ApprovalChanges]
    ) -> ApprovalRequest:
        return await self._update("update_approval_request", ApprovalRequest, id, only_if, changes)

    async def approve_request(
        self,
        id: str,
        approved_by: str,
        notes: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        request_id = check_id("approve_request", "id", id)
        approved_by = check_text("approve_request", "approved_by", approved_by)
        if notes is not None:
            notes = check_text("approve_request", "notes", notes)
        session_status = check_session_status("approve_request", session_status)
        return await self._resolve(request_id, ApprovalStatus.APPROVED, approved_by, notes, session_status)

    async def reject_request(
        self,
        id: str,
        rejected_by: str,
        reason: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        request_id = check_id("reject_request", "id", id)
        rejected_by = check_text("reject_request", "rejected_by", rejected_by)
        if reason is not None:
            reason = check_text("reject_request", "reason", reason)
        session_status = check_session_status("reject_request", session_status)
        return await self._resolve(request_id, ApprovalStatus.REJECTED, rejected_by, reason, session_status)

    async def expire_approvals(
        self, now: datetime | None = None, *, session_status: SessionStatus | SessionStatusWord | None = None
    ) -> list[ApprovalRequest]:
        at = present() if now is None else check_instant("expire_approvals", "now", now)
        session_status = check_session_status("expire_approvals", session_status)
        async with self._writing() as tables:
            pending = tables.all(ApprovalRequest, status=ApprovalStatus.PENDING)
            expired = [attrs.evolve(each, status=ApprovalStatus.EXPIRED) for each in pending if has_run_out(each, at)]
            for request in expired:
                tables.put(request.id, request)
            for session_id in {request.session_id for request in expired}:
                set_status(tables, session_id, session_status)
        return await copy_selected(ApprovalRequest, expired, None)

    # shared by several operations

    async def _get(self, operation: str, argument: str, kind: type[RecordT], id: str) -> RecordT | None:
        record_id = check_id(operation, argument, id)
        async with self._reading() as tables:
            record = tables.get(kind, record_id)
        return None if record is None else await copy_record_yielding(kind, record, is_stored=True)

    async def _update(
        self, operation: str, kind: type[ChangingT], id: str, only_if: Mapping[FieldName, Any] | None, changes: Any
    ) -> ChangingT:
        record_id = check_id(operation, "id", id)
        condition = plan_only_if(operation, kind, only_if)
        changes = own_changes(kind, changes)
        async with self._writing() as tables:
            stored = tables.existing(kind, record_id)
            if isinstance(stored, ApprovalRequest):
                check_pending(_copy_existing(tables, ApprovalRequest, record_id))
            if condition is not None and not condition.matches(stored):
                check_only_if(_copy_existing(tables, kind, record_id), condition)
            changed = apply_changes(stored, changes)
            if isinstance(changed, Session):
                put_session(tables, changed)
            else:
                tables.put(record_id, changed)
        return await copy_record_yielding(kind, changed, is_stored=True)

    async def _resolve(
        self, id: str, status: ApprovalStatus, by: str, notes: str | None, session_status: SessionStatus | None
    ) -> ApprovalRequest:
        async with self._writing() as tables:
            request = resolved(_copy_existing(tables, ApprovalRequest, id), status, by=by, notes=notes, at=present())
            tables.put(id, request)
            set_status(tables, request.session_id, session_status)
        return await copy_record_yielding(ApprovalRequest, request, is_stored=True)


def _copy_existing(tables: Tables, kind: type[RecordT], id: str) -> RecordT:
    """Return a copy of the record: an error may carry it to the caller."""
    return copy_record(kind, tables.existing(kind, id))
