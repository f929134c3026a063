"""Upgrading the schema of a SQLite store, while other processes may try the same."""

import sqlalchemy as sa

from aaow_storage_sql import HEAD, Opening, SQLConnection, migrate_to, needs_upgrade, read_version, roll_back
from aaow_storage_sqlite._retry import retry_while_locked

_master = sa.table("sqlite_master", sa.column("type", sa.String), sa.column("name", sa.String))
_NAMES = sa.select(_master.c.name)
"""The names of tables, views and indexes, which must differ; SQLite ignores their case."""


def version(connection: SQLConnection) -> str | None:
    """Return the revision of the store, None for one without a schema.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    return read_version(connection, {name.lower() for (name,) in connection.rows(_NAMES)})


def check_version(connection: SQLConnection, *, migrate: bool) -> bool:
    """Return whether the store has to be upgraded before it can be used; nothing is written.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or older and `migrate` is False.
    """
    return needs_upgrade(version(connection), migrate=migrate)


def upgrade(connection: SQLConnection, timeout_s: float, *, migrate: bool, opening: Opening | None = None) -> None:
    """Upgrade the store if it is due, in one transaction.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or due and `migrate` is False.
        StorageUnavailableError: another process held the lock for longer than `timeout_s` seconds.
    """
    # Reading may take a lock too: the first connection to open a store rebuilds the index of its log.
    if retry_while_locked(lambda: check_version(connection, migrate=migrate), timeout_s, opening):
        migrate_store(connection, HEAD, timeout_s, opening)


def migrate_store(connection: SQLConnection, revision: str, timeout_s: float, opening: Opening | None = None) -> None:
    """Run the migrations to a revision, up or down, in one transaction that excludes other writers.

    Raises:
        StorageError: a migration failed, and the store is as it was.
    """
    try:
        retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), timeout_s, opening)
        found = version(connection)  # another process may have migrated, or created tables, before we had the lock
        needs_upgrade(found, migrate=True)
        if found != revision:
            migrate_to(connection, found, revision)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
