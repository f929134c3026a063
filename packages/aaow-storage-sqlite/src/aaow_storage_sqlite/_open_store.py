"""Opening a store: its connections, its threads, and a schema that is upgraded before they start."""

import functools
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from aaow_storage.authoring import cleaning_up_after, run_all
from aaow_storage_sql import ChangeRecorder, LateModule, Opening, needs_upgrade
from aaow_storage_sqlite import _file_locks
from aaow_storage_sqlite._connections import open_writer, without_creating
from aaow_storage_sqlite._feed import set_recording
from aaow_storage_sqlite._inline_reads import InlineReads
from aaow_storage_sqlite._paths import ensure_parent_directory, resolve_path
from aaow_storage_sqlite._readers import Readers
from aaow_storage_sqlite._schema_watch import SchemaWatch
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._store_files import StoreFiles
from aaow_storage_sqlite._upgrade import check_version, upgrade
from aaow_storage_sqlite._writer import Writer

if TYPE_CHECKING:
    from aaow_storage_sqlite import _indexes as indexing
else:
    indexing = LateModule(f"{__package__}._indexes")


@frozen(eq=False, repr=False)
class OpenStore:
    """What reads and writes a store."""

    readers: Readers
    inline_reads: InlineReads | None
    writer: Writer
    records_changes: bool


def open_store(settings: Settings, opening: Opening, *, migrate: bool) -> OpenStore:
    """Open a store, and upgrade its schema if that is due; if it fails, nothing stays open.

    Raises:
        StorageError: it cannot be opened or upgraded.
    """
    settings = evolve(settings, location=resolve_path(settings.location))
    if settings.location.path is None or not settings.location.path.exists():
        needs_upgrade(None, migrate=migrate)
        ensure_parent_directory(settings.location)
    _file_locks.check_inherited(str(settings.location.path))
    connection = open_writer(settings, opening, functools.partial(check_version, migrate=migrate))
    try:
        upgrade(connection, settings.busy_timeout, migrate=migrate, opening=opening)
        if migrate and settings.indexes:
            indexing.create_indexes(connection, settings.indexes, settings.busy_timeout, opening)
        records = set_recording(connection, settings.busy_timeout, opening, wanted=settings.changes)
        connection.recorder = ChangeRecorder()
        connection.driver_connection.set_progress_handler(None, 0)
        schema = connection.schema = SchemaWatch(connection, settings.tuning.schema_check_interval_s)
        files = StoreFiles(settings.location, settings.tuning.files_check_interval_s)
    except BaseException:
        connection.close()
        raise
    settings = without_creating(settings)
    reading: list[Readers | InlineReads] = []
    try:
        readers = Readers(settings, files, schema)
        reading.append(readers)
        inline_reads = InlineReads(settings, files, schema) if settings.inline_reads else None
        if inline_reads is not None:
            reading.insert(0, inline_reads)
        files.check()
        return OpenStore(readers, inline_reads, Writer(settings, connection, files, schema), records)
    except BaseException as error:
        with cleaning_up_after(error):
            run_all(*(each.stop for each in reading), functools.partial(files.close, connection.close))
        raise
