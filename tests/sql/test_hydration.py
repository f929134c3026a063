"""A builder makes the records that their own constructors make, and refuses what those refuse."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    NodeExecutionState,
    Session,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.errors import ValidationError
from aaow_storage_sql._mapping.hydration import MAX_ROWS, Hydrator, hydrator_for

NODE = NodeExecutionState(node_id="n", output=[1, None, {"a": 2.5}], started_at=datetime(2026, 1, 1, tzinfo=UTC))
RECORDS = [
    StoredWorkflow(name="n", version="1", definition={"a": 1}, metadata={"b": None}),
    Session(workflow_id="w", workflow_snapshot={}, parent_session_id=None, metadata={"user": "ada"}),
    NODE,
    WorkflowExecutionState(session_id="s", status="paused", node_states={"n": NODE}),
    LLMExecution(
        session_id="s",
        node_id="n",
        success=False,
        text="long" * 100,
        tool_calls=[ToolCall(tool_call_id="c", tool_name="t", args={})],
        usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=2**63 - 1),
    ),
    ToolCallLog(execution_id="e", tool_call_id="c", tool_name="", args={}, result=[], duration_ms=1.5),
    BudgetPool(total_budget="123456789012345", used_budget=Decimal("1E-18")),
    ApprovalRequest(session_id="s", node_id="n", type="human_review", status="rejected", resolved_by=""),
    StreamEvent(stream_id="s", node_id="n", data=None),
]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
ANY_JSON = attrs.fields(StreamEvent).data.type
"""The type of fields whose values are never looked at: what was decoded is JSON."""
WRONG: list[Any] = [
    "",
    "a\0b",
    "x" * 256,
    b"bytes",
    -1,
    2**63,
    True,
    1.5,
    float("nan"),
    None,
    [],
    {},
    datetime(2026, 1, 1),  # noqa: DTZ001 - naive is what is wrong
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    Decimal("NaN"),
    Decimal(-1),
    Decimal("1234567890.1234567"),
    Decimal("12.50"),
    Decimal("1E+3"),
    Decimal("1E-19"),
    Decimal(10**18),
    Decimal("1E+9999"),
    "no member",
]


def values_of(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in attrs.fields(type(record))}


@each_record
def test_a_record_is_made_of_its_own_values(record: Any):
    values = values_of(record)
    built = hydrator_for(type(record), tuple(values))(tuple(values.values()))
    assert built == record
    assert attrs.evolve(built) == record


@each_record
def test_many_records_are_made_column_by_column(record: Any):
    rows = [tuple(values_of(record).values()), tuple(values_of(attrs.evolve(record)).values())] * MAX_ROWS
    built = hydrator_for(type(record), tuple(values_of(record))).all(iter(rows))
    assert len(built) == 2 * MAX_ROWS
    assert len({id(each) for each in built}) == len(built)
    assert all(each == record for each in built)


@each_record
def test_a_column_accepts_and_rejects_the_values_that_the_record_does(record: Any):
    for field in attrs.fields(type(record)):
        for value in [*WRONG, getattr(record, field.name)]:
            values = {**values_of(record), field.name: value}
            rows = [tuple(values_of(record).values()), tuple(values.values())]
            by_record = outcome(lambda values=values: type(record)(**values))
            by_columns = outcome(lambda rows=rows, values=values: Hydrator(type(record), tuple(values)).all(rows)[1])
            assert by_columns == by_record or field.type == ANY_JSON


def test_no_rows_make_no_records():
    assert hydrator_for(StreamEvent, tuple(values_of(RECORDS[-1]))).all([]) == []


@each_record
def test_a_field_accepts_and_rejects_the_values_that_the_record_does(record: Any):
    for field in attrs.fields(type(record)):
        for value in WRONG:
            values = {**values_of(record), field.name: value}
            by_record = outcome(lambda values=values: type(record)(**values))
            by_builder = outcome(lambda values=values: Hydrator(type(record), tuple(values))(tuple(values.values())))
            assert by_builder == by_record or field.type == ANY_JSON


def outcome(make: Callable[[], Any]) -> Any:
    """Return the record, or what the error says of the field."""
    try:
        return make()
    except ValidationError as error:
        return str(error)


def test_a_hydrator_needs_every_field():
    with pytest.raises(TypeError, match="StreamEvent cannot be made of id"):
        Hydrator(StreamEvent, ("id",))


def test_a_row_with_too_few_values_is_refused():
    names = tuple(values_of(RECORDS[-1]))
    with pytest.raises(ValueError, match="shorter"):
        hydrator_for(StreamEvent, names)(["id"])


def test_a_text_becomes_the_member_of_an_enumeration():
    values = {**values_of(RECORDS[1]), "status": "failed"}
    built = hydrator_for(Session, tuple(values))(tuple(values.values()))
    assert built.status is type(RECORDS[1].status).FAILED
