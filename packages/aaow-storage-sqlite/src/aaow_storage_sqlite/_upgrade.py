"""Bringing the schema of a SQLite store up to date, while other processes may try the same."""

import sqlalchemy as sa

from aaow_storage_sql import HEAD, Opening, SQLConnection, migrate_to, needs_upgrade, read_version, roll_back
from aaow_storage_sqlite._connections import retry_while_locked

_master = sa.table("sqlite_master", sa.column("type", sa.String), sa.column("name", sa.String))
_NAMES = sa.select(_master.c.name)
"""The names of tables, views and indexes, of which no two may be the same; SQLite compares them without case."""


def version(connection: SQLConnection) -> str | None:
    """Return the revision of the store, None for one without a schema.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    return read_version(connection, {name.lower() for (name,) in connection.rows(_NAMES)})


def check_version(connection: SQLConnection, *, migrate: bool) -> bool:
    """Say whether the store has to be migrated before it can be used; nothing is written.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or older and `migrate` is False.
    """
    return needs_upgrade(version(connection), migrate=migrate)


def bring_up_to_date(
    connection: SQLConnection, patience: float, *, migrate: bool, opening: Opening | None = None
) -> None:
    """Migrate the store where it is due: all of it, or none.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or due and `migrate` is False.
        StorageUnavailableError: another process held the lock for longer than `patience` seconds.
    """
    # To read may take a lock too: whoever opens the store first rebuilds the index of its log.
    if retry_while_locked(lambda: check_version(connection, migrate=migrate), patience, opening):
        migrate_store(connection, HEAD, patience, opening)


def migrate_store(connection: SQLConnection, revision: str, patience: float, opening: Opening | None = None) -> None:
    """Run the migrations to a revision, either way, in one transaction that no other process can write beside.

    Raises:
        StorageError: a migration failed, and the store is as it was.
    """
    try:
        retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), patience, opening)
        found = version(connection)  # another process may have migrated, or made tables, before this one had the lock
        needs_upgrade(found, migrate=True)
        if found != revision:
            migrate_to(connection, found, revision)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
