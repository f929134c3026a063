"""Inserting rows, each with one statement that changes nothing if a row that it refers to is missing.

The foreign keys of the metadata say what a row refers to. Documents are always stored before the row that refers to
them.

If the database rolls back a failed statement alone, an optimistic insert comes first, which leaves the foreign keys to
the database. It is faster on SQLite, which copies every page that a statement changes unless the statement changes one
row and fails before it does: an INSERT from a SELECT, or one that may change a foreign key, takes twice as long.
"""

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from aaow_storage.errors import AlreadyExistsError, NotFoundError, StorageError, StoreBusyError
from aaow_storage_sql._mapping.row_encoder import InsertedRow, InsertedRows
from aaow_storage_sql._schema.tables import documents, kind_of
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert_statements import (
    foreign_key_columns,
    insert_if_absent,
    optimistic_upsert,
    referenced_column,
    select_existence,
    upsert,
    upsert_of_rows,
)
from aaow_storage_sql._tuning import DEFAULT

MAX_TRIES = DEFAULT.max_insert_tries
MAX_ROWS = DEFAULT.max_inserted_rows


def save_row(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> str | None:
    """Insert a row, or replace the whole row that has its primary key; return what was done, for the change feed.

    That is None if the row was there already. A database that records its changes itself is not asked.

    Raises:
        NotFoundError: a row that it refers to is missing.
        StorageUnavailableError: such a row was missing at each try, and there at each check.
    """
    if _try_optimistic(connection, _upsert, table, row):
        return done_by_upsert(connection)
    dialect = connection.dialect
    for _ in range(MAX_TRIES):
        if not dialect.upserts_where:
            _require_parents(connection, table, row)
            if _try_optimistic(connection, _upsert, table, row):
                return done_by_upsert(connection)
            continue
        statement = upsert(dialect.insert, table, tuple(row), replaces=dialect.replaces)
        if run_upsert(connection, statement, row):
            return done_by_upsert(connection)
        _require_parents(connection, table, row)
    raise _contended(table)


def run_upsert(connection: SQLConnection, statement: Any, row: InsertedRow) -> bool:
    """Run an upsert of one row, and count in `connection.replaced` what it did; False if it did nothing.

    To find the row there already, and the same, is something.
    """
    replaced = connection.replaced
    replaced.reset()
    changed = connection.run(statement, row)
    if connection.dialect.upserts_where:
        return changed > 0 or replaced.unchanged > 0
    replaced.updated, replaced.unchanged = changed == _REPLACED, changed == 0
    return True


_REPLACED = 2
"""What the rowcount of an upsert is that replaced a row, if `upserts_where` is False."""


def save_last(connection: SQLConnection, table: sa.Table, row: InsertedRow, kind: str) -> None:
    """Save a row of a session as `save_row` does, as the last statement of an operation, and note the change.

    If it is the only statement of a transaction, the commit may come with it.
    """
    dialect = connection.dialect
    session_id = row["session_id"]
    if dialect.has_statement_rollback and not dialect.upserts_where:
        statement = optimistic_upsert(dialect.insert, table, tuple(row), dialect.replaces, upserts_where=False)
        try:
            if connection.run_and_commit(statement, row, kind, session_id):
                return
        except StorageError as error:
            if not dialect.is_foreign_key_violation(error):
                raise
    connection.record(kind, row["id"], session_id, save_row(connection, table, row))


def try_save(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> bool:
    """Save a row with one statement, where the database undoes that alone if it fails; False if it changed nothing."""
    return _try_optimistic(connection, _upsert, table, row)


def done_by_upsert(connection: SQLConnection) -> str | None:
    """Return what the last upsert of one row did, if the dialect counts that; None if it changed nothing."""
    replaced = connection.replaced
    if replaced.updated:
        return "updated"
    return None if replaced.unchanged else "created"


def save_rows(connection: SQLConnection, table: sa.Table, rows: InsertedRows, max_rows: int = MAX_ROWS) -> int:
    """Insert or replace rows whose primary keys differ, and whose parents are known to be there; count the changes.

    A statement has up to `max_rows` rows, a power of two.
    """
    insert, replaces = connection.dialect.insert, connection.dialect.replaces
    one = upsert(insert, table, rows.names, checks_parents=False)
    changed = 0
    for start, end in pairwise(_steps(len(rows.values), max_rows)):
        some = upsert_of_rows(insert, table, rows.names, end - start, replaces)
        changed += connection.run_rows(some, one, rows.values[start:end])
    return changed


@functools.cache
def _steps(count: int, max_rows: int) -> list[int]:
    """Return the indexes between the statements that insert so many rows; each has a power of two of them."""
    steps = [0]
    while steps[-1] < count:
        steps.append(steps[-1] + min(max_rows, 1 << (count - steps[-1]).bit_length() - 1))
    return steps


def insert_row(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    """Insert a row whose id no other row has.

    Raises:
        AlreadyExistsError: a row has the id, whatever else is wrong.
        NotFoundError: a row that it refers to is missing.
        StorageUnavailableError: such a row was missing at each try, and there at each check.
    """
    if _try_optimistic(connection, _insert, table, row):
        return
    for _ in range(MAX_TRIES):
        if connection.run(insert_if_absent(connection.dialect.insert, table, tuple(row)), row):
            return
        require_new(connection, table, row)
        _require_parents(connection, table, row)
    raise _contended(table)


def require_new(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    """Check that no row has the id of that row.

    Raises:
        AlreadyExistsError: one has.
    """
    if connection.row(select_existence(table.c.id), {"id": row["id"]}) is not None:
        raise AlreadyExistsError(kind_of(table), row["id"])


def try_insert(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> bool:
    """Insert a row with one statement; False if that changed nothing, and `insert_row` has to find out why."""
    if connection.dialect.has_statement_rollback:
        return _try_optimistic(connection, _insert, table, row)
    return connection.run(insert_if_absent(connection.dialect.insert, table, tuple(row)), row) > 0


def _try_optimistic(
    connection: SQLConnection,
    attempt: Callable[[SQLConnection, sa.Table, InsertedRow], bool],
    table: sa.Table,
    row: InsertedRow,
) -> bool:
    dialect = connection.dialect
    if not dialect.has_statement_rollback:
        return False
    self_references = _self_references(table)  # most tables have none
    if self_references and any(row.get(name) == row["id"] for name in self_references):
        return False  # the database would accept a row that refers to itself
    try:
        return attempt(connection, table, row)
    except StorageError as error:
        if not dialect.is_foreign_key_violation(error):
            raise
        return False


def _upsert(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> bool:
    dialect = connection.dialect
    statement = optimistic_upsert(
        dialect.insert, table, tuple(row), dialect.replaces, upserts_where=dialect.upserts_where
    )
    return run_upsert(connection, statement, row)


def _insert(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> bool:
    statement = insert_if_absent(connection.dialect.insert, table, tuple(row), checks_parents=False)
    return connection.run(statement, row) > 0


@functools.cache
def _self_references(table: sa.Table) -> list[str]:
    """Return the columns that refer to the id of the same table."""
    id_column = table.columns.get("id")
    return [column.name for column in foreign_key_columns(table) if referenced_column(column) is id_column]


def _contended(table: sa.Table) -> StoreBusyError:
    problem = f"other transactions keep inserting and deleting what a new row of {table.name} refers to"
    return StoreBusyError(f"{problem}; try again")


def _require_parents(connection: SQLConnection, table: sa.Table, row: InsertedRow) -> None:
    for column in foreign_key_columns(table):
        if column.name not in row or referenced_column(column).table is documents:
            continue
        for ancestor in _ancestors(column):
            parent_id = row[column.name]
            if connection.row(select_existence(ancestor), {"id": parent_id}) is None:
                raise NotFoundError(kind_of(ancestor.table), parent_id)


def _ancestors(column: sa.Column[Any]) -> list[sa.Column[Any]]:
    """Return the columns that a column refers to, directly and through others, the farthest first.

    An error names the first that is missing: a node state without its session lacks the session.
    """
    if not column.foreign_keys:
        return []
    return [*_ancestors(referenced_column(column)), referenced_column(column)]
