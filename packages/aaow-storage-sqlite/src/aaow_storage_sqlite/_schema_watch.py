"""Noticing that another process has migrated the store while it is open here.

SQLite compiles statements anew if the schema has changed, and the statements of this release may then still run, and
read or write what they do not understand. So they are refused. The number of the schema (`PRAGMA schema_version`)
changes with every migration, and with harmless things, such as a new index. Only if it has changed is the version read.
"""

import time

from aaow_storage.errors import SchemaVersionError
from aaow_storage_sql import HEAD, REVISIONS, SQLConnection
from aaow_storage_sqlite._upgrade import NUMBER, version


class SchemaWatch:
    """Compares the schema of an open store with the one that it had when it was opened.

    Several threads use it; a check by one of them, on its own connection, counts for all.
    """

    def __init__(self, connection: SQLConnection, check_interval_s: float) -> None:
        self._check_interval_s = check_interval_s
        self._number = connection.command(NUMBER)
        self._checked_at = time.monotonic()

    def check_if_due(self, connection: SQLConnection) -> None:
        """Do what `check` does, unless a check within the check interval found nothing."""
        if time.monotonic() - self._checked_at > self._check_interval_s:
            self.check(connection)

    def check(self, connection: SQLConnection) -> None:
        """Check that no other process has migrated the store; in a transaction, as of the transaction.

        Raises:
            SchemaVersionError: one has.
            StorageError: it cannot be found out.
        """
        checked_at = time.monotonic()
        number = connection.command(NUMBER)
        if number != self._number:
            self.check_version(connection)
            self._number = number
        self._checked_at = checked_at

    def check_version(self, connection: SQLConnection) -> None:
        """Check that the store has the version of this release, whatever its number.

        Raises:
            SchemaVersionError: it has another.
            StorageError: it cannot be found out.
        """
        found = version(connection)
        if found == HEAD:
            return
        release = "the release that the store is for now" if found in REVISIONS or found is None else "a later release"
        remedy = f"another process migrated it while it was open here; close this adapter, and use {release}"
        raise SchemaVersionError(found, HEAD, remedy)
