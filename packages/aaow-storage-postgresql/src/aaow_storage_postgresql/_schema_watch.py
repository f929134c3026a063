"""Noticing that another process has migrated the store while it is open here.

The server plans statements anew after a change of their tables, and the statements of this release may then still run.
So each connection asks for the version of the store now and then, before a request. A statement in between runs on the
new tables, whose rules decide whether its row is legal; if it fails, the version is asked for at once.
"""

import time

from psycopg import errors as pg

from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._upgrade import VERSION
from aaow_storage_sql import HEAD, REVISIONS

_MAY_BE_OF_SCHEMA = (
    pg.UndefinedTable,
    pg.UndefinedColumn,
    pg.UndefinedFunction,
    pg.DatatypeMismatch,
    pg.NotNullViolation,
    pg.CheckViolation,
)
"""Errors of a statement that is for another schema; records of this release keep the rules of its tables."""


class SchemaWatch:
    """Asks for the version of the store, for one thread and its connections."""

    def __init__(self, check_interval_s: float) -> None:
        self._check_interval_s = check_interval_s
        self._checked_at = time.monotonic()

    def check_if_due(self, connection: PostgreSQLConnection) -> None:
        """Do what `check` does, unless a check within the check interval found nothing."""
        if time.monotonic() - self._checked_at > self._check_interval_s:
            self.check(connection)

    def check(self, connection: PostgreSQLConnection) -> None:
        """Check that no other process has migrated the store.

        Raises:
            SchemaVersionError: one has.
            StorageError: it cannot be found out.
        """
        checked_at = time.monotonic()
        row = connection.row(VERSION)
        found = None if row is None else str(row[0])
        if found != HEAD:
            release = "the release that the store is for now" if found in REVISIONS else "a later release"
            remedy = f"another process migrated it while it was open here; close this adapter, and use {release}"
            raise SchemaVersionError(found, HEAD, remedy)
        self._checked_at = checked_at

    def explain(self, error: BaseException, connection: PostgreSQLConnection) -> BaseException:
        """Return the error that the store has another schema, if it has, and this one may be because of that."""
        if not isinstance(error.__cause__, _MAY_BE_OF_SCHEMA) or connection.is_lost:
            return error
        try:
            self.check(connection)
        except SchemaVersionError as problem:
            problem.__cause__ = error.__cause__
            return problem
        except StorageError:  # the first error says more
            return error
        return error
