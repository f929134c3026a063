"""Running Core statements on a DBAPI connection, each compiled once.

Core owns the schema, the types and the text of every statement; its own Connection stays out of the way, since
compiling and executing through it costs several times what the database needs for a small statement.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql._corrupt_data import unreadable
from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters, Row
from aaow_storage_sql._statements.dialect import Dialect

FETCH_SIZE = 1000
"""How many rows are fetched at once."""


class SQLConnection:
    """One DBAPI connection, used by one thread at a time. Its errors are the errors of storage."""

    def __init__(self, driver_connection: Any, dialect: Dialect) -> None:
        self.driver_connection = driver_connection
        self.dialect = dialect
        self.is_interactive = False
        """Whether a caller's own transaction is open: what it reads, it may be about to change."""
        self.failures: list[Exception] = []
        """What went wrong in functions of this code that the database called; it tells little of that, or nothing."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.dialect.is_in_transaction(self.driver_connection)

    def interruptible_by(self, *jobs: Any, cancels: bool = True) -> AbstractContextManager[None]:
        """Hold while those jobs run, so that they may be interrupted; this kind of connection cannot be.

        Without `cancels`, what runs must not be told to fail.
        """
        del jobs, cancels
        return nullcontext()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that are answered have been cancelled."""
        return False

    def check_not_cancelled(self) -> None:
        """Check that a task still waits for what the connection does.

        Raises:
            StorageUnavailableError: the task was cancelled.
        """
        if self.is_interrupted:
            raise StorageUnavailableError("interrupted, since the task that waited was cancelled")

    def lock_if_interactive(self, statement: Any) -> Any:
        """Return the select of records as it is to be run: in a caller's own transaction it keeps others from them."""
        return self.dialect.for_update(statement) if self.is_interactive else statement

    def rows(self, statement: Any, parameters: Parameters = {}) -> list[Row]:  # noqa: B006 - never changed
        """Return all rows of a select.

        Raises:
            CorruptDataError: what is stored cannot be read.
            StorageError: the select failed otherwise.
        """
        return self.compiled_rows(self.dialect.compile(statement), parameters)

    def compiled_rows(self, compiled: CompiledStatement, parameters: Parameters) -> list[Row]:
        """Return all rows of a select that is compiled; raises what `rows` does."""
        cursor = self._execute(compiled.text, compiled.bind(parameters))
        rows: list[Row] = []
        try:
            while fetched := cursor.fetchmany(FETCH_SIZE):
                rows += compiled.convert_many(fetched)
                if len(fetched) < FETCH_SIZE:
                    break
        except BaseException as error:
            _close(cursor)  # while it is open, SQLite shows the connection no newer state of the store
            if isinstance(error, StorageError) or not isinstance(error, Exception):
                raise
            raise self._unread(error) from error
        if self.failures:
            failure = self.failures[0]
            raise self._failed_in_function(failure) from failure
        return rows

    def row(self, statement: Any, parameters: Parameters = {}) -> Row | None:  # noqa: B006 - never changed
        """Return the first row of a select, or None."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def run(self, statement: Any, parameters: Parameters = {}) -> int:  # noqa: B006 - never changed
        """Run an insert, update or delete; return the number of rows it touched."""
        compiled = self.dialect.compile(statement)
        touched: int = self._execute(compiled.text, compiled.bind(parameters)).rowcount
        return touched

    def run_rows(self, statement: Any, of_one: Any, rows: Iterable[Row]) -> None:
        """Run an insert of several rows; `of_one` is that of one row, whose parameters each row has in their order."""
        self._execute(self.dialect.compile(statement).text, self.dialect.compile(of_one).bind_many(rows))

    def command(self, text: str) -> Row | None:
        """Run a command that is no statement on data, such as one of transaction control; return its first row."""
        cursor = self._execute(text, ())
        try:
            row: Row | None = None if cursor.description is None else cursor.fetchone()
        except Exception as error:
            _close(cursor)
            raise self._unread(error) from error
        return row

    def commit(self) -> None:
        """Commit the transaction that is open.

        Raises:
            StorageError: it was not committed.
        """
        self.command("COMMIT")

    def close(self) -> None:
        """Close the driver's connection, for good. That it cannot be closed properly is of no use to anybody."""
        with suppress(Exception):
            self.driver_connection.close()

    def discard(self) -> None:
        """Give the driver's connection up, since its state is not known; a transaction that is open ends with it."""
        self.close()

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        try:
            return self.driver_connection.execute(text, values)
        except Exception as error:
            raise self.to_storage_error(error, values) from error

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the error of storage for one that came of a statement with those values."""
        return (
            self._failed_in_function(self.failures[0])
            if self.failures
            else self.dialect.to_storage_error(error, values)
        )

    def _unread(self, error: Exception) -> StorageError:
        """Return the error of storage for one that came while rows were fetched: the driver's, or a value's."""
        if self.failures or isinstance(error, self.dialect.driver_error):
            return self.to_storage_error(error)
        return unreadable("a row", "", error)

    def _failed_in_function(self, failure: Exception) -> StorageError:
        self.failures.clear()
        return unreadable("a value that a query looked at", "", failure)


def _close(cursor: Any) -> None:
    """Let the database forget the rows that are left, whatever it says to that."""
    with suppress(Exception):
        cursor.close()
