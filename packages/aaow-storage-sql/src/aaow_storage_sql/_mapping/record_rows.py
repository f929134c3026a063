"""The rows of each kind of record. They are made on event loops, and so without SQLAlchemy, whose import takes long."""

from typing import Any

from aaow_storage import (
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    SessionStatus,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import loads
from aaow_storage_sql._mapping.documents import Document, encode_document
from aaow_storage_sql._mapping.row_encoder import InsertedRow, InsertedRows, RowEncoder

_workflow_row = RowEncoder(
    "StoredWorkflow", ("id", "name", "version", "created_at", "updated_at", "metadata"), documents=("metadata",)
)
_session_row = RowEncoder(
    "Session",
    ("id", "workflow_id", "status", "parent_session_id", "created_at", "updated_at", "metadata"),
    documents=("metadata",),
)
_state_row = RowEncoder(
    "WorkflowExecutionState",
    ("session_id", "budget_pool_id", "current_node_id", "started_at", "completed_at", "metadata"),
    documents=("metadata",),
)
_node_row = RowEncoder(
    "NodeExecutionState",
    (
        "node_id",
        "status",
        "error",
        "started_at",
        "completed_at",
        "retry_count",
        "pending_approval_id",
        "input",
        "output",
        "metadata",
        "attempts",
    ),
    documents=("input", "output", "metadata", "attempts"),
    conversions={"attempts": lambda attempts: [each.to_dict() for each in attempts]},
)
_execution_row = RowEncoder(
    "LLMExecutionResult",
    (
        "id",
        "timestamp",
        "success",
        "error",
        "text",
        "metadata",
        "provider",
        "model",
        "input",
        "output",
        "completed_at",
        "finish_reason",
        "cost",
        "currency",
        "attempt",
    ),
    documents=("tool_calls", "metadata", "input", "output"),
    seldom={
        "provider": None,
        "model": None,
        "input": None,
        "output": None,
        "completed_at": None,
        "finish_reason": None,
        "cost": None,
        "currency": None,
        "attempt": 0,
    },
)
_row_of_chained_input = RowEncoder(
    _execution_row.record,
    tuple(name for name in _execution_row.names if name != "input"),
    documents=tuple(name for name in _execution_row.documents if name != "input"),
)
_tool_call_row = RowEncoder(
    "ToolCallLog",
    (
        "id",
        "execution_id",
        "tool_call_id",
        "tool_name",
        "timestamp",
        "duration_ms",
        "error",
        "args",
        "result",
        "node_id",
        "session_id",
    ),
    documents=("args", "result"),
)
budget_pool_row = RowEncoder(
    "BudgetPool",
    ("id", "parent_pool_id", "total_budget", "used_budget", "status", "created_at", "metadata"),
    documents=("metadata",),
)
approval_request_row = RowEncoder(
    "ApprovalRequest",
    (
        "id",
        "session_id",
        "node_id",
        "type",
        "status",
        "created_at",
        "expires_at",
        "resolved_at",
        "resolved_by",
        "resolution_notes",
        "context",
    ),
    documents=("context",),
)
stream_event_row = RowEncoder(
    "StreamEvent", ("id", "stream_id", "node_id", "timestamp", "data", "session_id"), documents=("data",)
)

WORKFLOW_FIELDS = _workflow_row.names
SESSION_FIELDS = _session_row.names
STATE_FIELDS = (*_state_row.names, "status")
NODE_FIELDS = _node_row.names
EXECUTION_FIELDS = _execution_row.names
USAGE_FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
TOOL_CALL_FIELDS = _tool_call_row.names
BUDGET_POOL_FIELDS = budget_pool_row.names
APPROVAL_REQUEST_FIELDS = approval_request_row.names
STREAM_EVENT_FIELDS = (*stream_event_row.names, "sequence")
ENCODERS = {
    "workflows": _workflow_row,
    "sessions": _session_row,
    "execution_states": _state_row,
    "node_execution_states": _node_row,
    "llm_executions": _execution_row,
    "tool_call_logs": _tool_call_row,
    "budget_pools": budget_pool_row,
    "approval_requests": approval_request_row,
    "stream_events": stream_event_row,
}
"""The encoder of each table; a test compares them."""


def workflow_row(workflow: StoredWorkflow) -> tuple[InsertedRow, Document]:
    """Return the row of a workflow, and its definition as a document."""
    definition = encode_document(workflow.definition, record="StoredWorkflow", field="definition")
    return _workflow_row(workflow, {"definition_digest": definition.digest}), definition


def session_row(session: Session) -> tuple[InsertedRow, Document]:
    """Return the row of a session, and its snapshot as a document."""
    snapshot = encode_document(session.workflow_snapshot, record="Session", field="workflow_snapshot")
    return _session_row(session, {"snapshot_digest": snapshot.digest}), snapshot


def state_rows(state: WorkflowExecutionState) -> tuple[InsertedRow, SessionStatus, InsertedRows | None]:
    """Return the row of a state, its status, which its session has, and the rows of its nodes; None if it has none."""
    nodes = state.node_states.values()
    return _state_row(state), state.status, _node_row.all(nodes, session_id=state.session_id) if nodes else None


def node_row(session_id: str, state: NodeExecutionState) -> InsertedRow:
    """Return the row of a node's state."""
    return _node_row(state, {"session_id": session_id})


def execution_row(
    session_id: str, node_id: str, result: LLMExecutionResult, input_digest: bytes | None = None
) -> InsertedRow:
    """Return the row of an execution. It has no input if it has the digest of one, whose messages other rows have."""
    others: InsertedRow = {"session_id": session_id, "node_id": node_id}
    if result.tool_calls is not None:
        others["tool_calls"] = [_call_document(call) for call in result.tool_calls]
    if result.usage is not None:
        _add_usage(others, result.usage)
    if input_digest is None:
        return _execution_row(result, others)
    others["input_digest"] = input_digest
    return _row_of_chained_input(result, others)


def _add_usage(row: InsertedRow, usage: TokenUsage) -> None:
    """Add the `USAGE_FIELDS`, one by one, because a loop over them takes several times as long."""
    row["prompt_tokens"] = usage.prompt_tokens
    row["completion_tokens"] = usage.completion_tokens
    row["total_tokens"] = usage.total_tokens
    if usage.cache_read_tokens is not None:
        row["cache_read_tokens"] = usage.cache_read_tokens
    if usage.cache_write_tokens is not None:
        row["cache_write_tokens"] = usage.cache_write_tokens
    if usage.reasoning_tokens is not None:
        row["reasoning_tokens"] = usage.reasoning_tokens


def tool_call_row(log: ToolCallLog) -> InsertedRow:
    """Return the row of a tool call; one with an execution has its session and node by that."""
    row = _tool_call_row(log)
    if log.execution_id is not None:
        row.pop("session_id", None)
        row.pop("node_id", None)
    return row


def event_of_row(row: InsertedRow, sequence: int) -> StreamEvent:
    """Return the stream event of a row that was stored with that sequence."""
    return StreamEvent(**{**row, "data": loads(row.get("data", "null")), "sequence": sequence})


def _call_document(call: ToolCall) -> dict[str, Any]:
    """Return the tool call as JSON; attributes of a subclass are left out."""
    return {
        "tool_call_id": call.tool_call_id,
        "tool_name": call.tool_name,
        "args": call.args,
        "result": call.result,
        "error": call.error,
    }
