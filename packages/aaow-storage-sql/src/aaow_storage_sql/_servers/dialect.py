"""The dialect of a database on a server: what its errors mean decides what an operation does after one."""

from collections.abc import Sequence
from typing import Any, ClassVar

from aaow_storage.errors import StorageError
from aaow_storage_sql._servers.error_table import ErrorTable
from aaow_storage_sql._servers.meanings import Meaning
from aaow_storage_sql._statements.dialect import Dialect


class ServerDialect(Dialect):
    """A dialect whose errors are a table. No code asks for classes or codes of the driver, but for meanings."""

    errors: ClassVar[ErrorTable]
    """What the errors of the driver mean."""
    place: str
    """The name of the database in errors, without a password."""
    records_changes: ClassVar[bool] = True
    """Whether the database itself records what statements change, by triggers.

    If not, each connection notes what its transaction changes, and stores that just before COMMIT.
    """

    def meaning(self, error: BaseException | None) -> Meaning | None:
        """Return what an error means: one of the driver, or a storage error that one is the cause of.

        None if it is unknown, or no error of the driver.
        """
        if isinstance(error, self.driver_error):
            return self.errors.meaning(error)
        cause = None if error is None else error.__cause__
        return self.errors.meaning(cause) if isinstance(cause, self.driver_error) else None

    def translate(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        del values  # a server reports a value that is too large by a code of its own
        return self.errors.translate(error, self.place)

    def aborts_transaction(self, error: BaseException) -> bool:
        return self.meaning(error) is Meaning.CONFLICT

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        return self.has_statement_rollback and self.meaning(error) is Meaning.MISSING_REFERENCE

    def is_lock_timeout(self, error: StorageError) -> bool:
        return self.has_statement_rollback and self.meaning(error) is Meaning.LOCKED
