"""Compiled statements, which bind parameters and convert the values of columns."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from aaow_storage.errors import StorageError
from aaow_storage_sql._corrupt_data import describe_row, unreadable
from aaow_storage_sql._tuning import DEFAULT

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
_Processor = Callable[[Any], Any]
COLUMNAR_FROM = DEFAULT.min_columnar_rows


class CompiledStatement:
    """The text of a statement, with the processors of its parameters and of its columns."""

    def __init__(self, statement: Any, dialect: sa.Dialect, schema: str | None = None) -> None:
        names = {"schema_translate_map": {None: schema}, "render_schema_translate": True} if schema else {}
        compiled = statement.compile(dialect=dialect, **names)
        self.text = str(compiled)
        binds = [compiled.binds[name] for name in compiled.positiontup]
        self._names = [bind.key for bind in binds]
        self._pick = _picker(self._names, {bind.key: bind.value for bind in binds if not bind.required})
        bind_processors = [bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds]
        self._bind_processors = [(index, each) for index, each in enumerate(bind_processors) if each is not None]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._columns = [*columns]
        processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._processors = [(index, processor) for index, processor in enumerate(processors) if processor is not None]

    def bind(self, given: Parameters) -> list[Any]:
        """Return the values for one execution, in the order of the placeholders; None is NULL for every type."""
        return _processed([*self._pick(given)], self._bind_processors)

    def bind_many(self, rows: Iterable[Row]) -> list[Any]:
        """Return the values of several rows, one row after the other, each in the order of the placeholders."""
        if self._bind_processors:
            return list(chain.from_iterable(_processed([*row], self._bind_processors) for row in rows))
        return list(chain.from_iterable(rows))

    def convert(self, row: Row) -> Row:
        """Convert the values of a row by the types of its columns; NULL is None for every type.

        Raises:
            CorruptDataError: a value cannot be what was stored; the error names the column and the row.
        """
        if not self._processors:
            return row
        try:
            return tuple(_processed([*row], self._processors))
        except Exception as error:
            raise self._unreadable_column(row, error) from error

    def convert_many(self, rows: list[Row]) -> list[Row]:
        """Convert the values of several rows as `convert` does."""
        if not self._processors or len(rows) < COLUMNAR_FROM:
            return [*map(self.convert, rows)]
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        try:
            for index, processor in self._processors:
                column = columns[index]
                if column[0] is not None or column.count(None) < len(column):
                    columns[index] = [None if value is None else processor(value) for value in column]
        except Exception:  # noqa: BLE001 - raised again for the row at fault
            return [*map(self.convert, rows)]
        return [*zip(*columns, strict=True)]

    def _unreadable_column(self, row: Row, error: Exception) -> StorageError:
        """Return the error for the column of a row whose value cannot be converted."""
        names = [column.name for column in self._columns]
        for index, processor in self._processors:
            try:
                _processed([row[index]], [(0, processor)])
            except Exception:  # noqa: BLE001 - the same error was raised before
                table = getattr(self._columns[index], "table", None)
                field = f"{getattr(table, 'name', 'a select')}.{names[index]}"
                return unreadable(field, describe_row(names, row), error)
        return unreadable("a row", "", error)


def _processed(values: list[Any], processors: Iterable[tuple[int, _Processor]]) -> list[Any]:
    """Run processors on the values at their indexes, in place; None stays."""
    for index, processor in processors:
        value = values[index]
        if value is not None:
            values[index] = processor(value)
    return values


def _picker(names: Sequence[str], constants: Parameters) -> Callable[[Parameters], Iterable[Any]]:
    """Return the function that picks the values of the named parameters from given ones, or from the constants."""
    if not constants and len(names) > 1:
        return itemgetter(*names)
    return lambda given: map({**constants, **given}.__getitem__, names)


def make_compiler(dialect: sa.Dialect, schema: str | None = None) -> Callable[[Any], CompiledStatement]:
    """Return a function that compiles statements for a dialect, and caches them by identity.

    Every table is qualified with the schema, if there is one.
    """

    @functools.lru_cache(maxsize=DEFAULT.max_compiled_statements)
    def compiled(statement: Any) -> CompiledStatement:
        return CompiledStatement(statement, dialect, schema)

    return compiled
