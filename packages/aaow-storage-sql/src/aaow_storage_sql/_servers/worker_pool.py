"""A pool of worker threads: it starts threads as they are needed, and stops them."""

import threading
import time
from collections.abc import Callable, Sequence

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, OutcomeUnknownError, StorageError, StorageUnavailableError
from aaow_storage_sql._servers.deadlines import Watchdog
from aaow_storage_sql._servers.requests import Request, as_storage_error, refuse
from aaow_storage_sql._servers.server import Server
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._servers.worker import Owner, Worker
from aaow_storage_sql._threads.interactive_transaction import InteractiveTransaction
from aaow_storage_sql._threads.work_queue import WorkQueue


class WorkerPool:
    """Threads with a connection each. A thread is started when all are busy, up to `max_threads`.

    Each takes up to `batch_size` of the waiting requests at a time. Every accepted request is answered, even if a
    thread fails or ends.
    """

    def __init__(
        self,
        server: Server,
        watchdog: Watchdog,
        role: str,
        max_threads: int,
        *,
        batch_size: int = 1,
        make_worker: Callable[[Server, Watchdog, Owner], Worker] = Worker,
    ) -> None:
        self._server = server
        self._watchdog = watchdog
        self._make_worker = make_worker
        self._name = f"aaow-{server.name}-{role}"
        self._max_threads = max_threads
        self._batch_size = batch_size
        self._queue: WorkQueue[Request] = WorkQueue()
        self._lock = threading.Lock()
        self._load = 0
        self._is_stopping = False
        self._started = 0
        self._workers: dict[threading.Thread, Worker] = {}
        self._transactions: set[InteractiveTransaction] = set()

    def submit(self, request: Request) -> None:
        """Accept a request.

        Raises:
            AdapterClosedError: the pool is stopping.
            StorageUnavailableError: no thread runs, and none can be started.
        """
        with self._lock:
            if self._is_stopping:
                raise AdapterClosedError(CLOSED)
            if self._load >= len(self._workers) < self._max_threads:
                self._start()
            self._queue.put(request)
            self._load += 1

    def _start(self) -> None:
        """Start a thread. If the system refuses, the running threads take its work."""
        worker = self._make_worker(self._server, self._watchdog, self)
        name = f"{self._name}-{self._started}"
        thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        self._workers[thread] = worker
        self._started += 1
        try:
            thread.start()
        except BaseException as error:
            del self._workers[thread]
            if not isinstance(error, Exception):
                raise
            if not self._workers:
                problem = f"no thread can be started: {error}; try again when this process has fewer threads"
                raise StorageUnavailableError(f"{self._server.settings.place}: {problem}") from error

    def register(self, transaction: InteractiveTransaction) -> bool:
        """Add an open transaction; return False if the pool is stopping."""
        with self._lock:
            if not self._is_stopping:
                self._transactions.add(transaction)
            return not self._is_stopping

    def unregister(self, transaction: InteractiveTransaction) -> None:
        """Remove a transaction that has ended."""
        with self._lock:
            self._transactions.discard(transaction)

    def free(self, worker: Worker) -> None:
        """Count the requests of a worker as answered, so that no thread is started for what it can take next."""
        with self._lock:
            self._load -= worker.load
            worker.load = 0

    def begin_stop(self) -> None:
        """Accept no more requests, and roll back open transactions."""
        with self._lock:
            self._is_stopping = True
            self._queue.close()
            for transaction in self._transactions:
                transaction.end_with_adapter()

    def release(self) -> None:
        """Stop the threads of an adapter that was dropped. Takes no lock and does not block."""
        self._is_stopping = True
        self._queue.close_without_lock()
        for transaction in list(self._transactions):
            transaction.end_with_adapter()

    def join(self, until: float) -> bool:
        """Wait at most until that instant for the threads to end; return whether they have."""
        with self._lock:
            threads = list(self._workers)
        for thread in threads:
            thread.join(max(0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def abandon(self) -> None:
        """Refuse all unanswered requests, since the threads do not end."""
        problem = "the adapter was closed, and the server did not answer in time; the change may or may not be stored"
        with self._lock:
            requests = [request for worker in self._workers.values() for request in worker.current]
        self._refuse([*requests, *self._queue.get_nowait(self._load)], OutcomeUnknownError(problem))

    def _run(self, worker: Worker) -> None:
        ended_by: BaseException | None = None
        try:
            while requests := self._queue.get(self._batch_size):
                worker.current, worker.load = requests, len(requests)
                try:
                    worker.answer(requests)
                    worker.current = ()
                finally:
                    self.free(worker)
        except BaseException as error:  # noqa: BLE001 - it answers the waiting requests
            ended_by = error
        finally:
            self._end(worker, ended_by)

    def _end(self, worker: Worker, ended_by: BaseException | None) -> None:
        """Remove a thread. If it failed and was the last, refuse the waiting requests."""
        worker.close()
        with self._lock:
            self._workers.pop(threading.current_thread(), None)
            if self._is_stopping:
                self._queue.close()  # one more end mark, for the next thread
            waiting = [] if self._workers or ended_by is None else self._queue.get_nowait(self._load)
            self._load -= len(waiting)
        if ended_by is not None:
            self._refuse([*worker.current, *waiting], as_storage_error(ended_by, self._server.settings.place))

    def _refuse(self, requests: Sequence[Request], error: StorageError) -> None:
        for request in requests:
            refuse(request, error)


def stop(pools: Sequence[WorkerPool], watchdog: Watchdog, settings: ServerSettings) -> None:
    """Finish accepted requests, roll back open transactions, and close the connections. Blocks until done.

    After `close_timeout_s` the sockets are shut down, and unanswered requests are refused.
    """
    for pool in pools:
        pool.begin_stop()
    until = time.monotonic() + settings.close_timeout_s
    if not all(pool.join(until) for pool in pools):
        watchdog.expire_all()
        until = time.monotonic() + settings.tuning.thread_end_timeout_s
        for pool in pools:
            if not pool.join(until):
                pool.abandon()
    watchdog.stop()
