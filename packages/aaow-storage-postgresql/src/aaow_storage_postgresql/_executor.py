"""The executor of PostgreSQL: it submits operations to pools of worker threads.

The modules with SQLAlchemy are imported by the thread that opens the first store, since that takes longer than an event
loop may be blocked.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from aaow_storage.authoring import given_up_after_fork
from aaow_storage.errors import StorageError, StoreBusyError
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import (
    Call,
    InteractiveTransaction,
    Job,
    Opening,
    Outcome,
    ThreadedExecutor,
    import_late,
    import_repositories,
    operation,
)

if TYPE_CHECKING:
    from aaow_storage_postgresql._open_store import OpenStore
    from aaow_storage_postgresql._requests import Request
    from aaow_storage_postgresql._worker_pool import WorkerPool
    from aaow_storage_sql import SQLConnection

T = TypeVar("T")


@operation(writes=False)
def _version(connection: "SQLConnection") -> object:
    """Return what is committed now, as the server tells it: which transactions have ended."""
    return connection.command("SELECT pg_current_snapshot()::text")


class PostgreSQLExecutor(ThreadedExecutor):
    """Runs operations on the threads of one adapter."""

    version = _version

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.records_changes = settings.changes is not False
        self.poll_interval_s = settings.tuning.watch_interval_s
        self._store: OpenStore | None = None

    @property
    def place(self) -> str:
        return self._settings.place

    def to_storage_error(self, error: Exception) -> StorageError:
        from aaow_storage_postgresql._dialect import PostgreSQLDialect  # noqa: PLC0415 - imports SQLAlchemy

        return PostgreSQLDialect(self._settings.place, self._settings.schema).to_storage_error(error)

    async def submit(self, call: Call[T]) -> T:
        store = self._store
        if store is None:
            raise self._not_open()
        operation = call.operation
        job = Job(call)
        if operation.writes:
            pool = store.writers
        elif operation.lookup is None:
            pool = store.readers
        else:
            pool = store.point_readers
        waiting = self._submit(pool, job, job)
        try:
            return await (job.wait_shielded() if operation.writes else job.wait())
        finally:
            waiting.cancel()

    async def begin(self, timeout: float) -> InteractiveTransaction:  # noqa: ASYNC109 - how long it may stay open
        if self._store is None:
            raise self._not_open()
        transaction = given_up_after_fork(InteractiveTransaction(timeout))
        waiting = self._submit(self._store.writers, transaction, transaction.opened)
        try:
            await transaction.opened.wait()
        except BaseException:
            transaction.abandon()
            raise
        finally:
            waiting.cancel()
        return transaction

    def _submit(self, pool: "WorkerPool", request: "Request", job: Job[Any]) -> asyncio.TimerHandle:
        """Submit a request to a pool. The timer that is returned limits its wait for a connection."""
        pool.submit(request)
        return asyncio.get_running_loop().call_later(self._settings.acquire_timeout, self._give_up, job)

    def _give_up(self, job: Job[Any]) -> None:
        if job.claim():
            size, timeout = self._settings.pool_size, self._settings.acquire_timeout
            remedy = "try again, or raise pool_size or acquire_timeout"
            problem = f"all {size} connections were busy for {timeout:g} s; {remedy}"
            job.settle(Outcome(job, error=StoreBusyError(f"{self._settings.place}: {problem}")))

    @property
    def is_open(self) -> bool:
        return self._store is not None

    def open(self, opening: Opening, *, migrate: bool) -> None:
        import_repositories()
        import_late("aaow_storage_postgresql._open_store")
        from aaow_storage_postgresql._open_store import open_store  # noqa: PLC0415 - imports SQLAlchemy

        store = open_store(self._settings, opening, migrate=migrate)
        self.records_changes = store.records_changes
        self._store = store

    def shut(self) -> None:
        try:
            if self._store is not None:
                self._store.stop()
        finally:
            self._store = None

    def releasing(self) -> Callable[[], None]:
        return _nothing if self._store is None else self._store.release

    def give_up(self) -> None:
        self._store = None


def _nothing() -> None:
    """Do nothing: there is no open store."""
