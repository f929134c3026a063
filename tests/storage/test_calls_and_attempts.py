"""Model calls, tool calls, and the states and attempts of nodes, as records."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aaow_storage import (
    LLMExecution,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.errors import ValidationError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HUGE = 10**5000
EXECUTION = {"session_id": "s", "node_id": "n"}
MINIMAL: dict[type, dict[str, Any]] = {
    LLMExecutionResult: {},
    LLMExecution: EXECUTION,
    NodeExecutionState: {"node_id": "n"},
    WorkflowExecutionState: {"session_id": "s", "status": "running"},
    TokenUsage: {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ToolCall: {"tool_call_id": "c", "tool_name": "t", "args": {}},
    ToolCallLog: {"tool_call_id": "c", "tool_name": "t", "args": {}, "execution_id": "e"},
}


def build(kind: Any, **fields: Any) -> Any:
    return kind(**{**MINIMAL[kind], **fields})


def problem_of(kind: type, field: str, value: Any, **others: Any) -> str:
    """Return what is said of a value that a field does not take."""
    with pytest.raises(ValidationError) as caught:
        build(kind, **others, **{field: value})
    assert caught.value.record == kind.__name__
    assert caught.value.field.startswith(field)
    return caught.value.problem


@pytest.mark.parametrize("kind", [LLMExecutionResult, LLMExecution])
def test_a_cost_has_a_currency_and_a_currency_a_cost(kind: Any):
    result = build(kind, cost="0.0125", currency="EUR")
    assert (result.cost, result.currency) == (Decimal("0.0125"), "EUR")
    assert (build(kind, cost=None).cost, build(kind, cost=0, currency="EUR").cost) == (None, 0)
    assert "is missing for the cost 0.5" in problem_of(kind, "currency", None, cost="0.5")
    assert "'USD' stands without a cost" in problem_of(kind, "currency", "USD")
    for wrong in ("usd", "US", "EURO", "€€€", "", "U D", "US1"):
        assert "must be three capital letters" in problem_of(kind, "currency", wrong, cost=1)
    for wrong in (7, b"USD", HUGE):
        assert "must be str" in problem_of(kind, "currency", wrong, cost=1)


@pytest.mark.parametrize("kind", [LLMExecutionResult, LLMExecution])
def test_the_duration_of_a_model_call_is_from_its_timestamp_to_its_end(kind: Any):
    assert build(kind).duration is None
    assert build(kind, timestamp=NOON, completed_at=NOON + timedelta(seconds=2)).duration == timedelta(seconds=2)


@pytest.mark.parametrize("kind", [LLMExecutionResult, LLMExecution])
def test_success_is_true_false_or_not_known_yet(kind: Any):
    for value in (True, False, None):
        assert build(kind, success=value).success is value
    for wrong in (1, 0, "true", HUGE):
        assert "must be bool" in problem_of(kind, "success", wrong)


@pytest.mark.parametrize("kind", [LLMExecutionResult, LLMExecution])
def test_an_execution_holds_tool_calls_and_usage_as_records(kind: Any):
    call, usage = build(ToolCall), build(TokenUsage)
    assert build(kind, tool_calls=[call], usage=usage).tool_calls == (call,)
    assert build(kind, tool_calls=()).tool_calls == ()
    assert "must be a tuple or list of ToolCall, not dict" in problem_of(kind, "tool_calls", {"a": call})
    assert "item 1 must be ToolCall, not str" in problem_of(kind, "tool_calls", [call, "x"])
    assert "must be TokenUsage, not dict" in problem_of(kind, "usage", {"total_tokens": 1})


def test_a_list_of_tool_calls_is_copied():
    calls = [build(ToolCall)]
    result = build(LLMExecutionResult, tool_calls=calls)
    calls.clear()
    assert len(result.tool_calls) == 1


@pytest.mark.parametrize("missing", ["session_id", "node_id"])
def test_a_tool_call_without_an_execution_names_its_session_and_node(missing: str):
    place = {"session_id": "s", "node_id": "n"}
    call = build(ToolCallLog, execution_id=None, **place)
    assert (call.execution_id, call.session_id, call.node_id) == (None, "s", "n")
    del place[missing]
    said = problem_of(ToolCallLog, missing, None, execution_id=None, **place)
    assert said == "is missing; a tool call needs an execution_id, or both session_id and node_id"


def test_attempts_are_kept_in_order():
    attempts = [NodeAttempt(status=status, error=status) for status in ("failed", "cancelled")]
    state = build(NodeExecutionState, attempts=attempts)
    attempts.clear()
    assert [each.status for each in state.attempts] == ["failed", "cancelled"]
    assert "must be a tuple or list of NodeAttempt" in problem_of(NodeExecutionState, "attempts", None)
    assert "item 0 must be NodeAttempt" in problem_of(NodeExecutionState, "attempts", [{"status": "failed"}])


@pytest.mark.parametrize("ended_at", [None, NOON + timedelta(seconds=1)])
def test_a_retried_node_keeps_its_attempt(ended_at: datetime | None):
    again = NOON + timedelta(seconds=3)
    first = build(
        NodeExecutionState,
        status="failed",
        input=[1],
        output="part",
        error="timeout",
        started_at=NOON,
        completed_at=ended_at,
        metadata={"k": 1},
    )
    second = first.retried(again)
    ended = NodeAttempt(
        status="failed", started_at=NOON, completed_at=ended_at or again, error="timeout", output="part"
    )
    assert second == NodeExecutionState(
        node_id="n",
        status="running",
        input=[1],
        started_at=again,
        retry_count=1,
        metadata={"k": 1},
        attempts=(ended,),
    )
    assert [each.status for each in second.retried(again).attempts] == ["failed", "running"]
    with pytest.raises(ValidationError, match="no time zone"):
        first.retried(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_a_duration_is_a_finite_number_of_0_or_more():
    for given, kept in [(0, 0.0), (12, 12.0), (0.25, 0.25), (None, None)]:
        value = build(ToolCallLog, duration_ms=given).duration_ms
        assert (value, type(value)) == (kept, type(kept))
    for wrong in (-1, -0.5, math.nan, math.inf, True, "12", Decimal(12), HUGE):
        assert "must be a finite number of 0 or more" in problem_of(ToolCallLog, "duration_ms", wrong)


def test_node_states_are_kept_under_their_own_ids():
    node = NodeExecutionState(node_id="n")
    given = {"n": node}
    state = build(WorkflowExecutionState, node_states=given)
    given.clear()
    assert state.node_states == {"n": node}
    for wrong, words in [
        ({"other": node}, "['other'] holds the state of node 'n'"),
        ({"n": {"node_id": "n"}}, "['n'] must be NodeExecutionState, not dict"),
        ([node], "must be a mapping of node ids to states, not list"),
        (None, "must be a mapping"),
    ]:
        assert words in problem_of(WorkflowExecutionState, "node_states", wrong)
