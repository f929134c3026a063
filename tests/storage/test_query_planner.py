"""The planner checks the names and values of a filter, and its errors name what is wrong."""

import math
from datetime import datetime
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Contains,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    Lt,
    Ne,
    NodeState,
    NotIn,
    OrderBy,
    QueryFilter,
    Session,
    StartsWith,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import QUERY_FIELDS, TOKEN_FIGURES, FieldKind, Operator, plan_query
from aaow_storage.errors import ValidationError

A_REQUEST = ApprovalRequest(session_id="s", node_id="n", type="human_review")
FILTERED = (
    StoredWorkflow,
    Session,
    LLMExecution,
    ToolCallLog,
    BudgetPool,
    ApprovalRequest,
    StreamEvent,
    NodeState,
    WorkflowExecutionState,
)


def test_every_field_of_a_listed_record_can_be_queried_unless_it_is_made_of_records():
    assert set(QUERY_FIELDS) == set(FILTERED)
    for kind, fields in QUERY_FIELDS.items():
        made_of_records = {"tool_calls", "usage", "node_states", "attempts"}
        names = {field.name for field in attrs.fields(kind)} - made_of_records
        assert set(fields) == (names | set(TOKEN_FIGURES) if kind is LLMExecution else names)


@pytest.mark.parametrize("kind", FILTERED)
@pytest.mark.parametrize(
    "name",
    ["nonsense", "", "ID", "id.x", "id; --", "__class__", "created_at ", (), ("id", "x"), 7, None, ("metadata", 1)],
)
def test_an_unknown_field_is_refused_with_the_known_ones(kind: type, name: Any):
    for make in (lambda: QueryFilter({name: 1}), lambda: QueryFilter(order_by=OrderBy(name))):
        with pytest.raises(ValidationError) as caught:
            plan_query(kind, make(), "id")
        if isinstance(name, str):
            scalars = [field for field, entry in QUERY_FIELDS[kind].items() if entry is not FieldKind.JSON]
            assert (caught.value.record, caught.value.field) == (kind.__name__, name)
            assert f"there are {', '.join(scalars)}" in caught.value.problem


def test_a_json_field_needs_a_path():
    with pytest.raises(ValidationError, match="and paths into context"):
        plan_query(ApprovalRequest, QueryFilter({"context": {}}), "id")


@pytest.mark.parametrize(
    ("kind", "field", "value", "problem"),
    [
        (Session, "id", 7, "must be str, not int"),
        (Session, "id", ["s"], "must be str, not list"),
        (Session, "id", "\ud800", "lone surrogate"),
        (Session, "id", In(["a", 1]), "must be str, not int"),
        (Session, "id", Lt(None), "None has no order"),
        (Session, "id", Contains(7), "can be searched for str only, not int"),
        (Session, "status", "Running", "is not one of running, paused"),
        (Session, "status", True, "is not one of"),
        (Session, "status", Contains(None), "can be searched for str only"),
        (Session, "created_at", "2026-01-01", "must be an aware datetime"),
        (Session, "created_at", datetime(2026, 1, 1), "has no time zone"),  # noqa: DTZ001 - the point
        (Session, "created_at", Gt(7), "must be an aware datetime"),
        (Session, "created_at", StartsWith("2026"), "is of kind instant, which cannot be searched"),
        (Session, "metadata.user", {"a": 1}, "not with a list or dict"),
        (Session, "metadata.user", [], "not with a list or dict"),
        (Session, "metadata.user", (), "tuple is not JSON"),
        (Session, "metadata.user", math.nan, "must be finite"),
        (Session, "metadata.user", 2**64, "from -2**63 to 2**64-1"),
        (Session, "metadata.user", Gt(True), "has no order"),
        (Session, "metadata.user", Contains("\ud800"), "lone surrogate"),
        (ToolCallLog, "duration_ms", "1", "must be a number, not str"),
        (ToolCallLog, "duration_ms", True, "must be a number, not bool"),
        (ToolCallLog, "duration_ms", math.inf, "must be a finite number"),
        pytest.param(ToolCallLog, "duration_ms", 10**5000, "must be a finite number", id="huge"),
        (BudgetPool, "total_budget", "ten", "must be an amount"),
        (BudgetPool, "total_budget", math.nan, "must be a finite amount"),
        (BudgetPool, "total_budget", Contains("1"), "is of kind amount, which cannot be searched"),
        (LLMExecution, "success", 1, "must be bool, not int"),
        (LLMExecution, "success", "true", "must be bool, not str"),
        (LLMExecution, "success", Gt(False), "has no order"),
    ],
)
def test_a_value_that_the_field_cannot_have_is_refused(kind: type, field: str, value: Any, problem: str):
    with pytest.raises(ValidationError) as caught:
        plan_query(kind, QueryFilter({field: value}), "id")
    assert caught.value.field == field
    assert problem in caught.value.problem


def test_a_filter_of_something_else_is_refused():
    with pytest.raises(ValidationError, match="must be QueryFilter or None, not dict"):
        plan_query(Session, {"status": "running"}, "created_at")
    with pytest.raises(ValidationError, match="a Session, not ApprovalRequest"):
        plan_query(Session, QueryFilter().after(A_REQUEST), "created_at")


def test_a_plan_says_what_a_backend_has_to_run():
    chosen = QueryFilter({"status": Ne("failed"), "metadata.user": "ada"}, OrderBy("updated_at", "desc"), limit=5)
    plan = plan_query(Session, chosen, "created_at")
    negated, equal = plan.conditions
    assert (negated.operator, negated.operand, negated.negated) == (Operator.EQ, "failed", True)
    assert (equal.field.name, equal.field.path, equal.field.kind) == ("metadata", ("user",), FieldKind.JSON)
    assert [(field.name, direction) for field, direction in plan.order] == [("updated_at", "desc"), ("id", "asc")]
    assert (plan.limit, plan.offset, plan.after) == (5, 0, None)
    assert [field.name for field, _ in plan_query(Session, None, "created_at").order] == ["created_at", "id"]


@pytest.mark.parametrize(
    ("filter", "problem"),
    [
        (QueryFilter(order_by=[OrderBy("id")] * 17), "has 17 keys, at most 16"),
        (QueryFilter({("metadata", f"k{number}"): 1 for number in range(101)}), "has 101 entries, at most 100"),
        (QueryFilter({"id": In(list(map(str, range(10_001))))}), "10001 values in In and NotIn, at most 10000"),
        (QueryFilter({"id": In(["a"] * 6_000), "name": NotIn(["b"] * 6_000)}), "12000 values in In and NotIn"),
        (QueryFilter({("metadata", *("d" * 33)): 1}), "path of 33 keys, at most 32"),
        (QueryFilter({("metadata", "k" * 1_001): 1}), "keys of 1001 characters, at most 1000"),
        (QueryFilter({"name": "x" * 4_000_001}), "texts of 4000001 characters, at most 4000000"),
    ],
)
def test_a_filter_beyond_a_limit_is_refused_with_a_remedy(filter: QueryFilter, problem: str):
    with pytest.raises(ValidationError, match=problem) as caught:
        plan_query(StoredWorkflow, filter, "created_at")
    assert "are allowed; " in caught.value.problem


def test_an_order_keeps_the_first_key_of_a_field():
    keys = [OrderBy("name", "desc"), OrderBy("metadata.k"), OrderBy(("metadata", "k"), "desc"), OrderBy("name")]
    order = plan_query(StoredWorkflow, QueryFilter(order_by=keys), "created_at").order
    assert [(field.name, str(direction)) for field, direction in order] == [
        ("name", "desc"),
        ("metadata", "asc"),
        ("id", "asc"),
    ]


@pytest.mark.parametrize("make", [str, Ne, Lt, Le, Gt, Ge, Contains, StartsWith, lambda text: In([text, "b"])])
@pytest.mark.parametrize("text", ["\0", "b\0", "b\0c", "\0b"])
def test_a_plan_has_no_nul_and_matches_what_the_filter_matches(make: Any, text: str):
    (condition,) = plan_query(StoredWorkflow, QueryFilter({"name": make(text)}), "created_at").conditions
    assert "\0" not in str(condition.operand)
    operator = make(text)
    expected = {
        str: lambda value: value == text,
        Ne: lambda value: value != text,
        Lt: lambda value: value < text,
        Le: lambda value: value <= text,
        Gt: lambda value: value > text,
        Ge: lambda value: value >= text,
        Contains: lambda value: text in value,
        StartsWith: lambda value: value.startswith(text),
        In: lambda value: value in {text, "b"},
    }[type(operator)]
    for value in ("", "a", "b", "bb", "b\1", "c"):
        assert condition.matches(value) is expected(value)
