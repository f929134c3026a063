"""The rules of budgets, approvals and tool calls: functions of records. A backend adds only storage and locks."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import attrs

from aaow_storage._amounts import exact_sum
from aaow_storage._enums import ApprovalStatus, BudgetPoolStatus
from aaow_storage._records import ApprovalRequest, BudgetPool
from aaow_storage.errors import BudgetExceededError, ConflictError, ValidationError


def consumed(chain: Sequence[BudgetPool], amount: Decimal) -> list[BudgetPool]:
    """Return a pool and its ancestors, nearest first, each with the amount added to what it has used.

    Raises:
        ConflictError: one of them is suspended.
        BudgetExceededError: one of them has too little left; `pool` is the nearest such pool.
        ValidationError: a sum would be 10**18 or more.
    """
    for pool in chain:
        if pool.status is BudgetPoolStatus.SUSPENDED:
            remedy = f"nothing was consumed; update_budget_pool({pool.id!r}, status='active') lets it be used again"
            raise ConflictError(f"the budget pool {pool.id!r} is suspended: {remedy}", pool)
    for pool in chain:
        if pool.remaining_budget < amount:
            reason = f"the budget pool {pool.id!r} has {pool.remaining_budget} left, {amount} was asked for"
            remedy = "nothing was consumed; ask for less, or call increase_budget() first"
            raise BudgetExceededError(f"{reason}: {remedy}", pool)
    return [_with_amounts(pool, used=_sum("consume_budget", pool, pool.used_budget, amount)) for pool in chain]


def increased(pool: BudgetPool, amount: Decimal) -> BudgetPool:
    """Return the pool with the amount added to its total; an exhausted pool becomes active.

    Raises:
        ValidationError: the sum would be 10**18 or more.
    """
    return _with_amounts(pool, total=_sum("increase_budget", pool, pool.total_budget, amount))


def _sum(operation: str, pool: BudgetPool, before: Decimal, amount: Decimal) -> Decimal:
    total = exact_sum(before, amount)
    if total is None:
        problem = f"{before} of the budget pool {pool.id!r} and {amount} add up to 10**18 or more"
        remedy = "nothing was changed; count in a larger unit"
        raise ValidationError(operation, "amount", f"{problem}; {remedy}")
    return total


def _with_amounts(pool: BudgetPool, *, used: Decimal | None = None, total: Decimal | None = None) -> BudgetPool:
    changed = attrs.evolve(
        pool,
        used_budget=pool.used_budget if used is None else used,
        total_budget=pool.total_budget if total is None else total,
    )
    if changed.status is BudgetPoolStatus.SUSPENDED:
        return changed
    left = changed.remaining_budget > 0
    return attrs.evolve(changed, status=BudgetPoolStatus.ACTIVE if left else BudgetPoolStatus.EXHAUSTED)


def check_execution_of_call(
    session_id: str | None, node_id: str | None, session_of_execution: str, node_of_execution: str
) -> None:
    """Check the session and node that a logged tool call names, if any, against those of its execution.

    Raises:
        ValidationError: they differ.
    """
    for name, given, stored in (
        ("session_id", session_id, session_of_execution),
        ("node_id", node_id, node_of_execution),
    ):
        if given is not None and given != stored:
            problem = f"is {given!r}, but the execution of this tool call has {stored!r}; leave it out, or name that"
            raise ValidationError("ToolCallLog", name, problem)


def is_decidable(request: ApprovalRequest, at: datetime) -> bool:
    """Say whether the request is pending and has not expired at that instant."""
    return request.status is ApprovalStatus.PENDING and not has_run_out(request, at)


def has_run_out(request: ApprovalRequest, at: datetime) -> bool:
    """Say whether the request has an `expires_at` that is not after that instant."""
    return request.expires_at is not None and request.expires_at <= at


def resolved(
    request: ApprovalRequest, status: ApprovalStatus, *, by: str, notes: str | None, at: datetime
) -> ApprovalRequest:
    """Return the request with a decision.

    Raises:
        ConflictError: it is not pending any more, or has expired; `current` is the request as it is stored.
    """
    if request.status is not ApprovalStatus.PENDING:
        decision = _decision(request)
        reason = f"the approval request {request.id!r} is already {decision}: this decision was not stored"
        raise ConflictError(f"{reason}; the error's `current` is the stored request", request)
    if has_run_out(request, at):
        reason = f"the approval request {request.id!r} expired at {request.expires_at}"
        raise ConflictError(
            f"{reason}: this decision was not stored; extend its expires_at first, or create another", request
        )
    return attrs.evolve(request, status=status, resolved_at=at, resolved_by=by, resolution_notes=notes)


def check_pending(request: ApprovalRequest) -> None:
    """Check that the request may still be updated.

    Raises:
        ConflictError: it is not pending; `current` is the request as it is stored.
    """
    if request.status is not ApprovalStatus.PENDING:
        reason = f"the approval request {request.id!r} is already {_decision(request)}"
        raise ConflictError(f"{reason}: only a pending request can be changed; create another one", request)


def _decision(request: ApprovalRequest) -> str:
    return str(request.status) if request.resolved_by is None else f"{request.status} by {request.resolved_by!r}"
