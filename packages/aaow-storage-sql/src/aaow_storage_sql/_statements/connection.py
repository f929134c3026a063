"""A connection that runs SQLAlchemy Core statements on the driver's connection, each compiled once.

Core provides the schema, the types and the text of the statements. Its own Connection is not used: for a small
statement it takes several times longer than the database.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql._corrupt_data import unreadable
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.recorder import ChangeRecorder, ReplacedRows
from aaow_storage_sql._tuning import DEFAULT, Tuning

if TYPE_CHECKING:
    from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters, Row


class SQLConnection:
    """A connection of the driver, used by one thread at a time. It raises storage errors only."""

    operation_savepoint: ClassVar[str] = "operation"
    """The name of the savepoint of the operation that runs in an open transaction."""

    def __init__(self, driver_connection: Any, dialect: Dialect, tuning: Tuning = DEFAULT) -> None:
        self.driver_connection = driver_connection
        self.dialect = dialect
        self.fetch_size = tuning.fetch_size
        self.is_interactive = False
        """Whether an interactive transaction is open: its caller may be about to change what it reads."""
        self.recorder: ChangeRecorder | None = None
        """What the open transaction changed; None if the connection does not write, or the database records changes."""
        self.is_known_to_record = False
        """Whether the store was just seen to record changes, so that those are stored without asking again.

        If the feed was switched off since, some of them are stored for nobody, and go when it is switched on.
        """
        self.replaced = ReplacedRows()
        """What the last upsert replaced, if the dialect counts that."""
        self.failures: list[Exception] = []
        """Errors in Python functions that the database called; its own error says little about them, or nothing."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.dialect.is_in_transaction(self.driver_connection)

    def interruptible_by(self, *jobs: Any, cancels: bool = True) -> AbstractContextManager[None]:
        """Let the statements of those jobs be interrupted inside the block, once the tasks of all are cancelled.

        This kind of connection cannot be interrupted. Without `cancels`, the running statement must not be cancelled.
        """
        del jobs, cancels
        return nullcontext()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that run now have been cancelled."""
        return False

    def check_not_cancelled(self) -> None:
        """Do nothing, unless the task that waits for the result was cancelled.

        Raises:
            StorageUnavailableError: it was.
        """
        if self.is_interrupted:
            raise StorageUnavailableError("the operation was interrupted, because its task was cancelled")

    def lock_if_interactive(self, statement: Any) -> Any:
        """Return the SELECT, with FOR UPDATE in an interactive transaction."""
        return self.dialect.for_update(statement) if self.is_interactive else statement

    def record(self, kind: str, id: str, session_id: str | None, action: str | None) -> None:
        """Note a change of the open transaction, for the change feed; None is no change."""
        if self.recorder is not None and action is not None:
            self.recorder.entries.append((kind, id, session_id, action))

    def rows(self, statement: Any, parameters: "Parameters" = {}) -> "list[Row]":  # noqa: B006 - never changed
        """Return all rows of a SELECT.

        Raises:
            CorruptDataError: a stored value cannot be read.
            StorageError: the SELECT failed otherwise.
        """
        return self.compiled_rows(self.dialect.compile(statement), parameters)

    def compiled_rows(self, compiled: "CompiledStatement", parameters: "Parameters") -> "list[Row]":
        """Return all rows of a compiled SELECT; raises what `rows` raises."""
        cursor = self._execute(compiled.text, compiled.bind(parameters))
        rows: list[Row] = []
        try:
            while fetched := cursor.fetchmany(self.fetch_size):
                rows += compiled.convert_many(fetched)
                if len(fetched) < self.fetch_size:
                    break
        except BaseException as error:
            _close(cursor)  # an open cursor keeps SQLite's read snapshot
            if isinstance(error, StorageError) or not isinstance(error, Exception):
                raise
            raise self._unread(error) from error
        if self.failures:
            failure = self.failures[0]
            raise self._failed_in_function(failure) from failure
        return rows

    def row(self, statement: Any, parameters: "Parameters" = {}) -> "Row | None":  # noqa: B006 - never changed
        """Return the first row of a SELECT, or None."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def run(self, statement: Any, parameters: "Parameters" = {}) -> int:  # noqa: B006 - never changed
        """Run an INSERT, UPDATE or DELETE; return the number of rows that it changed."""
        compiled = self.dialect.compile(statement)
        touched: int = self._execute(compiled.text, compiled.bind(parameters)).rowcount
        return touched

    def run_and_commit(self, statement: Any, parameters: "Parameters", kind: str, session_id: str | None) -> bool:
        """Run an upsert of one row that is all that the transaction does, note the change, and commit, in one request.

        Return False, and do nothing, unless the connection can do that, and what runs may be repeated.
        """
        del statement, parameters, kind, session_id
        return False

    def run_at_once(self, statement: Any, parameters: "Parameters") -> int:
        """Run an INSERT, UPDATE or DELETE that waits for no other transaction; return how many rows it changed.

        That is 0 if it would have to wait.
        """
        at_once = self.dialect.run_at_once
        if at_once is None:
            return self.run(statement, parameters)
        compiled = self.dialect.compile(statement)
        try:
            touched: int = self._execute(at_once(compiled.text), compiled.bind(parameters)).rowcount
        except StorageError as error:
            if not self.dialect.is_lock_timeout(error):
                raise
            return 0
        return touched

    def run_rows(self, statement: Any, of_one: Any, rows: "Iterable[Row]") -> int:
        """Run an INSERT of several rows; return how many it changed.

        `of_one` is the INSERT of one row, whose parameters order the values.
        """
        touched: int = self._execute(
            self.dialect.compile(statement).text, self.dialect.compile(of_one).bind_many(rows)
        ).rowcount
        return touched

    def command(self, text: str) -> "Row | None":
        """Run a command of plain SQL, such as COMMIT or a pragma; return its first row, or None."""
        cursor = self._execute(text, ())
        try:
            row: Row | None = None if cursor.description is None else cursor.fetchone()
        except Exception as error:
            _close(cursor)
            raise self._unread(error) from error
        return row

    def open_savepoint(self, name: str) -> None:
        """Open a savepoint in the open transaction, between two operations."""
        self.command(f"SAVEPOINT {name}")

    def close_savepoint(self, name: str, *, undo: bool) -> None:
        """Close a savepoint, between two operations; with `undo`, go back to it first."""
        if undo:
            self.command(f"ROLLBACK TO {name}")
        self.command(f"RELEASE SAVEPOINT {name}")

    def begin_operation(self) -> None:
        """Begin an operation that may be undone alone. `keep_operation` or `undo_operation` has to end it."""
        self.open_savepoint(self.operation_savepoint)

    def keep_operation(self) -> None:
        """End the operation; what it did stays."""
        self.close_savepoint(self.operation_savepoint, undo=False)

    def undo_operation(self) -> None:
        """End the operation, and undo what it did."""
        self.close_savepoint(self.operation_savepoint, undo=True)

    def commit(self) -> None:
        """Commit the open transaction.

        Raises:
            StorageError: it was not committed.
        """
        self.command("COMMIT")

    def close(self) -> None:
        """Close the driver's connection. An error is ignored, because nothing could be done about it."""
        with suppress(Exception):
            self.driver_connection.close()

    def discard(self) -> None:
        """Close the driver's connection because its state is unknown; an open transaction ends with it."""
        self.close()

    def execute(self, text: str, values: Sequence[Any]) -> Any:
        """Run a statement by the driver, and return its cursor; raises the driver's errors."""
        return self.driver_connection.execute(text, values)

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        try:
            return self.execute(text, values)
        except Exception as error:
            raise self.to_storage_error(error, values) from error

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the storage error for an error that a statement with those values raised."""
        return (
            self._failed_in_function(self.failures[0])
            if self.failures
            else self.dialect.to_storage_error(error, values)
        )

    def _unread(self, error: Exception) -> StorageError:
        """Return the storage error for an error in fetching rows: the driver's, or that of a value."""
        if self.failures or isinstance(error, self.dialect.driver_error):
            return self.to_storage_error(error)
        return unreadable("a row", "", error)

    def _failed_in_function(self, failure: Exception) -> StorageError:
        self.failures.clear()
        return unreadable("a value that the query read", "", failure)


def _close(cursor: Any) -> None:
    """Close a cursor that has rows left; an error is ignored, because another one is being raised."""
    with suppress(Exception):
        cursor.close()
