"""Putting rows in, each with one statement that does nothing where a row it refers to is missing.

The foreign keys of the metadata say what a row refers to. A missing document is nobody's mistake: who points to one
stores it before.

Where the database undoes the statements that fail, the simplest insert is tried first, one that leaves it to the
database to look for what the row refers to. SQLite keeps a copy of every page that a statement changes, unless it sees
that the statement changes one row and fails before it does: an insert from a select, or one that may change a foreign
key, takes twice as long.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from aaow_storage.errors import AlreadyExistsError, NotFoundError, StorageError, StorageUnavailableError
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
    if _is_done_simply(connection, simple_upsert, table, row):
        return
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
    if _is_done_simply(connection, simple_insert, table, row):
        return
    for _ in range(MOST_TRIES):
        if connection.run(insert_if_absent(connection.dialect.insert, table), row):
            return
        if connection.row(existence(table.c.id), {"id": row["id"]}) is not None:
            raise AlreadyExistsError(kind_of(table), row["id"])
        _require_parents(connection, table, row)
    raise _unsteady(table)


def is_inserted(connection: SQLConnection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Try to insert a row by one statement, and say whether it is there now; `insert_row` tells what was in the way."""
    if connection.dialect.undoes_statements:
        return _is_done_simply(connection, simple_insert, table, row)
    return connection.run(insert_if_absent(connection.dialect.insert, table), row) > 0


def _is_done_simply(
    connection: SQLConnection, made: Callable[[Insert, sa.Table], Any], table: sa.Table, row: Mapping[str, Any]
) -> bool:
    dialect = connection.dialect
    if not dialect.undoes_statements or _refers_to_itself(table, row):
        return False
    try:
        return connection.run(made(dialect.insert, table), row) > 0
    except StorageError as error:
        if not dialect.misses_a_reference(error):
            raise
        return False


def _refers_to_itself(table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Say whether a row names itself as what it refers to, which the database finds as soon as the row is there."""
    return any(row[name] == row["id"] for name in _own_references(table))


@functools.cache
def _own_references(table: sa.Table) -> list[str]:
    return [column.name for column in _referring(table) if _parent(column) is table.columns.get("id")]


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
    return _replacing_columns(statement, table, [column for column in table.columns if not column.primary_key])


def _replacing_columns(
    statement: Any, table: sa.Table, columns: Iterable[sa.Column[Any]], where: sa.ColumnElement[bool] | None = None
) -> Any:
    keys = sorted(column.name for column in table.primary_key.columns)
    replaced = {column.name: statement.excluded[column.name] for column in columns}
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=where)


@functools.cache
def simple_upsert(insert: Insert, table: sa.Table) -> Any:
    """Return the statement that inserts a row, or replaces one that refers to the same; else it touches nothing."""
    statement = insert(table)
    kept = [column for column in _referring(table) if not column.primary_key]
    others = [column for column in table.columns if not column.primary_key and not column.foreign_keys]
    are_same = [column.is_not_distinct_from(statement.excluded[column.name]) for column in kept]
    return _replacing_columns(statement, table, others, sa.and_(*are_same) if are_same else None)


@functools.cache
def simple_insert(insert: Insert, table: sa.Table) -> Any:
    """Return `insert_if_absent` without a look at what the row refers to."""
    return _leaving(insert(table), table)


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
    return _leaving(_insert(insert, table, checks_parents=True), table)


def _leaving(statement: Any, table: sa.Table) -> Any:
    return statement.on_conflict_do_nothing(index_elements=[column.name for column in table.primary_key.columns])


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
