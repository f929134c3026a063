"""The INSERT statements, one for each table and each set of columns: a row leaves out the columns that are NULL.

Those are NULL in the new row, and in a row that it replaces. Binding a NULL takes a driver longer than most values, and
a record has many of them.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.tables import documents
from aaow_storage_sql._schema.types import JSONText

Insert = Callable[[sa.Table], Any]
"""The dialect's `insert`, which has `on_conflict_do_update` and `on_conflict_do_nothing`."""
Replaces = Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.ColumnElement[bool]] | None
"""`Dialect.replaces`."""
Names = tuple[str, ...]
"""The columns of a row, which are the parameters of its statement."""


@functools.cache
def upsert(
    insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool = True, replaces: Replaces = None
) -> Any:
    """Return the statement that inserts a row or replaces it whole, if the rows that it refers to exist."""
    columns = [column for column in table.columns if not column.primary_key]
    statement = _insert(insert, table, names, checks_parents=checks_parents)
    return replacing(statement, table, columns, replaces=replaces)


@functools.cache
def upsert_of_rows(insert: Insert, table: sa.Table, names: Names, count: int, replaces: Replaces = None) -> Any:
    """Return the statement that inserts or replaces several rows, and does not check what they refer to.

    Its parameters are those of the rows, one row after the other.
    """
    columns = columns_of(table, names)
    rows = [{column.name: bind_for(column, f"{column.name}_{row}") for column in columns} for row in range(count)]
    others = [each for each in table.columns if not each.primary_key]
    return replacing(insert(table).values(rows), table, others, replaces=replaces)


@functools.cache
def optimistic_upsert(
    insert: Insert, table: sa.Table, names: Names, replaces: Replaces = None, *, upserts_where: bool = True
) -> Any:
    """Return the statement that inserts a row, or replaces one that has the same foreign keys, or changes nothing.

    Without `upserts_where` it replaces any row that has the primary key.
    """
    if not upserts_where:
        return upsert(insert, table, names, checks_parents=False)
    statement = _insert(insert, table, names, checks_parents=False)
    kept = [column for column in foreign_key_columns(table) if not column.primary_key]
    others = [column for column in table.columns if not column.primary_key and not column.foreign_keys]
    are_same = [column.is_not_distinct_from(statement.excluded[column.name]) for column in kept]
    return replacing(statement, table, others, sa.and_(*are_same) if are_same else None, replaces)


@functools.cache
def insert_if_absent(insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool = True) -> Any:
    """Return the statement that inserts a row, or changes nothing if a row has its primary key."""
    keys = [column.name for column in table.primary_key.columns]
    statement = _insert(insert, table, names, checks_parents=checks_parents)
    return statement.on_conflict_do_nothing(index_elements=keys)


@functools.cache
def select_existence(column: sa.Column[Any]) -> sa.Select[Any]:
    """Return the SELECT that finds a row if one has that id."""
    return sa.select(sa.literal(1)).where(column == sa.bindparam("id"))


@functools.cache
def foreign_key_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that have a foreign key."""
    return [column for column in table.columns if column.foreign_keys]


def referenced_column(column: sa.Column[Any]) -> sa.Column[Any]:
    """Return the column that a foreign key refers to."""
    (key,) = column.foreign_keys
    return key.column


def _insert(insert: Insert, table: sa.Table, names: Names, *, checks_parents: bool) -> Any:
    columns = columns_of(table, names)
    parents = [parent_exists(column) for column in columns if column.foreign_keys] if checks_parents else []
    if not parents:
        return insert(table).values({column.name: bind_for(column, column.name) for column in columns})
    values = [bind_for(column, column.name) for column in columns]
    return insert(table).from_select([column.name for column in columns], sa.select(*values).where(*parents))


def replacing(
    statement: Any,
    table: sa.Table,
    columns: Iterable[sa.Column[Any]],
    where: sa.ColumnElement[bool] | None = None,
    replaces: Replaces = None,
) -> Any:
    """Return the INSERT, which replaces those columns of a row with the same primary key if the condition holds.

    With `replaces`, it leaves a row as it is that has these values already.
    """
    columns = [*columns]
    keys = sorted(column.name for column in table.primary_key.columns)
    replaced = {column.name: statement.excluded[column.name] for column in columns}
    if replaces is not None:
        differs = sa.or_(*(column.is_distinct_from(statement.excluded[column.name]) for column in columns))
        where = replaces(sa.literal_column("1") if where is None else where, differs)
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=where)


def columns_of(table: sa.Table, names: Names) -> list[sa.Column[Any]]:
    """Return the columns of those names, in the order of the table."""
    return [column for column in table.columns if column.name in names]


def parent_exists(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that the row which a column refers to exists.

    A document that another transaction deletes does not count: SKIP LOCKED, because records share documents, and none
    has to wait for another.
    """
    found = sa.select(sa.literal(1)).where(referenced_column(column) == bind_for(column, column.name))
    if referenced_column(column).table is documents:
        found = found.with_for_update(read=True, key_share=True, skip_locked=True)
    return found.exists()


def bind_for(column: sa.Column[Any], name: str) -> sa.BindParameter[Any]:
    """Return the parameter for a column; JSON is text already."""
    return sa.bindparam(name, type_=sa.Text() if isinstance(column.type, JSONText) else column.type)
