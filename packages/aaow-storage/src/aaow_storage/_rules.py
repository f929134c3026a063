"""The rules of budgets and approvals, as functions from records to records. Backends add only storing and locking."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import attrs

from aaow_storage._enums import ApprovalStatus, BudgetPoolStatus
from aaow_storage._records import ApprovalRequest, BudgetPool
from aaow_storage._values import exact_sum
from aaow_storage.errors import BudgetExceededError, ConflictError, ValidationError


def consumed(chain: Sequence[BudgetPool], amount: Decimal) -> list[BudgetPool]:
    """Return a pool and its ancestors, nearest first, with the amount used in each.

    Raises:
        ConflictError: one of them is suspended.
        BudgetExceededError: one of them has too little left; it names the nearest.
        ValidationError: a sum would need more digits than are kept exactly.
    """
    for pool in chain:
        if pool.status is BudgetPoolStatus.SUSPENDED:
            raise ConflictError(f"the budget pool {pool.id!r} is suspended", pool)
    for pool in chain:
        if pool.remaining_budget < amount:
            reason = f"the budget pool {pool.id!r} has {pool.remaining_budget} left, {amount} was asked for"
            raise BudgetExceededError(reason, pool)
    return [_with_amounts(pool, used=_sum("consume_budget", pool.used_budget, amount)) for pool in chain]


def increased(pool: BudgetPool, amount: Decimal) -> BudgetPool:
    """Return the pool with a total that is larger by the amount; an exhausted pool becomes active.

    Raises:
        ValidationError: the sum would need more digits than are kept exactly.
    """
    return _with_amounts(pool, total=_sum("increase_budget", pool.total_budget, amount))


def _sum(operation: str, one: Decimal, other: Decimal) -> Decimal:
    total = exact_sum(one, other)
    if total is None:
        remedy = "round the amount to fewer places, as in round(cost, 6) or Decimal.quantize"
        problem = f"{one} and {other} together have more digits than are kept exactly; {remedy}"
        raise ValidationError(operation, "amount", problem)
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


def is_decidable(request: ApprovalRequest, at: datetime) -> bool:
    """Say whether the request is pending and has not run out at that instant."""
    return request.status is ApprovalStatus.PENDING and not has_run_out(request, at)


def has_run_out(request: ApprovalRequest, at: datetime) -> bool:
    """Say whether the request has an `expires_at` that has come."""
    return request.expires_at is not None and request.expires_at <= at


def resolved(
    request: ApprovalRequest, status: ApprovalStatus, *, by: str, notes: str | None, at: datetime
) -> ApprovalRequest:
    """Return the request, decided.

    Raises:
        ConflictError: it is not pending any more, or has run out; `current` is the request as it is stored.
    """
    if request.status is not ApprovalStatus.PENDING:
        who = f" by {request.resolved_by!r}" if request.resolved_by is not None else ""
        raise ConflictError(f"the approval request {request.id!r} is already {request.status}{who}", request)
    if has_run_out(request, at):
        raise ConflictError(f"the approval request {request.id!r} expired at {request.expires_at}", request)
    return attrs.evolve(request, status=status, resolved_at=at, resolved_by=by, resolution_notes=notes)


def check_pending(request: ApprovalRequest) -> None:
    """Check that the request may still be updated.

    Raises:
        ConflictError: it is resolved or expired; `current` is the request as it is stored.
    """
    if request.status is not ApprovalStatus.PENDING:
        raise ConflictError(f"the approval request {request.id!r} is {request.status} and cannot be changed", request)
