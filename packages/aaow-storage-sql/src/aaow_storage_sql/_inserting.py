"""Putting rows in, each with one statement that does nothing where a row it refers to is missing.

The foreign keys of the metadata say what a row refers to. A missing document is nobody's mistake: who points to one
stores it before.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from aaow_storage.errors import AlreadyExistsError, NotFoundError, StorageUnavailableError
from aaow_storage_sql._connection import SQLConnection
from aaow_storage_sql._schema import documents, kind_of

Insert = Callable[[sa.Table], Any]
"""Begins an insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""

MOST_TRIES = 10
"""How often to insert where a missing row is there when it is looked for, since another connection brings it."""


MOST_ROWS = 64
"""How many rows one statement has at most; it has a power of two of them, so that few statements are compiled."""


def save_row(connection: SQLConnection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the whole row that has its primary key.

    Raises:
        NotFoundError: a row that it refers to is not there.
    """
    for _ in range(MOST_TRIES):
        if connection.run(upsert(connection.dialect.insert, table), row):
            return
        _require_parents(connection, table, row)
    raise _unsteady(table)


def save_rows(connection: SQLConnection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert or replace rows that refer to what is known to be there, no two with one primary key."""
    insert = connection.dialect.insert
    one = upsert(insert, table, checks_parents=False)
    start = 0
    while start < len(rows):
        count = min(MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        connection.run_rows(_upsert_of_rows(insert, table, count), one, rows[start : start + count])
        start += count


def insert_row(connection: SQLConnection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row whose id no other has.

    Raises:
        AlreadyExistsError: a row has the id, whatever else is wrong.
        NotFoundError: a row that it refers to is not there.
    """
    for _ in range(MOST_TRIES):
        if connection.run(insert_if_absent(connection.dialect.insert, table), row):
            return
        if connection.row(existence(table.c.id), {"id": row["id"]}) is not None:
            raise AlreadyExistsError(kind_of(table), row["id"])
        _require_parents(connection, table, row)
    raise _unsteady(table)


def _unsteady(table: sa.Table) -> StorageUnavailableError:
    return StorageUnavailableError(f"what the {kind_of(table)} refers to comes and goes; try again")


def _require_parents(connection: SQLConnection, table: sa.Table, row: Mapping[str, Any]) -> None:
    for column in _referring(table):
        if _parent(column).table is documents:
            continue
        for parent in _line(column):
            parent_id = row[column.name]
            if parent_id is not None and connection.row(existence(parent), {"id": parent_id}) is None:
                raise NotFoundError(kind_of(parent.table), parent_id)


@functools.cache
def existence(column: sa.Column[Any]) -> sa.Select[Any]:
    """Return the select that finds out whether a row has that id."""
    return sa.select(sa.literal(1)).where(column == sa.bindparam("id"))


@functools.cache
def upsert(insert: Insert, table: sa.Table, *, checks_parents: bool = True) -> Any:
    """Return the statement of `save_row`; without the check of parents, that of `save_rows`."""
    return _replacing(_insert(insert, table, checks_parents=checks_parents), table)


def _replacing(statement: Any, table: sa.Table) -> Any:
    keys = {column.name for column in table.primary_key.columns}
    replaced = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=replaced)


@functools.cache
def _upsert_of_rows(insert: Insert, table: sa.Table, count: int) -> Any:
    rows = [
        {column.name: sa.bindparam(f"{column.name}_{row}", type_=column.type) for column in table.columns}
        for row in range(count)
    ]
    return _replacing(insert(table).values(rows), table)


@functools.cache
def insert_if_absent(insert: Insert, table: sa.Table) -> Any:
    """Return the statement that inserts a row, or touches nothing where its primary key is taken."""
    keys = [column.name for column in table.primary_key.columns]
    return _insert(insert, table, checks_parents=True).on_conflict_do_nothing(index_elements=keys)


def _insert(insert: Insert, table: sa.Table, *, checks_parents: bool) -> Any:
    parents = [_is_there(column) for column in _referring(table)] if checks_parents else []
    if not parents:
        return insert(table)
    values = [_value_for(column) for column in table.columns]
    return insert(table).from_select([column.name for column in table.columns], sa.select(*values).where(*parents))


def _is_there(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that the row which a column refers to is there; NULL refers to nothing."""
    value = _value_for(column)
    found = sa.exists().where(_parent(column) == value)
    return sa.or_(value.is_(None), found) if column.nullable else found


def _value_for(column: sa.Column[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(column.name, type_=column.type)


def _referring(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.foreign_keys]


def _parent(column: sa.Column[Any]) -> sa.Column[Any]:
    (key,) = column.foreign_keys
    return key.column


def _line(column: sa.Column[Any]) -> list[sa.Column[Any]]:
    """Return what a column refers to, behind what that in turn refers to: what is missing first is what is missing."""
    if not column.foreign_keys:
        return []
    return [*_line(_parent(column)), _parent(column)]
