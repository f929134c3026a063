"""Indexes on tables that hold records already, built while others write."""

import sqlalchemy as sa

from aaow_storage_postgresql._connections import PostgreSQLConnection, connect
from aaow_storage_postgresql._migration import lock
from aaow_storage_postgresql._settings import Settings

METADATA_INDEXES = {"ix_sessions_metadata": "sessions", "ix_workflows_metadata": "workflows"}
"""The indexes of revision 0004, which makes them itself where their tables are empty."""

_classes = sa.table("pg_class", sa.column("oid"), sa.column("relname"), sa.column("relnamespace"), schema="pg_catalog")
_indexes = sa.table("pg_index", sa.column("indexrelid"), sa.column("indisvalid"), schema="pg_catalog")
_namespaces = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")
_FOUND = (
    sa.select(sa.cast(_classes.c.relname, sa.Text), _indexes.c.indisvalid)
    .join_from(_indexes, _classes, _classes.c.oid == _indexes.c.indexrelid)
    .join(_namespaces, _namespaces.c.oid == _classes.c.relnamespace)
    .where(_namespaces.c.nspname == sa.func.coalesce(sa.bindparam("schema", type_=sa.Text), sa.func.current_schema()))
)


def build_indexes(connection: PostgreSQLConnection, settings: Settings) -> None:
    """Build the indexes that are missing, or that a process began and did not end; others that write go on meanwhile.

    A process that wants to build the same waits until this one has.
    """
    if not _missing(connection, settings):
        return
    if settings.holds_sessions:
        connection.command("SET statement_timeout = 0")
    holder = connect(settings)
    try:
        holder.begin("READ COMMITTED")
        lock(holder, settings)
        holder.command("SAVEPOINT waiting")  # lets go of what the last statement saw, which others would wait for
        for name, is_there in _missing(connection, settings).items():
            if is_there:
                connection.command(f"DROP INDEX CONCURRENTLY {_in_schema(name, connection, settings)}")
            table = _in_schema(METADATA_INDEXES[name], connection, settings)
            document = f"{_in_schema('aaow_json', connection, settings)}(metadata)"
            connection.command(f"CREATE INDEX CONCURRENTLY {name} ON {table} USING gin ({document} jsonb_path_ops)")
    finally:
        holder.driver_connection.close()


def _missing(connection: PostgreSQLConnection, settings: Settings) -> dict[str, bool]:
    """Return the names of what cannot be used, and whether it is there."""
    found: dict[str, bool] = dict(connection.rows(_FOUND, {"schema": settings.schema}))
    return {name: name in found for name in METADATA_INDEXES if not found.get(name, False)}


def _in_schema(name: str, connection: PostgreSQLConnection, settings: Settings) -> str:
    if settings.schema is None:
        return name
    quote = connection.dialect.sqlalchemy_dialect.identifier_preparer.quote_identifier
    return f"{quote(settings.schema)}.{name}"
