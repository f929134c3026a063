"""Query plans: which records match, in which order, and which page."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Contains,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    Lt,
    Ne,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
)
from aaow_storage.authoring import plan_query

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DEEP = {"a": {"b": {"c": 1}}, "a.b": {"c": 2}, "": 3, "$": {"%": "'\""}}


def a_request(id: str, at: int, **fields: Any) -> ApprovalRequest:
    base = {"session_id": "s", "node_id": "n", "type": "human_review", "created_at": NOON + at * SECOND}
    return ApprovalRequest(id=id, **{**base, **fields})


REQUESTS = [
    a_request("r1", 1, resolved_by="Ada", status="approved", context={"n": 1, "flag": True, "user": "ada"}),
    a_request("r2", 2, expires_at=NOON, context={"n": 1.5, "flag": False, "user": "Ada"}),
    a_request("r3", 3, resolved_by="a%b_c", status="rejected", context={"n": True, "flag": None, "user": None}),
    a_request("r4", 4, expires_at=NOON + SECOND, context={"n": "1", "flag": 0, "user": "ada lovelace"}),
    a_request("r5", 5, resolved_by="", type="budget_increase", context=DEEP | {"n": [1], "flag": 1}),
    a_request("r6", 6, session_id="é", node_id="e\u0301", context={"n": {"n": 1}, "flag": 0.0, "user": 7}),
]
CALLS = [
    ToolCallLog(id=f"t{at}", execution_id="e", tool_call_id="t", tool_name="x", args={}, timestamp=NOON, **fields)
    for at, fields in enumerate([{}, {"duration_ms": 0}, {"duration_ms": 2.5}, {"duration_ms": 10}])
]
POOLS = [BudgetPool(id=f"b{at}", total_budget=total) for at, total in enumerate(["9", "10.00", "1E+2", "0.1"])]
EXECUTIONS = [
    LLMExecution(id=f"x{at}", session_id="s", node_id="n", success=each) for at, each in enumerate([None, False, True])
]


def ids(records: list[Any], filter: QueryFilter, default: str = "created_at") -> list[str]:
    """Return the ids of the records that a filter selects, as two letters each, in its order."""
    return [record.id for record in plan_query(type(records[0]), filter, default).select(records)]


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        ({}, "r1 r2 r3 r4 r5 r6"),
        # text
        ({"id": "r2"}, "r2"),
        ({"id": "R2"}, ""),
        ({"session_id": "é"}, "r6"),
        ({"node_id": "é"}, ""),
        ({"resolved_by": None}, "r2 r4 r6"),
        ({"resolved_by": ""}, "r5"),
        ({"resolved_by": Ne(None)}, "r1 r3 r5"),
        ({"resolved_by": Ne("Ada")}, "r2 r3 r4 r5 r6"),
        ({"resolved_by": In(["Ada", ""])}, "r1 r5"),
        ({"resolved_by": In([None, "Ada"])}, "r1 r2 r4 r6"),
        ({"resolved_by": In([])}, ""),
        ({"resolved_by": NotIn(["Ada", ""])}, "r2 r3 r4 r6"),
        ({"resolved_by": NotIn([None])}, "r1 r3 r5"),
        ({"resolved_by": NotIn([])}, "r1 r2 r3 r4 r5 r6"),
        ({"resolved_by": Lt("a")}, "r1 r5"),
        ({"resolved_by": Ge("")}, "r1 r3 r5"),
        ({"resolved_by": Contains("%")}, "r3"),
        ({"resolved_by": Contains("b_")}, "r3"),
        ({"resolved_by": Contains("da")}, "r1"),
        ({"resolved_by": Contains("DA")}, ""),
        ({"resolved_by": Contains("")}, "r1 r3 r5"),
        ({"resolved_by": StartsWith("A")}, "r1"),
        ({"resolved_by": StartsWith("_")}, ""),
        ({"resolved_by": StartsWith("")}, "r1 r3 r5"),
        # words
        ({"status": "pending"}, "r2 r4 r5 r6"),
        ({"status": In({"approved", "rejected"})}, "r1 r3"),
        ({"status": Ne("pending")}, "r1 r3"),
        ({"status": Lt("pending")}, "r1"),
        ({"type": StartsWith("budget")}, "r5"),
        # instants
        ({"created_at": NOON + SECOND}, "r1"),
        ({"created_at": (NOON + SECOND).astimezone()}, "r1"),
        ({"created_at": Gt(NOON + 4 * SECOND)}, "r5 r6"),
        ({"created_at": Ge(NOON + 5 * SECOND)}, "r5 r6"),
        ({"created_at": Lt(NOON + 2 * SECOND)}, "r1"),
        ({"created_at": Le(NOON + 2 * SECOND)}, "r1 r2"),
        ({"expires_at": None}, "r1 r3 r5 r6"),
        ({"expires_at": Le(NOON + SECOND)}, "r2 r4"),
        ({"expires_at": Gt(NOON)}, "r4"),
        ({"expires_at": Ne(NOON)}, "r1 r3 r4 r5 r6"),
        # inside JSON, compared as JSON compares
        ({"context.n": 1}, "r1"),
        ({"context.n": 1.0}, "r1"),
        ({"context.n": True}, "r3"),
        ({"context.n": "1"}, "r4"),
        ({"context.n": None}, ""),
        ({"context.flag": False}, "r2"),
        ({"context.flag": 0}, "r4 r6"),
        ({"context.flag": 0.0}, "r4 r6"),
        ({"context.flag": None}, "r3"),
        ({"context.flag": Ne(0)}, "r1 r2 r3 r5"),
        ({"context.user": None}, "r3 r5"),
        ({"context.user": Ne(None)}, "r1 r2 r4 r6"),
        ({"context.user": In(["Ada", 7, None])}, "r2 r3 r5 r6"),
        ({"context.user": NotIn(["Ada", 7, None])}, "r1 r4"),
        ({"context.n": Gt(1)}, "r2"),
        ({"context.n": Ge(1)}, "r1 r2"),
        ({"context.n": Lt("2")}, "r4"),
        ({"context.flag": Le(0)}, "r4 r6"),
        ({"context.user": Contains("ada")}, "r1 r4"),
        ({"context.user": StartsWith("ada ")}, "r4"),
        ({"context.n": Contains("1")}, "r4"),
        # paths are keys, one after the other
        ({"context.a.b.c": 1}, "r5"),
        ({("context", "a.b", "c"): 2}, "r5"),
        ({("context", ""): 3}, "r5"),
        ({("context", "$", "%"): "'\""}, "r5"),
        ({"context.n.n": 1}, "r6"),
        ({"context.nowhere": None}, "r1 r2 r3 r4 r5 r6"),
        ({("context", "n[0]"): 1}, ""),
        ({("context", "n", "0"): 1}, ""),
        # all entries hold
        ({"status": "pending", "context.flag": 0}, "r4 r6"),
        ({"context.n": Ge(1), ("context", "n"): Lt(1.5)}, "r1"),
    ],
)
def test_a_filter_matches_these_records(where: dict[Any, Any], matching: str):
    assert ids(REQUESTS, QueryFilter(where)) == matching.split()


@pytest.mark.parametrize(
    ("records", "where", "matching"),
    [
        (CALLS, {"duration_ms": 0}, "t1"),
        (CALLS, {"duration_ms": Ne(0)}, "t0 t2 t3"),
        (CALLS, {"duration_ms": Gt(2)}, "t2 t3"),
        (CALLS, {"duration_ms": Lt(10)}, "t1 t2"),
        (CALLS, {"duration_ms": In([10, None])}, "t0 t3"),
        (POOLS, {"total_budget": 10}, "b1"),
        (POOLS, {"total_budget": "10.0"}, "b1"),
        (POOLS, {"total_budget": Gt(9)}, "b1 b2"),
        (POOLS, {"total_budget": Le(0.1)}, "b3"),
        (POOLS, {"total_budget": In([Decimal(100), 9])}, "b0 b2"),
        (EXECUTIONS, {"success": None}, "x0"),
        (EXECUTIONS, {"success": False}, "x1"),
        (EXECUTIONS, {"success": Ne(True)}, "x0 x1"),
    ],
)
def test_a_filter_matches_these_numbers_amounts_and_booleans(records: list[Any], where: dict[Any, Any], matching: str):
    assert sorted(ids(records, QueryFilter(where), "id")) == matching.split()


@given(st.lists(st.none() | st.integers(0, 3) | st.booleans() | st.sampled_from(["", "1"])), st.data())
def test_the_negations_are_the_exact_complement(values: list[Any], data: st.DataObject):
    records = [StreamEvent(stream_id="s", node_id="n", data={"k": value}) for value in values]
    chosen = data.draw(st.lists(st.sampled_from([None, 0, 1, True, "1"])))
    for yes, no in [({"data.k": In(chosen)}, NotIn(chosen)), *(({"data.k": each}, Ne(each)) for each in chosen)]:
        matched = ids(records, QueryFilter(yes), "timestamp") if records else []
        others = ids(records, QueryFilter({"data.k": no}), "timestamp") if records else []
        assert sorted(matched + others) == sorted(record.id for record in records)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), "r1 r2 r3 r4 r5 r6"),
        (OrderBy("created_at", "desc"), "r6 r5 r4 r3 r2 r1"),
        (OrderBy("resolved_by"), "r2 r4 r6 r5 r1 r3"),
        (OrderBy("resolved_by", Direction.DESCENDING), "r3 r1 r5 r2 r4 r6"),
        ([OrderBy("status"), OrderBy("created_at", "desc")], "r1 r6 r5 r4 r2 r3"),
        ((OrderBy("type"), OrderBy("id", "desc")), "r5 r6 r4 r3 r2 r1"),
        (OrderBy("context.flag"), "r3 r2 r1 r4 r6 r5"),
        (OrderBy("context.n"), "r3 r1 r2 r4 r5 r6"),
        (OrderBy(("context", "user"), "desc"), "r4 r1 r2 r6 r3 r5"),
        (OrderBy("session_id", "desc"), "r6 r1 r2 r3 r4 r5"),
    ],
)
def test_the_order_is_total_and_none_sorts_first(order: Any, expected: str):
    chosen = QueryFilter(order_by=order)
    assert ids(REQUESTS, chosen) == ids(REQUESTS[::-1], chosen) == expected.split()


def test_text_is_ordered_by_code_point():
    names = ["", "A", "B", "a", "z", "é", "\ue000", "😀"]
    records = [StoredWorkflow(id=f"w{at}", name=name, version="1", definition={}) for at, name in enumerate(names)]
    assert ids(records[::-1], QueryFilter(order_by=OrderBy("name"))) == [record.id for record in records]


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [(None, 0, "r1 r2 r3 r4 r5 r6"), (2, 0, "r1 r2"), (2, 5, "r6"), (0, 0, ""), (None, 4, "r5 r6"), (5, 6, "")],
)
def test_limit_and_offset_cut_a_page_out_of_the_list(limit: int | None, offset: int, expected: str):
    assert ids(REQUESTS, QueryFilter(limit=limit, offset=offset)) == expected.split()


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    "order",
    [(), OrderBy("resolved_by"), OrderBy("resolved_by", "desc"), (OrderBy("status", "desc"), OrderBy("context.n"))],
)
def test_paging_by_the_last_record_visits_every_record_once(size: int, order: Any):
    chosen = QueryFilter(order_by=order, limit=size)
    visited: list[ApprovalRequest] = []
    while page := plan_query(ApprovalRequest, chosen, "created_at").select(REQUESTS):
        visited += page
        chosen = chosen.after(page[-1])
    assert [record.id for record in visited] == ids(REQUESTS, QueryFilter(order_by=order))


def test_paging_goes_on_after_a_deleted_record_and_drops_the_offset():
    behind = QueryFilter(offset=2).after(REQUESTS[2])
    assert behind.offset == 0
    assert ids([*REQUESTS[:2], *REQUESTS[3:]], behind) == ["r4", "r5", "r6"]
