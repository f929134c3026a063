"""Running a `QueryPlan`: by the database, or in Python as far as the database cannot compare what the plan names.

`Dialect.compared_here` says which kinds of fields those are. Then the database finds the rows that meet the other
conditions, in batches if it can sort them, and the rest is worked out here.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from aaow_storage.authoring import Condition, ConditionGroup, FieldKind, Operator, QueryField, QueryPlan
from aaow_storage_sql._schema.types import JSONText
from aaow_storage_sql._statements.compiled import Parameters, Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.select import Grouping, Source, select_count, select_groups, select_rows
from aaow_storage_sql._tuning import DEFAULT

_FIRST_BATCH = 200
_MAX_BATCH = 10_000
_MAX_IDS = 10_000
_ID = QueryField("id", FieldKind.TEXT)


def plan_rows(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> list[Row]:
    """Return the rows of a plan; `scope` has the parameters of the source's own SELECT."""
    if not _has_part_here(connection.dialect, source, plan):
        return select_rows(connection, source, plan, scope)
    return _rows(connection, source, plan, scope)


def plan_count(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> int:
    """Count the rows of a plan."""
    if not _has_part_here(connection.dialect, source, plan):
        return select_count(connection, source, plan, scope)
    return len(_rows(connection, source, plan, scope))


def plan_groups(
    connection: SQLConnection,
    source: Source,
    plan: QueryPlan,
    grouping: Grouping,
    scope: Parameters = {},  # noqa: B006 - never changed
) -> list[Row]:
    """Return rows for each group of the rows of a plan, in no particular order; mostly one, but several may be.

    The first column of the source is the id.
    """
    if not _has_part_here(connection.dialect, source, plan):
        return select_groups(connection, source, plan, grouping, scope)
    ids = [row[0] for row in _rows(connection, source, plan, scope)]
    found: list[Row] = []
    for start in range(0, len(ids), _MAX_IDS):
        are_these = Condition(_ID, Operator.IN, tuple(ids[start : start + _MAX_IDS]))
        these = attrs.evolve(plan, conditions=(are_these,), order=(), limit=None, offset=0, after=None)
        found += select_groups(connection, source, these, grouping, scope)
    return found


def _is_here(dialect: Dialect, field: QueryField) -> bool:
    """Say whether a field is compared in Python; a JSON field as a whole is only compared with null."""
    return field.kind in dialect.compared_here and (bool(field.path) or field.kind is not FieldKind.JSON)


def _conditions_here(dialect: Dialect, plan: QueryPlan) -> tuple[Condition | ConditionGroup, ...]:
    return tuple(
        condition for condition in plan.conditions if any(_is_here(dialect, leaf.field) for leaf in condition.leaves())
    )


def _sorts_here(dialect: Dialect, source: Source, plan: QueryPlan) -> bool:
    return any(
        _is_here(dialect, field) or not dialect.sorts_whole(source.columns[field.name]) for field, _ in plan.order
    )


def _has_part_here(dialect: Dialect, source: Source, plan: QueryPlan) -> bool:
    if not dialect.compared_here:
        return False
    return _sorts_here(dialect, source, plan) or bool(_conditions_here(dialect, plan))


def _rows(connection: SQLConnection, source: Source, plan: QueryPlan, scope: Parameters) -> list[Row]:
    dialect = connection.dialect
    here = _conditions_here(dialect, plan)
    needed = [leaf.field for condition in here for leaf in condition.leaves()] + [field for field, _ in plan.order]
    wide = _with_values(source, tuple(dict.fromkeys((field.name, bool(field.path)) for field in needed)))
    there = [condition for condition in plan.conditions if condition not in here]
    there += [each for each in here if isinstance(each, Condition) and not each.negated and dialect.narrows(each)]
    asked = attrs.evolve(plan, conditions=tuple(there))
    rest = attrs.evolve(plan, conditions=here)
    width = len(source.select.selected_columns)
    if _sorts_here(dialect, source, plan):
        unsorted = attrs.evolve(asked, order=(), limit=None, offset=0, after=None)
        found = [wide.values_of(row) for row in select_rows(connection, wide.source, unsorted, scope)]
        return [values.row[:width] for values in rest.select_whole(found)]
    chosen: list[Row] = []
    matching = attrs.evolve(rest, after=None)
    end = None if plan.limit is None else plan.offset + plan.limit
    for values in _batches(connection, wide, asked, scope):
        if end is not None and len(chosen) >= end:
            break
        if matching.matches(values):
            chosen.append(values.row[:width])
    return chosen[plan.offset : end]


def _batches(connection: SQLConnection, wide: "_WideSource", plan: QueryPlan, scope: Parameters) -> "Iterator[_Values]":
    """Yield the rows of a plan in its order, without its limit and offset, some of them at a time."""
    size = _FIRST_BATCH if plan.limit is None else min(max(_FIRST_BATCH, plan.offset + plan.limit), _MAX_BATCH)
    after = plan.after
    while True:
        rows = select_rows(connection, wide.source, attrs.evolve(plan, limit=size, offset=0, after=after), scope)
        found = [wide.values_of(row) for row in rows]
        yield from found
        if len(rows) < size:
            return
        after = tuple(field.value_of(found[-1]) for field, _ in plan.order)
        size = min(2 * size, _MAX_BATCH)


class _Values:
    """The values of fields in a row; it has them as attributes, as a record has."""

    __slots__ = ("_fields", "row")

    def __init__(self, row: Row, fields: dict[str, Any]) -> None:
        self.row = row
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return self._fields.get(name, self)  # what is not a field is what has fields, such as the usage


@attrs.frozen(eq=False)
class _WideSource:
    """A source whose rows end with the values of some fields."""

    source: Source
    names: Sequence[str]

    def values_of(self, row: Row) -> _Values:
        return _Values(row, dict(zip(self.names, row[-len(self.names) :], strict=True)))


@functools.lru_cache(maxsize=DEFAULT.max_compiled_shapes)
def _with_values(source: Source, fields: tuple[tuple[str, bool], ...]) -> _WideSource:
    """Return the source with the values of fields; of one that is named with a path, the decoded document."""
    has_path = dict(sorted(fields))
    columns: list[sa.ColumnElement[Any]] = []
    for name, is_document in has_path.items():
        column = source.columns[name] if is_document else source.whether_null.get(name, source.columns[name])
        typed = sa.type_coerce(column, JSONText("a stored record", name)) if is_document else column
        columns.append(typed.label(f"value_of_{name}"))
    wide = attrs.evolve(source, select=source.select.add_columns(*columns))
    return _WideSource(wide, [*has_path])
