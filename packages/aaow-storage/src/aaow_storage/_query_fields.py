"""The fields that a filter may name, the values that it may compare them with, and the order of a list."""

import functools
import math
from enum import StrEnum
from typing import Any

from aaow_storage import _json, _records
from aaow_storage._amounts import amount_problem, as_amount
from aaow_storage._enums import (
    ApprovalStatus,
    ApprovalType,
    BudgetPoolStatus,
    Direction,
    NodeExecutionStatus,
    SessionStatus,
)
from aaow_storage._filter_limits import check_path
from aaow_storage._omitted import OMITTED, REMEDY
from aaow_storage._operators import FieldName, FieldOperator, OrderBy
from aaow_storage._query_plan import FieldKind, QueryField
from aaow_storage._stream_summary import StreamSummary
from aaow_storage._usage_summary import TOKEN_FIGURES
from aaow_storage._values import (
    MAX_COUNT,
    MAX_SHOWN,
    as_float,
    as_utc,
    exact_text,
    instant_problem,
    member_or_same,
    shown,
)
from aaow_storage.errors import ValidationError

_K = FieldKind
QUERY_FIELDS: dict[type, dict[str, FieldKind | type[StrEnum]]] = {
    _records.StoredWorkflow: {
        "id": _K.TEXT, "name": _K.TEXT, "version": _K.TEXT, "definition": _K.JSON,
        "created_at": _K.INSTANT, "updated_at": _K.INSTANT, "metadata": _K.JSON,
    },
    _records.Session: {
        "id": _K.TEXT, "workflow_id": _K.TEXT, "workflow_snapshot": _K.JSON, "status": SessionStatus,
        "parent_session_id": _K.TEXT, "created_at": _K.INSTANT, "updated_at": _K.INSTANT, "metadata": _K.JSON,
    },
    _records.LLMExecution: {
        "id": _K.TEXT, "session_id": _K.TEXT, "node_id": _K.TEXT, "timestamp": _K.INSTANT, "success": _K.BOOL,
        "text": _K.TEXT, "error": _K.TEXT, "metadata": _K.JSON, "provider": _K.TEXT, "model": _K.TEXT, "input": _K.JSON,
        "output": _K.JSON, "completed_at": _K.INSTANT, "finish_reason": _K.TEXT, "cost": _K.AMOUNT,
        "currency": _K.TEXT, "attempt": _K.COUNT, **dict.fromkeys(TOKEN_FIGURES, _K.COUNT),
    },
    _records.ToolCallLog: {
        "id": _K.TEXT, "execution_id": _K.TEXT, "tool_call_id": _K.TEXT, "tool_name": _K.TEXT, "args": _K.JSON,
        "result": _K.JSON, "error": _K.TEXT, "timestamp": _K.INSTANT, "duration_ms": _K.NUMBER,
        "session_id": _K.TEXT, "node_id": _K.TEXT,
    },
    _records.BudgetPool: {
        "id": _K.TEXT, "parent_pool_id": _K.TEXT, "total_budget": _K.AMOUNT, "used_budget": _K.AMOUNT,
        "status": BudgetPoolStatus, "created_at": _K.INSTANT, "metadata": _K.JSON,
    },
    _records.ApprovalRequest: {
        "id": _K.TEXT, "session_id": _K.TEXT, "node_id": _K.TEXT, "type": ApprovalType, "status": ApprovalStatus,
        "context": _K.JSON, "created_at": _K.INSTANT, "expires_at": _K.INSTANT, "resolved_at": _K.INSTANT,
        "resolved_by": _K.TEXT, "resolution_notes": _K.TEXT,
    },
    _records.StreamEvent: {
        "id": _K.TEXT, "stream_id": _K.TEXT, "node_id": _K.TEXT, "data": _K.JSON, "timestamp": _K.INSTANT,
        "session_id": _K.TEXT, "sequence": _K.COUNT,
    },
    StreamSummary: {
        "stream_id": _K.TEXT, "session_id": _K.TEXT, "events": _K.COUNT, "last_sequence": _K.COUNT,
        "first_event_at": _K.INSTANT, "last_event_at": _K.INSTANT,
    },
    _records.WorkflowExecutionState: {
        "session_id": _K.TEXT, "status": SessionStatus, "budget_pool_id": _K.TEXT, "current_node_id": _K.TEXT,
        "started_at": _K.INSTANT, "completed_at": _K.INSTANT, "metadata": _K.JSON,
    },
    _records.NodeState: {
        "session_id": _K.TEXT, "node_id": _K.TEXT, "status": NodeExecutionStatus, "input": _K.JSON, "output": _K.JSON,
        "error": _K.TEXT, "started_at": _K.INSTANT, "completed_at": _K.INSTANT, "retry_count": _K.COUNT,
        "pending_approval_id": _K.TEXT, "metadata": _K.JSON,
    },
}  # fmt: skip
"""The fields of each record that a `QueryFilter` may name; a JSON field needs a path, except to compare with None."""

_WITHIN: dict[type, dict[str, str]] = {_records.LLMExecution: dict.fromkeys(TOKEN_FIGURES, "usage")}
"""The field of a record that has another one that a filter may name."""

KEY_FIELDS: dict[type, tuple[str, ...]] = {
    _records.StoredWorkflow: ("id",),
    _records.Session: ("id",),
    _records.LLMExecution: ("id",),
    _records.ToolCallLog: ("id",),
    _records.BudgetPool: ("id",),
    _records.ApprovalRequest: ("id",),
    _records.StreamEvent: ("id",),
    StreamSummary: ("stream_id",),
    _records.WorkflowExecutionState: ("session_id",),
    _records.NodeState: ("session_id", "node_id"),
}
"""The fields that tell the records of a kind apart, none of them null: they break the ties of every order."""

DEFAULT_ORDER: dict[type, str] = {
    _records.StoredWorkflow: "created_at",
    _records.Session: "created_at",
    _records.LLMExecution: "timestamp",
    _records.ToolCallLog: "timestamp",
    _records.BudgetPool: "created_at",
    _records.ApprovalRequest: "created_at",
    _records.StreamEvent: "timestamp",
    StreamSummary: "first_event_at",
    _records.WorkflowExecutionState: "session_id",
    _records.NodeState: "session_id",
}
"""The field that a list of records is ordered by without `order_by`, before the key fields."""


@functools.lru_cache(maxsize=1024)
def resolve_field(record: type, name: FieldName, *, is_compared_with_none: bool | None = None) -> QueryField:
    """Return the field of a record, or the path into one of its JSON fields, that has the name.

    A JSON field needs no path to be compared with None. `is_compared_with_none` is None if the field is not compared.

    Raises:
        ValidationError: there is no such field, it is JSON and needs a path, it has no paths, or the path is too long.
    """
    check_path(record.__name__, name)
    entries = QUERY_FIELDS[record]
    first, *path = name.split(".") if isinstance(name, str) else name
    entry = entries.get(first)
    is_whole = entry is FieldKind.JSON and is_compared_with_none
    if entry is None or ((entry is FieldKind.JSON) is not bool(path) and not is_whole):
        scalars = ", ".join(field for field, entry in entries.items() if entry is not FieldKind.JSON)
        documents = ", ".join(field for field, entry in entries.items() if entry is FieldKind.JSON)
        if entry is None:
            problem = "is not a field that a filter may name"
        elif path:
            problem = f"is a path, but {first} is not JSON"
        else:
            problem = f"is JSON, so a filter needs a path into it, such as '{first}.key'"
            if is_compared_with_none is not None:
                problem += ", except for None and Ne(None)"
        problem += f"; there are {scalars}"
        if documents:
            problem += f", and paths into {documents}"
        raise ValidationError(record.__name__, first[:MAX_SHOWN] if not path else ".".join((first, *path)), problem)
    for key in path:
        if (what := _json.text_problem(key)) is not None:
            raise ValidationError(record.__name__, first, f"in the path, {what}")
    if isinstance(entry, FieldKind):
        return QueryField(first, entry, tuple(path), within=_WITHIN.get(record, {}).get(first))
    return QueryField(first, FieldKind.ENUM, enum=entry)


def total_order(record: type, keys: tuple[OrderBy, ...]) -> tuple[tuple[QueryField, Direction], ...]:
    """Return the order with the key fields last, unless it has them, and without keys that repeat a field.

    Without keys it begins with the field of the default order. A repeated key changes nothing, because the first key of
    the field already orders records that differ in it.
    """
    order: dict[QueryField, Direction] = {}
    for key in keys or (OrderBy(DEFAULT_ORDER[record]),):
        order.setdefault(resolve_field(record, key.field), key.direction)
    for name in KEY_FIELDS[record]:
        order.setdefault(resolve_field(record, name), Direction.ASCENDING)
    return tuple(order.items())


def value_to_go_on_after(record: object, field: QueryField) -> Any:
    """Return the value of a field in the record that a page begins after."""
    if field.path and getattr(record, field.name) is OMITTED:
        problem = f"the order needs {shown_name(field)}, which documents=False left out of the record; {REMEDY}"
        raise ValidationError("QueryFilter", "after", problem)
    return field.value_of(record)


def ordered_operand(field: QueryField, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        raise wrong_value(field, f"{value} has no order; use equality or Ne")
    return operand_of(field, value)


def search_text(field: QueryField, value: Any) -> str:
    if field.kind not in {FieldKind.TEXT, FieldKind.ENUM, FieldKind.JSON}:
        raise wrong_value(field, f"is of kind {field.kind}, which cannot be searched for text")
    if not issubclass(type(value), str):
        raise wrong_value(field, f"can be searched for str only, not {type(value).__name__}")
    text = exact_text(value)
    _json.check_json(text, record="QueryFilter.where", field=shown_name(field))
    return text


def operand_of(field: QueryField, value: Any) -> Any:
    """Return the value as the type of the field."""
    if value is None:
        return None
    if isinstance(value, FieldOperator):
        problem: str | None = f"must be a value, not {type(value).__name__}; combine conditions by All, AnyOf and Not"
    else:
        value, problem = _converted(field, value)
    if problem is not None:
        raise wrong_value(field, problem)
    return value


def _converted(field: QueryField, value: Any) -> tuple[Any, str | None]:
    """Return the value as the type of the field, and what is wrong with it, or None."""
    match field.kind:
        case FieldKind.TEXT:
            return _text(value)
        case FieldKind.ENUM:
            value = member_or_same(field.enum or StrEnum, value)
            is_member = type(value) is field.enum
            return value, None if is_member else f"{shown(value)} is not one of {', '.join(field.enum or ())}"
        case FieldKind.INSTANT:
            value = as_utc(value)
            return value, instant_problem(value)
        case FieldKind.NUMBER:
            return _number(value)
        case FieldKind.COUNT:
            return _whole_number(value)
        case FieldKind.AMOUNT:
            value = as_amount(value)
            return value, amount_problem(value)
        case FieldKind.BOOL:
            return value, None if type(value) is bool else f"must be bool, not {type(value).__name__}"
    if isinstance(value, list | dict):
        problem = "can be compared with a str, number, bool or None, not with a list or dict; use a longer path"
        return value, problem
    _json.check_json(value, record="QueryFilter.where", field=shown_name(field))
    return value, None


def _text(value: Any) -> tuple[Any, str | None]:
    if not issubclass(type(value), str):
        return value, f"must be str, not {type(value).__name__}"
    text = exact_text(value)
    return text, _json.text_problem(text)


def _number(value: Any) -> tuple[Any, str | None]:
    if type(value) is bool or not issubclass(type(value), int | float):
        return value, f"must be a number, not {type(value).__name__}"
    number = as_float(value)
    is_finite = type(number) is float and math.isfinite(number)
    return number, None if is_finite else f"must be a finite number that a float can hold, not {shown(value)}"


def _whole_number(value: Any) -> tuple[Any, str | None]:
    if type(value) is bool or not issubclass(type(value), int):
        return value, f"must be int, not {type(value).__name__}"
    number = int.__pos__(value)
    return number, None if abs(number) <= MAX_COUNT else f"must be from -2**63+1 to 2**63-1, not {shown(number)}"


def wrong_value(field: QueryField, problem: str) -> ValidationError:
    return ValidationError("QueryFilter.where", shown_name(field), problem)


def shown_name(field: QueryField) -> str:
    return ".".join((field.name, *field.path))
