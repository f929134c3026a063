"""The records: values that cannot be built wrong."""

import copy
import math
import pickle
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    NodeState,
    Session,
    SessionStatus,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
    authoring,
)
from aaow_storage.errors import ValidationError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HUGE = 10**5000
"""More digits than Python turns into text."""

MINIMAL: dict[type, dict[str, Any]] = {
    StoredWorkflow: {"name": "n", "version": "1", "definition": {}},
    Session: {"workflow_id": None, "workflow_snapshot": {}},
    WorkflowExecutionState: {"session_id": "s", "status": "running"},
    NodeExecutionState: {"node_id": "n"},
    NodeState: {"node_id": "n", "session_id": "s"},
    NodeAttempt: {"status": "failed"},
    LLMExecutionResult: {},
    LLMExecution: {"session_id": "s", "node_id": "n"},
    TokenUsage: {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ToolCall: {"tool_call_id": "t", "tool_name": "search", "args": {}},
    ToolCallLog: {"tool_call_id": "t", "tool_name": "search", "args": {}, "execution_id": "e"},
    BudgetPool: {"total_budget": 10},
    ApprovalRequest: {"session_id": "s", "node_id": "n", "type": "human_review"},
    StreamEvent: {"stream_id": "s", "node_id": "n", "data": None},
}
MINIMAL_OF_ITS_OWN = {ToolCallLog: {"execution_id"}}
"""Fields that have a default, but not all of which may be left out."""
KINDS = list(MINIMAL)

DEFAULTS_OF_A_NODE = {
    "status": "pending",
    "input": None,
    "output": None,
    "error": None,
    "started_at": None,
    "completed_at": None,
    "retry_count": 0,
    "pending_approval_id": None,
    "metadata": None,
    "attempts": (),
}
DEFAULTS_OF_A_RESULT = {
    "success": None,
    "text": None,
    "tool_calls": None,
    "usage": None,
    "error": None,
    "metadata": None,
    "provider": None,
    "model": None,
    "input": None,
    "output": None,
    "completed_at": None,
    "finish_reason": None,
    "cost": None,
    "currency": None,
    "attempt": 0,
}
DEFAULTS: dict[type, dict[str, Any]] = {
    StoredWorkflow: {"metadata": None},
    Session: {"status": "running", "parent_session_id": None, "metadata": None},
    WorkflowExecutionState: {
        "budget_pool_id": None,
        "current_node_id": None,
        "started_at": None,
        "completed_at": None,
        "node_states": {},
        "metadata": None,
    },
    NodeExecutionState: DEFAULTS_OF_A_NODE,
    NodeState: DEFAULTS_OF_A_NODE,
    NodeAttempt: {"started_at": None, "completed_at": None, "error": None, "output": None},
    LLMExecutionResult: DEFAULTS_OF_A_RESULT,
    LLMExecution: DEFAULTS_OF_A_RESULT,
    TokenUsage: {"cache_read_tokens": None, "cache_write_tokens": None, "reasoning_tokens": None},
    ToolCall: {"result": None, "error": None},
    ToolCallLog: {"result": None, "error": None, "duration_ms": None, "session_id": None, "node_id": None},
    BudgetPool: {"parent_pool_id": None, "used_budget": Decimal(0), "status": "active", "metadata": None},
    ApprovalRequest: {
        "status": "pending",
        "context": {},
        "expires_at": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution_notes": None,
    },
    StreamEvent: {"session_id": None, "sequence": None},
}

IDS = {
    *("id", "session_id", "node_id", "workflow_id", "parent_session_id", "budget_pool_id"),
    *("current_node_id", "pending_approval_id", "tool_call_id", "execution_id", "parent_pool_id", "stream_id"),
}
OPTIONAL_IDS = {
    *("workflow_id", "parent_session_id", "budget_pool_id"),
    *("current_node_id", "pending_approval_id", "parent_pool_id"),
}
OPTIONAL_IDS_OF = {ToolCallLog: {"execution_id", "session_id", "node_id"}, StreamEvent: {"session_id"}}
"""Ids that other records require."""
INSTANTS = {"created_at", "updated_at", "started_at", "completed_at", "timestamp", "expires_at", "resolved_at"}
TEXTS = {
    *("name", "version", "error", "text", "tool_name"),
    *("resolved_by", "resolution_notes", "provider", "model", "finish_reason"),
}
OBJECTS = {"definition", "workflow_snapshot", "metadata", "args", "context"}
ANY_JSON = {"input", "output", "result", "data"}
COUNTS = {"retry_count", "attempt", "prompt_tokens", "completion_tokens", "total_tokens"}
OPTIONAL_COUNTS = {"cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "sequence"}
AMOUNTS = {"total_budget", "used_budget", "cost"}
OPTIONAL_AMOUNTS = {"cost"}
WORDS = {"status", "type"}
OTHERS = {"success", "tool_calls", "usage", "node_states", "duration_ms", "attempts", "currency"}


def build(kind: Any, **fields: Any) -> Any:
    beside = {"currency": "USD"} if fields.get("cost") is not None else {}
    return kind(**{**MINIMAL[kind], **beside, **fields})


def fields_of(names: set[str]) -> Any:
    """Run a test for each field of each record that has one of those names."""
    return pairs_of((kind, field.name) for kind in KINDS for field in attrs.fields(kind) if field.name in names)


def is_optional_id(kind: type, name: str) -> bool:
    return name in IDS and (name in OPTIONAL_IDS or name in OPTIONAL_IDS_OF.get(kind, ()))


def pairs_of(given: Iterable[tuple[type, str]]) -> Any:
    """Run a test for each of those fields of records."""
    pairs = list(given)
    return pytest.mark.parametrize(("kind", "field"), pairs, ids=[f"{kind.__name__}-{name}" for kind, name in pairs])


def problem_of(kind: type, field: str, value: Any, **others: Any) -> str:
    """Return what is said of a value that a field does not take."""
    with pytest.raises(ValidationError) as caught:
        build(kind, **others, **{field: value})
    assert caught.value.record == kind.__name__
    assert caught.value.field.startswith(field)
    assert str(caught.value).isprintable()
    return caught.value.problem


def test_every_field_is_in_one_of_the_groups_of_this_page():
    groups = [IDS, INSTANTS, TEXTS, OBJECTS, ANY_JSON, COUNTS, OPTIONAL_COUNTS, AMOUNTS, WORDS, OTHERS]
    names = [field.name for kind in KINDS for field in attrs.fields(kind)]
    assert set(names) == set().union(*groups)
    assert len(set(names)) == sum(map(len, groups))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_has_the_defaults_of_the_contract(kind: Any):
    record = build(kind)
    for name, value in DEFAULTS.get(kind, {}).items():
        assert getattr(record, name) == value
    required = {field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING}
    assert required == set(MINIMAL[kind]) - MINIMAL_OF_ITS_OWN.get(kind, set())
    for name in {"id"} & {field.name for field in attrs.fields(kind)}:
        assert UUID(getattr(record, name)).version == 7
    for name in {"created_at", "updated_at", "timestamp"} & {field.name for field in attrs.fields(kind)}:
        assert abs(datetime.now(UTC) - getattr(record, name)) < timedelta(seconds=10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_a_value(kind: Any):
    record = build(kind)
    name = attrs.fields(kind)[0].name
    assert record == copy.deepcopy(record) == pickle.loads(pickle.dumps(record))
    assert not hasattr(record, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(record, name, "changed")
    with pytest.raises(TypeError):
        kind("positional")


def test_defaults_that_can_change_are_not_shared():
    assert build(ApprovalRequest).context is not build(ApprovalRequest).context
    assert build(WorkflowExecutionState).node_states is not build(WorkflowExecutionState).node_states


@fields_of(IDS)
def test_an_id_is_a_short_text_of_any_characters_but_nul(kind: Any, field: str):
    for value in ("x", "x" * 255, "a b/c'd\"e%f_g.h\\i\n", "é", "e\u0301", "😀" * 255, "A", "a"):
        assert getattr(build(kind, **{field: value}), field) == value
    assert "1 to 255 characters" in problem_of(kind, field, "")
    assert "characters, not 256" in problem_of(kind, field, "x" * 256)
    assert "NUL, found at index 1" in problem_of(kind, field, "x\x00")
    assert "lone surrogate" in problem_of(kind, field, "\ud800")
    for value in (7, b"x", ["x"], UUID(int=0), HUGE):
        assert "must be str" in problem_of(kind, field, value)


@pairs_of(
    (kind, each.name)
    for kind in KINDS
    for each in attrs.fields(kind)
    if is_optional_id(kind, each.name) and each.name not in MINIMAL_OF_ITS_OWN.get(kind, ())
)
def test_a_reference_that_may_be_missing_takes_none(kind: Any, field: str):
    assert getattr(build(kind, **{field: None}), field) is None


@pairs_of(
    (kind, each.name)
    for kind in KINDS
    for each in attrs.fields(kind)
    if each.name in IDS and not is_optional_id(kind, each.name)
)
def test_a_required_id_may_not_be_none(kind: Any, field: str):
    assert "must be str, not NoneType" in problem_of(kind, field, None)


@fields_of(INSTANTS)
def test_an_instant_is_aware_and_moves_to_utc_at_its_microsecond(kind: Any, field: str):
    east = timezone(timedelta(hours=5, minutes=30))
    given = datetime(2026, 5, 1, 17, 30, 0, 123_456, tzinfo=east)
    kept = getattr(build(kind, **{field: given}), field)
    assert (kept, kept.tzinfo, kept.microsecond) == (given, UTC, 123_456)
    for value in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert getattr(build(kind, **{field: value}), field) == value
    assert "no time zone" in problem_of(kind, field, datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    assert "outside the years" in problem_of(kind, field, datetime.min.replace(tzinfo=east))
    for value in ("2026-01-01T00:00:00Z", 0, NOON.date(), NOON.timetz()):
        assert "must be an aware datetime" in problem_of(kind, field, value)


@fields_of(TEXTS)
def test_a_text_takes_any_unicode_but_nul_and_lone_surrogates(kind: Any, field: str):
    for value in ("", "x" * 1_000_000, "\r\n\t\u2028\ufeff\U0010ffff", "'; DROP TABLE sessions; --"):
        assert getattr(build(kind, **{field: value}), field) == value
    assert "NUL" in problem_of(kind, field, "a\x00")
    assert "lone surrogate at index 1" in problem_of(kind, field, "a\udcff")
    for value in (7, b"x", HUGE):
        assert "must be str" in problem_of(kind, field, value)


@fields_of(OBJECTS)
def test_an_object_is_a_dict_of_json(kind: Any, field: str):
    value = {"nodes": [1, 1.0, None, True, "\x00", {"": []}]}
    assert getattr(build(kind, **{field: value}), field) == value
    assert "tuple is not JSON" in problem_of(kind, field, {"root": {"nodes": [()]}})
    for wrong in ([], "{}", 7, HUGE, ()):
        assert "must be a JSON object (dict)" in problem_of(kind, field, wrong)


@fields_of(ANY_JSON)
def test_a_document_is_any_json(kind: Any, field: str):
    for value in (None, False, 0, 0.0, "", [], {}, "\x00"):
        kept = getattr(build(kind, **{field: value}), field)
        assert (kept, type(kept)) == (value, type(value))
    for wrong in ((), math.nan, HUGE, "\ud800", {1: 2}, NOON):
        assert problem_of(kind, field, wrong)


def test_a_wrong_part_of_a_document_is_named_by_its_path():
    with pytest.raises(ValidationError) as caught:
        build(StoredWorkflow, definition={"root": {"nodes": [1, 2, 3, {"timeout": math.inf}]}})
    assert caught.value.field == "definition.root.nodes[3].timeout"
    assert str(caught.value).startswith("StoredWorkflow.definition.root.nodes[3].timeout: ")


@fields_of(COUNTS)
def test_a_count_is_an_int_of_0_or_more(kind: Any, field: str):
    for value in (0, 1, 2**63 - 1):
        assert getattr(build(kind, **{field: value}), field) == value
    for wrong in (-1, 2**63, HUGE, -HUGE):
        assert "must be from 0 to 2**63-1" in problem_of(kind, field, wrong)
    for wrong in (True, 1.0, "1", None, Decimal(1)):
        assert "must be int" in problem_of(kind, field, wrong)


@fields_of(OPTIONAL_COUNTS)
def test_a_count_that_was_not_reported_is_none(kind: Any, field: str):
    for value in (None, 0, 1, 2**63 - 1):
        assert getattr(build(kind, **{field: value}), field) == value
    for wrong in (-1, 2**63, HUGE):
        assert "must be from 0 to 2**63-1" in problem_of(kind, field, wrong)
    for wrong in (True, 1.0, "1"):
        assert "must be int" in problem_of(kind, field, wrong)


@fields_of(AMOUNTS)
def test_an_amount_is_an_exact_decimal(kind: Any, field: str):
    for given, kept in [
        (0, "0"),
        (7, "7"),
        (0.1, "0.1"),
        ("12.50", "12.5"),
        (Decimal("999999999999.999"), "999999999999.999"),
        (10**18 - 1, "999999999999999999"),
        ("1E+17", "100000000000000000"),
        ("1E-18", "0.000000000000000001"),
        ("999999999999999999.999999999999999999", "999999999999999999.999999999999999999"),
        ("12.5" + "0" * 100, "12.5"),
        (f"0E+{10**15}", "0"),
        ("0E-999999", "0"),
        (-0.0, "0"),
    ]:
        value = getattr(build(kind, **{field: given}), field)
        assert (type(value), str(value)) == (Decimal, str(Decimal(kept)))
    for wrong in ("NaN", Decimal("sNaN"), math.nan, math.inf, "-Infinity"):
        assert "must be a finite amount" in problem_of(kind, field, wrong)
    for wrong in ("", "ten", "1,5", True, [1], b"1", 1 + 2j):
        assert "must be an amount" in problem_of(kind, field, wrong)
    for wrong in ("1E-19", "0.1234567890123456789", "1E-501", Decimal("1E-9999999")):
        assert "has more than 18 places after the point; round it" in problem_of(kind, field, wrong)
    assert "must be 0 or more" in problem_of(kind, field, "-0.01")
    for wrong in (10**18, 1e18, "1E+18", "1E+501", "1E+9999999", HUGE):
        assert "must be below 10**18, not " in problem_of(kind, field, wrong)


@fields_of(AMOUNTS - OPTIONAL_AMOUNTS)
def test_an_amount_of_a_pool_may_not_be_none(kind: Any, field: str):
    assert "must be an amount" in problem_of(kind, field, None)


@pytest.mark.parametrize(
    ("total", "used", "remaining"),
    [
        ("10", "10", "0"),
        ("0.3", "0.1", "0.2"),
        ("5", "8", "-3"),
        ("999999999999999999", "1E-18", "999999999999999998." + "9" * 18),
    ],
)
def test_the_remaining_budget_is_exact(total: str, used: str, remaining: str):
    pool = BudgetPool(total_budget=total, used_budget=used)
    assert str(pool.remaining_budget) == remaining


@fields_of(WORDS)
def test_an_enumeration_field_takes_a_member_or_its_text(kind: Any, field: str):
    words = type(getattr(build(kind), field))
    for word in words:
        assert getattr(build(kind, **{field: str(word)}), field) is word
        assert getattr(build(kind, **{field: word}), field) is word
    for wrong in ("", "Running", "nonsense", None, 7, [], HUGE):
        assert f"is not one of {', '.join(words)}" in problem_of(kind, field, wrong)


def test_a_changed_copy_is_checked_too():
    session = build(Session)
    assert attrs.evolve(session, status="failed").status is SessionStatus.FAILED
    with pytest.raises(ValidationError, match=r"^Session\.status"):
        attrs.evolve(session, status="nonsense")


def test_errors_call_the_stored_records_by_these_names():
    assert {kind.__name__: name for kind, name in authoring.KINDS.items()} == {
        "StoredWorkflow": "workflow",
        "Session": "session",
        "WorkflowExecutionState": "execution_state",
        "LLMExecution": "llm_execution",
        "ToolCallLog": "tool_call",
        "BudgetPool": "budget_pool",
        "ApprovalRequest": "approval_request",
        "StreamEvent": "stream_event",
    }
