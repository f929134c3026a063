"""Running Core statements on a DBAPI connection, each compiled once.

Core owns the schema, the types and the text of every statement; its own Connection stays out of the way, since
compiling and executing through it costs several times what the database needs for a small statement.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

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
        """Return the values of a row as the columns' types make them; NULL is None in all of them."""
        if not self._processors:
            return row
        return tuple(_processed([*row], self._processors))

    def all_fetched(self, rows: list[Row]) -> list[Row]:
        """Return the values of many rows as `fetched` does."""
        if not self._processors or len(rows) < MANY_ROWS:
            return [*map(self.fetched, rows)]
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        for index, processor in self._processors:
            columns[index] = [None if value is None else processor(value) for value in columns[index]]
        return [*zip(*columns, strict=True)]


def _processed(values: list[Any], processors: Iterable[tuple[int, _Processor]]) -> list[Any]:
    """Return the values as the types of some of them make them; None stays."""
    for index, processor in processors:
        value = values[index]
        if value is not None:
            values[index] = processor(value)
    return values


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

    def reading(self, statement: Any) -> Any:
        """Return the select of records as it is to be run: in a caller's own transaction it keeps others from them."""
        return self.dialect.locking(statement) if self.is_lent else statement

    def rows(self, statement: Any, parameters: Parameters = {}) -> list[Row]:  # noqa: B006 - never changed
        """Return all rows of a select."""
        compiled = self.dialect.compiled(statement)
        cursor = self._execute(compiled.text, compiled.bound(parameters))
        rows: list[Row] = []
        try:
            while fetched := cursor.fetchmany(FETCHED):
                rows += compiled.all_fetched(fetched)
                if len(fetched) < FETCHED:
                    break
        except self.dialect.driver_error as error:
            raise self.dialect.translated(error) from error
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
        row: Row | None = None if cursor.description is None else cursor.fetchone()
        return row

    def commit(self) -> None:
        """Commit the transaction that is open.

        Raises:
            StorageError: it was not committed.
        """
        self.command("COMMIT")

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        try:
            return self.driver_connection.execute(text, values)
        except self.dialect.driver_error as error:
            raise self.dialect.translated(error) from error


COMPILED_STATEMENTS = 2_000


def compiler(dialect: sa.Dialect, schema: str | None = None) -> Callable[[Any], CompiledStatement]:
    """Return a function that compiles a statement for the dialect, and remembers it by its identity.

    With a schema, every table is named in it.
    """

    @functools.lru_cache(maxsize=COMPILED_STATEMENTS)
    def compiled(statement: Any) -> CompiledStatement:
        return CompiledStatement(statement, dialect, schema)

    return compiled
