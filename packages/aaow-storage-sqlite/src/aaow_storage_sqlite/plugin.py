"""The plugin behind the entry point `sqlite`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaow_storage import Backend, Capability
from aaow_storage.hookspecs import hookimpl
from aaow_storage_sql import SQLStorageAdapter
from aaow_storage_sqlite._executor import SQLiteExecutor
from aaow_storage_sqlite._location import parse_location
from aaow_storage_sqlite._settings import parse_settings

if TYPE_CHECKING:
    from aaow_storage.authoring import StoreMaintenance

_CAPABILITIES = frozenset({Capability.STREAM_EVENTS, Capability.DURABLE, Capability.CHANGES, Capability.WRITERS_WAIT})
_OPTIONS = {
    "synchronous": "'FULL' (the default): a commit survives a loss of power; 'NORMAL': only the death of the process",
    "busy_timeout": "how many seconds to wait for another process's lock (30.0)",
    "reader_threads": "number of reader threads: one for single records, the others for lists (2)",
    "inline_reads": "whether the event loop reads single records itself while that is quick (True)",
    "file_mode": "the permissions of a new file, such as 0o600 (what the umask leaves of 0o644)",
    "changes": "whether the store records its changes; None leaves it as it is, and a new one does (None)",
    "indexes": "paths in JSON that filters use, such as 'Session.metadata.user'; an index is created for each",
}


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the SQLite backend."""
    return Backend(
        name="sqlite",
        summary="one file, for any number of tasks, threads and processes of one machine; or memory",
        create=create,
        options=_OPTIONS,
        capabilities=_CAPABILITIES,
        contract="1.1",
        temporary_store=temporary_store,
        newer_schema=newer_schema,
        maintenance=maintenance,
    )


def create(url: str | None = None, **options: Any) -> SQLStorageAdapter:
    """Return an adapter for the store at a path, a `file:` URI or a `sqlite://` URL, with options of `parse_settings`.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    settings = parse_settings(url, **options)
    capabilities = _CAPABILITIES if settings.location.path is not None else _CAPABILITIES - {Capability.DURABLE}
    return SQLStorageAdapter(SQLiteExecutor(settings), capabilities)


def maintenance(url: str | None = None, **options: Any) -> "StoreMaintenance":
    """Return the maintenance of the store at a URL, with the options of `create`.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    from aaow_storage_sqlite._maintenance import SQLiteMaintenance  # noqa: PLC0415 - for tools alone

    return SQLiteMaintenance(parse_settings(url, **options))


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of a store in the folder, which belongs to the caller."""
    yield f"sqlite:///{folder / 'store.db'}"


@contextmanager
def newer_schema(url: str, **options: Any) -> Iterator[None]:
    """Make the store look migrated by a later release for the duration of the block."""
    from aaow_storage_sql import VERSION_TABLE  # noqa: PLC0415 - for tests

    del options
    get_version = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a name of ours
    set_version = f"UPDATE {VERSION_TABLE} SET version_num = ?"  # noqa: S608 - as above
    with closing(sqlite3.connect(parse_location(url).uri, uri=True, isolation_level=None)) as connection:
        ((version,),) = connection.execute(get_version).fetchall()
        connection.execute(set_version, (f"after {version}",))
        try:
            yield
        finally:
            connection.execute(set_version, (version,))
