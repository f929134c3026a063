"""The planner checks the names and values of a filter, and its errors name what is wrong."""

import math
from datetime import datetime
from typing import Any

import attrs
import pytest

from aaow_storage import (
    All,
    AnyOf,
    ApprovalRequest,
    Between,
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
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    Session,
    StartsWith,
    StoredWorkflow,
    StreamEvent,
    StreamSummary,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import (
    DEFAULT_ORDER,
    KEY_FIELDS,
    QUERY_FIELDS,
    TOKEN_FIGURES,
    ConditionGroup,
    Connective,
    FieldKind,
    Operator,
    plan_query,
)
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
    StreamSummary,
    NodeState,
    WorkflowExecutionState,
)


def nested(make: Any, levels: int) -> Any:
    """Return an operator in an operator, and so on."""
    condition: Any = "x"
    for _ in range(levels):
        condition = make(condition)
    return condition


def test_every_field_of_a_listed_record_can_be_queried_unless_it_is_made_of_records():
    assert set(QUERY_FIELDS) == set(FILTERED)
    for kind, fields in QUERY_FIELDS.items():
        made_of_records = {"tool_calls", "usage", "node_states", "attempts"}
        names = {field.name for field in attrs.fields(kind)} - made_of_records
        assert set(fields) == (names | set(TOKEN_FIGURES) if kind is LLMExecution else names)


def test_the_order_of_each_kind_ends_with_the_fields_that_tell_its_records_apart():
    assert set(KEY_FIELDS) == set(DEFAULT_ORDER) == set(QUERY_FIELDS)
    for kind, keys in KEY_FIELDS.items():
        assert all(attrs.fields_dict(kind)[name].type is str for name in keys)
        order = plan_query(kind, None).order
        assert [field.name for field, _ in order] == [*dict.fromkeys((DEFAULT_ORDER[kind], *keys))]


@pytest.mark.parametrize("kind", FILTERED)
@pytest.mark.parametrize(
    "name",
    ["nonsense", "", "ID", "id.x", "id; --", "__class__", "created_at ", (), ("id", "x"), 7, None, ("metadata", 1)],
)
def test_an_unknown_field_is_refused_with_the_known_ones(kind: type, name: Any):
    for make in (lambda: QueryFilter({name: 1}), lambda: QueryFilter(order_by=OrderBy(name))):
        with pytest.raises(ValidationError) as caught:
            plan_query(kind, make())
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
        (Session, "status", "Running", "is not one of queued, running, paused"),
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
        (LLMExecution, "attempt", 1.0, "must be int, not float"),
        (LLMExecution, "attempt", True, "must be int, not bool"),
        (LLMExecution, "total_tokens", 2**63, "must be from -2**63+1 to 2**63-1, not 9223372036854775808"),
        (LLMExecution, "total_tokens", Contains("1"), "is of kind count, which cannot be searched"),
        (Session, "id", Between("a", None), "None has no order"),
        (Session, "id", Not(7), "must be str, not int"),
        (Session, "id", AnyOf("a", All(7)), "must be str, not int"),
        (Session, "id", Ne(Not("a")), "must be a value, not Not; combine conditions by All, AnyOf and Not"),
        (Session, "metadata.user", In([Gt(1)]), "must be a value, not Gt"),
        (Session, "metadata.user", Between(1, {}), "not with a list or dict"),
        (Session, "metadata", "ada", "is JSON, so a filter needs a path into it, such as 'metadata.key'"),
        (Session, "metadata", In([None]), "except for None and Ne(None)"),
        (Session, "metadata", Not({}), "is JSON"),
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
        (QueryFilter({"name": AnyOf(*"ab" * 50)}), "has 101 conditions or more, at most 100"),
        (QueryFilter(any_of=[{"name": "a"}] * 51 + [{"id": "a"}] * 50), "has 101 mappings, at most 100"),
        (QueryFilter({"name": "a"}, any_of=[{"name": "b"}] * 100), "has 101 conditions or more, at most 100"),
        (QueryFilter({"name": nested(Not, 9)}), "has 9 levels of All, AnyOf and Not, at most 8"),
        (QueryFilter({"name": nested(lambda inner: All(inner, inner), 60)}), "at most 100"),
        (QueryFilter(any_of=[{"id": In(["a"] * 6_000)}, {"id": In(["a"] * 6_000)}]), "12000 values in In and NotIn"),
        (QueryFilter({"name": Between("x" * 3_000_000, "x" * 3_000_000)}), "texts of 6000000 characters"),
        (QueryFilter().after("x" * 4_000_001), "is a cursor of 4000001 characters, at most 4000000"),
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


def leaf(condition: Any) -> tuple[str, Any, bool]:
    """Return the comparison, the operand and the negation of a condition."""
    return str(condition.operator), condition.operand, condition.negated


def test_what_contract_1_0_can_express_stands_in_no_group():
    where = {"name": Between("a", "b"), "id": Not("x"), "version": All("1", Not(In(["2"]))), "metadata": Not(None)}
    plan = plan_query(StoredWorkflow, QueryFilter(where, any_of=[{"name": Not(Ne("a"))}]))
    assert [leaf(condition) for condition in plan.conditions] == [
        ("ge", "a", False),
        ("le", "b", False),
        ("eq", "x", True),
        ("eq", "1", False),
        ("in", ("2",), True),
        ("eq", None, True),
        ("eq", "a", False),
    ]
    assert plan_query(StoredWorkflow, QueryFilter({"name": All()}, any_of=[{}])).conditions == ()


def test_what_contract_1_0_cannot_express_stands_in_groups_that_are_never_negated():
    (negated,) = plan_query(StoredWorkflow, QueryFilter({"name": Not(Lt("a"))})).conditions
    assert isinstance(negated, ConditionGroup)
    assert [leaf(each) for each in negated.leaves()] == [("lt", "a", True)]
    (either,) = plan_query(StoredWorkflow, QueryFilter({"name": Not(All("a", Not(AnyOf("b", "c"))))})).conditions
    assert isinstance(either, ConditionGroup)
    assert either.connective is Connective.ANY
    assert [leaf(each) for each in either.parts] == [("eq", "a", True), ("eq", "b", False), ("eq", "c", False)]
    for empty in (QueryFilter({"name": AnyOf()}), QueryFilter({"name": Not(All())}), QueryFilter(any_of=[])):
        (nothing,) = plan_query(StoredWorkflow, empty).conditions
        assert nothing == ConditionGroup(Connective.ANY, ())


@pytest.mark.parametrize(
    "condition",
    [
        *(Lt(2), Le(2), Gt(2), Ge(2), 2, Ne(2), None, Ne(None), In([2, None]), NotIn([2]), In([])),
        *(Contains("a"), StartsWith("a"), Between(1, 2), Between("a", "b"), True, All(), AnyOf(), "a", Not(Lt("b"))),
        *(All(Ge(1), Ne(2)), AnyOf(None, Gt(1)), All(Not(AnyOf(1, 2)), Ne(None)), AnyOf(All(Ge(1), Le(2)), "a")),
    ],
    ids=repr,
)
def test_not_matches_exactly_what_its_condition_does_not(condition: Any):
    records = [
        StoredWorkflow(name="n", version="1", definition={}, metadata={} if value is ... else {"k": value})
        for value in (None, ..., 0, 1, 1.5, 2, 3, True, False, "", "a", "b", [], [1], {}, {"a": 1})
    ]

    def matching(condition: Any) -> list[StoredWorkflow]:
        return plan_query(StoredWorkflow, QueryFilter({"metadata.k": condition})).select_whole(records)

    found, others = matching(condition), matching(Not(condition))
    assert len(found) + len(others) == len(records)
    assert all(record in found or record in others for record in records)
    assert matching(Not(Not(condition))) == found
