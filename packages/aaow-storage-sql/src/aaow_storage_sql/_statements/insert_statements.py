"""The statements that put rows in: for each table and each choice of columns, since a row leaves out what is NULL.

What is left out is NULL in the new row, and in the row that it replaces. A driver takes longer over a NULL than over
most values, and a record has many.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.tables import documents
from aaow_storage_sql._schema.types import JSONText

Insert = Callable[[sa.Table], Any]
"""Begins an insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
Names = tuple[str, ...]
"""The columns that a row has, which are the parameters of its statement."""


@functools.cache
def upsert(insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool = True) -> Any:
    """Return the statement that inserts a row or replaces it whole, where what it refers to is there."""
    columns = [column for column in table.columns if not column.primary_key]
    return _replacing(_insert(insert, table, names, checks_parents=checks_parents), table, columns)


@functools.cache
def upsert_of_rows(insert: Insert, table: sa.Table, names: Names, count: int) -> Any:
    """Return the statement that does so for several rows, without a look at what they refer to.

    Its parameters are those of the rows, one row after the other.
    """
    columns = _columns(table, names)
    rows = [{column.name: _value_for(column, f"{column.name}_{row}") for column in columns} for row in range(count)]
    return _replacing(insert(table).values(rows), table, [each for each in table.columns if not each.primary_key])


@functools.cache
def simple_upsert(insert: Insert, table: sa.Table, names: Names) -> Any:
    """Return the statement that inserts a row, or replaces one that refers to the same; else it touches nothing."""
    statement = _insert(insert, table, names, checks_parents=False)
    kept = [column for column in referring(table) if not column.primary_key]
    others = [column for column in table.columns if not column.primary_key and not column.foreign_keys]
    are_same = [column.is_not_distinct_from(statement.excluded[column.name]) for column in kept]
    return _replacing(statement, table, others, sa.and_(*are_same) if are_same else None)


@functools.cache
def insert_if_absent(insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool = True) -> Any:
    """Return the statement that inserts a row, or touches nothing where its primary key is taken."""
    keys = [column.name for column in table.primary_key.columns]
    statement = _insert(insert, table, names, checks_parents=checks_parents)
    return statement.on_conflict_do_nothing(index_elements=keys)


def simple_insert(insert: Insert, table: sa.Table, names: Names) -> Any:
    """Return the same without a look at what the row refers to."""
    return insert_if_absent(insert, table, names, checks_parents=False)


@functools.cache
def existence(column: sa.Column[Any]) -> sa.Select[Any]:
    """Return the select that finds out whether a row has that id."""
    return sa.select(sa.literal(1)).where(column == sa.bindparam("id"))


@functools.cache
def referring(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that refer to another row."""
    return [column for column in table.columns if column.foreign_keys]


def parent(column: sa.Column[Any]) -> sa.Column[Any]:
    """Return the column that one of these refers to."""
    (key,) = column.foreign_keys
    return key.column


def _insert(insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool) -> Any:
    columns = _columns(table, names)
    parents = [_is_there(column) for column in columns if column.foreign_keys] if checks_parents else []
    if not parents:
        return insert(table).values({column.name: _value_for(column, column.name) for column in columns})
    values = [_value_for(column, column.name) for column in columns]
    return insert(table).from_select([column.name for column in columns], sa.select(*values).where(*parents))


def _replacing(
    statement: Any, table: sa.Table, columns: Iterable[sa.Column[Any]], where: sa.ColumnElement[bool] | None = None
) -> Any:
    keys = sorted(column.name for column in table.primary_key.columns)
    replaced = {column.name: statement.excluded[column.name] for column in columns}
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=where)


def _columns(table: sa.Table, names: Names) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.name in names]


def _is_there(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that what a column refers to is there; a document that is being deleted is not.

    Different records share a document, so none waits until another transaction has, or has not, deleted it.
    """
    found = sa.select(sa.literal(1)).where(parent(column) == _value_for(column, column.name))
    if parent(column).table is documents:
        found = found.with_for_update(read=True, key_share=True, skip_locked=True)
    return found.exists()


def _value_for(column: sa.Column[Any], name: str) -> sa.BindParameter[Any]:
    """Return the parameter for a column of a row, whose JSON is text already."""
    return sa.bindparam(name, type_=sa.Text() if isinstance(column.type, JSONText) else column.type)
