"""The plugin that the entry point `sqlite` names."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from attrs import evolve

from aaow_storage import Backend, Capability
from aaow_storage.authoring import shown
from aaow_storage.errors import ValidationError
from aaow_storage.hookspecs import hookimpl
from aaow_storage_sql import VERSION_TABLE, SQLStorageAdapter
from aaow_storage_sqlite._connections import Settings, Synchronous
from aaow_storage_sqlite._executor import SQLiteExecutor
from aaow_storage_sqlite._indexes import json_index
from aaow_storage_sqlite._location import parse_location

_CAPABILITIES = frozenset({Capability.STREAM_EVENTS, Capability.DURABLE})
_VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a name of ours
_SET_VERSION = f"UPDATE {VERSION_TABLE} SET version_num = ?"  # noqa: S608 - as above
_OPTIONS = {
    "synchronous": "'FULL' (the default): a commit survives loss of power; 'NORMAL': the death of the process",
    "busy_timeout": "how many seconds to wait for another process's lock (30.0)",
    "reader_threads": "how many threads read: one for single records, the others for lists (2)",
    "inline_reads": "whether the event loop finds single records itself while that is quick (True)",
    "file_mode": "the permissions of a new file, such as 0o600 (what the umask leaves of 0o644)",
    "indexes": "paths in JSON that filters look for, such as 'Session.metadata.user'; each gets an index",
}


_OWNERS = 0o600


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the SQLite backend."""
    return Backend(
        name="sqlite",
        summary="one file, for any number of tasks, threads and processes of one machine; or memory",
        create=create,
        options=_OPTIONS,
        capabilities=_CAPABILITIES,
        temporary_store=temporary_store,
        newer_schema=newer_schema,
    )


def create(
    url: str | None = None,
    *,
    synchronous: str = "FULL",
    busy_timeout: float = 30.0,
    reader_threads: int = 2,
    inline_reads: bool = True,
    file_mode: int | None = None,
    indexes: Iterable[str] = (),
) -> SQLStorageAdapter:
    """Make an adapter of the store at a path, a `file:` URI or a `sqlite://` URL.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    location = evolve(parse_location(url), file_mode=_file_mode(file_mode))
    settings = Settings(location, _synchronous(synchronous), _busy_timeout(busy_timeout), _indexes(indexes))
    if type(reader_threads) is not int or not 1 <= reader_threads <= 64:  # noqa: PLR2004 - said in the message
        raise ValidationError("sqlite", "reader_threads", f"must be an int from 1 to 64, not {shown(reader_threads)}")
    if type(inline_reads) is not bool:
        raise ValidationError("sqlite", "inline_reads", f"must be True or False, not {shown(inline_reads)}")
    capabilities = _CAPABILITIES if location.path is not None else _CAPABILITIES - {Capability.DURABLE}
    return SQLStorageAdapter(SQLiteExecutor(settings, reader_threads, inline_reads=inline_reads), capabilities)


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of a store in the folder, which belongs to the caller."""
    yield f"sqlite:///{folder / 'store.db'}"


@contextmanager
def newer_schema(url: str, **options: Any) -> Iterator[None]:
    """Hold the store in a file as one that a later release has migrated."""
    del options
    with closing(sqlite3.connect(parse_location(url).uri, uri=True, isolation_level=None)) as connection:
        ((version,),) = connection.execute(_VERSION).fetchall()
        connection.execute(_SET_VERSION, (f"after {version}",))
        try:
            yield
        finally:
            connection.execute(_SET_VERSION, (version,))


def _file_mode(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= 0o777 and value & _OWNERS == _OWNERS):  # noqa: PLR2004 - said in the message
        return value
    given = oct(value) if type(value) is int else shown(value)
    problem = f"must be None, or permissions with which the owner may read and write, from 0o600 to 0o777, not {given}"
    raise ValidationError("sqlite", "file_mode", problem)


def _indexes(names: Any) -> tuple[sa.Index, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValidationError("sqlite", "indexes", f"must be a list of paths, not {shown(names)}")
    return tuple(json_index(name) for name in names)


def _synchronous(value: Any) -> Synchronous:
    for each in Synchronous:
        if isinstance(value, str) and value.upper() == each:
            return each
    raise ValidationError("sqlite", "synchronous", f"must be 'FULL' or 'NORMAL', not {shown(value)}")


def _busy_timeout(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValidationError("sqlite", "busy_timeout", f"must be a number of seconds of 0 or more, not {shown(value)}")
    return float(value)
