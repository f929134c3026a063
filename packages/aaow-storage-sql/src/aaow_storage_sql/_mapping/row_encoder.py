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
        conversions: for some of those, the function that makes JSON of the field's value; an empty value has none.
        seldom: fields that most records leave at these values, which are what a column without a value has. They are
            looked at together, so that a record that has none of them costs no more for them.
    """

    def __init__(
        self,
        record: str,
        names: Sequence[str],
        documents: Sequence[str],
        conversions: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
        seldom: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.record = record
        self.names = names
        self.documents = documents
        self._values_of = attrgetter(*names)
        self._conversions = tuple(conversions.items())
        self._usual = tuple(name for name in names if name not in seldom)
        self._usual_values_of = attrgetter(*self._usual)
        self._usual_documents = tuple(name for name in documents if name not in seldom)
        self._seldom = tuple(seldom)
        self._absent = tuple(seldom.values())
        self._seldom_values_of = attrgetter(*self._seldom) if seldom else None

    def __call__(self, record: object, others: InsertedRow | None = None) -> InsertedRow:
        """Make the row; other columns, of which no document is encoded yet, become the row with the fields added.

        Later changes to a document do not reach the row.

        Raises:
            ValidationError: what was JSON when the record was made is not JSON any more.
        """
        row = {} if others is None else others
        for name, value in zip(self._usual, self._usual_values_of(record)):  # noqa: B905 - half as fast with strict=
            if value is not None:
                row[name] = value
        for name, convert in self._conversions:
            value = row.pop(name)
            if value:
                row[name] = convert(value)
        if self._seldom_values_of is not None and (values := self._seldom_values_of(record)) != self._absent:
            for name, value, absent in zip(self._seldom, values, self._absent, strict=True):
                if value is not absent:
                    row[name] = value
            documents = self.documents
        else:
            documents = self._usual_documents
        for name in documents:
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
        for name, convert in self._conversions:
            fields[name] = [convert(value) if value else None for value in fields[name]]
        columns: dict[str, Sequence[Any]] = {name: [value] * len(records) for name, value in others.items()}
        columns |= {name: values for name, values in fields.items() if values.count(None) < len(values)}
        for name in self.documents:
            if name in columns:
                columns[name] = [
                    None if value is None else dumps(value, record=self.record, field=name) for value in columns[name]
                ]
        return InsertedRows(tuple(columns), [*zip(*columns.values(), strict=True)])
