"""From a `QueryFilter` to a `QueryPlan`: checks and normalizes the conditions, makes the order total."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from aaow_storage._cursors import values_of
from aaow_storage._filter_limits import check_size
from aaow_storage._filters import QueryFilter
from aaow_storage._operators import (
    All,
    AnyOf,
    Between,
    Contains,
    FieldName,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    Not,
    NotIn,
    OrderBy,
    StartsWith,
)
from aaow_storage._query_fields import (
    operand_of,
    ordered_operand,
    resolve_field,
    search_text,
    total_order,
    value_to_go_on_after,
)
from aaow_storage._query_plan import (
    Condition,
    ConditionGroup,
    Connective,
    FieldKind,
    Operator,
    QueryField,
    QueryPlan,
)
from aaow_storage.errors import ValidationError

_Part = Condition | ConditionGroup

_COMPARISONS = {Lt: Operator.LT, Le: Operator.LE, Gt: Operator.GT, Ge: Operator.GE}
_TEXT_SEARCHES = {Contains: Operator.CONTAINS, StartsWith: Operator.STARTS_WITH}

_NO_FILTER = QueryFilter()


def plan_query(record: type, filter: QueryFilter | None, default_order: str | None = None) -> QueryPlan:
    """Check a filter for lists of a record, and return the plan.

    Without `order_by` the order is `default_order`, by default that of `DEFAULT_ORDER`, and then the key fields.

    Raises:
        ValidationError: a field is unknown, a value has the wrong type for its field or operator, or the filter is too
            large.
    """
    if filter is None:
        return _unfiltered_plan(record, default_order)
    if not isinstance(filter, QueryFilter):
        problem = f"must be QueryFilter or None, not {type(filter).__name__}; pass QueryFilter(where, ...)"
        raise ValidationError(record.__name__, "filter", problem)
    check_size(filter.order_by, filter.where, filter.any_of or (), filter.after_record)
    order = total_order(record, filter.order_by or (() if default_order is None else (OrderBy(default_order),)))
    after = None if filter.after_record is None else _after(record, order, filter.after_record)
    parts = _all_of(record, filter.where)
    if filter.any_of is not None:
        alternatives = [_group(Connective.ALL, _all_of(record, each)) for each in filter.any_of]
        parts.append(_group(Connective.ANY, alternatives))
    return QueryPlan(tuple(_top(parts)), order, filter.limit, filter.offset, after, filter.documents)


def _after(record: type, order: tuple[tuple[QueryField, Any], ...], place: object) -> tuple[Any, ...]:
    """Return the values that a page begins after: those of a record, or of a cursor."""
    if isinstance(place, str):
        return values_of(place, record, order)
    if not isinstance(place, record):
        given = type(place).__name__
        problem = f"must be the last record of the page before, or its cursor: a {record.__name__}, not {given}"
        raise ValidationError("QueryFilter", "after", problem)
    return tuple(value_to_go_on_after(place, field) for field, _ in order)


@functools.cache
def _unfiltered_plan(record: type, default_order: str | None) -> QueryPlan:
    return plan_query(record, _NO_FILTER, default_order)


def _all_of(record: type, where: Mapping[FieldName, Any]) -> list[_Part]:
    return [_part(record, name, value, is_negated=False) for name, value in where.items()]


def _top(parts: list[_Part]) -> Iterator[_Part]:
    """Yield the parts, all of which have to hold, without groups for what contract 1.0 had operators for."""
    for part in parts:
        is_all = isinstance(part, ConditionGroup) and part.connective is Connective.ALL
        for each in part.parts if isinstance(part, ConditionGroup) and is_all else (part,):
            is_new = isinstance(each, Condition) and each.negated and each.operator not in _NEGATED_IN_1_0
            yield ConditionGroup(Connective.ALL, (each,)) if is_new else each


_NEGATED_IN_1_0 = {Operator.EQ, Operator.IN}


def _part(record: type, name: FieldName, value: Any, *, is_negated: bool) -> _Part:
    """Return an entry of `where`; a negation goes down to the comparisons, where null is the only third case."""
    match value:
        case Not():
            return _part(record, name, value.condition, is_negated=not is_negated)
        case All() | AnyOf():
            connective = Connective.ALL if isinstance(value, All) is not is_negated else Connective.ANY
            parts = [_part(record, name, each, is_negated=is_negated) for each in value.conditions]
            return _group(connective, parts)
        case Between():
            ends = [_comparison(record, name, end, is_negated) for end in (Ge(value.low), Le(value.high))]
            return _group(Connective.ANY if is_negated else Connective.ALL, ends)
    return _comparison(record, name, value, is_negated)


def _group(connective: Connective, parts: Iterable[_Part]) -> _Part:
    """Return the group of the parts, with those of groups of the same connective; a single part as it is."""
    flat: list[_Part] = []
    for part in parts:
        is_same = isinstance(part, ConditionGroup) and part.connective is connective
        flat += part.parts if isinstance(part, ConditionGroup) and is_same else (part,)
    return flat[0] if len(flat) == 1 else ConditionGroup(connective, tuple(flat))


def _comparison(record: type, name: FieldName, value: Any, is_negated: bool) -> Condition:
    is_none = value is None or (isinstance(value, Ne) and value.value is None)
    field = resolve_field(record, name, is_compared_with_none=is_none)
    condition = _as_given(field, value)
    if is_negated:
        condition = attrs.evolve(condition, negated=not condition.negated)
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
            return Condition(field, Operator.EQ, operand_of(field, value.value), negated=True)
        case In() | NotIn():
            operands = tuple(operand_of(field, item) for item in value.values)
            if field.kind is not FieldKind.JSON:  # in JSON, 1 and True are two values, but one key of a dict
                operands = tuple(dict.fromkeys(operands))
            return Condition(field, Operator.IN, operands, negated=isinstance(value, NotIn))
        case Contains() | StartsWith():
            return Condition(field, _TEXT_SEARCHES[type(value)], search_text(field, value.text))
        case Lt() | Le() | Gt() | Ge():
            return Condition(field, _COMPARISONS[type(value)], ordered_operand(field, value.value))
    return Condition(field, Operator.EQ, operand_of(field, value))
