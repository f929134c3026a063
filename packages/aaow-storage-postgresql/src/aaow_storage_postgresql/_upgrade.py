"""Migrations of the schema, run once even if several processes start together."""

import math
import time

import sqlalchemy as sa

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_postgresql._catalog import classes, is_in_schema, namespaces, quote, quote_in_command
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._migration_lock import find_holder, try_lock
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import (
    HEAD,
    VERSION_TABLE,
    Opening,
    migrate_to,
    needs_upgrade,
    refuse_foreign_tables,
    roll_back,
)

_STATEMENT_MARGIN_S = 1.0
"""How much longer a statement may take than a lock wait, so that the error names the lock."""
_RELATIONS = (
    sa.select(sa.cast(classes.c.relname, sa.Text))
    .join_from(classes, namespaces, namespaces.c.oid == classes.c.relnamespace)
    .where(is_in_schema, sa.or_(*(classes.c.relkind == sa.literal_column(f"'{kind}'") for kind in "rpvmf")))
)
"""Relations of the schema whose names are taken for tables: tables of all kinds, and views."""
VERSION = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table(VERSION_TABLE))
_SCHEMA = sa.select(sa.cast(namespaces.c.nspname, sa.Text)).where(
    namespaces.c.nspname == sa.bindparam("schema", type_=sa.Text)
)
_SET_SEARCH_PATH = sa.select(sa.func.set_config("search_path", sa.bindparam("path", type_=sa.Text), sa.true()))


def version(connection: PostgreSQLConnection, settings: Settings) -> str | None:
    """Return the revision of the store; None if it has no tables.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    names = {name for (name,) in connection.rows(_RELATIONS, {"schema": settings.schema})}
    row = connection.row(VERSION) if VERSION_TABLE in names else None
    if row is not None:
        return str(row[0])
    refuse_foreign_tables(names)
    return None


def upgrade(
    connection: PostgreSQLConnection, settings: Settings, *, migrate: bool, opening: Opening | None = None
) -> None:
    """Migrate the store to the latest revision, in one transaction. Waits for another process that does the same.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or older and `migrate` is False.
        StorageUnavailableError: something held a lock for longer than `acquire_timeout`.
        asyncio.CancelledError: the opening was cancelled.
    """
    connection.begin_writing()
    try:
        set_timeouts(connection, settings)
        is_due = needs_upgrade(version(connection, settings), migrate=migrate)
    finally:
        roll_back(connection)
    if is_due:
        migrate_store(connection, settings, HEAD, opening)


def migrate_store(
    connection: PostgreSQLConnection, settings: Settings, revision: str, opening: Opening | None = None
) -> None:
    """Migrate up or down to a revision, in one transaction, under the lock of migrations.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code.
        StorageUnavailableError: something held a lock for longer than `acquire_timeout`.
        StorageError: a migration failed; nothing is changed.
        asyncio.CancelledError: the opening was cancelled.
    """
    try:
        if _begin_with_lock(connection, settings, revision, opening or Opening()):
            found = version(connection, settings)
            needs_upgrade(found, migrate=True)
            if found != revision:
                _enter_schema(connection, settings)
                migrate_to(connection, found, revision)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise


def _enter_schema(connection: PostgreSQLConnection, settings: Settings) -> None:
    """Create the schema if it is missing, and make it the search path of the transaction."""
    if settings.schema is None:
        return
    if (
        connection.row(_SCHEMA, {"schema": settings.schema}) is None
    ):  # IF NOT EXISTS needs a privilege even if it exists
        connection.command(f"CREATE SCHEMA {quote_in_command(settings.schema)}")
    connection.row(_SET_SEARCH_PATH, {"path": quote(settings.schema)})


def set_timeouts(connection: PostgreSQLConnection, settings: Settings) -> None:
    """Limit the lock waits and the statements of the open transaction."""
    connection.command(f"SET LOCAL lock_timeout = {milliseconds(settings.acquire_timeout)}")
    timeout_s = math.inf
    if settings.statement_timeout is not None:
        timeout_s = max(settings.statement_timeout, settings.acquire_timeout) + _STATEMENT_MARGIN_S
    connection.command(f"SET LOCAL statement_timeout = {0 if timeout_s == math.inf else milliseconds(timeout_s)}")
    connection.set_answer_timeout(timeout_s)


def _begin_with_lock(connection: PostgreSQLConnection, settings: Settings, revision: str, opening: Opening) -> bool:
    """Begin a transaction that holds the lock of migrations; return False if another process has migrated already.

    Each attempt is a transaction of its own. A transaction that stays open while it waits holds a snapshot, and CREATE
    INDEX CONCURRENTLY in the other process waits for that snapshot: a deadlock.

    Raises:
        StorageUnavailableError: another process held the lock, idle, for `acquire_timeout` seconds.
    """
    deadline = time.monotonic() + settings.acquire_timeout
    while True:
        connection.begin_writing()
        set_timeouts(connection, settings)
        if try_lock(connection, settings):
            return True
        if version(connection, settings) == revision:
            return False
        holder = find_holder(connection, settings)
        connection.command("ROLLBACK")
        if holder.is_running:
            deadline = time.monotonic() + settings.acquire_timeout
        elif time.monotonic() > deadline:
            problem = (
                f"server process {holder.pid} ({holder.state}) holds the lock of migrations, and has been idle for "
                f"{settings.acquire_timeout:g} s; try again, or end it with SELECT pg_terminate_backend({holder.pid})"
            )
            raise StorageUnavailableError(f"{settings.place}: {problem}")
        opening.sleep(settings.tuning.poll_pause_s())
