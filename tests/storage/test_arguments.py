"""The checks of arguments: plain values come back, and what is wrong is refused by its name."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from aaow_storage import Session
from aaow_storage.authoring import (
    check_id,
    check_instant,
    check_record,
    check_text,
    check_timeout,
    positive_amount,
)
from aaow_storage.errors import ValidationError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HUGE = pytest.param(10**5000, id="huge")
"""More digits than Python turns into text."""


@pytest.mark.parametrize(
    "amount",
    [
        0,
        "0.0",
        -1,
        "-0.01",
        math.nan,
        "inf",
        "NaN",
        None,
        True,
        "",
        "ten",
        [1],
        HUGE,
        "1.0000000000000000001",
        10**18,
        1e18,
    ],
)
def test_an_amount_to_consume_is_a_finite_number_above_0(amount: Any):
    with pytest.raises(ValidationError, match=r"^consume_budget\.amount: "):
        positive_amount("consume_budget", amount)


@pytest.mark.parametrize(("amount", "kept"), [(1, "1"), (0.1, "0.1"), ("2.50", "2.5"), (Decimal("1E+3"), "1000")])
def test_an_amount_is_taken_as_it_is_written(amount: Any, kept: str):
    assert positive_amount("consume_budget", amount) == Decimal(kept)


def test_an_argument_is_checked_and_named():
    assert check_id("get_session", "id", "x") == "x"
    assert check_text("approve_request", "notes", "") == ""
    east = timezone(timedelta(hours=2))
    assert check_instant("expire_approvals", "now", NOON.astimezone(east)).tzinfo is UTC
    check_record("create_session", "session", Session(workflow_id=None, workflow_snapshot={}), Session)
    for refused, words in [
        (lambda: check_id("get_session", "id", ""), r"get_session\.id: an id must have 1 to 255"),
        (lambda: check_id("get_session", "id", "\x00"), r"get_session\.id: must not hold NUL"),
        (lambda: check_id("get_session", "id", None), r"get_session\.id: an id must be str, not NoneType"),
        (lambda: check_text("approve_request", "notes", "\x00"), r"approve_request\.notes: must not hold NUL"),
        (lambda: check_text("approve_request", "notes", None), r"approve_request\.notes: must be str"),
        (lambda: check_instant("expire_approvals", "now", NOON.replace(tzinfo=None)), "has no time zone"),
        (
            lambda: check_instant("expire_approvals", "now", "now"),
            "must be an aware datetime, such as datetime.now\\(UTC\\), not str",
        ),
        (lambda: check_record("create_session", "session", {}, Session), "must be Session, not dict"),
    ]:
        with pytest.raises(ValidationError, match=words):
            refused()


@pytest.mark.parametrize("timeout", [0, -1, math.nan, True, "30", None, HUGE])
def test_a_timeout_is_a_number_of_seconds_above_0(timeout: Any):
    with pytest.raises(ValidationError, match=r"^begin_transaction\.timeout: must be a number of seconds above 0"):
        check_timeout("begin_transaction", timeout)


@pytest.mark.parametrize("timeout", [1, 0.001, math.inf])
def test_any_timeout_above_0_is_accepted(timeout: float):
    assert check_timeout("begin_transaction", timeout) == timeout
