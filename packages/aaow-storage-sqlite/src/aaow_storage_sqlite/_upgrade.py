"""Upgrading the schema of a SQLite store, while other processes may try the same."""

from typing import Any

from aaow_storage.authoring import loads
from aaow_storage_sql import (
    HEAD,
    VERSION_TABLE,
    Opening,
    SQLConnection,
    import_migrations,
    migrate_to,
    needs_upgrade,
    refuse_foreign_tables,
    roll_back,
)
from aaow_storage_sqlite._retry import retry_while_locked

NUMBER = "PRAGMA schema_version"
"""The number of the schema, which SQLite changes with every table and index."""
_HAS_VERSION = f"SELECT 1 FROM sqlite_master WHERE lower(name) = '{VERSION_TABLE}'"  # noqa: S608 - a name of ours
_VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - as above
_NAMES = "SELECT json_group_array(lower(name)) FROM sqlite_master"
"""The names of tables, views and indexes, which must differ; SQLite ignores their case.

These are texts, because a store that is up to date is opened without SQLAlchemy."""


def version(connection: SQLConnection) -> str | None:
    """Return the revision of the store, None for one without a schema.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    row = connection.command(_VERSION) if connection.command(_HAS_VERSION) else None
    if row is None:
        (text,) = connection.command(_NAMES) or ("[]",)
        names: Any = loads(text)
        # Each statement sees the store as it is by then: another process may have made the tables since the first.
        row = connection.command(_VERSION) if VERSION_TABLE in names else None
        if row is None:
            refuse_foreign_tables(names)
    return None if row is None else str(row[0])


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
    import_migrations()  # now, because later other processes would wait for it
    try:
        retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), timeout_s, opening)
        found = version(connection)  # another process may have migrated, or created tables, before we had the lock
        needs_upgrade(found, migrate=True)
        if found != revision:
            (number,) = connection.command(NUMBER) or (0,)
            migrate_to(connection, found, revision)
            if connection.command(NUMBER) == (number,):  # so that processes that have the store open notice it
                connection.command(f"{NUMBER} = {number + 1}")
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
