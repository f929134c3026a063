"""Putting rows in, each with one statement that does nothing where a row it refers to is missing.

The foreign keys of the metadata say what a row refers to. A missing document is nobody's mistake: who points to one
stores it before.

Where the database undoes the statements that fail, the simplest insert is tried first, one that leaves it to the
database to look for what the row refers to. SQLite keeps a copy of every page that a statement changes, unless it sees
that the statement changes one row and fails before it does: an insert from a select, or one that may change a foreign
key, takes twice as long.
"""

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from aaow_storage.errors import AlreadyExistsError, NotFoundError, StorageError, StorageUnavailableError
from aaow_storage_sql._mapping.rows import InsertedRow, InsertedRows
from aaow_storage_sql._schema.tables import documents, kind_of
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert_statements import (
    Insert,
    Names,
    existence,
    insert_if_absent,
    parent,
    referring,
    simple_insert,
    simple_upsert,
    upsert,
    upsert_of_rows,
)

MOST_TRIES = 10
"""How often to insert where a missing row is there when it is looked for, since another connection brings it."""


MOST_ROWS = 16
"""How many rows one statement has at most; it has a power of two of them, so that few statements are compiled."""


def save_row(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    """Insert a row, or replace the whole row that has its primary key.

    Raises:
        NotFoundError: a row that it refers to is not there.
    """
    if _is_done_simply(connection, simple_upsert, table, row):
        return
    for _ in range(MOST_TRIES):
        if connection.run(upsert(connection.dialect.insert, table, tuple(row)), row):
            return
        _require_parents(connection, table, row)
    raise _unsteady(table)


def save_rows(connection: SQLConnection, table: sa.Table, rows: InsertedRows) -> None:
    """Insert or replace rows that refer to what is known to be there, no two with one primary key."""
    insert = connection.dialect.insert
    one = upsert(insert, table, rows.names, checks_parents=False)
    for start, end in pairwise(_steps(len(rows.values))):
        some = upsert_of_rows(insert, table, rows.names, end - start)
        connection.run_rows(some, one, rows.values[start:end])


@functools.cache
def _steps(count: int) -> list[int]:
    """Return where the statements begin and end that put in so many rows."""
    steps = [0]
    while steps[-1] < count:
        steps.append(steps[-1] + min(MOST_ROWS, 1 << (count - steps[-1]).bit_length() - 1))
    return steps


def insert_row(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    """Insert a row whose id no other has.

    Raises:
        AlreadyExistsError: a row has the id, whatever else is wrong.
        NotFoundError: a row that it refers to is not there.
    """
    if _is_done_simply(connection, simple_insert, table, row):
        return
    for _ in range(MOST_TRIES):
        if connection.run(insert_if_absent(connection.dialect.insert, table, tuple(row)), row):
            return
        if connection.row(existence(table.c.id), {"id": row["id"]}) is not None:
            raise AlreadyExistsError(kind_of(table), row["id"])
        _require_parents(connection, table, row)
    raise _unsteady(table)


def is_inserted(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> bool:
    """Try to insert a row by one statement, and say whether it is there now; `insert_row` tells what was in the way."""
    if connection.dialect.has_statement_rollback:
        return _is_done_simply(connection, simple_insert, table, row)
    return connection.run(insert_if_absent(connection.dialect.insert, table, tuple(row)), row) > 0


def _is_done_simply(
    connection: SQLConnection, made: Callable[[Insert, sa.Table, Names], Any], table: sa.Table, row: InsertedRow
) -> bool:
    dialect = connection.dialect
    if not dialect.has_statement_rollback:
        return False
    own_references = _own_references(table)  # most tables have none
    if own_references and any(row.get(name) == row["id"] for name in own_references):
        return False  # the database finds what it refers to as soon as the row is there
    try:
        return connection.run(made(dialect.insert, table, tuple(row)), row) > 0
    except StorageError as error:
        if not dialect.is_foreign_key_violation(error):
            raise
        return False


@functools.cache
def _own_references(table: sa.Table) -> list[str]:
    """Return the columns by which a row may name itself as what it refers to."""
    return [column.name for column in referring(table) if parent(column) is table.columns.get("id")]


def _unsteady(table: sa.Table) -> StorageUnavailableError:
    return StorageUnavailableError(f"what a row of {table.name} refers to comes and goes; try again")


def _require_parents(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    for column in referring(table):
        if column.name not in row or parent(column).table is documents:
            continue
        for ancestor in _line(column):
            parent_id = row[column.name]
            if connection.row(existence(ancestor), {"id": parent_id}) is None:
                raise NotFoundError(kind_of(ancestor.table), parent_id)


def _line(column: sa.Column[Any]) -> list[sa.Column[Any]]:
    """Return what a column refers to, behind what that in turn refers to: what is missing first is what is missing."""
    if not column.foreign_keys:
        return []
    return [*_line(parent(column)), parent(column)]
