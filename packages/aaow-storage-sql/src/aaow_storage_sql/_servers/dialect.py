"""The dialect of a database on a server: what its errors mean decides what an operation does after one."""

from abc import abstractmethod
from typing import ClassVar

from aaow_storage.errors import StorageError
from aaow_storage_sql._servers.meanings import Meaning
from aaow_storage_sql._statements.dialect import Dialect


class ServerDialect(Dialect):
    """A dialect whose errors have meanings."""

    records_changes: ClassVar[bool] = True
    """Whether the database itself records what statements change, by triggers.

    If not, each connection notes what its transaction changes, and stores that just before COMMIT.
    """

    @abstractmethod
    def meaning(self, error: BaseException | None) -> Meaning | None:
        """Return what an error means: one of the driver, or a storage error that one is the cause of.

        None if it is unknown, or no error of the driver.
        """

    def aborts_transaction(self, error: BaseException) -> bool:
        return self.meaning(error) is Meaning.CONFLICT

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        return self.has_statement_rollback and self.meaning(error) is Meaning.MISSING_REFERENCE

    def is_lock_timeout(self, error: StorageError) -> bool:
        return self.has_statement_rollback and self.meaning(error) is Meaning.LOCKED
