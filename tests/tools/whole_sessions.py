"""Sessions with something of every kind, of a certain age, for the tests of pruning and erasing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aaow_storage import (
    ApprovalRequest,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    StorageOperations,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG = [{"role": "user", "content": "a long message " * 500}]
WHOLE = {
    "session": 1,
    "execution_state": 1,
    "llm_execution": 1,
    "tool_call": 2,
    "approval_request": 1,
    "stream_event": 1,
}


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


async def add(
    storage: StorageOperations, session_id: str, *, days: float = 100, whole: bool = False, **fields: Any
) -> None:
    """Store a session that was changed so many days ago; a whole one has something of every kind."""
    at = days_ago(days)
    given = {"workflow_id": None, "workflow_snapshot": {"of": session_id}, "status": "completed", **fields}
    await storage.create_session(Session(id=session_id, created_at=at, updated_at=at, **given))
    if not whole:
        return
    await storage.save_execution_state(WorkflowExecutionState(session_id=session_id, status=given["status"]))
    execution = LLMExecutionResult(id=f"{session_id}/e", timestamp=at, success=True, input=LONG)
    await storage.save_llm_execution(session_id, "n", execution)
    call = {"tool_call_id": "c", "tool_name": "x", "args": {}}
    await storage.log_tool_call(ToolCallLog(id=f"{session_id}/t", execution_id=execution.id, **call))
    await storage.log_tool_call(ToolCallLog(id=f"{session_id}/u", session_id=session_id, node_id="n", **call))
    decided = {"type": "tool_call", "status": "approved", "created_at": at, "resolved_at": at, "resolved_by": "ada"}
    await storage.create_approval_request(
        ApprovalRequest(id=f"{session_id}/a", session_id=session_id, node_id="n", **decided)
    )
    event = StreamEvent(id=f"{session_id}/v", stream_id=session_id, node_id="n", data=1, session_id=session_id)
    await storage.save_stream_event(event)


async def left(storage: StorageAdapter) -> set[str]:
    return {session.id for session in await storage.list_sessions()}
