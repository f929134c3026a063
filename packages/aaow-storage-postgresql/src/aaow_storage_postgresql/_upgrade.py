"""Migrations of the schema, run once even if several processes start together."""

import hashlib
import math
import time

import sqlalchemy as sa

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import HEAD, Opening, migrate_to, needs_upgrade, read_version, roll_back

_STATEMENT_MARGIN_S = 1.0
"""How much longer a statement may take than a lock wait, so that the error names the lock."""
_HALF = 2**32

_classes = sa.table("pg_class", *map(sa.column, ("relname", "relnamespace", "relkind")), schema="pg_catalog")
_namespaces = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")
_OF_SCHEMA = (
    sa.select(sa.cast(_classes.c.relname, sa.Text))
    .join_from(_classes, _namespaces, _namespaces.c.oid == _classes.c.relnamespace)
    .where(
        _namespaces.c.nspname == sa.func.coalesce(sa.bindparam("schema", type_=sa.Text), sa.func.current_schema()),
        sa.or_(*(_classes.c.relkind == sa.literal_column(f"'{kind}'") for kind in "rpvmf")),
    )
)
"""Relations of the schema whose names are taken for tables: tables of all kinds, and views."""
_LOCK = sa.select(sa.func.pg_try_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger), type_=sa.Boolean))
_SCHEMA = sa.select(sa.cast(_namespaces.c.nspname, sa.Text)).where(
    _namespaces.c.nspname == sa.bindparam("schema", type_=sa.Text)
)
_PATH = sa.select(sa.func.set_config("search_path", sa.bindparam("path", type_=sa.Text), sa.true()))

_locks = sa.table(
    "pg_locks",
    *map(sa.column, ("locktype", "database", "classid", "objid", "objsubid", "pid", "granted")),
    schema="pg_catalog",
)
_databases = sa.table("pg_database", sa.column("oid"), sa.column("datname"), schema="pg_catalog")
_sessions = sa.table(
    "pg_stat_activity", *map(sa.column, ("pid", "state", "wait_event_type", "application_name")), schema="pg_catalog"
)
_is_at_work = sa.and_(_sessions.c.state == "active", sa.func.coalesce(_sessions.c.wait_event_type, "") != "Lock")
_HOLDER = (
    sa.select(
        sa.cast(_locks.c.pid, sa.BigInteger),
        sa.func.coalesce(_is_at_work, sa.false(), type_=sa.Boolean),
        sa.cast(sa.func.coalesce(_sessions.c.state, "unknown"), sa.Text),
    )
    .join_from(_locks, _sessions, _sessions.c.pid == _locks.c.pid)
    .join(_databases, _databases.c.oid == _locks.c.database)
    .where(
        _locks.c.locktype == "advisory",
        _locks.c.granted,
        _databases.c.datname == sa.func.current_database(),
        sa.cast(_locks.c.classid, sa.BigInteger) == sa.bindparam("first", type_=sa.BigInteger),
        sa.cast(_locks.c.objid, sa.BigInteger) == sa.bindparam("second", type_=sa.BigInteger),
        _locks.c.objsubid == sa.literal_column("1"),
    )
)


def version(connection: PostgreSQLConnection, settings: Settings) -> str | None:
    """Return the revision of the store; None if it has no tables.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    return read_version(connection, {name for (name,) in connection.rows(_OF_SCHEMA, {"schema": settings.schema})})


def upgrade(
    connection: PostgreSQLConnection, settings: Settings, *, migrate: bool, opening: Opening | None = None
) -> None:
    """Migrate the store to the latest revision, in one transaction. Waits for another process that does the same.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or older and `migrate` is False.
        StorageUnavailableError: something held a lock for longer than `acquire_timeout`.
        asyncio.CancelledError: the opening was cancelled.
    """
    connection.begin("READ COMMITTED")
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
    quoted = _quoted(settings.schema)
    if (
        connection.row(_SCHEMA, {"schema": settings.schema}) is None
    ):  # IF NOT EXISTS needs a privilege even if it exists
        connection.command(f"CREATE SCHEMA {quoted.replace('%', '%%')}")
    connection.row(_PATH, {"path": quoted})


def try_lock(connection: PostgreSQLConnection, settings: Settings) -> bool:
    """Take the lock of migrations for the open transaction; return False if another process holds it."""
    row = connection.row(_LOCK, {"key": _key(settings.schema)})
    return row is not None and row[0]


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
        connection.begin("READ COMMITTED")
        set_timeouts(connection, settings)
        if try_lock(connection, settings):
            return True
        if version(connection, settings) == revision:
            return False
        first, second = divmod(_key(settings.schema) % _HALF**2, _HALF)
        pid, is_at_work, state = connection.row(_HOLDER, {"first": first, "second": second}) or (None, False, "unknown")
        connection.command("ROLLBACK")
        if is_at_work:
            deadline = time.monotonic() + settings.acquire_timeout
        elif time.monotonic() > deadline:
            problem = (
                f"server process {pid} ({state}) has held the lock of migrations for {settings.acquire_timeout:g} s, "
                f"idle; try again, or end it with SELECT pg_terminate_backend({pid})"
            )
            raise StorageUnavailableError(f"{settings.place}: {problem}")
        opening.sleep(settings.tuning.poll_pause_s())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _key(schema: str | None) -> int:
    name = f"aaow-storage {schema or ''}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
