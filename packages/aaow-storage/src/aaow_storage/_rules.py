"""The rules of budgets and approvals, as functions from records to records. Backends add only storing and locking."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

import attrs

from aaow_storage._enums import ApprovalStatus, BudgetPoolStatus
from aaow_storage._records import ApprovalRequest, BudgetPool
from aaow_storage._validators import amount as as_amount
from aaow_storage._validators import (
    amount_problem,
    as_float,
    exact_sum,
    exact_text,
    id_problem,
    instant_problem,
    plain_text_problem,
    shown,
    utc,
)
from aaow_storage.errors import BudgetExceededError, ConflictError, ValidationError


def check_id(operation: str, argument: str, value: object) -> str:
    """Return the id, checked.

    Raises:
        ValidationError: it is not a str of 1 to 255 characters, or holds NUL or a lone surrogate.
    """
    if (problem := id_problem(value)) is not None:
        raise ValidationError(operation, argument, problem)
    return exact_text(cast("str", value))


def check_record(operation: str, argument: str, value: object, record: type) -> None:
    """Check that an argument is the record that the operation stores.

    Raises:
        ValidationError: it is something else.
    """
    if not issubclass(type(value), record):  # a mock made after the record is none, though isinstance() takes it
        raise ValidationError(operation, argument, f"must be {record.__name__}, not {type(value).__name__}")


def check_text(operation: str, argument: str, value: object) -> str:
    """Return the text, checked.

    Raises:
        ValidationError: it is not a str, or holds NUL or a lone surrogate.
    """
    if (problem := plain_text_problem(value)) is not None:
        raise ValidationError(operation, argument, problem)
    return exact_text(cast("str", value))


def check_instant(operation: str, argument: str, value: datetime) -> datetime:
    """Return the instant in UTC, checked.

    Raises:
        ValidationError: it is not an aware datetime.
    """
    instant = utc(value)
    if (problem := instant_problem(instant)) is not None:
        raise ValidationError(operation, argument, problem)
    return instant


def check_timeout(operation: str, value: object) -> float:
    """Return a timeout in seconds, checked.

    Raises:
        ValidationError: it is not a number above 0.
    """
    seconds = as_float(cast("float", value)) if issubclass(type(value), int | float) else None
    if type(seconds) is not float or not seconds > 0:
        raise ValidationError(operation, "timeout", f"must be a number of seconds above 0, not {shown(value)}")
    return seconds


def positive_amount(operation: str, value: Decimal | float | str) -> Decimal:
    """Return an amount to consume or to add.

    Raises:
        ValidationError: it is not finite, not above 0, or has more than 15 significant digits.
    """
    amount = as_amount(value)
    problem = amount_problem(amount)
    if problem is None and amount <= 0:
        problem = f"{amount} is not above 0"
    if problem is not None:
        raise ValidationError(operation, "amount", problem)
    return amount


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
