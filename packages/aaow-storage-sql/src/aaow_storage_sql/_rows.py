"""What the modules of operations share: making a record from a row, and looking for a parent."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from aaow_storage.errors import CorruptDataError, NotFoundError, ValidationError
from aaow_storage_sql._connection import SQLConnection

RecordT = TypeVar("RecordT")


def built(record: type[RecordT], names: Sequence[str], row: Sequence[Any]) -> RecordT:
    """Make the record whose fields the row holds, in the order of the names.

    Raises:
        CorruptDataError: the row holds what no record can.
    """
    return built_with(record, dict(zip(names, row, strict=True)))


def built_with(record: type[RecordT], fields: dict[str, Any]) -> RecordT:
    """Make the record with those fields.

    Raises:
        CorruptDataError: no record can have them.
    """
    try:
        return record(**fields)
    except ValidationError as error:
        raise CorruptDataError(f"a stored {record.__name__} is not valid: {error}") from error


def existence(column: sa.Column[Any]) -> sa.Select[Any]:
    """Return the select that finds out whether a row has that id."""
    return sa.select(sa.literal(1)).where(column == sa.bindparam("id"))


def require(connection: SQLConnection, exists: sa.Select[Any], kind: str, id: str | None) -> None:
    """Check that the record that another refers to is there; None refers to nothing.

    Raises:
        NotFoundError: it is not.
    """
    if id is not None and connection.row(exists, {"id": id}) is None:
        raise NotFoundError(kind, id)


def set_columns(table: sa.Table, names: Sequence[str]) -> sa.Update:
    """Return the update of those columns of the row with one id; `new_values` makes its parameters."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values)


def new_values(names: Sequence[str], record: Any) -> dict[str, Any]:
    """Return the parameters of `set_columns` for a record."""
    return {"id_": record.id, **{f"new_{name}": getattr(record, name) for name in names}}
