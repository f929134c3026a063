"""The executor of PostgreSQL: pools of worker threads for point reads, reads and writes."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from aaow_storage.authoring import given_up_after_fork, run_all
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._durability import report_durability
from aaow_storage_postgresql._indexes import build_indexes
from aaow_storage_postgresql._opening import open_connection
from aaow_storage_postgresql._requests import Request
from aaow_storage_postgresql._search_path import resolve_schema
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import upgrade
from aaow_storage_postgresql._worker_pool import WorkerPool, stop
from aaow_storage_sql import Call, InteractiveTransaction, Job, Opening, Outcome, ThreadedExecutor

T = TypeVar("T")


class PostgreSQLExecutor(ThreadedExecutor):
    """Runs operations on the threads of one adapter.

    One connection in `connections_per_reader` only reads, so that reads never wait for writes that wait for locks. The
    first of these serves point reads; if it is the only one, it serves all reads.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._point_readers: WorkerPool | None = None
        self._readers: WorkerPool | None = None
        self._writers: WorkerPool | None = None
        self._watchdog = Watchdog("aaow-postgresql-watch")

    def to_storage_error(self, error: Exception) -> StorageError:
        return PostgreSQLDialect(self._settings.place, self._settings.schema).to_storage_error(error)

    async def submit(self, call: Call[T]) -> T:
        operation = call.operation
        job = Job(call)
        if operation.writes:
            pool = self._writers
        elif operation.lookup is None:
            pool = self._readers
        else:
            pool = self._point_readers
        waiting = self._submit(pool, job, job)
        try:
            return await (job.wait_shielded() if operation.writes else job.wait())
        finally:
            waiting.cancel()

    async def begin(self, timeout: float) -> InteractiveTransaction:  # noqa: ASYNC109 - how long it may stay open
        transaction = given_up_after_fork(InteractiveTransaction(timeout))
        waiting = self._submit(self._writers, transaction, transaction.opened)
        try:
            await transaction.opened.wait()
        except BaseException:
            transaction.abandon()
            raise
        finally:
            waiting.cancel()
        return transaction

    def _submit(self, pool: WorkerPool | None, request: Request, job: Job[Any]) -> asyncio.TimerHandle:
        """Submit a request to a pool. The timer that is returned limits its wait for a connection."""
        if pool is None:
            raise self._not_open()
        pool.submit(request)
        return asyncio.get_running_loop().call_later(self._settings.acquire_timeout, self._give_up, job)

    def _give_up(self, job: Job[Any]) -> None:
        if job.claim():
            size, timeout = self._settings.pool_size, self._settings.acquire_timeout
            remedy = "try again, or raise pool_size or acquire_timeout"
            problem = f"all {size} connections were busy for {timeout:g} s; {remedy}"
            job.settle(Outcome(job, error=StorageUnavailableError(f"{self._settings.place}: {problem}")))

    @property
    def is_open(self) -> bool:
        return self._writers is not None

    def open(self, opening: Opening, *, migrate: bool) -> None:
        watchdog = Watchdog("aaow-postgresql-watch")
        try:
            settings = self._upgrade(opening, watchdog, migrate=migrate)
        except BaseException:
            watchdog.stop()
            raise
        readers = max(1, self._settings.pool_size // self._settings.tuning.connections_per_reader)
        writers = max(1, self._settings.pool_size - readers)
        self._watchdog = watchdog
        batch_size = settings.tuning.max_pipelined_reads
        self._point_readers = WorkerPool(settings, watchdog, "postgresql-point-reader", 1, batch_size=batch_size)
        self._readers = self._point_readers
        if readers > 1:
            self._readers = WorkerPool(settings, watchdog, "postgresql-reader", readers - 1)
        self._writers = WorkerPool(settings, watchdog, "postgresql-writer", writers)

    def _upgrade(self, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> Settings:
        """Upgrade the store; return the settings with the schema that holds it."""
        with open_connection(self._settings, opening, watchdog) as connection:
            settings = resolve_schema(self._settings, connection)
            connection.use_settings(settings)
            upgrade(connection, settings, migrate=migrate, opening=opening)
            if migrate:
                build_indexes(connection, settings, opening)
            report_durability(connection, settings)
        return settings

    def shut(self) -> None:
        try:
            stop(self._pools(), self._watchdog, self._settings)
        finally:
            self._point_readers = self._readers = self._writers = None

    @property
    def place(self) -> str:
        return self._settings.place

    def releasing(self) -> Callable[[], None]:
        return functools.partial(_release, self._pools(), self._watchdog)

    def give_up(self) -> None:
        self._point_readers = self._readers = self._writers = None

    def _pools(self) -> list[WorkerPool]:
        each = dict.fromkeys((self._point_readers, self._readers, self._writers))
        return [pool for pool in each if pool is not None]


def _release(pools: list[WorkerPool], watchdog: Watchdog) -> None:
    run_all(*(pool.release for pool in pools), watchdog.stop)
