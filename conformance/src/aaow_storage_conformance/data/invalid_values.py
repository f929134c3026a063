"""For every field of every record, the values that it has to refuse."""

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

WRONG_CHOICES = ("unknown", "RUNNING", "", None, 1, True)
NOT_NONE = (None,)

WRONG_FIELDS: dict[type, dict[str, tuple[Any, ...]]] = {
    StoredWorkflow: {
        "id": values.WRONG_IDS + NOT_NONE,
        "name": values.WRONG_TEXTS + NOT_NONE,
        "version": values.WRONG_TEXTS + NOT_NONE,
        "definition": values.WRONG_OBJECTS + NOT_NONE,
        "created_at": values.WRONG_INSTANTS + NOT_NONE,
        "updated_at": values.WRONG_INSTANTS + NOT_NONE,
        "metadata": values.WRONG_OBJECTS,
    },
    Session: {
        "id": values.WRONG_IDS + NOT_NONE,
        "workflow_id": values.WRONG_IDS,
        "workflow_snapshot": values.WRONG_OBJECTS + NOT_NONE,
        "status": WRONG_CHOICES,
        "parent_session_id": values.WRONG_IDS,
        "created_at": values.WRONG_INSTANTS + NOT_NONE,
        "updated_at": values.WRONG_INSTANTS + NOT_NONE,
        "metadata": values.WRONG_OBJECTS,
    },
    WorkflowExecutionState: {
        "session_id": values.WRONG_IDS + NOT_NONE,
        "status": WRONG_CHOICES,
        "budget_pool_id": values.WRONG_IDS,
        "current_node_id": values.WRONG_IDS,
        "started_at": values.WRONG_INSTANTS,
        "completed_at": values.WRONG_INSTANTS,
        "node_states": (None, [], "a", {"a": {}}, {"a": None}, {"a": samples.a_node_state("b")}),
        "metadata": values.WRONG_OBJECTS,
    },
    NodeExecutionState: {
        "node_id": values.WRONG_IDS + NOT_NONE,
        "status": WRONG_CHOICES,
        "input": values.NOT_DOCUMENTS,
        "output": values.NOT_DOCUMENTS,
        "error": values.WRONG_TEXTS,
        "started_at": values.WRONG_INSTANTS,
        "completed_at": values.WRONG_INSTANTS,
        "retry_count": values.WRONG_COUNTS + NOT_NONE,
        "pending_approval_id": values.WRONG_IDS,
        "metadata": values.WRONG_OBJECTS,
    },
    LLMExecutionResult: {
        "id": values.WRONG_IDS + NOT_NONE,
        "timestamp": values.WRONG_INSTANTS + NOT_NONE,
        "success": (0, 1, "true", []),
        "text": values.WRONG_TEXTS,
        "tool_calls": ("a", [1], (None,), {}, [{"tool_name": "a"}]),
        "usage": ({}, (1, 2, 3), 0, {"prompt_tokens": 1}),
        "error": values.WRONG_TEXTS,
        "metadata": values.WRONG_OBJECTS,
    },
    LLMExecution: {"session_id": values.WRONG_IDS + NOT_NONE, "node_id": values.WRONG_IDS + NOT_NONE},
    TokenUsage: {
        "prompt_tokens": values.WRONG_COUNTS + NOT_NONE,
        "completion_tokens": values.WRONG_COUNTS + NOT_NONE,
        "total_tokens": values.WRONG_COUNTS + NOT_NONE,
    },
    ToolCall: {
        "tool_call_id": values.WRONG_IDS + NOT_NONE,
        "tool_name": values.WRONG_TEXTS + NOT_NONE,
        "args": values.WRONG_OBJECTS + NOT_NONE,
        "result": values.NOT_DOCUMENTS,
        "error": values.WRONG_TEXTS,
    },
    ToolCallLog: {
        "id": values.WRONG_IDS + NOT_NONE,
        "execution_id": values.WRONG_IDS + NOT_NONE,
        "timestamp": values.WRONG_INSTANTS + NOT_NONE,
        "duration_ms": (-1, -0.1, float("nan"), float("inf"), True, "1", Decimal(1), 10**400),
    },
    BudgetPool: {
        "id": values.WRONG_IDS + NOT_NONE,
        "parent_pool_id": values.WRONG_IDS,
        "total_budget": values.WRONG_AMOUNTS,
        "used_budget": values.WRONG_AMOUNTS,
        "status": WRONG_CHOICES,
        "created_at": values.WRONG_INSTANTS + NOT_NONE,
        "metadata": values.WRONG_OBJECTS,
    },
    ApprovalRequest: {
        "id": values.WRONG_IDS + NOT_NONE,
        "session_id": values.WRONG_IDS + NOT_NONE,
        "node_id": values.WRONG_IDS + NOT_NONE,
        "type": WRONG_CHOICES,
        "status": WRONG_CHOICES,
        "context": values.WRONG_OBJECTS + NOT_NONE,
        "created_at": values.WRONG_INSTANTS + NOT_NONE,
        "expires_at": values.WRONG_INSTANTS,
        "resolved_at": values.WRONG_INSTANTS,
        "resolved_by": values.WRONG_TEXTS,
        "resolution_notes": values.WRONG_TEXTS,
    },
    StreamEvent: {
        "id": values.WRONG_IDS + NOT_NONE,
        "stream_id": values.WRONG_IDS + NOT_NONE,
        "node_id": values.WRONG_IDS + NOT_NONE,
        "data": values.NOT_DOCUMENTS,
        "timestamp": values.WRONG_INSTANTS + NOT_NONE,
    },
}
"""For each record the fields of its own, and what they have to refuse."""

GOOD_RECORDS: tuple[Any, ...] = (
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
"""One record of each type, in which all fields are right."""
