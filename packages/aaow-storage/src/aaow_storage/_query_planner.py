"""From a `QueryFilter` to a `QueryPlan`: resolves names, checks and normalizes values, makes the order total."""

import functools
import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import attrs

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
from aaow_storage._filter_limits import check_path, check_size
from aaow_storage._filters import (
    Contains,
    FieldName,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
)
from aaow_storage._omitted import OMITTED, REMEDY
from aaow_storage._query_plan import Condition, FieldKind, Operator, QueryField, QueryPlan
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
"""The fields of each record that a `QueryFilter` may name; a JSON field needs a path into it."""

KEY_FIELDS: dict[type, tuple[str, ...]] = {
    StreamSummary: ("stream_id",),
    _records.WorkflowExecutionState: ("session_id",),
    _records.NodeState: ("session_id", "node_id"),
}
"""The fields that tell the records of a kind apart, and break ties in an order; other kinds have an `id`."""

_WITHIN: dict[type, dict[str, str]] = {_records.LLMExecution: dict.fromkeys(TOKEN_FIGURES, "usage")}
"""The field of a record that has another one that a filter may name."""

_COMPARISONS = {Lt: Operator.LT, Le: Operator.LE, Gt: Operator.GT, Ge: Operator.GE}
_TEXT_SEARCHES = {Contains: Operator.CONTAINS, StartsWith: Operator.STARTS_WITH}

_NO_FILTER = QueryFilter()


def plan_query(record: type, filter: QueryFilter | None, default_order: str) -> QueryPlan:
    """Check a filter for lists of a record, and return the plan. Without `order_by` the order is `default_order`, id.

    Raises:
        ValidationError: a field is unknown, a value has the wrong type for its field or operator, or the filter is too
            large.
    """
    if filter is None:
        return _unfiltered_plan(record, default_order)
    if not isinstance(filter, QueryFilter):
        problem = f"must be QueryFilter or None, not {type(filter).__name__}; pass QueryFilter(where, ...)"
        raise ValidationError(record.__name__, "filter", problem)
    check_size(filter)
    order = _total_order(record, filter.order_by or (OrderBy(default_order),))
    after = None
    if filter.after_record is not None:
        if not isinstance(filter.after_record, record):
            given = type(filter.after_record).__name__
            problem = f"must be the last record of the page before, a {record.__name__}, not {given}"
            raise ValidationError("QueryFilter", "after", problem)
        after = tuple(_value_in(filter.after_record, field) for field, _ in order)
    conditions = tuple(_condition(resolve_field(record, name), value) for name, value in filter.where.items())
    return QueryPlan(conditions, order, filter.limit, filter.offset, after, filter.documents)


def _total_order(record: type, keys: Iterable[OrderBy]) -> tuple[tuple[QueryField, Direction], ...]:
    """Return the order with the id as its last key, or what the record has for an id, and without repeated fields.

    A repeated key changes nothing, because the first key of the field already orders records that differ in it.
    """
    order: dict[QueryField, Direction] = {}
    for key in keys:
        order.setdefault(resolve_field(record, key.field), key.direction)
    for name in KEY_FIELDS.get(record, ("id",)):
        order.setdefault(resolve_field(record, name), Direction.ASCENDING)
    return tuple(order.items())


def _value_in(record: object, field: QueryField) -> Any:
    """Return the value of a field in the record that a page begins after."""
    if field.path and getattr(record, field.name) is OMITTED:
        problem = f"the order needs {_shown_name(field)}, which documents=False left out of the record; {REMEDY}"
        raise ValidationError("QueryFilter", "after", problem)
    return field.value_of(record)


@functools.cache
def _unfiltered_plan(record: type, default_order: str) -> QueryPlan:
    return plan_query(record, _NO_FILTER, default_order)


@functools.lru_cache(maxsize=1024)
def resolve_field(record: type, name: FieldName) -> QueryField:
    """Return the field of a record, or the path into one of its JSON fields, that has the name.

    Raises:
        ValidationError: there is no such field, it is JSON and needs a path, it has no paths, or the path is too long.
    """
    check_path(record.__name__, name)
    entries = QUERY_FIELDS[record]
    first, *path = name.split(".") if isinstance(name, str) else name
    entry = entries.get(first)
    if entry is None or (entry is FieldKind.JSON) is not bool(path):
        scalars = ", ".join(field for field, entry in entries.items() if entry is not FieldKind.JSON)
        documents = ", ".join(field for field, entry in entries.items() if entry is FieldKind.JSON)
        if entry is None:
            problem = "is not a field that a filter may name"
        elif path:
            problem = f"is a path, but {first} is not JSON"
        else:
            problem = f"is JSON, so a filter needs a path into it, such as '{first}.key'"
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


def _condition(field: QueryField, value: Any) -> Condition:
    condition = _as_given(field, value)
    return condition if field.kind is FieldKind.JSON else _without_nul(condition)


def _without_nul(condition: Condition) -> Condition:
    """Return a condition that matches the same texts, and has no NUL in its operand.

    No text field holds a NUL, and a database may refuse one in a parameter. Of a text with a NUL, let `start` be the
    part before the NUL: a text without NUL is less than the whole text if and only if it is at most `start`.
    """
    operand, operator = condition.operand, condition.operator
    if operator is Operator.IN:
        if not any(isinstance(value, str) and "\0" in value for value in operand):
            return condition
        kept = tuple(value for value in operand if not (isinstance(value, str) and "\0" in value))
        return attrs.evolve(condition, operand=kept)
    if not isinstance(operand, str) or "\0" not in operand:
        return condition
    if operator in {Operator.LT, Operator.LE}:
        return attrs.evolve(condition, operator=Operator.LE, operand=operand.partition("\0")[0])
    if operator in {Operator.GT, Operator.GE}:
        return attrs.evolve(condition, operator=Operator.GT, operand=operand.partition("\0")[0])
    return attrs.evolve(condition, operator=Operator.IN, operand=())


def _as_given(field: QueryField, value: Any) -> Condition:
    match value:
        case Ne():
            return Condition(field, Operator.EQ, _operand(field, value.value), negated=True)
        case In() | NotIn():
            operands = tuple(_operand(field, item) for item in value.values)
            if field.kind is not FieldKind.JSON:  # in JSON, 1 and True are two values, but one key of a dict
                operands = tuple(dict.fromkeys(operands))
            return Condition(field, Operator.IN, operands, negated=isinstance(value, NotIn))
        case Contains() | StartsWith():
            return Condition(field, _TEXT_SEARCHES[type(value)], _search_text(field, value.text))
        case Lt() | Le() | Gt() | Ge():
            return Condition(field, _COMPARISONS[type(value)], _ordered_operand(field, value.value))
    return Condition(field, Operator.EQ, _operand(field, value))


def _ordered_operand(field: QueryField, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        raise _wrong_value(field, f"{value} has no order; use equality or Ne")
    return _operand(field, value)


def _search_text(field: QueryField, value: Any) -> str:
    if field.kind not in {FieldKind.TEXT, FieldKind.ENUM, FieldKind.JSON}:
        raise _wrong_value(field, f"is of kind {field.kind}, which cannot be searched for text")
    if not issubclass(type(value), str):
        raise _wrong_value(field, f"can be searched for str only, not {type(value).__name__}")
    text = exact_text(value)
    _json.check_json(text, record="QueryFilter.where", field=_shown_name(field))
    return text


def _operand(field: QueryField, value: Any) -> Any:
    """Return the value as the type of the field."""
    if value is None:
        return None
    problem: str | None = None
    match field.kind:
        case FieldKind.TEXT:
            value, problem = _text(value)
        case FieldKind.ENUM:
            value = member_or_same(field.enum or StrEnum, value)
            is_member = type(value) is field.enum
            problem = None if is_member else f"{shown(value)} is not one of {', '.join(field.enum or ())}"
        case FieldKind.INSTANT:
            value = as_utc(value)
            problem = instant_problem(value)
        case FieldKind.NUMBER:
            value, problem = _number(value)
        case FieldKind.COUNT:
            value, problem = _whole_number(value)
        case FieldKind.AMOUNT:
            value = as_amount(value)
            problem = amount_problem(value)
        case FieldKind.BOOL:
            problem = None if type(value) is bool else f"must be bool, not {type(value).__name__}"
        case FieldKind.JSON:
            if isinstance(value, list | dict):
                problem = "can be compared with a str, number, bool or None, not with a list or dict; use a longer path"
            else:
                _json.check_json(value, record="QueryFilter.where", field=_shown_name(field))
    if problem is not None:
        raise _wrong_value(field, problem)
    return value


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


def _wrong_value(field: QueryField, problem: str) -> ValidationError:
    return ValidationError("QueryFilter.where", _shown_name(field), problem)


def _shown_name(field: QueryField) -> str:
    return ".".join((field.name, *field.path))
