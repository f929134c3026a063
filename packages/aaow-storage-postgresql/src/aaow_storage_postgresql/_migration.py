"""Bringing the schema of a PostgreSQL store up to date, while other processes may try the same."""

import hashlib

import sqlalchemy as sa

from aaow_storage_postgresql._connections import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import LATEST, migrate_to, migration_is_due, roll_back, stored_version

_tables = sa.table(
    "pg_tables", sa.column("schemaname", sa.String), sa.column("tablename", sa.String), schema="pg_catalog"
)
_OF_SCHEMA = sa.select(sa.cast(_tables.c.tablename, sa.Text)).where(
    _tables.c.schemaname == sa.func.coalesce(sa.bindparam("schema", type_=sa.Text), sa.func.current_schema())
)
_LOCK = sa.select(sa.cast(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger)), sa.Text))
_PATH = sa.select(sa.func.set_config("search_path", sa.bindparam("path", type_=sa.Text), sa.true()))


def version(connection: PostgreSQLConnection, settings: Settings) -> str | None:
    """Return the revision of the store, None for one without a schema."""
    return stored_version(connection, {name for (name,) in connection.rows(_OF_SCHEMA, {"schema": settings.schema})})


def bring_up_to_date(connection: PostgreSQLConnection, settings: Settings, *, migrate: bool) -> None:
    """Migrate the store where it is due: all of it, or none. Waits for others that migrate the same.

    Raises:
        SchemaVersionError: it is newer than this code, or due and `migrate` is False.
    """
    if migration_is_due(version(connection, settings), migrate=migrate):
        migrate_store(connection, settings, LATEST)


def migrate_store(connection: PostgreSQLConnection, settings: Settings, revision: str) -> None:
    """Run the migrations to a revision, either way, in one transaction that no other process migrates beside."""
    driver_connection = connection.driver_connection
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: driver_connection, poolclass=sa.StaticPool)
    with engine.connect() as handed:
        try:
            connection.begin("READ COMMITTED")
            lock(connection, settings)
            if settings.schema is not None:
                quoted = connection.dialect.sqlalchemy_dialect.identifier_preparer.quote_identifier(settings.schema)
                connection.command(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
                connection.row(_PATH, {"path": quoted})
            if version(connection, settings) != revision:
                migrate_to(handed, revision)
            connection.command("COMMIT")
        except BaseException as error:
            roll_back(connection)
            if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, connection.dialect.driver_error):
                raise connection.dialect.translated(error.orig) from error.orig
            raise


def lock(connection: PostgreSQLConnection, settings: Settings) -> None:
    """Wait, for as long as it takes, until nobody else changes the schema; until the transaction ends, nobody does."""
    connection.command("SET LOCAL statement_timeout = 0")
    connection.command("SET LOCAL lock_timeout = 0")
    connection.row(_LOCK, {"key": _key(settings.schema)})


def _key(schema: str | None) -> int:
    name = f"aaow-storage {schema or ''}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
