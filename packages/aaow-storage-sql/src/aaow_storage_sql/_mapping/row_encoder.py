"""Makes a row, or rows, of records: values by column names, with JSON as text."""

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from aaow_storage.authoring import dumps

InsertedRow = dict[str, Any]
"""A row to insert, by column names: without columns that are NULL, and with JSON as text."""


class InsertedRows(NamedTuple):
    """Rows to insert together: their columns, in the order of the table, and the values of each row."""

    names: tuple[str, ...]
    values: list[tuple[Any, ...]]


class RowEncoder:
    """Makes a row of a record, with a column for each of the fields that it was given.

    Args:
        record: the record, as errors call it.
        names: the fields, which are columns too, in the order of the table.
        documents: those columns of the table that have JSON.
        conversions: for some of those, the function that makes JSON of the field's value, or None.
    """

    def __init__(
        self,
        record: str,
        names: Sequence[str],
        documents: Sequence[str],
        conversions: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
    ) -> None:
        self.record = record
        self.names = names
        self.documents = documents
        self._values_of = attrgetter(*names)
        self._conversions = conversions

    def __call__(self, record: object, **others: Any) -> InsertedRow:
        """Make the row, with other columns beside the fields. Later changes to a document do not reach the row.

        Raises:
            ValidationError: what was JSON when the record was made is not JSON any more.
        """
        row = others
        for name, value in zip(self.names, self._values_of(record), strict=True):
            if value is not None:
                row[name] = value
        for name, convert in self._conversions.items():
            converted = convert(row.pop(name))
            if converted is not None:
                row[name] = converted
        for name in self.documents:
            if name in row:
                row[name] = dumps(row[name], record=self.record, field=name)
        return row

    def all(self, records: Collection[object], **others: Any) -> InsertedRows:
        """Make the rows of several records, with the same other columns, which come first in the table, in each.

        Columns that are all NULL are left out.

        Raises:
            ValidationError: what was JSON when a record was made is not JSON any more.
        """
        fields: dict[str, Sequence[Any]] = dict(
            zip(self.names, zip(*map(self._values_of, records), strict=True), strict=True)
        )
        for name, convert in self._conversions.items():
            fields[name] = [*map(convert, fields[name])]
        columns: dict[str, Sequence[Any]] = {name: [value] * len(records) for name, value in others.items()}
        columns |= {name: values for name, values in fields.items() if values.count(None) < len(values)}
        for name in self.documents:
            if name in columns:
                columns[name] = [
                    None if value is None else dumps(value, record=self.record, field=name) for value in columns[name]
                ]
        return InsertedRows(tuple(columns), [*zip(*columns.values(), strict=True)])
