"""For every field of every record, values that it must refuse."""

from decimal import Decimal
from typing import Any

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage_conformance.data import samples, values

INVALID_CHOICES = ("unknown", "RUNNING", "", None, 1, True)
NOT_NONE = (None,)

INVALID_FIELDS: dict[type, dict[str, tuple[Any, ...]]] = {
    StoredWorkflow: {
        "id": values.INVALID_IDS + NOT_NONE,
        "name": values.INVALID_TEXTS + NOT_NONE,
        "version": values.INVALID_TEXTS + NOT_NONE,
        "definition": values.INVALID_OBJECTS + NOT_NONE,
        "created_at": values.INVALID_INSTANTS + NOT_NONE,
        "updated_at": values.INVALID_INSTANTS + NOT_NONE,
        "metadata": values.INVALID_OBJECTS,
    },
    Session: {
        "id": values.INVALID_IDS + NOT_NONE,
        "workflow_id": values.INVALID_IDS,
        "workflow_snapshot": values.INVALID_OBJECTS + NOT_NONE,
        "status": INVALID_CHOICES,
        "parent_session_id": values.INVALID_IDS,
        "created_at": values.INVALID_INSTANTS + NOT_NONE,
        "updated_at": values.INVALID_INSTANTS + NOT_NONE,
        "metadata": values.INVALID_OBJECTS,
    },
    WorkflowExecutionState: {
        "session_id": values.INVALID_IDS + NOT_NONE,
        "status": INVALID_CHOICES,
        "budget_pool_id": values.INVALID_IDS,
        "current_node_id": values.INVALID_IDS,
        "started_at": values.INVALID_INSTANTS,
        "completed_at": values.INVALID_INSTANTS,
        "node_states": (None, [], "a", {"a": {}}, {"a": None}, {"a": samples.a_node_state("b")}),
        "metadata": values.INVALID_OBJECTS,
    },
    NodeExecutionState: {
        "node_id": values.INVALID_IDS + NOT_NONE,
        "status": INVALID_CHOICES,
        "input": values.NOT_DOCUMENTS,
        "output": values.NOT_DOCUMENTS,
        "error": values.INVALID_TEXTS,
        "started_at": values.INVALID_INSTANTS,
        "completed_at": values.INVALID_INSTANTS,
        "retry_count": values.INVALID_COUNTS + NOT_NONE,
        "pending_approval_id": values.INVALID_IDS,
        "metadata": values.INVALID_OBJECTS,
    },
    LLMExecutionResult: {
        "id": values.INVALID_IDS + NOT_NONE,
        "timestamp": values.INVALID_INSTANTS + NOT_NONE,
        "success": (0, 1, "true", []),
        "text": values.INVALID_TEXTS,
        "tool_calls": ("a", [1], (None,), {}, [{"tool_name": "a"}]),
        "usage": ({}, (1, 2, 3), 0, {"prompt_tokens": 1}),
        "error": values.INVALID_TEXTS,
        "metadata": values.INVALID_OBJECTS,
    },
    LLMExecution: {"session_id": values.INVALID_IDS + NOT_NONE, "node_id": values.INVALID_IDS + NOT_NONE},
    TokenUsage: {
        "prompt_tokens": values.INVALID_COUNTS + NOT_NONE,
        "completion_tokens": values.INVALID_COUNTS + NOT_NONE,
        "total_tokens": values.INVALID_COUNTS + NOT_NONE,
    },
    ToolCall: {
        "tool_call_id": values.INVALID_IDS + NOT_NONE,
        "tool_name": values.INVALID_TEXTS + NOT_NONE,
        "args": values.INVALID_OBJECTS + NOT_NONE,
        "result": values.NOT_DOCUMENTS,
        "error": values.INVALID_TEXTS,
    },
    ToolCallLog: {
        "id": values.INVALID_IDS + NOT_NONE,
        "execution_id": values.INVALID_IDS + NOT_NONE,
        "timestamp": values.INVALID_INSTANTS + NOT_NONE,
        "duration_ms": (-1, -0.1, float("nan"), float("inf"), True, "1", Decimal(1), 10**400),
    },
    BudgetPool: {
        "id": values.INVALID_IDS + NOT_NONE,
        "parent_pool_id": values.INVALID_IDS,
        "total_budget": values.INVALID_AMOUNTS,
        "used_budget": values.INVALID_AMOUNTS,
        "status": INVALID_CHOICES,
        "created_at": values.INVALID_INSTANTS + NOT_NONE,
        "metadata": values.INVALID_OBJECTS,
    },
    ApprovalRequest: {
        "id": values.INVALID_IDS + NOT_NONE,
        "session_id": values.INVALID_IDS + NOT_NONE,
        "node_id": values.INVALID_IDS + NOT_NONE,
        "type": INVALID_CHOICES,
        "status": INVALID_CHOICES,
        "context": values.INVALID_OBJECTS + NOT_NONE,
        "created_at": values.INVALID_INSTANTS + NOT_NONE,
        "expires_at": values.INVALID_INSTANTS,
        "resolved_at": values.INVALID_INSTANTS,
        "resolved_by": values.INVALID_TEXTS,
        "resolution_notes": values.INVALID_TEXTS,
    },
    StreamEvent: {
        "id": values.INVALID_IDS + NOT_NONE,
        "stream_id": values.INVALID_IDS + NOT_NONE,
        "node_id": values.INVALID_IDS + NOT_NONE,
        "data": values.NOT_DOCUMENTS,
        "timestamp": values.INVALID_INSTANTS + NOT_NONE,
    },
}
"""For each record type, its fields and values that they must refuse."""

VALID_RECORDS: tuple[Any, ...] = (
    samples.a_workflow(),
    samples.a_session(),
    samples.a_state("s"),
    samples.a_node_state(),
    samples.a_result(),
    samples.an_execution("s", "n", samples.a_result()),
    TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    samples.a_call(),
    samples.a_tool_call("e"),
    samples.a_pool(),
    samples.a_request("s"),
    samples.an_event(),
)
"""One valid record of each type."""
