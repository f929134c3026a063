"""The schema of a store, which `initialize` makes and upgrades in steps: MariaDB commits each change of a schema."""

from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import Opening, commit_marks, remove_old_marks, upgrade_in_steps

OWN_TABLES = (commit_marks,)
"""What a store in MariaDB has beside the tables of every store."""


def upgrade(connection: MariaDBConnection, settings: Settings, *, migrate: bool, opening: Opening) -> None:
    """Make the store, or upgrade it, if that is due; waits for another process that does the same.

    Raises:
        SchemaVersionError: it is another application's, or newer than this code, or older and `migrate` is False.
        StorageError: a step failed, such as one that waited for a lock on a table for longer than `acquire_timeout`.
        asyncio.CancelledError: the opening was cancelled.
    """
    connection.command(f"SET SESSION lock_wait_timeout = {max(1, round(settings.acquire_timeout))}")
    upgrade_in_steps(connection, opening, migrate=migrate, tables=OWN_TABLES)
    remove_old_marks(connection)
