"""Opening a store: the schema is upgraded on one connection; then pools of worker threads serve the operations."""

from collections.abc import Iterator

from attrs import frozen

from aaow_storage.authoring import run_all
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._durability import report_durability
from aaow_storage_postgresql._feed import set_recording
from aaow_storage_postgresql._indexes import build_indexes
from aaow_storage_postgresql._opening import open_connection
from aaow_storage_postgresql._search_path import resolve_schema
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import upgrade
from aaow_storage_postgresql._worker_pool import WorkerPool, stop
from aaow_storage_sql import Opening


@frozen
class OpenStore:
    """The worker threads of one adapter.

    One connection in `connections_per_reader` only reads, so that reads never wait for writes that wait for locks. The
    first of these serves point reads; if it is the only one, it serves all reads.
    """

    settings: Settings
    watchdog: Watchdog
    point_readers: WorkerPool
    readers: WorkerPool
    writers: WorkerPool
    records_changes: bool

    def stop(self) -> None:
        """Finish accepted requests, roll back open transactions, and close the connections. Blocks until done."""
        stop(list(self._pools()), self.watchdog, self.settings)

    def release(self) -> None:
        """Stop the threads of an adapter that was dropped. Takes no lock and does not block."""
        run_all(*(pool.release for pool in self._pools()), self.watchdog.stop)

    def _pools(self) -> Iterator[WorkerPool]:
        yield from dict.fromkeys((self.point_readers, self.readers, self.writers))


def open_store(settings: Settings, opening: Opening, *, migrate: bool) -> OpenStore:
    """Upgrade the store, and make the pools; they start threads when operations come.

    Raises:
        StorageError: the store cannot be opened or upgraded.
        asyncio.CancelledError: the opening was cancelled.
    """
    watchdog = Watchdog("aaow-postgresql-watch")
    try:
        settings, records = _upgrade(settings, opening, watchdog, migrate=migrate)
    except BaseException:
        watchdog.stop()
        raise
    tuning = settings.tuning
    reading = max(1, settings.pool_size // tuning.connections_per_reader)
    writing = max(1, settings.pool_size - reading)
    readers = point_readers = WorkerPool(
        settings, watchdog, "postgresql-point-reader", 1, batch_size=tuning.max_pipelined_reads
    )
    if reading > 1:
        readers = WorkerPool(settings, watchdog, "postgresql-reader", reading - 1)
    writers = WorkerPool(settings, watchdog, "postgresql-writer", writing)
    return OpenStore(settings, watchdog, point_readers, readers, writers, records)


def _upgrade(settings: Settings, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> tuple[Settings, bool]:
    """Upgrade the store; return the settings with the schema that holds it, and whether it records changes."""
    with open_connection(settings, opening, watchdog) as connection:
        settings = resolve_schema(settings, connection)
        connection.use_settings(settings)
        upgrade(connection, settings, migrate=migrate, opening=opening)
        if migrate:
            build_indexes(connection, settings, opening)
        records = set_recording(connection, settings)
        report_durability(connection, settings)
    return settings, records
