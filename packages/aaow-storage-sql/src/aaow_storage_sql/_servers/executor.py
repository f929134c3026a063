"""The executor of a server: it submits operations to pools of worker threads.

The modules with SQLAlchemy are imported by the thread that opens the first store, since that takes longer than an event
loop may be blocked.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from aaow_storage.authoring import given_up_after_fork
from aaow_storage.errors import StorageError, StoreBusyError
from aaow_storage_sql._late_imports import import_late, import_repositories
from aaow_storage_sql._operation import Call
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._statements.dialect import FeedOrder
from aaow_storage_sql._threads.interactive_transaction import InteractiveTransaction
from aaow_storage_sql._threads.job import Job, Outcome
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.threaded_executor import ThreadedExecutor

if TYPE_CHECKING:
    from aaow_storage_sql._servers.open_store import OpenStore
    from aaow_storage_sql._servers.requests import Request
    from aaow_storage_sql._servers.server import Server
    from aaow_storage_sql._servers.worker_pool import WorkerPool

T = TypeVar("T")


class ServerExecutor(ThreadedExecutor):
    """Runs operations on the threads of one adapter. A backend says which server, and how to read its `version`."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__()
        self._settings = settings
        self.records_changes = settings.changes is not False
        self.poll_interval_s = settings.tuning.watch_interval_s
        self._store: OpenStore | None = None

    @abstractmethod
    def make_server(self) -> "Server":
        """Return the server, without connecting. A thread calls it first, so it may import what takes long."""

    @property
    def place(self) -> str:
        return self._settings.place

    def to_storage_error(self, error: Exception) -> StorageError:
        return self.make_server().dialect.to_storage_error(error)

    async def submit(self, call: Call[T]) -> T:
        store = self._store
        if store is None:
            raise self._not_open()
        operation = call.operation
        job = Job(call)
        if operation.saves_one_row:
            pool = store.savers
        elif operation.writes and not operation.is_for_readers:
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
        import_late("aaow_storage_sql._servers.open_store")
        from aaow_storage_sql._servers.open_store import open_store  # noqa: PLC0415 - imported by the thread

        server = self.make_server()
        store = open_store(server, opening, migrate=migrate)
        self.records_changes = store.records_changes
        self.numbers_changes = server.dialect.orders_changes is FeedOrder.NUMBERED
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
