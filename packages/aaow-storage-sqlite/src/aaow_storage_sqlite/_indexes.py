"""Indexes that a user asks for, on the value at a path in the JSON of a record."""

from collections.abc import Iterable
from functools import partial
from typing import Any, cast
from zlib import crc32

import sqlalchemy as sa

from aaow_storage.authoring import KEY_FIELDS
from aaow_storage_sql import Opening, SQLConnection, table_of
from aaow_storage_sqlite._index_paths import IndexPath
from aaow_storage_sqlite._json_paths import json_value
from aaow_storage_sqlite._retry import retry_while_locked

_master = sa.table("sqlite_master", sa.column("type", sa.String), sa.column("name", sa.String))
_INDEXES = sa.select(_master.c.name).where(_master.c.type == "index")


def _index(path: IndexPath) -> sa.Index:
    """Return the index for equality at a path, followed by the default order of lists."""
    table = table_of(path.record).to_metadata(sa.MetaData())  # a copy, because an index becomes a part of its table
    keys = path.field.path
    value = cast("sa.ColumnElement[Any]", json_value(table.c[path.field.name], keys))
    times = [table.c[name] for name in ("timestamp", "created_at") if name in table.c]
    ids = [table.c[name] for name in KEY_FIELDS.get(path.record, ("id",))]
    key = ".".join((path.field.name, *keys))
    return sa.Index(f"json_{table.name}_{key}_{crc32(key.encode()):08x}", value, *times, *ids)


def create_indexes(
    connection: SQLConnection, paths: Iterable[IndexPath], timeout_s: float, opening: Opening | None = None
) -> None:
    """Create the missing indexes, each in its own transaction.

    Raises:
        StorageUnavailableError: another process held the lock for longer than `timeout_s` seconds.
    """
    existing = {name for (name,) in retry_while_locked(lambda: connection.rows(_INDEXES), timeout_s, opening)}
    for index in map(_index, paths):
        if index.name not in existing:
            statement = sa.schema.CreateIndex(index, if_not_exists=True)
            text = str(statement.compile(dialect=connection.dialect.sqlalchemy_dialect))
            retry_while_locked(partial(connection.command, text), timeout_s, opening)
