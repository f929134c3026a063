"""Cursors: what is in them, which of them are refused, and that their format stays."""

import string
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import (
    BudgetPool,
    LLMExecution,
    OrderBy,
    QueryFilter,
    Session,
    StoredWorkflow,
    TokenUsage,
    ToolCallLog,
)
from aaow_storage._cursors import _encoded, _sum
from aaow_storage.authoring import plan_query
from aaow_storage.errors import ValidationError

NOON = datetime(2026, 5, 1, 12, 0, 0, 1, tzinfo=UTC)
EXECUTION = LLMExecution(
    id="x\U0001f600",
    session_id="s",
    node_id="n",
    timestamp=NOON,
    success=False,
    cost="0.10",
    currency="EUR",
    attempt=2**63 - 1,
    usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    metadata={"a": [1, {"b": None}], "n": 1.5, "nul": "\0", "long": 2**64 - 1},
)
KEYS = [
    *("timestamp", "success", "cost", "attempt", "total_tokens", "reasoning_tokens", "text", "error"),
    *("metadata.a", "metadata.n", "metadata.nul", "metadata.long", "metadata.none"),
]
EVERY_KIND = QueryFilter(order_by=[OrderBy(key) for key in KEYS])
KEPT = "AYb_-0RFTZP1WzE3Nzc2MzY4MDAwMDAwMDEsInMtMSJd"
"""A cursor of version 1, for sessions in their default order, as it is in the links of users."""


def after(filter: QueryFilter, cursor: str, kind: type = Session) -> tuple[Any, ...] | None:
    """Return the values that a page begins after."""
    return plan_query(kind, filter.after(cursor)).after


def test_a_cursor_holds_the_values_of_the_order_with_their_types():
    values = after(EVERY_KIND, EVERY_KIND.cursor(EXECUTION), LLMExecution)
    assert values == plan_query(LLMExecution, EVERY_KIND.after(EXECUTION)).after
    assert [type(value) for value in values or ()] == [
        *(datetime, bool, Decimal, int, int, type(None), type(None), type(None)),
        *(list, float, str, int, type(None), str),
    ]


def test_cursors_that_were_handed_out_stay_good():
    session = Session(id="s-1", workflow_id=None, workflow_snapshot={}, created_at=NOON)
    assert QueryFilter().cursor(session) == KEPT
    assert after(QueryFilter(), KEPT) == (NOON, "s-1")


TEXTS = st.text('aZ9-_ "\\\u00e9\ue000\U0001f600', max_size=5)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), FLOATS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(
    st.builds(
        StoredWorkflow,
        name=TEXTS,
        version=st.just("1"),
        definition=st.just({}),
        created_at=st.datetimes(timezones=st.just(UTC)),
        metadata=st.dictionaries(st.just("k"), JSON_VALUES),
    )
)
def test_any_record_goes_into_a_cursor_and_comes_back(workflow: StoredWorkflow):
    query = QueryFilter(order_by=[OrderBy("name"), OrderBy("metadata.k"), OrderBy("created_at")])
    cursor = query.cursor(workflow)
    assert set(cursor) <= {*string.ascii_letters, *string.digits, "-", "_"}
    assert after(query, cursor, StoredWorkflow) == plan_query(StoredWorkflow, query.after(workflow)).after


def test_every_change_of_one_character_is_noticed():
    for place, character in enumerate(KEPT):
        for other in {*string.ascii_letters, *string.digits, *"-_+/=. "} - {character}:
            with pytest.raises(ValidationError) as caught:
                after(QueryFilter(), f"{KEPT[:place]}{other}{KEPT[place + 1 :]}")
            assert caught.value.field == "after"


@pytest.mark.parametrize(
    "text", ["", "A", "AQ", "AQ==", "é", "\ud800", KEPT + "=", KEPT + " ", "\n" + KEPT, KEPT[:-4], KEPT * 2]
)
def test_a_text_that_is_no_cursor_is_refused(text: str):
    with pytest.raises(ValidationError, match=r"is not what QueryFilter\.cursor"):
        after(QueryFilter(), text)


@given(st.text() | st.binary().map(_encoded))
def test_no_text_does_anything_but_be_refused(text: str):
    with pytest.raises(ValidationError) as caught:
        after(QueryFilter(), text)
    assert caught.value.field == "after"


ORDER = b'["Session",["created_at"],["id"]]'


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[1,null]", "has a value that id cannot have"),
        (b'[1,""]', "is fine, as an id is compared as text"),
        (b"[1,7]", "has a value that id cannot have"),
        (b'[1,"a\\u0000"]', "has a value that id cannot have"),
        (b'["noon","a"]', "has a value that created_at cannot have"),
        (b'[1e400,"a"]', "is not what"),
        (b'[99999999999999999999,"a"]', "has a value that created_at cannot have"),
        (b'[9223372036854775807,"a"]', "has a value that created_at cannot have"),
        (b'[[],"a"]', "has a value that created_at cannot have"),
        (b"[1]", "is not what"),
        (b"{}", "is not what"),
        (b"[" * 100_000, "is not what"),
        (b"\xff", "is not what"),
    ],
)
def test_a_forged_cursor_is_refused_unless_its_values_are_possible(body: bytes, problem: str):
    forged = _encoded(b"\1" + _sum(ORDER) + _sum(body) + body)
    if problem.startswith("is fine"):
        assert after(QueryFilter(), forged) is not None
    else:
        with pytest.raises(ValidationError, match=problem) as caught:
            after(QueryFilter(), forged)
        assert caught.value.field == "after"


def test_a_cursor_of_another_version_says_so():
    with pytest.raises(ValidationError, match="is a cursor of version 2, not 1, or was changed on the way"):
        after(QueryFilter(), _encoded(b"\2" + b"\0" * 40))


def test_a_cursor_is_for_its_kind_of_record_and_its_fields_of_order():
    pool = BudgetPool(total_budget=1)
    with pytest.raises(ValidationError, match="other records, or another order, than Session by created_at, id"):
        after(QueryFilter(), QueryFilter().cursor(pool))
    with pytest.raises(ValidationError, match=r"than BudgetPool by metadata\.a, id"):
        after(QueryFilter(order_by=OrderBy("metadata.a")), QueryFilter().cursor(pool), BudgetPool)
    up, down = QueryFilter(order_by=OrderBy("id")), QueryFilter(order_by=OrderBy("id", "desc"))
    assert after(down, up.cursor(pool), BudgetPool) == (pool.id,)


def test_a_cursor_beyond_the_limit_is_not_made():
    call = ToolCallLog(
        execution_id="e", tool_call_id="t", tool_name="x", args={"text": "x" * 3_100_000}, duration_ms=1.0
    )
    with pytest.raises(
        ValidationError, match=r"would have .* characters, at most 4000000 are allowed; order by shorter"
    ):
        QueryFilter(order_by=OrderBy("args.text")).cursor(call)
