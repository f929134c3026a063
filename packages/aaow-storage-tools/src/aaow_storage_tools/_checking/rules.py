"""What the fields of one record say about each other: rules that no healthy application breaks.

The contract allows most of what is found here, because a store keeps what it is given. So a rule is only about what no
order of events explains, and never about what a retry, a crash or a later correction may leave.
"""

from collections.abc import Iterator
from datetime import datetime

from aaow_storage import (
    ApprovalRequest,
    ApprovalStatus,
    BudgetPool,
    BudgetPoolStatus,
    LLMExecution,
    NodeAttempt,
    NodeExecutionState,
    NodeExecutionStatus,
    Session,
    SessionStatus,
    StoredWorkflow,
    WorkflowExecutionState,
)
from aaow_storage_tools._checking.findings import Finding, Problem

_NOT_ENDED = {NodeExecutionStatus.PENDING, NodeExecutionStatus.RUNNING}
_UNDER_WAY = {
    NodeExecutionStatus.RUNNING,
    NodeExecutionStatus.WAITING_FOR_APPROVAL,
    NodeExecutionStatus.WAITING_FOR_REVIEW,
}
_DECIDED = {ApprovalStatus.APPROVED, ApprovalStatus.REJECTED}

_FIX_CLOCK = "find the writer whose clock was wrong, or that mixed the fields up, and save the record again"


def check_workflow(workflow: StoredWorkflow) -> Iterator[Finding]:
    """Yield what is wrong with a workflow."""
    yield from _in_order(
        "workflow", workflow.id, ("created_at", workflow.created_at), ("updated_at", workflow.updated_at)
    )


def check_session(session: Session) -> Iterator[Finding]:
    """Yield what is wrong with a session."""
    yield from _in_order("session", session.id, ("created_at", session.created_at), ("updated_at", session.updated_at))


def check_state(state: WorkflowExecutionState) -> Iterator[Finding]:
    """Yield what is wrong with an execution state and its nodes."""
    session_id = state.session_id
    yield from _in_order(
        "execution_state", session_id, ("started_at", state.started_at), ("completed_at", state.completed_at)
    )
    for node in state.node_states.values():
        yield from _check_node(state, node)


def _check_node(state: WorkflowExecutionState, node: NodeExecutionState) -> Iterator[Finding]:
    session_id = state.session_id
    named = f"of the node {node.node_id!r}"
    parts: tuple[NodeAttempt | NodeExecutionState, ...] = (*node.attempts, node)
    for part in parts:
        yield from _in_order(
            "execution_state", session_id, ("started_at", part.started_at), ("completed_at", part.completed_at), named
        )
    if node.status in _NOT_ENDED and node.completed_at is not None:
        message = f"the node {node.node_id!r} is {node.status}, and has ended at {node.completed_at.isoformat()}"
        yield _impossible(
            "execution_state", session_id, message, "set the node's status or completed_at by update_node_state()"
        )
    if state.status is SessionStatus.COMPLETED and node.status in _UNDER_WAY:
        message = f"the session is completed, and its node {node.node_id!r} is {node.status}"
        remedy = "set the node's status by update_node_state(), or the session's by update_session()"
        yield _impossible("execution_state", session_id, message, remedy)
    if len(node.attempts) > node.retry_count:
        message = f"the node {node.node_id!r} has {len(node.attempts)} attempts, and retry_count {node.retry_count}"
        yield _impossible("execution_state", session_id, message, "save the node with the retry_count that it has")


def check_execution(execution: LLMExecution) -> Iterator[Finding]:
    """Yield what is wrong with an LLM execution."""
    start, end = ("timestamp", execution.timestamp), ("completed_at", execution.completed_at)
    yield from _in_order("llm_execution", execution.id, start, end)
    if execution.success is None and execution.completed_at is not None:
        message = f"it has ended at {execution.completed_at.isoformat()}, and success is None, as while it runs"
        yield _impossible("llm_execution", execution.id, message, "save it again with success True or False")


def check_pool(pool: BudgetPool) -> Iterator[Finding]:
    """Yield what is wrong with a budget pool by itself."""
    if pool.status is BudgetPoolStatus.EXHAUSTED and pool.remaining_budget > 0:
        message = f"it is exhausted, and {pool.remaining_budget} is left"
        remedy = "update_budget_pool(status='active') makes it usable again"
        yield _impossible("budget_pool", pool.id, message, remedy, is_repairable=True)


def check_request(request: ApprovalRequest) -> Iterator[Finding]:
    """Yield what is wrong with an approval request."""
    created = ("created_at", request.created_at)
    yield from _in_order("approval_request", request.id, created, ("resolved_at", request.resolved_at))
    yield from _in_order("approval_request", request.id, created, ("expires_at", request.expires_at))
    if request.status is ApprovalStatus.PENDING and (request.resolved_at or request.resolved_by) is not None:
        message = "it is pending, and says when or by whom it was decided"
        yield _impossible("approval_request", request.id, message, "decide it by approve_request() or reject_request()")
    if request.status in _DECIDED and request.resolved_at is None:
        message = f"it is {request.status}, and does not say when that was decided"
        yield _impossible("approval_request", request.id, message, "create it again under another id with resolved_at")


def _impossible(kind: str, id: str, message: str, remedy: str, *, is_repairable: bool = False) -> Finding:
    return Finding(
        problem=Problem.STATE_IMPOSSIBLE,
        kind=kind,
        id=id,
        message=message,
        remedy=remedy,
        is_repairable=is_repairable,
    )


def _in_order(
    kind: str, id: str, first: tuple[str, datetime | None], second: tuple[str, datetime | None], of: str = ""
) -> Iterator[Finding]:
    (first_name, start), (second_name, end) = first, second
    if start is None or end is None or start <= end:
        return
    place = f"{second_name} {of}".strip()
    message = f"{place}, {end.isoformat()}, is before {first_name}, {start.isoformat()}"
    problem = Problem.INSTANTS_OUT_OF_ORDER
    yield Finding(problem=problem, kind=kind, id=id, message=message, remedy=_FIX_CLOCK)
