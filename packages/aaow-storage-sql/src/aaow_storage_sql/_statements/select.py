"""Makes a SELECT of a `QueryPlan`. Its text depends on the shape of the plan only, and every value is bound.

Compiled shapes are cached, except large ones: there are many of those, and each takes much memory.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs
import sqlalchemy as sa

from aaow_storage import Direction
from aaow_storage.authoring import (
    Condition,
    ConditionGroup,
    Connective,
    FieldKind,
    Operator,
    QueryField,
    QueryPlan,
)
from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters, Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._tuning import DEFAULT

_ESCAPED_LENGTH = "_length"

MAX_LIST_PARAMETERS = DEFAULT.max_list_parameters
MAX_SHAPES = DEFAULT.max_compiled_shapes


_NO_OTHERS: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen(eq=False)
class Source:
    """What a list reads from: a SELECT without order, and the expression of each field that a filter may name."""

    select: sa.Select[Any]
    columns: Mapping[str, sa.ColumnElement[Any]]
    whether_null: Mapping[str, sa.ColumnElement[Any]] = _NO_OTHERS
    """For JSON fields that may be stored elsewhere than in their column: what is NULL if and only if the field is."""
    is_lockable: bool = True
    """Whether its rows are those of a table, so that a transaction that reads them can lock them."""


@attrs.frozen(eq=False)
class Grouping:
    """What a grouped SELECT returns of each group: its keys, then the aggregates of its rows."""

    keys: tuple[sa.ColumnElement[Any], ...]
    aggregates: tuple[sa.ColumnElement[Any], ...]


@attrs.frozen
class _Shape:
    """A plan without its values."""

    conditions: tuple[Condition | ConditionGroup, ...]
    order: tuple[tuple[QueryField, Direction], ...]
    has_limit: bool
    has_offset: bool
    after: tuple[bool, ...] | None
    """For each key of the order, whether the value of the keyset cursor is null."""

    @property
    def is_cacheable(self) -> bool:
        """Whether the compiled shape is small enough to be cached."""
        conditions = [leaf for condition in self.conditions for leaf in condition.leaves()]
        fields = [*(condition.field for condition in conditions), *(field for field, _ in self.order)]
        return (
            len(conditions) <= DEFAULT.max_shape_conditions
            and len(self.order) <= DEFAULT.max_shape_keys
            and sum(len(key) for field in fields for key in field.path) <= DEFAULT.max_shape_path_length
        )


def select_rows(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> list[Row]:
    """Return the rows of a plan; `scope` has the parameters of the source's own SELECT."""
    shape = _shape(connection.dialect, plan)
    compiled = (compiled_list if shape.is_cacheable else compiled_list.__wrapped__)(
        connection.dialect, source, shape, is_locking=connection.is_interactive and source.is_lockable
    )
    connection.check_not_cancelled()
    return connection.compiled_rows(compiled, {**scope, **_parameters(connection.dialect, plan)})


def select_count(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> int:
    """Count the rows of a plan."""
    shape = _shape(connection.dialect, plan)
    compiled = (compiled_count if shape.is_cacheable else compiled_count.__wrapped__)(connection.dialect, source, shape)
    rows = connection.compiled_rows(compiled, {**scope, **_parameters(connection.dialect, plan)})
    return int(rows[0][0])


def select_groups(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    grouping: Grouping,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> list[Row]:
    """Return a row for each group of the rows of a plan, in no particular order."""
    shape = _shape(connection.dialect, plan)
    compiled = (compiled_groups if shape.is_cacheable else compiled_groups.__wrapped__)(
        connection.dialect, source, shape, grouping
    )
    connection.check_not_cancelled()
    return connection.compiled_rows(compiled, {**scope, **_parameters(connection.dialect, plan)})


def _shape(dialect: Dialect, plan: QueryPlan) -> _Shape:
    return _Shape(
        conditions=tuple(_condition_shape(dialect, condition) for condition in plan.conditions),
        order=plan.order,
        has_limit=plan.limit is not None,
        has_offset=bool(plan.offset),
        after=None if plan.after is None else tuple(value is None for value in plan.after),
    )


def _condition_shape(dialect: Dialect, condition: Condition | ConditionGroup) -> Condition | ConditionGroup:
    if isinstance(condition, ConditionGroup):
        return attrs.evolve(condition, parts=tuple(_condition_shape(dialect, part) for part in condition.parts))
    return attrs.evolve(condition, operand=_operand_shape(dialect, condition))


def _operand_shape(dialect: Dialect, condition: Condition) -> Any:
    """Return the part of an operand that changes the text of its condition."""
    if condition.field.path:
        return dialect.json_operand_shape(condition)
    if condition.operator is Operator.IN:
        return _parameter_count(len(_not_null(condition.operand))), None in condition.operand
    return condition.operand is None


def _parameter_count(values: int) -> int:
    """Return the number of parameters for so many values: a power of two (few statements differ), or `_AS_LIST`."""
    if values > MAX_LIST_PARAMETERS:
        return _AS_LIST
    return 1 << (values - 1).bit_length() if values else 0


_AS_LIST = -1


def _not_null(values: tuple[Any, ...]) -> list[Any]:
    return [value for value in values if value is not None]


def _parameters(dialect: Dialect, plan: QueryPlan) -> dict[str, Any]:
    parameters: dict[str, Any] = {"limit": plan.limit, "offset": plan.offset}
    for number, condition in enumerate(leaf for each in plan.conditions for leaf in each.leaves()):
        name = f"where_{number}"
        if condition.field.path:
            parameters |= dialect.json_parameters(condition, name)
        elif condition.operator is Operator.IN:
            values = _not_null(condition.operand)
            count = _parameter_count(len(values))
            if count == _AS_LIST:
                parameters[name] = values
            else:
                padded = values + values[-1:] * (count - len(values))
                parameters |= {f"{name}_{index}": value for index, value in enumerate(padded)}
        else:
            parameters[name] = condition.operand
            if condition.operator is Operator.STARTS_WITH:
                parameters[name + _ESCAPED_LENGTH] = len(condition.operand)
    for number, ((field, _), value) in enumerate(zip(plan.order, plan.after or (), strict=False)):
        in_json = field.kind is FieldKind.JSON and value is not None
        parameters[f"after_{number}"] = dialect.json_cursor(value) if in_json else value
    return parameters


@functools.lru_cache(maxsize=MAX_SHAPES)
def compiled_list(dialect: Dialect, source: Source, shape: _Shape, *, is_locking: bool) -> CompiledStatement:
    """Return the SELECT of the rows of a shape, with FOR UPDATE if `is_locking`."""
    statement = _select(dialect, source, shape)
    return _compiled(dialect, dialect.for_update(statement) if is_locking else statement)


@functools.lru_cache(maxsize=MAX_SHAPES)
def compiled_count(dialect: Dialect, source: Source, shape: _Shape) -> CompiledStatement:
    """Return the SELECT that counts the rows of a shape."""
    one: sa.ColumnElement[Any] = sa.literal_column("1").label("one")
    chosen: sa.Select[Any] = _select(dialect, source, shape).with_only_columns(one, maintain_column_froms=True)
    return _compiled(dialect, sa.select(sa.func.count()).select_from(chosen.subquery()))


@functools.lru_cache(maxsize=MAX_SHAPES)
def compiled_groups(dialect: Dialect, source: Source, shape: _Shape, grouping: Grouping) -> CompiledStatement:
    """Return the SELECT of the groups of a shape."""
    columns = (*grouping.keys, *grouping.aggregates)
    chosen = _select(dialect, source, shape).with_only_columns(*columns, maintain_column_froms=True)
    return _compiled(dialect, chosen.order_by(None).group_by(*grouping.keys))


def _compiled(dialect: Dialect, statement: Any) -> CompiledStatement:
    return CompiledStatement(statement, dialect.sqlalchemy_dialect, dialect.schema)


def _select(dialect: Dialect, source: Source, shape: _Shape) -> sa.Select[Any]:
    statement = source.select
    keys = [(_sortable(dialect, source, field), direction) for field, direction in shape.order]
    names = (f"where_{number}" for number in itertools.count())
    for condition in shape.conditions:
        statement = statement.where(_where(dialect, source, condition, names))
    if shape.after is not None:
        statement = statement.where(_after(keys, shape.after))
        if not shape.conditions:
            statement = dialect.page_after(statement, [key for key, _ in keys])
    statement = statement.order_by(*(dialect.sort_expression(key, direction) for key, direction in keys))
    if shape.has_limit or shape.has_offset:
        limit = sa.bindparam("limit", type_=sa.BigInteger) if shape.has_limit else sa.literal(_NO_LIMIT, sa.BigInteger)
        statement = statement.limit(limit)
    return statement.offset(sa.bindparam("offset", type_=sa.BigInteger)) if shape.has_offset else statement


_NO_LIMIT = 2**63 - 1


def _sortable(dialect: Dialect, source: Source, field: QueryField) -> sa.ColumnElement[Any]:
    column = source.columns[field.name]
    return dialect.json_sort_value(column, field.path) if field.kind is FieldKind.JSON else column


def _where(
    dialect: Dialect, source: Source, condition: Condition | ConditionGroup, names: Iterator[str]
) -> sa.ColumnElement[bool]:
    """Return a condition or a group, with the next names for its parameters, in the order of its leaves.

    What is not negated may be NULL where it does not hold, which is the same in a WHERE: above it are AND and OR alone.
    """
    if isinstance(condition, ConditionGroup):
        parts = [_where(dialect, source, part, names) for part in condition.parts]
        if condition.connective is Connective.ALL:
            return sa.and_(sa.true(), *parts)
        return sa.or_(sa.false(), *parts)
    field, name = condition.field, next(names)
    column = source.columns[field.name]
    if field.path:
        holds: sa.ColumnElement[bool] = dialect.json_condition(column, condition, name)
        return sa.not_(holds) if condition.negated else holds
    return _scalar(dialect, source.whether_null.get(field.name, column), condition, name)


def _scalar(dialect: Dialect, column: sa.ColumnElement[Any], condition: Condition, name: str) -> sa.ColumnElement[bool]:
    match condition.operator:
        case Operator.EQ if condition.operand:
            return column.is_not(None) if condition.negated else column.is_(None)
        case Operator.IN:
            return _one_of(dialect, column, condition, name)
    holds = _comparison(dialect, column, condition.operator, name)
    return sa.or_(sa.not_(holds), column.is_(None)) if condition.negated else holds


def _comparison(
    dialect: Dialect, column: sa.ColumnElement[Any], operator: Operator, name: str
) -> sa.ColumnElement[bool]:
    """Return the comparison with one value; it is NULL if and only if the column is."""
    bind = sa.bindparam(name, type_=column.type)
    match operator:
        case Operator.EQ:
            return column == bind
        case Operator.CONTAINS:
            return dialect.position(column, sa.bindparam(name, type_=sa.Text)) > 0
        case Operator.STARTS_WITH:
            length = sa.bindparam(name + _ESCAPED_LENGTH, type_=sa.Integer)
            return sa.func.substr(column, 1, length) == sa.bindparam(name, type_=sa.Text)
        case Operator.LT:
            return column < bind
        case Operator.LE:
            return column <= bind
        case Operator.GT:
            return column > bind
    return column >= bind


def _one_of(dialect: Dialect, column: sa.ColumnElement[Any], condition: Condition, name: str) -> sa.ColumnElement[bool]:
    is_listed: sa.ColumnElement[bool]
    count, with_null = condition.operand
    if count == _AS_LIST:
        is_listed = dialect.is_in_list(column, name, condition.field.kind)
    elif count:
        is_listed = column.in_([sa.bindparam(f"{name}_{index}", type_=column.type) for index in range(count)])
    else:
        is_listed = sa.false()
    if condition.negated:
        unlisted = sa.not_(is_listed)
        return sa.and_(unlisted, column.is_not(None)) if with_null else sa.or_(unlisted, column.is_(None))
    return sa.or_(is_listed, column.is_(None)) if with_null else is_listed


def _after(keys: list[tuple[sa.ColumnElement[Any], Direction]], are_null: tuple[bool, ...]) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after the keyset cursor: at the first key in which they differ."""
    alternatives: list[_Alternative] = []
    for number, ((key, direction), is_null) in enumerate(zip(keys, are_null, strict=True)):
        cursor = sa.bindparam(f"after_{number}", type_=key.type)
        is_same = key.is_(None) if is_null else key == cursor
        alternatives.append((is_same, _past(key, cursor, direction, is_null=is_null)))
    return sa.and_(_not_before(keys[0], is_null=are_null[0]), _one_of_alternatives(alternatives))


_Alternative = tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]
"""For one key: the condition that it equals the cursor's, and the condition that it comes after it."""


def _one_of_alternatives(alternatives: Sequence[_Alternative]) -> sa.ColumnElement[bool]:
    """Return the condition that one key comes after the cursor's and all keys before it equal the cursor's.

    The keys are halved recursively: so the expression is short, and nests no deeper than SQLite's parser allows.
    """
    if len(alternatives) == 1:
        return alternatives[0][1]
    first, second = alternatives[: len(alternatives) // 2], alternatives[len(alternatives) // 2 :]
    are_same = [is_same for is_same, _ in first]
    return sa.or_(_one_of_alternatives(first), sa.and_(*are_same, _one_of_alternatives(second)))


def _past(
    key: sa.ColumnElement[Any], cursor: sa.ColumnElement[Any], direction: Direction, *, is_null: bool
) -> sa.ColumnElement[bool]:
    if direction is Direction.ASCENDING:
        return key.is_not(None) if is_null else key > cursor
    return sa.false() if is_null else _or_null(key < cursor, key)


def _not_before(first: tuple[sa.ColumnElement[Any], Direction], *, is_null: bool) -> sa.ColumnElement[bool]:
    """Return what the alternatives imply for the first key, as a range that an index can start from."""
    key, direction = first
    cursor = sa.bindparam("after_0", type_=key.type)
    if direction is Direction.ASCENDING:
        return sa.true() if is_null else key >= cursor
    return key.is_(None) if is_null else _or_null(key <= cursor, key)


def _or_null(condition: sa.ColumnElement[bool], key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that it holds, or the key is null. With an alternative, an index is read from its end."""
    is_set = isinstance(key, sa.Column) and not key.nullable
    return condition if is_set else sa.or_(condition, key.is_(None))
