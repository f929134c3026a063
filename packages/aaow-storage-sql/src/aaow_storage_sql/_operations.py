"""Every operation of the interface: it checks its arguments and runs an operation of a repository.

Records become rows, with their JSON as text, before the first await, so that a caller may change a document while its
operation waits. The adapter runs each operation in a transaction of its own, a transaction in itself.
"""

from abc import abstractmethod
from collections.abc import Collection, Coroutine, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from aaow_storage import (
    ApprovalChanges,
    ApprovalRequest,
    ApprovalStatus,
    BudgetPool,
    BudgetPoolChanges,
    Change,
    FieldName,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    NodeState,
    QueryFilter,
    Session,
    SessionChanges,
    SessionStatus,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    StreamSummary,
    ToolCallLog,
    UsageKey,
    UsageSummary,
    WorkflowChanges,
    WorkflowExecutionState,
)
from aaow_storage import now as present
from aaow_storage.authoring import (
    QueryPlan,
    SessionStatusWord,
    check_events,
    check_id,
    check_instant,
    check_prune,
    check_record,
    check_sequence,
    check_session_status,
    check_text,
    own_changes,
    plan_changes,
    plan_only_if,
    plan_usage,
    positive_amount,
)
from aaow_storage.errors import ValidationError
from aaow_storage_sql._mapping import record_rows
from aaow_storage_sql._mapping.inputs import KnownInputs
from aaow_storage_sql._operation import Operation

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import (
        approvals,
        budgets,
        changes,
        execution_states,
        llm_executions,
        sessions,
        stream_events,
        usage,
        workflows,
    )
else:
    from aaow_storage_sql._late_imports import (
        approvals,
        budgets,
        changes,
        execution_states,
        llm_executions,
        sessions,
        stream_events,
        usage,
        workflows,
    )

T = TypeVar("T")
Args = TypeVarTuple("Args")


class SQLOperations(StorageOperations):
    """Every operation of the interface, over one way to run an operation of the repositories."""

    _inputs: KnownInputs
    """What the adapter remembers of inputs; its transactions use the same."""

    @abstractmethod
    def _run(self, operation: Operation[*Args, T], *args: *Args) -> Coroutine[Any, Any, T]:
        """Run an operation with those arguments: all of its effect is stored, or none."""

    async def get_changes(
        self,
        after: str | None = None,
        limit: int = 1000,
        kinds: Collection[str] | None = None,
        session_id: str | None = None,
    ) -> list[Change]:
        return await self._run(changes.read, plan_changes("get_changes", after, limit, kinds, session_id))

    async def last_change(self) -> Change | None:
        return await self._run(changes.last)

    async def prune_changes(self, before: str | datetime) -> int:
        return await self._run(changes.prune, check_prune("prune_changes", before))

    async def save_workflow(self, workflow: StoredWorkflow) -> None:
        check_record("save_workflow", "workflow", workflow, StoredWorkflow)
        await self._run(workflows.save, *record_rows.workflow_row(workflow))

    async def get_workflow(self, id: str) -> StoredWorkflow | None:
        return await self._run(workflows.get, check_id("get_workflow", "id", id))

    async def list_workflows(self, filter: QueryFilter | None = None) -> list[StoredWorkflow]:
        return await self._run(workflows.list_all, filter)

    async def count_workflows(self, filter: QueryFilter | None = None) -> int:
        return await self._run(workflows.count, filter)

    async def update_workflow(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[WorkflowChanges]
    ) -> StoredWorkflow:
        return await self._run(workflows.update, *_update("update_workflow", StoredWorkflow, id, only_if, changes))

    async def delete_workflow(self, id: str) -> None:
        await self._run(workflows.delete, check_id("delete_workflow", "id", id))

    async def create_session(self, session: Session) -> None:
        check_record("create_session", "session", session, Session)
        await self._run(sessions.create, *record_rows.session_row(session))

    async def get_session(self, id: str) -> Session | None:
        return await self._run(sessions.get, check_id("get_session", "id", id))

    async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        return await self._run(sessions.list_all, filter)

    async def count_sessions(self, filter: QueryFilter | None = None) -> int:
        return await self._run(sessions.count, filter)

    async def update_session(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[SessionChanges]
    ) -> Session:
        return await self._run(sessions.update, *_update("update_session", Session, id, only_if, changes))

    async def delete_session(self, id: str) -> None:
        await self._run(sessions.delete, check_id("delete_session", "id", id))

    async def save_execution_state(self, state: WorkflowExecutionState) -> None:
        check_record("save_execution_state", "state", state, WorkflowExecutionState)
        await self._run(execution_states.save, *record_rows.state_rows(state))

    async def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
        return await self._run(execution_states.get, check_id("get_execution_state", "session_id", session_id))

    async def update_node_state(self, session_id: str, node_id: str, state: NodeExecutionState) -> None:
        session_id = check_id("update_node_state", "session_id", session_id)
        node_id = check_id("update_node_state", "node_id", node_id)
        check_record("update_node_state", "state", state, NodeExecutionState)
        if state.node_id != node_id:
            problem = f"is the state of node {state.node_id!r}, not of {node_id!r}"
            raise ValidationError("update_node_state", "state.node_id", problem)
        await self._run(execution_states.update_node, record_rows.node_row(session_id, state))

    async def get_node_state(self, session_id: str, node_id: str) -> NodeExecutionState | None:
        session_id = check_id("get_node_state", "session_id", session_id)
        node_id = check_id("get_node_state", "node_id", node_id)
        return await self._run(execution_states.get_node, session_id, node_id)

    async def list_node_states(self, filter: QueryFilter | None = None) -> list[NodeState]:
        return await self._run(execution_states.list_nodes, filter)

    async def list_execution_states(self, filter: QueryFilter | None = None) -> list[WorkflowExecutionState]:
        return await self._run(execution_states.list_all, filter)

    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        session_id = check_id("save_llm_execution", "session_id", session_id)
        node_id = check_id("save_llm_execution", "node_id", node_id)
        check_record("save_llm_execution", "result", result, LLMExecutionResult)
        messages = result.input
        if type(messages) is not list or not messages:
            await self._run(llm_executions.save, record_rows.execution_row(session_id, node_id, result))
            return
        encoded = self._inputs.encode(session_id, node_id, messages)
        if encoded is None:
            await self._run(llm_executions.save, record_rows.execution_row(session_id, node_id, result))
        else:
            row = record_rows.execution_row(session_id, node_id, result, encoded.digest)
            await self._run(llm_executions.save_with_messages, row, encoded)

    async def get_llm_executions(self, session_id: str, filter: QueryFilter | None = None) -> list[LLMExecution]:
        return await self._run(
            llm_executions.of_session, check_id("get_llm_executions", "session_id", session_id), filter
        )

    async def get_node_llm_executions(
        self, session_id: str, node_id: str, filter: QueryFilter | None = None
    ) -> list[LLMExecution]:
        session_id = check_id("get_node_llm_executions", "session_id", session_id)
        node_id = check_id("get_node_llm_executions", "node_id", node_id)
        return await self._run(llm_executions.of_node, session_id, node_id, filter)

    async def list_llm_executions(self, filter: QueryFilter | None = None) -> list[LLMExecution]:
        return await self._run(llm_executions.list_all, filter)

    async def count_llm_executions(self, filter: QueryFilter | None = None) -> int:
        return await self._run(llm_executions.count, filter)

    async def summarize_usage(
        self, group_by: tuple[UsageKey, ...] | list[UsageKey] = (), filter: QueryFilter | None = None
    ) -> list[UsageSummary]:
        return await self._run(usage.summarize, plan_usage(group_by, filter))

    async def create_budget_pool(self, pool: BudgetPool) -> None:
        check_record("create_budget_pool", "pool", pool, BudgetPool)
        await self._run(budgets.create, record_rows.budget_pool_row(pool))

    async def get_budget_pool(self, id: str) -> BudgetPool | None:
        return await self._run(budgets.get, check_id("get_budget_pool", "id", id))

    async def list_budget_pools(self, filter: QueryFilter | None = None) -> list[BudgetPool]:
        return await self._run(budgets.list_all, filter)

    async def get_child_budget_pools(self, parent_id: str, filter: QueryFilter | None = None) -> list[BudgetPool]:
        return await self._run(budgets.children, check_id("get_child_budget_pools", "parent_id", parent_id), filter)

    async def update_budget_pool(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[BudgetPoolChanges]
    ) -> BudgetPool:
        return await self._run(budgets.update, *_update("update_budget_pool", BudgetPool, id, only_if, changes))

    async def delete_budget_pool(self, id: str) -> None:
        await self._run(budgets.delete, check_id("delete_budget_pool", "id", id))

    async def consume_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("consume_budget", "pool_id", pool_id)
        return await self._run(budgets.consume, pool_id, positive_amount("consume_budget", amount))

    async def increase_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("increase_budget", "pool_id", pool_id)
        return await self._run(budgets.increase, pool_id, positive_amount("increase_budget", amount))

    async def log_tool_call(self, log: ToolCallLog) -> None:
        check_record("log_tool_call", "log", log, ToolCallLog)
        row = record_rows.tool_call_row(log)
        if log.execution_id is None or (log.session_id is None and log.node_id is None):
            await self._run(llm_executions.log_call, row)
        else:
            await self._run(llm_executions.log_call_of, row, log.session_id, log.node_id)

    async def get_tool_calls(self, execution_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        execution_id = check_id("get_tool_calls", "execution_id", execution_id)
        return await self._run(llm_executions.calls_of_execution, execution_id, filter)

    async def get_session_tool_calls(self, session_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        session_id = check_id("get_session_tool_calls", "session_id", session_id)
        return await self._run(llm_executions.calls_of_session, session_id, filter)

    async def list_tool_calls(self, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        return await self._run(llm_executions.list_calls, filter)

    async def create_approval_request(self, request: ApprovalRequest) -> None:
        check_record("create_approval_request", "request", request, ApprovalRequest)
        await self._run(approvals.create, record_rows.approval_request_row(request))

    async def get_approval_request(self, id: str) -> ApprovalRequest | None:
        return await self._run(approvals.get, check_id("get_approval_request", "id", id))

    async def list_approval_requests(
        self, session_id: str | None = None, filter: QueryFilter | None = None
    ) -> list[ApprovalRequest]:
        if session_id is None:
            return await self._run(approvals.list_all, filter)
        session_id = check_id("list_approval_requests", "session_id", session_id)
        return await self._run(approvals.of_session, session_id, filter)

    async def count_approval_requests(self, filter: QueryFilter | None = None) -> int:
        return await self._run(approvals.count, filter)

    async def list_pending_approvals(self, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        return await self._run(approvals.pending, filter, present())

    async def update_approval_request(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[ApprovalChanges]
    ) -> ApprovalRequest:
        return await self._run(
            approvals.update, *_update("update_approval_request", ApprovalRequest, id, only_if, changes)
        )

    async def approve_request(
        self,
        id: str,
        approved_by: str,
        notes: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        request_id = check_id("approve_request", "id", id)
        by = check_text("approve_request", "approved_by", approved_by)
        note = None if notes is None else check_text("approve_request", "notes", notes)
        of_session = check_session_status("approve_request", session_status)
        resolution = {"status": ApprovalStatus.APPROVED, "by": by, "notes": note}
        return await self._run(approvals.resolve, request_id, resolution, of_session)

    async def reject_request(
        self,
        id: str,
        rejected_by: str,
        reason: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        request_id = check_id("reject_request", "id", id)
        by = check_text("reject_request", "rejected_by", rejected_by)
        note = None if reason is None else check_text("reject_request", "reason", reason)
        of_session = check_session_status("reject_request", session_status)
        resolution = {"status": ApprovalStatus.REJECTED, "by": by, "notes": note}
        return await self._run(approvals.resolve, request_id, resolution, of_session)

    async def expire_approvals(
        self, now: datetime | None = None, *, session_status: SessionStatus | SessionStatusWord | None = None
    ) -> list[ApprovalRequest]:
        at = present() if now is None else check_instant("expire_approvals", "now", now)
        return await self._run(approvals.expire, at, check_session_status("expire_approvals", session_status))

    async def save_stream_event(self, event: StreamEvent) -> None:
        check_record("save_stream_event", "event", event, StreamEvent)
        await self._run(stream_events.save, record_rows.stream_event_row(event))

    async def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        given = check_events("save_stream_events", events)
        if not given:
            return []
        rows = [*map(record_rows.stream_event_row, given)]
        sequences = await self._run(stream_events.save_all, rows)
        return [*map(record_rows.event_of_row, rows, sequences)]

    async def get_stream_events(
        self, stream_id: str, filter: QueryFilter | None = None, after_sequence: int | None = None
    ) -> list[StreamEvent]:
        stream_id = check_id("get_stream_events", "stream_id", stream_id)
        if after_sequence is None:
            return await self._run(stream_events.of_stream, stream_id, filter)
        after = check_sequence("get_stream_events", "after_sequence", after_sequence)
        return await self._run(stream_events.after_sequence, stream_id, after, filter)

    async def list_stream_events(self, filter: QueryFilter | None = None) -> list[StreamEvent]:
        return await self._run(stream_events.list_all, filter)

    async def list_streams(self, filter: QueryFilter | None = None) -> list[StreamSummary]:
        return await self._run(stream_events.summaries, filter)

    async def delete_stream_events(self, stream_id: str) -> int:
        return await self._run(stream_events.delete, check_id("delete_stream_events", "stream_id", stream_id))


def _update(
    operation: str, record: type, id: str, only_if: Mapping[FieldName, Any] | None, changes: Any
) -> tuple[str, QueryPlan | None, dict[str, Any]]:
    """Return the arguments of an update: the id, the condition and the changes."""
    record_id = check_id(operation, "id", id)
    return record_id, plan_only_if(operation, record, only_if), own_changes(record, changes)
