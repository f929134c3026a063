"""The rules of budgets and approvals."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import ApprovalRequest, ApprovalStatus, BudgetPool
from aaow_storage.authoring import (
    check_pending,
    consumed,
    has_run_out,
    increased,
    is_decidable,
    resolved,
)
from aaow_storage.errors import BudgetExceededError, ConflictError, ValidationError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def a_pool(total: Any, used: Any = 0, **fields: Any) -> BudgetPool:
    return BudgetPool(total_budget=total, used_budget=used, **{"id": "p", **fields})


def a_request(**fields: Any) -> ApprovalRequest:
    return ApprovalRequest(**{"id": "r", "session_id": "s", "node_id": "n", "type": "human_review", **fields})


def test_consuming_adds_to_the_pool_and_to_every_ancestor():
    chain = [a_pool(10, 1, id="child"), a_pool(20, 2, id="parent"), a_pool(30, 3, id="root")]
    assert [pool.used_budget for pool in consumed(chain, Decimal("0.5"))] == [
        Decimal("1.5"),
        Decimal("2.5"),
        Decimal("3.5"),
    ]
    assert [pool.used_budget for pool in chain] == [1, 2, 3]


@pytest.mark.parametrize("poor", [0, 1, 2])
def test_a_pool_or_ancestor_with_too_little_left_is_named_and_nothing_is_consumed(poor: int):
    chain = [a_pool(5 if at == poor else 100, id=f"p{at}") for at in range(3)]
    with pytest.raises(BudgetExceededError, match=f"'p{poor}' has 5 left, 5.01 was asked for") as caught:
        consumed(chain, Decimal("5.01"))
    assert caught.value.pool is chain[poor]


def test_the_nearest_of_several_poor_pools_is_named():
    with pytest.raises(BudgetExceededError, match="'near'"):
        consumed([a_pool(1, id="near"), a_pool(0, id="far")], Decimal(2))


@pytest.mark.parametrize("at", [0, 1])
def test_a_suspended_pool_or_ancestor_stops_consumption_before_any_shortage(at: int):
    chain = [a_pool(0, id=f"p{each}", status="suspended" if each == at else "active") for each in range(2)]
    with pytest.raises(ConflictError, match=f"'p{at}' is suspended") as caught:
        consumed(chain, Decimal(1))
    assert type(caught.value) is ConflictError
    assert caught.value.current is chain[at]


def test_a_pool_with_nothing_left_is_exhausted_and_one_with_something_left_is_not():
    (empty, rest) = consumed([a_pool(3, 1), a_pool("3.000001", 1)], Decimal(2))
    assert (empty.status, empty.remaining_budget) == ("exhausted", 0)
    assert (rest.status, rest.remaining_budget) == ("active", Decimal("0.000001"))


@pytest.mark.parametrize(
    ("total", "used", "status", "amount", "after"),
    [
        (5, 5, "exhausted", 1, "active"),
        (5, 8, "exhausted", 3, "exhausted"),
        (5, 0, "active", 1, "active"),
        (5, 5, "suspended", 1, "suspended"),
    ],
)
def test_an_increase_makes_an_exhausted_pool_active_again(total: int, used: int, status: str, amount: int, after: str):
    pool = increased(a_pool(total, used, status=status), Decimal(amount))
    assert (pool.total_budget, pool.used_budget, pool.status) == (total + amount, used, after)


def test_a_sum_that_could_not_be_kept_exactly_is_refused():
    with pytest.raises(ValidationError, match=r"^increase_budget\.amount: .* add up to 10\*\*18 or more"):
        increased(a_pool("0.000001"), Decimal("999999999999999999.999999"))
    with pytest.raises(ValidationError, match=r"^increase_budget\.amount: "):
        increased(a_pool(10**18 - 1), Decimal(1))


def test_what_a_pool_has_left_can_be_consumed_whatever_its_digits():
    (pool,) = consumed([a_pool(10**18 - 1, "12345.67")], Decimal("0.00000001875"))
    assert pool.used_budget == Decimal("12345.67000001875")
    (pool,) = consumed([pool], pool.remaining_budget)
    assert (pool.used_budget, pool.status) == (10**18 - 1, "exhausted")


@given(st.lists(st.decimals("0.01", "999.99", places=2), min_size=1, max_size=50))
def test_sums_do_not_drift(amounts: list[Decimal]):
    pool = a_pool(sum(amounts))
    for amount in amounts:
        (pool,) = consumed([pool], amount)
    assert (pool.used_budget, pool.remaining_budget, pool.status) == (sum(amounts), 0, "exhausted")


@pytest.mark.parametrize(
    ("expires_at", "is_over"), [(None, False), (NOON - MOMENT, True), (NOON, True), (NOON + MOMENT, False)]
)
def test_a_request_expires_exactly_at_its_instant(expires_at: datetime | None, is_over: bool):
    request = a_request(expires_at=expires_at)
    assert has_run_out(request, NOON) is is_over
    assert is_decidable(request, NOON) is not is_over


@pytest.mark.parametrize("status", ["approved", "rejected", "expired"])
def test_a_request_that_is_not_pending_cannot_be_decided_or_changed(status: Any):
    request = a_request(status=status, resolved_by="Ada")
    assert not is_decidable(request, NOON)
    for late in (
        lambda: resolved(request, ApprovalStatus.APPROVED, by="Bob", notes=None, at=NOON),
        lambda: check_pending(request),
    ):
        with pytest.raises(ConflictError, match=status) as caught:
            late()
        assert caught.value.current is request


def test_a_late_decision_is_refused_with_the_stored_one():
    with pytest.raises(ConflictError, match="'r' is already rejected by 'Ada'"):
        resolved(a_request(status="rejected", resolved_by="Ada"), ApprovalStatus.APPROVED, by="B", notes=None, at=NOON)


def test_an_expired_request_cannot_be_decided_but_can_be_changed():
    request = a_request(expires_at=NOON)
    with pytest.raises(ConflictError, match="expired at 2026-05-01 12:00:00"):
        resolved(request, ApprovalStatus.APPROVED, by="Ada", notes=None, at=NOON)
    check_pending(request)


def test_a_decision_is_recorded_in_the_request():
    request = a_request(expires_at=NOON + MOMENT, context={"a": 1})
    decided = resolved(request, ApprovalStatus.REJECTED, by="Ada", notes="too dear", at=NOON)
    assert decided == attrs.evolve(
        request, status="rejected", resolved_by="Ada", resolution_notes="too dear", resolved_at=NOON
    )
