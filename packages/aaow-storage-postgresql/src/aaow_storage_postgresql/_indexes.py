"""Indexes on tables that already hold records, built concurrently with writes."""

import logging
import math

import sqlalchemy as sa

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._migration_lock import try_lock
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Meaning, Opening, open_connection

LATER_INDEXES = {
    "ix_sessions_metadata": ("sessions", "USING gin ({aaow_json}(metadata) jsonb_path_ops)"),
    "ix_workflows_metadata": ("workflows", "USING gin ({aaow_json}(metadata) jsonb_path_ops)"),
    "ix_tool_call_logs_session_id_timestamp_id": (
        "tool_call_logs",
        "(session_id, timestamp, id) WHERE session_id IS NOT NULL",
    ),
    "ix_stream_events_stream_id_sequence": ("stream_events", "(stream_id, sequence)"),
    "ix_llm_executions_timestamp_id": ("llm_executions", "(timestamp, id)"),
    "ix_stream_events_session_id": ("stream_events", "(session_id) WHERE session_id IS NOT NULL"),
}
"""The indexes of revisions that upgrade filled tables, with the table of each; the revision itself creates them on
empty tables."""

_UNIQUE = {"ix_stream_events_stream_id_sequence"}

_logger = logging.getLogger("aaow_storage_postgresql")
_NO_IDLE_TIMEOUTS = sa.select(sa.func.set_config(catalog.settings.c.name, "0", sa.true())).where(
    sa.or_(*(catalog.settings.c.name == f"{name}_timeout" for name in ("idle_in_transaction_session", "transaction")))
)
"""Keeps the server from ending the idle transaction that holds the lock while an index is built."""
_INDEXES = (
    sa.select(sa.cast(catalog.classes.c.relname, sa.Text), catalog.indexes.c.indisvalid)
    .join_from(catalog.indexes, catalog.classes, catalog.classes.c.oid == catalog.indexes.c.indexrelid)
    .join(catalog.namespaces, catalog.namespaces.c.oid == catalog.classes.c.relnamespace)
    .where(catalog.is_in_schema)
)
"""The indexes of the schema, and whether they are valid: one whose creation was interrupted is not."""


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
    with open_connection(lambda: connect(settings), opening or Opening()) as holder:
        holder.begin_writing()
        holder.rows(_NO_IDLE_TIMEOUTS)
        if not try_lock(holder, settings):
            _logger.info("%s: another process is building the indexes", settings.place)
            return
        # A new statement releases the snapshot of the last one, which CREATE INDEX would wait for.
        holder.command("SAVEPOINT waiting")
        try:
            _build(connection, settings)
        except StorageUnavailableError as error:
            if connection.dialect.meaning(error) is not Meaning.LOCKED:
                raise
            missing = ", ".join(_missing(connection, settings))
            problem = (
                f"the indexes {missing} are not built, and queries that need them are slow; initialize() tries again"
            )
            _logger.warning("%s: %s", problem, error)


def _build(connection: PostgreSQLConnection, settings: Settings) -> None:
    connection.set_answer_timeout(math.inf)
    if settings.has_own_sessions:
        connection.command("SET statement_timeout = 0")
        connection.command(f"SET lock_timeout = {milliseconds(settings.acquire_timeout)}")
    for name, exists in _missing(connection, settings).items():
        for command in _commands(name, settings, exists=exists):
            connection.command(command)


def _commands(name: str, settings: Settings, *, exists: bool) -> list[str]:
    """Return the commands that build an index, after they have dropped an invalid one."""
    table, definition = LATER_INDEXES[name]
    definition = definition.format(aaow_json=_in_schema("aaow_json", settings))
    kind = "UNIQUE INDEX" if name in _UNIQUE else "INDEX"
    build = f"CREATE {kind} CONCURRENTLY {name} ON {_in_schema(table, settings)} {definition}"
    return [f"DROP INDEX CONCURRENTLY {_in_schema(name, settings)}", build] if exists else [build]


def planned_indexes(connection: PostgreSQLConnection, settings: Settings, plan: str) -> list[str]:
    """Return the commands that `build_indexes` would run after the statements of a plan, which make some indexes."""
    missing = {name: exists for name, exists in _missing(connection, settings).items() if f" {name} " not in plan}
    return [f"{each};" for name, exists in missing.items() for each in _commands(name, settings, exists=exists)]


def _missing(connection: PostgreSQLConnection, settings: Settings) -> dict[str, bool]:
    """Return the names of the indexes that are missing or invalid, and whether they exist."""
    found: dict[str, bool] = dict(connection.rows(_INDEXES, {"schema": settings.schema}))
    return {name: name in found for name in LATER_INDEXES if not found.get(name, False)}


def _in_schema(name: str, settings: Settings) -> str:
    return name if settings.schema is None else f"{catalog.quote_in_command(settings.schema)}.{name}"
