"""What the modules of operations share: records become rows, and rows records."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from aaow_storage.errors import CorruptDataError, ValidationError
from aaow_storage_sql._building import builder
from aaow_storage_sql._types import JSONText

RecordT = TypeVar("RecordT")


def encoded(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    """Put text in place of the JSON in the values of a row, so that who changes it later changes nothing; return them.

    Raises:
        ValidationError: what was JSON when the record was built is not JSON any more.
    """
    for name, kind in _json_columns(table):
        value = values[name]
        if type(value) is dict or type(value) is list:
            values[name] = kind.encoded(value)
    return values


@functools.cache
def _json_columns(table: sa.Table) -> list[tuple[str, JSONText]]:
    return [(column.name, column.type) for column in table.columns if isinstance(column.type, JSONText)]


def built(record: type[RecordT], names: Sequence[str], row: Sequence[Any]) -> RecordT:
    """Make the record whose fields the row holds, in the order of the names.

    Raises:
        CorruptDataError: the row holds what no record can.
    """
    (made,) = all_built(record, names, [row])
    return made


def all_built(record: type[RecordT], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RecordT]:
    """Make the records whose fields the rows hold, in the order of the names.

    Raises:
        CorruptDataError: a row holds what no record can.
    """
    build = builder(record, tuple(names))
    try:
        return [build(row) for row in rows]
    except ValidationError as error:
        raise CorruptDataError(f"a stored {record.__name__} is not valid: {error}") from error


def built_with(record: type[RecordT], fields: dict[str, Any]) -> RecordT:
    """Make the record with those fields.

    Raises:
        CorruptDataError: no record can have them.
    """
    return built(record, tuple(fields), tuple(fields.values()))


def set_columns(table: sa.Table, names: Sequence[str]) -> sa.Update:
    """Return the update of those columns of the row with one id; `new_values` makes its parameters."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values)


def new_values(names: Sequence[str], record: Any) -> dict[str, Any]:
    """Return the parameters of `set_columns` for a record."""
    return {"id_": record.id, **{f"new_{name}": getattr(record, name) for name in names}}
