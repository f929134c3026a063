"""Opening a store: its schema is upgraded on one connection; then pools of worker threads serve the operations."""

import functools
from collections.abc import Iterator

from attrs import frozen

from aaow_storage.authoring import run_all
from aaow_storage_sql._servers.deadlines import Watchdog
from aaow_storage_sql._servers.saver import Saver
from aaow_storage_sql._servers.server import Server
from aaow_storage_sql._servers.worker_pool import WorkerPool, stop
from aaow_storage_sql._threads.opening import Opening


@frozen
class OpenStore:
    """The worker threads of one adapter.

    If the server saves rows of several callers together, a few of the connections that write are `savers`.

    One connection in `connections_per_reader` only reads, so that reads never wait for writes that wait for locks. If
    the server answers several point reads together, the first of these serves them; else, or if it is the only one, all
    of these serve all reads.
    """

    server: Server
    watchdog: Watchdog
    point_readers: WorkerPool
    readers: WorkerPool
    writers: WorkerPool
    savers: WorkerPool
    records_changes: bool

    def stop(self) -> None:
        """Finish accepted requests, roll back open transactions, and close the connections. Blocks until done."""
        stop(list(self._pools()), self.watchdog, self.server.settings)

    def release(self) -> None:
        """Stop the threads of an adapter that was dropped. Takes no lock and does not block."""
        run_all(*(pool.release for pool in self._pools()), self.watchdog.stop)

    def _pools(self) -> Iterator[WorkerPool]:
        yield from dict.fromkeys((self.point_readers, self.readers, self.savers, self.writers))


def open_store(server: Server, opening: Opening, *, migrate: bool) -> OpenStore:
    """Prepare the store, and make the pools; they start threads when operations come.

    Raises:
        StorageError: the store cannot be opened or upgraded.
        asyncio.CancelledError: the opening was cancelled.
    """
    watchdog = Watchdog(f"aaow-{server.name}-watch")
    try:
        prepared = server.prepare(opening, watchdog, migrate=migrate)
    except BaseException:
        watchdog.stop()
        raise
    server = prepared.server
    pool_size = server.settings.pool_size
    reading = max(1, pool_size // server.settings.tuning.connections_per_reader)
    writing = max(1, pool_size - reading)
    point_reading = 1 if server.max_reads_together > 1 else reading
    readers = point_readers = WorkerPool(
        server, watchdog, "point-reader", point_reading, batch_size=server.max_reads_together
    )
    if reading > point_reading:
        readers = WorkerPool(server, watchdog, "reader", reading - point_reading)
    saving = 0
    if server.max_saves_together > 1 and prepared.records_changes:
        saving = min(server.settings.tuning.max_savers, writing // 2)
    savers = writers = WorkerPool(server, watchdog, "writer", writing - saving)
    if saving:
        make_saver = functools.partial(Saver, hand_over=writers.submit)
        batch_size = server.max_saves_together
        savers = WorkerPool(server, watchdog, "saver", saving, batch_size=batch_size, make_worker=make_saver)
    return OpenStore(server, watchdog, point_readers, readers, writers, savers, prepared.records_changes)
