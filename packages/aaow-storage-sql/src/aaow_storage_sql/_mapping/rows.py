"""What the modules of operations share: records become rows, and rows records."""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from aaow_storage import ApprovalRequest, BudgetPool, Session, StoredWorkflow
from aaow_storage.authoring import apply_changes, dumps
from aaow_storage.errors import CorruptDataError, StorageError, ValidationError
from aaow_storage_sql._corrupt_data import named, unreadable
from aaow_storage_sql._mapping.hydration import builder
from aaow_storage_sql._schema.types import JSONText

RecordT = TypeVar("RecordT")


InsertedRow = dict[str, Any]
"""A row that is to be put in, by its columns: without what is NULL, and with JSON as text."""


class InsertedRows(NamedTuple):
    """Rows that are to be put in together: their columns, in the order of the table, and the values of each row."""

    names: tuple[str, ...]
    values: list[tuple[Any, ...]]


class RowMaker:
    """Makes rows of records, with a column for each of those fields."""

    def __init__(self, table: sa.Table, names: Sequence[str]) -> None:
        self._columns = tuple(table.columns.keys())
        self._names = names
        self._values_of = attrgetter(*names)
        self._documents = [
            (column.name, column.type.record, column.type.field)
            for column in table.columns
            if isinstance(column.type, JSONText)
        ]

    def __call__(self, record: object, **others: Any) -> InsertedRow:
        """Make the row, with others beside the fields. Who changes a document later changes nothing in the row.

        Raises:
            ValidationError: what was JSON when the record was built is not JSON any more.
        """
        row = others
        for name, value in zip(self._names, self._values_of(record), strict=True):
            if value is not None:
                row[name] = value
        for name, of_record, field in self._documents:
            if name in row:
                row[name] = dumps(row[name], record=of_record, field=field)
        return row

    def all(self, records: Collection[object], **others: Any) -> InsertedRows:
        """Make the rows of some records, with the same others in each; a column that is NULL in all is left out.

        Raises:
            ValidationError: what was JSON when a record was built is not JSON any more.
        """
        by_column = zip(*map(self._values_of, records), strict=True)
        columns: dict[str, Sequence[Any]] = {name: [value] * len(records) for name, value in others.items()}
        columns |= {
            name: values
            for name, values in zip(self._names, by_column, strict=True)
            if values.count(None) < len(values)
        }
        for name, of_record, field in self._documents:
            if name in columns:
                columns[name] = [
                    None if value is None else dumps(value, record=of_record, field=field) for value in columns[name]
                ]
        names = tuple(name for name in self._columns if name in columns)
        return InsertedRows(names, [*zip(*(columns[name] for name in names), strict=True)])


def built(record: type[RecordT], names: Sequence[str], row: Sequence[Any]) -> RecordT:
    """Make the record whose fields the row holds, in the order of the names.

    Raises:
        CorruptDataError: the row holds what no record can; the error names the record and the field.
    """
    try:
        return builder(record, tuple(names))(row)
    except Exception as error:
        raise _corrupt(record, names, row, error) from error


def all_built(record: type[RecordT], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RecordT]:
    """Make the records whose fields the rows hold, in the order of the names.

    Raises:
        CorruptDataError: a row holds what no record can; the error names the record and the field.
    """
    rows = [*rows]
    try:
        return builder(record, tuple(names)).all(rows)
    except Exception:  # noqa: BLE001 - raised again by the row that is wrong
        return [built(record, names, row) for row in rows]


def _corrupt(record: type, names: Sequence[str], row: Sequence[Any], error: Exception) -> StorageError:
    """Return the error for a row of which no record can be made."""
    of = named(names, row)
    return unreadable(f"a stored {record.__name__}{of and f' with the {of}'}", "", error)


def built_with(record: type[RecordT], fields: dict[str, Any]) -> RecordT:
    """Make the record with those fields.

    Raises:
        CorruptDataError: no record can have them.
    """
    return built(record, tuple(fields), tuple(fields.values()))


ChangedT = TypeVar("ChangedT", StoredWorkflow, Session, BudgetPool, ApprovalRequest)


def changed_record(stored: ChangedT, changes: Any) -> ChangedT:
    """Return the stored record with the changes of an `update_*` applied.

    Raises:
        ValidationError: a field is unknown or immutable, or its new value is wrong.
        CorruptDataError: the record refuses what is stored in a field that was not named.
    """
    try:
        return apply_changes(stored, changes)
    except ValidationError as error:
        name = error.field.replace("[", ".").partition(".")[0]
        if name in changes or not hasattr(stored, name):
            raise
        raise CorruptDataError(f"the stored {type(stored).__name__} {stored.id!r} is not valid: {error}") from error


def set_columns(table: sa.Table, names: Sequence[str]) -> sa.Update:
    """Return the update of those columns of the row with one id; `new_values` makes its parameters."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values)


def new_values(names: Sequence[str], record: Any) -> dict[str, Any]:
    """Return the parameters of `set_columns` for a record."""
    return {"id_": record.id, **{f"new_{name}": getattr(record, name) for name in names}}
