"""What is stored: the records of a small agent workflow, made from a number."""

from decimal import Decimal
from typing import Any

from aaow_storage import (
    ApprovalRequest,
    ApprovalType,
    BudgetPool,
    LLMExecutionResult,
    NodeExecutionState,
    NodeExecutionStatus,
    Session,
    SessionStatus,
    StoredWorkflow,
    TokenUsage,
    WorkflowExecutionState,
)

NODES = 20
RECORDS = 300
SENTENCE = "The quick brown fox jumps over the lazy dog, and 12 more do. "
SMALL_SNAPSHOT: dict[str, Any] = {"name": "report", "nodes": [{"id": "fetch", "type": "llm"}]}


def document(size: int, mark: int = 0) -> dict[str, Any]:
    """Return a workflow definition of about so many bytes of JSON."""
    node = {"id": "node", "type": "llm", "prompt": SENTENCE * 3, "retries": 3, "inputs": ["topic", "sources"]}
    return {"name": "report", "mark": mark, "nodes": [{**node, "id": f"node-{n}"} for n in range(size // 280)]}


WORKFLOW = StoredWorkflow(id="workflow", name="report", version="1", definition=document(20_000))
MESSAGES: dict[str, Any] = {
    "model": "some-model-2026",
    "messages": [
        {"role": "system", "content": SENTENCE * 6},
        {"role": "user", "content": SENTENCE * 6},
    ],
    "temperature": 0.2,
}
"""About 1 kB of JSON."""


def llm_result(number: int) -> LLMExecutionResult:
    """Return a model call of about 1 kB."""
    usage = TokenUsage(prompt_tokens=900 + number % 100, completion_tokens=80, total_tokens=980 + number % 100)
    return LLMExecutionResult(success=True, text=SENTENCE, metadata=MESSAGES, usage=usage)


def node_state(node_id: str, number: int) -> NodeExecutionState:
    """Return the state of a node that has done its work, about 300 bytes."""
    return NodeExecutionState(
        node_id=node_id,
        status=NodeExecutionStatus.COMPLETED,
        input={"topic": "storage", "attempt": number},
        output={"text": SENTENCE * 3},
        retry_count=number % 3,
    )


def execution_state(session_id: str, number: int) -> WorkflowExecutionState:
    """Return the state of a session with 20 nodes."""
    nodes = {f"node-{each}": node_state(f"node-{each}", number) for each in range(NODES)}
    return WorkflowExecutionState(session_id=session_id, status=SessionStatus.RUNNING, node_states=nodes)


def small_session(number: int) -> Session:
    """Return a session whose snapshot is small."""
    return Session(
        id=f"session-{number:07}", workflow_id=None, workflow_snapshot=SMALL_SNAPSHOT, metadata={"user": f"u{number}"}
    )


def budget_pool(number: int) -> BudgetPool:
    """Return a pool that has been used a little."""
    return BudgetPool(id=f"pool-{number:07}", total_budget=Decimal(1000), used_budget=Decimal("12.50"))


def approval(number: int, session_id: str) -> ApprovalRequest:
    """Return a request that waits."""
    return ApprovalRequest(
        id=f"approval-{number:07}",
        session_id=session_id,
        node_id="publish",
        type=ApprovalType.HUMAN_REVIEW,
        context={"tool": "send_mail", "args": {"to": f"u{number}@example.org"}},
    )
