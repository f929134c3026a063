"""Noticing that another process has migrated the store while it is open here.

The server plans statements anew after a change of their tables, and the statements of this release may then still run.
So each connection asks for the version of the store now and then, before a request. A statement in between runs on the
new tables, whose rules decide whether its row is legal; if it fails, the version is asked for at once.
"""

import time

from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_sql._schema.revisions import HEAD, REVISIONS
from aaow_storage_sql._servers.connection import ServerConnection
from aaow_storage_sql._servers.meanings import MAY_BE_OF_SCHEMA
from aaow_storage_sql._servers.server import Server


class SchemaWatch:
    """Asks for the version of the store, for one thread and its connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._check_interval_s = server.settings.tuning.schema_check_interval_s
        self._checked_at = time.monotonic()

    def check_if_due(self, connection: ServerConnection) -> None:
        """Do what `check` does, unless a check within the check interval found nothing."""
        if time.monotonic() - self._checked_at > self._check_interval_s:
            self.check(connection)

    def check(self, connection: ServerConnection) -> None:
        """Check that no other process has migrated the store.

        Raises:
            SchemaVersionError: one has.
            StorageError: it cannot be found out.
        """
        checked_at = time.monotonic()
        found = self._server.version(connection)
        if found != HEAD:
            release = "the release that the store is for now" if found in REVISIONS else "a later release"
            remedy = f"another process migrated it while it was open here; close this adapter, and use {release}"
            raise SchemaVersionError(found, HEAD, remedy)
        self._checked_at = checked_at

    def explain(self, error: BaseException, connection: ServerConnection) -> BaseException:
        """Return the error that the store has another schema, if it has, and this one may be because of that."""
        if connection.dialect.meaning(error) not in MAY_BE_OF_SCHEMA or connection.is_lost:
            return error
        try:
            self.check(connection)
        except SchemaVersionError as problem:
            problem.__cause__ = error.__cause__
            return problem
        except StorageError:  # the first error says more
            return error
        return error
