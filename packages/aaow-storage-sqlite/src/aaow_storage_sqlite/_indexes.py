"""Indexes that a user asks for, on the value at a path in the JSON of a record."""

from collections.abc import Iterable
from functools import partial
from zlib import crc32

import sqlalchemy as sa

from aaow_storage.authoring import QUERY_FIELDS, FieldKind, resolve_field, shown
from aaow_storage.errors import ValidationError
from aaow_storage_sql import Opening, SQLConnection, table_of
from aaow_storage_sqlite._json_paths import json_value
from aaow_storage_sqlite._retry import retry_while_locked

_master = sa.table("sqlite_master", sa.column("type", sa.String), sa.column("name", sa.String))
_INDEXES = sa.select(_master.c.name).where(_master.c.type == "index")


def json_index(name: str) -> sa.Index:
    """Return the index for equality at a path, followed by the default order of lists.

    Args:
        name: the record, the JSON field and the keys, such as `Session.metadata.user`.

    Raises:
        ValidationError: there is no such field, or it cannot be indexed.
    """
    records = {record.__name__: record for record in QUERY_FIELDS}
    record_name, _, field_name = name.partition(".") if isinstance(name, str) else ("", "", "")
    record = records.get(record_name)
    if record is None:
        problem = f"must be like 'Session.metadata.user', for one of {', '.join(records)}, not {shown(name)}"
        raise ValidationError("sqlite", "indexes", problem)
    try:
        field = resolve_field(record, field_name)
    except ValidationError as error:
        raise ValidationError("sqlite", "indexes", f"{shown(name)} cannot be indexed: {error.problem}") from error
    table = table_of(record).to_metadata(sa.MetaData())  # a copy, because an index becomes a part of its table
    column = table.columns.get(field.name)
    value = None if column is None else json_value(column, field.path)
    if field.kind is not FieldKind.JSON or value is None:
        problem = (
            f"{shown(name)} cannot be indexed: it must be a path into a JSON field that is not a workflow document"
        )
        raise ValidationError("sqlite", "indexes", f"{problem}, with keys of ASCII letters, digits, _ and -")
    created = table.c["timestamp" if "timestamp" in table.c else "created_at"]
    key = ".".join((field.name, *field.path))
    return sa.Index(f"json_{table.name}_{key}_{crc32(key.encode()):08x}", value, created, table.c.id)


def create_indexes(
    connection: SQLConnection, indexes: Iterable[sa.Index], timeout_s: float, opening: Opening | None = None
) -> None:
    """Create the missing indexes, each in its own transaction.

    Raises:
        StorageUnavailableError: another process held the lock for longer than `timeout_s` seconds.
    """
    existing = {name for (name,) in retry_while_locked(lambda: connection.rows(_INDEXES), timeout_s, opening)}
    for index in indexes:
        if index.name not in existing:
            statement = sa.schema.CreateIndex(index, if_not_exists=True)
            text = str(statement.compile(dialect=connection.dialect.sqlalchemy_dialect))
            retry_while_locked(partial(connection.command, text), timeout_s, opening)
