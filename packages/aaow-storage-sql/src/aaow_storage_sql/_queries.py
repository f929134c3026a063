"""From a `QueryPlan` to a select: the text depends on the plan's shape only, and every value is bound."""

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import sqlalchemy as sa

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, Operator, QueryField, QueryPlan
from aaow_storage_sql._connection import Parameters, Row, SQLConnection
from aaow_storage_sql._dialect import Dialect

_ESCAPED_LENGTH = "_length"


@attrs.frozen(eq=False)
class Source:
    """What a list is read from: a select without order, and for each field that a filter may name its expression."""

    select: sa.Select[Any]
    columns: Mapping[str, sa.ColumnElement[Any]]


@attrs.frozen
class _Shape:
    """All of a plan but its values."""

    conditions: tuple[Condition, ...]
    order: tuple[tuple[QueryField, Direction], ...]
    has_limit: bool
    has_offset: bool
    after: tuple[bool, ...] | None
    """For each key of the order, whether the mark is null."""


def plan_rows(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> list[Row]:
    """Return the rows of a plan; `scope` holds the parameters of the source's own select."""
    statement = _select(connection.dialect, source, _shape(connection.dialect, plan))
    return connection.rows(connection.reading(statement), {**scope, **_parameters(connection.dialect, plan)})


def plan_count(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> int:
    """Count the rows of a plan."""
    statement = _count(connection.dialect, source, _shape(connection.dialect, plan))
    row = connection.row(statement, {**scope, **_parameters(connection.dialect, plan)})
    return int(row[0]) if row is not None else 0


def _shape(dialect: Dialect, plan: QueryPlan) -> _Shape:
    return _Shape(
        conditions=tuple(
            attrs.evolve(condition, operand=_operand_shape(dialect, condition)) for condition in plan.conditions
        ),
        order=plan.order,
        has_limit=plan.limit is not None,
        has_offset=bool(plan.offset),
        after=None if plan.after is None else tuple(mark is None for mark in plan.after),
    )


def _operand_shape(dialect: Dialect, condition: Condition) -> Any:
    """Return what the text of a condition needs to know of its operand."""
    if condition.field.kind is FieldKind.JSON:
        return dialect.json_operand_shape(condition)
    if condition.operator is Operator.IN:
        return len(_not_null(condition.operand)), None in condition.operand
    return condition.operand is None


def _not_null(values: tuple[Any, ...]) -> list[Any]:
    return [value for value in values if value is not None]


def _parameters(dialect: Dialect, plan: QueryPlan) -> dict[str, Any]:
    parameters: dict[str, Any] = {"limit": plan.limit, "offset": plan.offset}
    for number, condition in enumerate(plan.conditions):
        name = f"where_{number}"
        if condition.field.kind is FieldKind.JSON:
            parameters[name] = dialect.json_operand(condition)
        elif condition.operator is Operator.IN:
            for index, value in enumerate(_not_null(condition.operand)):
                parameters[f"{name}_{index}"] = value
        else:
            parameters[name] = condition.operand
            if condition.operator is Operator.STARTS_WITH:
                parameters[name + _ESCAPED_LENGTH] = len(condition.operand)
    for number, ((field, _), mark) in enumerate(zip(plan.order, plan.after or (), strict=False)):
        in_json = field.kind is FieldKind.JSON and mark is not None
        parameters[f"after_{number}"] = dialect.json_mark(mark) if in_json else mark
    return parameters


@functools.lru_cache(maxsize=1_000)
def _select(dialect: Dialect, source: Source, shape: _Shape) -> sa.Select[Any]:
    statement = source.select
    keys = [(_sortable(dialect, source, field), direction) for field, direction in shape.order]
    for number, condition in enumerate(shape.conditions):
        statement = statement.where(_where(dialect, source, condition, f"where_{number}"))
    if shape.after is not None:
        statement = statement.where(_behind(keys, shape.after))
    statement = statement.order_by(*(dialect.ordered(key, direction) for key, direction in keys))
    if shape.has_limit or shape.has_offset:
        limit = sa.bindparam("limit", type_=sa.BigInteger) if shape.has_limit else sa.literal(_NO_LIMIT, sa.BigInteger)
        statement = statement.limit(limit)
    return statement.offset(sa.bindparam("offset", type_=sa.BigInteger)) if shape.has_offset else statement


_NO_LIMIT = 2**63 - 1


@functools.lru_cache(maxsize=1_000)
def _count(dialect: Dialect, source: Source, shape: _Shape) -> sa.Select[Any]:
    chosen = _select(dialect, source, shape).with_only_columns(source.columns["id"])
    return sa.select(sa.func.count()).select_from(chosen.subquery())


def _sortable(dialect: Dialect, source: Source, field: QueryField) -> sa.ColumnElement[Any]:
    column = source.columns[field.name]
    if field.kind is FieldKind.JSON:
        return dialect.json_sort_value(column, field.path)
    return dialect.amount(column) if field.kind is FieldKind.AMOUNT else column


def _where(dialect: Dialect, source: Source, condition: Condition, name: str) -> sa.ColumnElement[bool]:
    field = condition.field
    if field.kind is FieldKind.JSON:
        holds: sa.ColumnElement[bool] = dialect.json_condition(source.columns[field.name], condition, name)
        return sa.not_(holds) if condition.negated else holds
    column = source.columns[field.name]
    compared = dialect.amount(column) if field.kind is FieldKind.AMOUNT else column
    return _scalar(dialect, column, compared, condition, name)


def _scalar(
    dialect: Dialect,
    column: sa.ColumnElement[Any],
    compared: sa.ColumnElement[Any],
    condition: Condition,
    name: str,
) -> sa.ColumnElement[bool]:
    bind = sa.bindparam(name, type_=column.type)
    match condition.operator:
        case Operator.EQ if condition.operand:
            return column.is_not(None) if condition.negated else column.is_(None)
        case Operator.EQ:
            return sa.or_(compared != bind, column.is_(None)) if condition.negated else compared == bind
        case Operator.IN:
            return _one_of(column, compared, condition, name)
        case Operator.CONTAINS:
            return dialect.position(column, sa.bindparam(name, type_=sa.Text)) > 0
        case Operator.STARTS_WITH:
            length = sa.bindparam(name + _ESCAPED_LENGTH, type_=sa.Integer)
            return sa.func.substr(column, 1, length) == sa.bindparam(name, type_=sa.Text)
        case Operator.LT:
            return compared < bind
        case Operator.LE:
            return compared <= bind
        case Operator.GT:
            return compared > bind
    return compared >= bind


def _one_of(
    column: sa.ColumnElement[Any], compared: sa.ColumnElement[Any], condition: Condition, name: str
) -> sa.ColumnElement[bool]:
    count, with_null = condition.operand
    listed = compared.in_([sa.bindparam(f"{name}_{index}", type_=column.type) for index in range(count)])
    is_listed = listed if count else sa.false()
    if condition.negated:
        unlisted = sa.not_(is_listed)
        return sa.and_(unlisted, column.is_not(None)) if with_null else sa.or_(unlisted, column.is_(None))
    return sa.or_(is_listed, column.is_(None)) if with_null else is_listed


def _behind(
    keys: list[tuple[sa.ColumnElement[Any], Direction]], marks_null: tuple[bool, ...]
) -> sa.ColumnElement[bool]:
    """Return the condition that a row is behind the mark: at the first key where they differ, it is on the far side."""
    alternatives: list[sa.ColumnElement[bool]] = []
    same: list[sa.ColumnElement[bool]] = []
    for number, ((key, direction), is_null) in enumerate(zip(keys, marks_null, strict=True)):
        mark = sa.bindparam(f"after_{number}", type_=key.type)
        alternatives.append(sa.and_(*same, _beyond(key, mark, direction, is_null=is_null)))
        same.append(key.is_(None) if is_null else key == mark)
    return sa.and_(_not_before(keys[0], is_null=marks_null[0]), sa.or_(*alternatives))


def _beyond(
    key: sa.ColumnElement[Any], mark: sa.ColumnElement[Any], direction: Direction, *, is_null: bool
) -> sa.ColumnElement[bool]:
    if direction is Direction.ASCENDING:
        return key.is_not(None) if is_null else key > mark
    return sa.false() if is_null else sa.or_(key < mark, key.is_(None))


def _not_before(first: tuple[sa.ColumnElement[Any], Direction], *, is_null: bool) -> sa.ColumnElement[bool]:
    """Return what the alternatives imply of the first key, as a range that an index can start from."""
    key, direction = first
    mark = sa.bindparam("after_0", type_=key.type)
    if direction is Direction.ASCENDING:
        return sa.true() if is_null else key >= mark
    return key.is_(None) if is_null else sa.or_(key <= mark, key.is_(None))
