"""Running Core statements on a DBAPI connection, each compiled once.

Core owns the schema, the types and the text of every statement; its own Connection stays out of the way, since
compiling and executing through it costs several times what the database needs for a small statement.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aaow_storage.authoring import unforeseen
from aaow_storage.errors import CorruptDataError, StorageError, StorageUnavailableError

if TYPE_CHECKING:
    from aaow_storage_sql._dialect import Dialect

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
_Processor = Callable[[Any], Any]
FETCHED = 1000
"""How many rows are fetched at once."""
MANY_ROWS = 8
"""From how many rows on it takes less to go through them column by column."""


class CompiledStatement:
    """The text of a statement, and how its parameters go in and its columns come out."""

    def __init__(self, statement: Any, dialect: sa.Dialect, schema: str | None = None) -> None:
        names = {"schema_translate_map": {None: schema}, "render_schema_translate": True} if schema else {}
        compiled = statement.compile(dialect=dialect, **names)
        self.text = str(compiled)
        binds = [compiled.binds[name] for name in compiled.positiontup]
        self._names = [bind.key for bind in binds]
        self._picked = _picker(self._names, {bind.key: bind.value for bind in binds if not bind.required})
        bind_processors = [bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds]
        self._bind_processors = [(index, each) for index, each in enumerate(bind_processors) if each is not None]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._columns = [*columns]
        processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._processors = [(index, processor) for index, processor in enumerate(processors) if processor is not None]

    def bound(self, given: Parameters) -> list[Any]:
        """Return the values for one execution, in the order of the placeholders; None is NULL for all types."""
        return _processed([*self._picked(given)], self._bind_processors)

    def all_bound(self, rows: Iterable[Row]) -> list[Any]:
        """Return the values for several executions, one row after the other, each in the order of the placeholders."""
        if self._bind_processors:
            return list(chain.from_iterable(_processed([*row], self._bind_processors) for row in rows))
        return list(chain.from_iterable(rows))

    def fetched(self, row: Row) -> Row:
        """Return the values of a row as the columns' types make them; NULL is None in all of them.

        Raises:
            CorruptDataError: a value cannot be what was stored; the error names the column and the row.
        """
        if not self._processors:
            return row
        try:
            return tuple(_processed([*row], self._processors))
        except Exception as error:
            raise self._refused(row, error) from error

    def all_fetched(self, rows: list[Row]) -> list[Row]:
        """Return the values of many rows as `fetched` does."""
        if not self._processors or len(rows) < MANY_ROWS:
            return [*map(self.fetched, rows)]
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        try:
            for index, processor in self._processors:
                columns[index] = [None if value is None else processor(value) for value in columns[index]]
        except Exception:  # noqa: BLE001 - raised again by the row that is wrong
            return [*map(self.fetched, rows)]
        return [*zip(*columns, strict=True)]

    def _refused(self, row: Row, error: Exception) -> StorageError:
        """Return the error for a row whose values cannot be processed."""
        names = [column.name for column in self._columns]
        for index, processor in self._processors:
            try:
                _processed([row[index]], [(0, processor)])
            except Exception:  # noqa: BLE001 - it is the error that is told of
                table = getattr(self._columns[index], "table", None)
                field = f"{getattr(table, 'name', 'a select')}.{names[index]}"
                return unreadable(field, named(names, row), error)
        return unreadable("a row", "", error)


def _processed(values: list[Any], processors: Iterable[tuple[int, _Processor]]) -> list[Any]:
    """Return the values as the types of some of them make them; None stays."""
    for index, processor in processors:
        value = values[index]
        if value is not None:
            values[index] = processor(value)
    return values


_KEYS = ("id", "session_id", "node_id", "tool_call_id")


def named(names: Sequence[str], row: Sequence[Any]) -> str:
    """Return what tells a row of those columns from others, for an error; nothing where no column does."""
    keys = [f"{name} {row[names.index(name)]!a:.100}" for name in _KEYS if name in names]
    return keys[0] if keys else ""


def unreadable(what: str, of: str, error: Exception) -> StorageError:
    """Return the error for what is stored and cannot be read, unless it is that the machine lacks memory."""
    if isinstance(error, MemoryError):
        return unforeseen(error)
    where = f" of the row with the {of}" if of else ""
    return CorruptDataError(f"{what}{where} cannot be what was saved: {described(error)}")


def described(error: Exception) -> str:
    """Return what an exception says, behind its kind where that is no error of storage."""
    return str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"


def _picker(names: Sequence[str], constants: Parameters) -> Callable[[Parameters], Iterable[Any]]:
    """Return what picks the parameters of a statement from those that are given, and from what it holds itself."""
    if not constants and len(names) > 1:
        return itemgetter(*names)
    return lambda given: map({**constants, **given}.__getitem__, names)


class SQLConnection:
    """One DBAPI connection, used by one thread at a time. Its errors are the errors of storage."""

    def __init__(self, driver_connection: Any, dialect: "Dialect") -> None:
        self.driver_connection = driver_connection
        self.dialect = dialect
        self.is_lent = False
        """Whether a caller's own transaction is open: what it reads, it may be about to change."""
        self.failures: list[Exception] = []
        """What went wrong in functions of this code that the database called; it tells little of that, or nothing."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.dialect.is_in_transaction(self.driver_connection)

    def answering(self, *jobs: Any, cancels: bool = True) -> AbstractContextManager[None]:
        """Hold while those jobs run, so that they may be interrupted; this kind of connection cannot be.

        Without `cancels`, what runs must not be told to fail.
        """
        del jobs, cancels
        return nullcontext()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that are answered have been cancelled."""
        return False

    def check_wanted(self) -> None:
        """Check that a task still waits for what the connection does.

        Raises:
            StorageUnavailableError: the task was cancelled.
        """
        if self.is_interrupted:
            raise StorageUnavailableError("interrupted, since the task that waited was cancelled")

    def reading(self, statement: Any) -> Any:
        """Return the select of records as it is to be run: in a caller's own transaction it keeps others from them."""
        return self.dialect.locking(statement) if self.is_lent else statement

    def rows(self, statement: Any, parameters: Parameters = {}) -> list[Row]:  # noqa: B006 - never changed
        """Return all rows of a select.

        Raises:
            CorruptDataError: what is stored cannot be read.
            StorageError: the select failed otherwise.
        """
        return self.compiled_rows(self.dialect.compiled(statement), parameters)

    def compiled_rows(self, compiled: CompiledStatement, parameters: Parameters) -> list[Row]:
        """Return all rows of a select that is compiled; raises what `rows` does."""
        cursor = self._execute(compiled.text, compiled.bound(parameters))
        rows: list[Row] = []
        try:
            while fetched := cursor.fetchmany(FETCHED):
                rows += compiled.all_fetched(fetched)
                if len(fetched) < FETCHED:
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
        compiled = self.dialect.compiled(statement)
        touched: int = self._execute(compiled.text, compiled.bound(parameters)).rowcount
        return touched

    def run_rows(self, statement: Any, of_one: Any, rows: Iterable[Row]) -> None:
        """Run an insert of several rows; `of_one` is that of one row, whose parameters each row has in their order."""
        self._execute(self.dialect.compiled(statement).text, self.dialect.compiled(of_one).all_bound(rows))

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
            raise self.meant_by(error, values) from error

    def meant_by(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the error of storage for one that came of a statement with those values."""
        return self._failed_in_function(self.failures[0]) if self.failures else self.dialect.meant_by(error, values)

    def _unread(self, error: Exception) -> StorageError:
        """Return the error of storage for one that came while rows were fetched: the driver's, or a value's."""
        if self.failures or isinstance(error, self.dialect.driver_error):
            return self.meant_by(error)
        return unreadable("a row", "", error)

    def _failed_in_function(self, failure: Exception) -> StorageError:
        self.failures.clear()
        return unreadable("a value that a query looked at", "", failure)


def _close(cursor: Any) -> None:
    """Let the database forget the rows that are left, whatever it says to that."""
    with suppress(Exception):
        cursor.close()


COMPILED_STATEMENTS = 2_000


def compiler(dialect: sa.Dialect, schema: str | None = None) -> Callable[[Any], CompiledStatement]:
    """Return a function that compiles a statement for the dialect, and remembers it by its identity.

    With a schema, every table is named in it.
    """

    @functools.lru_cache(maxsize=COMPILED_STATEMENTS)
    def compiled(statement: Any) -> CompiledStatement:
        return CompiledStatement(statement, dialect, schema)

    return compiled
