"""What the modules of operations share: records become rows and rows records, new ones are new, parents are there."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import AlreadyExistsError, CorruptDataError, NotFoundError, ValidationError
from aaow_storage_sql._building import builder
from aaow_storage_sql._connection import SQLConnection
from aaow_storage_sql._types import JSONText

RecordT = TypeVar("RecordT")


def encoded(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row with the JSON in it as text, so that a caller who changes it later changes nothing.

    Raises:
        ValidationError: what was JSON when the record was built is not JSON any more.
    """
    return {
        name: kind.encoded(value)
        if isinstance(value, dict | list) and isinstance(kind := table.c[name].type, JSONText)
        else value
        for name, value in values.items()
    }


def built(record: type[RecordT], names: Sequence[str], row: Sequence[Any]) -> RecordT:
    """Make the record whose fields the row holds, in the order of the names.

    Raises:
        CorruptDataError: the row holds what no record can.
    """
    try:
        return builder(record, tuple(names))(row)
    except ValidationError as error:
        raise CorruptDataError(f"a stored {record.__name__} is not valid: {error}") from error


def built_with(record: type[RecordT], fields: dict[str, Any]) -> RecordT:
    """Make the record with those fields.

    Raises:
        CorruptDataError: no record can have them.
    """
    return built(record, tuple(fields), tuple(fields.values()))


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


@frozen
class Parent:
    """A record that another refers to; an id of None refers to nothing."""

    exists: sa.Select[Any]
    kind: str
    id: str | None


def insert_new(
    connection: SQLConnection,
    table: sa.Table,
    values: Mapping[str, Any],
    *,
    exists: sa.Select[Any],
    kind: str,
    parents: Sequence[Parent],
) -> None:
    """Insert a row whose id no other has; `exists` and `kind` are of the record itself.

    Raises:
        AlreadyExistsError: a row has the id, whatever else is wrong.
        NotFoundError: a parent is not there.
    """
    try:
        for parent in parents:
            require(connection, parent.exists, parent.kind, parent.id)
    except NotFoundError:
        if connection.row(exists, {"id": values["id"]}) is None:
            raise
    else:
        if connection.run(connection.dialect.insert_if_absent(table), values):
            return
    raise AlreadyExistsError(kind, values["id"])


def set_columns(table: sa.Table, names: Sequence[str]) -> sa.Update:
    """Return the update of those columns of the row with one id; `new_values` makes its parameters."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values)


def new_values(names: Sequence[str], record: Any) -> dict[str, Any]:
    """Return the parameters of `set_columns` for a record."""
    return {"id_": record.id, **{f"new_{name}": getattr(record, name) for name in names}}
