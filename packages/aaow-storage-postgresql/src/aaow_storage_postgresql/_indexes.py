"""Indexes on tables that already hold records, built concurrently with writes."""

import logging
import math

import sqlalchemy as sa

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._errors import is_lock_timeout
from aaow_storage_postgresql._opening import open_connection
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import try_lock
from aaow_storage_sql import Opening

METADATA_INDEXES = {"ix_sessions_metadata": "sessions", "ix_workflows_metadata": "workflows"}
"""The indexes of revision 0004; the migration itself creates them on empty tables."""

_logger = logging.getLogger("aaow_storage_postgresql")
_settings = sa.table("pg_settings", sa.column("name"), schema="pg_catalog")
_NO_IDLE_TIMEOUTS = sa.select(sa.func.set_config(_settings.c.name, "0", sa.true())).where(
    sa.or_(*(_settings.c.name == f"{name}_timeout" for name in ("idle_in_transaction_session", "transaction")))
)
"""Keeps the server from ending the idle transaction that holds the lock while an index is built."""
_classes = sa.table("pg_class", sa.column("oid"), sa.column("relname"), sa.column("relnamespace"), schema="pg_catalog")
_indexes = sa.table("pg_index", sa.column("indexrelid"), sa.column("indisvalid"), schema="pg_catalog")
_namespaces = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")
_FOUND = (
    sa.select(sa.cast(_classes.c.relname, sa.Text), _indexes.c.indisvalid)
    .join_from(_indexes, _classes, _classes.c.oid == _indexes.c.indexrelid)
    .join(_namespaces, _namespaces.c.oid == _classes.c.relnamespace)
    .where(_namespaces.c.nspname == sa.func.coalesce(sa.bindparam("schema", type_=sa.Text), sa.func.current_schema()))
)


def build_indexes(connection: PostgreSQLConnection, settings: Settings, opening: Opening | None = None) -> None:
    """Build the indexes that are missing or invalid, without blocking writes.

    Does nothing if another process builds them. CREATE INDEX CONCURRENTLY waits for older transactions; after
    `acquire_timeout` this gives up with a warning in the log, and the next `initialize` tries again.

    Raises:
        StorageError: an index cannot be built.
        asyncio.CancelledError: the opening was cancelled.
    """
    if not _missing(connection, settings):
        return
    with open_connection(settings, opening or Opening()) as holder:
        holder.begin("READ COMMITTED")
        holder.rows(_NO_IDLE_TIMEOUTS)
        if not try_lock(holder, settings):
            _logger.info("%s: another process is building the indexes on metadata", settings.place)
            return
        holder.command(
            "SAVEPOINT waiting"
        )  # releases the snapshot of the last statement, which CREATE INDEX would wait for
        try:
            _build(connection, settings)
        except StorageUnavailableError as error:
            if not is_lock_timeout(error):
                raise
            what = (
                "the indexes on metadata are not built, and queries by metadata are slow; initialize() tries again: %s"
            )
            _logger.warning(what, error)


def _build(connection: PostgreSQLConnection, settings: Settings) -> None:
    connection.set_answer_timeout(math.inf)
    if settings.has_own_sessions:
        connection.command("SET statement_timeout = 0")
        connection.command(f"SET lock_timeout = {milliseconds(settings.acquire_timeout)}")
    for name, is_there in _missing(connection, settings).items():
        if is_there:
            connection.command(f"DROP INDEX CONCURRENTLY {_in_schema(name, connection, settings)}")
        table = _in_schema(METADATA_INDEXES[name], connection, settings)
        document = f"{_in_schema('aaow_json', connection, settings)}(metadata)"
        connection.command(f"CREATE INDEX CONCURRENTLY {name} ON {table} USING gin ({document} jsonb_path_ops)")


def _missing(connection: PostgreSQLConnection, settings: Settings) -> dict[str, bool]:
    """Return the names of the indexes that are missing or invalid, and whether they exist."""
    found: dict[str, bool] = dict(connection.rows(_FOUND, {"schema": settings.schema}))
    return {name: name in found for name in METADATA_INDEXES if not found.get(name, False)}


def _in_schema(name: str, connection: PostgreSQLConnection, settings: Settings) -> str:
    if settings.schema is None:
        return name
    quote = connection.dialect.sqlalchemy_dialect.identifier_preparer.quote_identifier
    return f"{quote(settings.schema)}.{name}"
