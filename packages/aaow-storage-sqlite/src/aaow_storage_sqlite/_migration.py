"""Bringing the schema of a SQLite store up to date, while other processes may try the same."""

import sqlalchemy as sa

from aaow_storage_sql import LATEST, SQLConnection, migrate_to, migration_is_due, stored_version
from aaow_storage_sqlite._connections import retry_while_locked

_master = sa.table("sqlite_master", sa.column("type", sa.String), sa.column("name", sa.String))
_TABLES = sa.select(_master.c.name).where(_master.c.type == "table")


def version(connection: SQLConnection) -> str | None:
    """Return the revision of the store, None for one without a schema."""
    return stored_version(connection, {name for (name,) in connection.rows(_TABLES)})


def bring_up_to_date(connection: SQLConnection, patience: float, *, migrate: bool) -> None:
    """Migrate the store where it is due: all of it, or none.

    Raises:
        SchemaVersionError: it is newer than this code, or due and `migrate` is False.
        StorageUnavailableError: another process held the lock for longer than `patience` seconds.
    """
    # To read may take a lock too: whoever opens the store first rebuilds the index of its log.
    found = retry_while_locked(lambda: version(connection), patience)
    if migration_is_due(found, migrate=migrate):
        migrate_store(connection, LATEST, patience)


def migrate_store(connection: SQLConnection, revision: str, patience: float) -> None:
    """Run the migrations to a revision, either way, in one transaction that no other process can write beside."""
    driver_connection = connection.driver_connection
    engine = sa.create_engine("sqlite://", creator=lambda: driver_connection, poolclass=sa.StaticPool)
    with engine.connect() as handed:
        try:
            retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), patience)
            if version(connection) != revision:
                migrate_to(handed, revision)
            connection.command("COMMIT")
        except BaseException:
            if driver_connection.in_transaction:
                connection.command("ROLLBACK")
            raise
