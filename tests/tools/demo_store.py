"""Fills a store with a little of everything: `python tests/tools/demo.py file:./demo.db`."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
    open_adapter,
)

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WORKFLOW = StoredWorkflow(
    id="refunds",
    name="Refunds",
    version="3",
    definition={"nodes": [{"id": "read"}, {"id": "decide"}, {"id": "pay"}]},
    created_at=START,
    updated_at=START,
)
STATUSES = ("completed", "failed", "running", "queued", "completed")


def at(minutes: float) -> datetime:
    """Return an instant so many minutes after the first."""
    return START + timedelta(minutes=minutes)


async def fill(storage: StorageAdapter) -> None:
    """Store a workflow, five sessions of it with all that belongs to them, and a tree of budgets."""
    await storage.save_workflow(WORKFLOW)
    for pool in (
        BudgetPool(
            id="company", total_budget="100", used_budget="42.5", created_at=START, metadata={"name": "Company"}
        ),
        BudgetPool(id="team", parent_pool_id="company", total_budget="50", used_budget="42.5", created_at=at(1)),
        BudgetPool(
            id="spent", parent_pool_id="team", total_budget="2", used_budget="2", status="exhausted", created_at=at(2)
        ),
        BudgetPool(id="other", parent_pool_id="company", total_budget="10", status="suspended", created_at=at(3)),
    ):
        await storage.create_budget_pool(pool)
    for number, status in enumerate(STATUSES):
        await _fill_session(storage, number, status)


async def _fill_session(storage: StorageAdapter, number: int, status: str) -> None:
    session_id, begun = f"session-{number}", number * 60.0
    session = Session(
        id=session_id,
        workflow_id=WORKFLOW.id,
        workflow_snapshot=WORKFLOW.definition,
        status=status,
        parent_session_id="session-0" if number == 4 else None,
        created_at=at(begun),
        updated_at=at(begun),
        metadata={"user": "ada" if number % 2 else "grace", "priority": number},
    )
    await storage.create_session(session)
    if status == "queued":
        return
    first = NodeAttempt(status="failed", started_at=at(begun), completed_at=at(begun + 0.5), error="timeout")
    nodes = [
        NodeExecutionState(node_id="read", status="completed", started_at=at(begun), completed_at=at(begun + 0.1)),
        NodeExecutionState(
            node_id="decide",
            status="failed" if status == "failed" else "completed",
            started_at=at(begun + 0.6),
            completed_at=at(begun + 1.2),
            retry_count=1,
            attempts=(first,),
            error="the model refused [to] answer" if status == "failed" else None,
        ),
        NodeExecutionState(node_id="pay", status="running" if status == "running" else "pending"),
    ]
    await storage.save_execution_state(
        WorkflowExecutionState(
            session_id=session_id,
            status=status,
            budget_pool_id="team",
            started_at=at(begun),
            completed_at=None if status == "running" else at(begun + 2),
            node_states={node.node_id: node for node in nodes},
        )
    )
    for call in range(2):
        result = LLMExecutionResult(
            id=f"call-{number}-{call}",
            timestamp=at(begun + call * 0.6),
            completed_at=at(begun + call * 0.6 + 0.05 + number * 0.01),
            success=not (status == "failed" and call == 1),
            text="Yes, refund the order." if call else "The order came broken.",
            error="the model refused [to] answer" if status == "failed" and call else None,
            usage=TokenUsage(prompt_tokens=100, completion_tokens=20 + number, total_tokens=120 + number),
            provider="acme",
            model="large" if call else "small",
            cost="0.0125" if call else "0.001",
            currency="USD",
            tool_calls=(ToolCall(tool_call_id="t1", tool_name="search", args={"q": "order"}),),
        )
        await storage.save_llm_execution(session_id, "decide" if call else "read", result)
        await storage.log_tool_call(
            ToolCallLog(
                id=f"tool-{number}-{call}",
                execution_id=result.id,
                tool_call_id="t1",
                tool_name="search",
                args={"q": "order"},
                result=None if call else {"found": 1},
                error="no such order" if call and status == "failed" else None,
                timestamp=at(begun + call),
                duration_ms=12.5,
            )
        )
    await storage.create_approval_request(
        ApprovalRequest(
            id=f"approval-{number}",
            session_id=session_id,
            node_id="pay",
            type="human_review",
            context={"question": "Pay 20 USD back?"},
            created_at=at(begun + 1.5),
            expires_at=at(begun + 30) if status == "failed" else None,
        )
    )
    if number == 0:
        await storage.approve_request("approval-0", "grace", "a good customer")
    await storage.save_stream_events(
        StreamEvent(
            id=f"event-{number}-{place}",
            stream_id=f"{session_id}/answer",
            session_id=session_id,
            node_id="decide",
            data={"text": word},
            timestamp=at(begun + place * 0.1),
        )
        for place, word in enumerate(("Yes,", " refund"))
    )


async def main(url: str) -> None:
    """Fill the store at a URL."""
    async with open_adapter(url) as storage:
        await fill(storage)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
