"""The records that are stored before the first random call, so that calls find some."""

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StoredWorkflow,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage_conformance.data import random_records as records
from aaow_storage_conformance.data.random_calls import RandomCall

INITIAL_CALLS = (
    RandomCall(
        "save_workflow",
        {
            "workflow": StoredWorkflow(
                id="w", name="a", version="1", definition={}, created_at=records.START, updated_at=records.START
            )
        },
    ),
    RandomCall(
        "create_session",
        {
            "session": Session(
                id="s", workflow_id="w", workflow_snapshot={"a": 0}, created_at=records.START, updated_at=records.START
            )
        },
    ),
    RandomCall(
        "create_session",
        {
            "session": Session(
                id="S_",
                workflow_id=None,
                workflow_snapshot={},
                parent_session_id="s",
                created_at=records.START,
                updated_at=records.START,
            )
        },
    ),
    RandomCall(
        "save_execution_state",
        {
            "state": WorkflowExecutionState(
                session_id="s", status="running", node_states={"n": NodeExecutionState(node_id="n", error="a")}
            )
        },
    ),
    RandomCall(
        "save_llm_execution",
        {"session_id": "s", "node_id": "n", "result": LLMExecutionResult(id="e", timestamp=records.START, text="a")},
    ),
    RandomCall(
        "log_tool_call",
        {
            "log": ToolCallLog(
                id="c", execution_id="e", tool_call_id="c", tool_name="a", args={}, timestamp=records.START
            )
        },
    ),
    *(
        RandomCall(
            "create_budget_pool",
            {"pool": BudgetPool(id=pool_id, parent_pool_id=parent_id, total_budget=total, created_at=records.START)},
        )
        for pool_id, parent_id, total in zip(records.POOLS, (None, *records.POOLS), (1, 10, 10), strict=False)
    ),
    *(
        RandomCall(
            "create_approval_request",
            {
                "request": ApprovalRequest(
                    id=request_id,
                    session_id=session_id,
                    node_id="n",
                    type="human_review",
                    context={"a": 0},
                    created_at=created_at,
                    expires_at=expires_at,
                )
            },
        )
        for request_id, session_id, created_at, expires_at in zip(
            records.REQUESTS,
            ("s", "s", "S_"),
            records.INSTANTS,
            (None, records.PAST, records.FUTURE),
            strict=True,
        )
    ),
)
