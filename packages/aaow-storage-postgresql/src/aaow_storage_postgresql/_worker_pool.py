"""The threads that answer requests, as many as are needed at once."""

import threading
import time
from collections.abc import Sequence

from aaow_storage.errors import AdapterClosedError, StorageError, StorageUnavailableError
from aaow_storage_postgresql._deadlines import Watch
from aaow_storage_postgresql._requests import Request, refuse, unexpected
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._worker import Worker
from aaow_storage_sql import Inbox, LentTransaction

ENDS_WITHIN_S = 2.0
"""How long threads may take to end when their connections have been cut."""


class Workers:
    """Starts another thread when all are busy, up to that many.

    Each takes up to `at_once` of the requests that wait. Every request that was accepted is answered, whatever becomes
    of the threads.
    """

    def __init__(self, settings: Settings, watch: Watch, name: str, most: int, *, at_once: int = 1) -> None:
        self._settings = settings
        self._watch = watch
        self._name = name
        self._most = most
        self._at_once = at_once
        self._inbox: Inbox[Request] = Inbox()
        self._lock = threading.Lock()
        self._load = 0
        self._is_stopping = False
        self._started = 0
        self._workers: dict[threading.Thread, Worker] = {}
        self._lent: set[LentTransaction] = set()

    def put(self, request: Request) -> None:
        """Accept a request.

        Raises:
            AdapterClosedError: the workers are stopping.
            StorageUnavailableError: there is no thread, and none can be started.
        """
        with self._lock:
            if self._is_stopping:
                raise AdapterClosedError("the adapter is closed")
            if self._load >= len(self._workers) < self._most:
                self._start()
            self._inbox.put(request)
            self._load += 1

    def _start(self) -> None:
        """Start a thread; where none can be started, those that run have to do."""
        worker = Worker(self._settings, self._watch, self)
        name = f"aaow-{self._name}-{self._started}"
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
                problem = f"no thread can be started: {error}; try again when this process has fewer"
                raise StorageUnavailableError(f"{self._settings.place}: {problem}") from error

    def lends(self, transaction: LentTransaction) -> bool:
        """Note that a transaction is open, and say whether it may be: not while the workers are stopping."""
        with self._lock:
            if not self._is_stopping:
                self._lent.add(transaction)
            return not self._is_stopping

    def has_ended(self, transaction: LentTransaction) -> None:
        """Note that a transaction is over."""
        with self._lock:
            self._lent.discard(transaction)

    def begin_to_stop(self) -> None:
        """Accept nothing more, and roll back open transactions."""
        with self._lock:
            self._is_stopping = True
            self._inbox.close()
            for transaction in self._lent:
                transaction.end_with_adapter()

    def stop_unused(self) -> None:
        """Let the threads end, since nothing can be asked for any more; takes no lock and waits for nothing."""
        self._is_stopping = True
        self._inbox.close_unused()
        for transaction in list(self._lent):
            transaction.end_with_adapter()

    def wait_for_end(self, until: float) -> bool:
        """Wait until all that was accepted is answered, until that instant at most, and say whether it is."""
        with self._lock:
            threads = list(self._workers)
        for thread in threads:
            thread.join(max(0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def abandon(self) -> None:
        """Refuse what is not answered, since the threads do not end."""
        problem = "the adapter was closed, and the server did not answer in time; it may or may not be stored"
        with self._lock:
            requests = [request for worker in self._workers.values() for request in worker.under_way]
        self._refuse([*requests, *self._inbox.take_waiting(self._load)], StorageUnavailableError(problem))

    def _run(self, worker: Worker) -> None:
        ended_by: BaseException | None = None
        try:
            while requests := self._inbox.take(self._at_once):
                worker.under_way = requests
                try:
                    worker.answer(requests)
                    worker.under_way = ()
                finally:
                    with self._lock:
                        self._load -= len(requests)
        except BaseException as error:  # noqa: BLE001 - it is the answer to what waits
            ended_by = error
        finally:
            self._end(worker, ended_by)

    def _end(self, worker: Worker, ended_by: BaseException | None) -> None:
        """Take a thread off those that run; where it was the last, and ended too early, refuse what waits for one."""
        worker.close()
        with self._lock:
            self._workers.pop(threading.current_thread(), None)
            if self._is_stopping:
                self._inbox.close()  # another reader finds the end as well
            waiting = [] if self._workers or ended_by is None else self._inbox.take_waiting(self._load)
            self._load -= len(waiting)
        if ended_by is not None:
            self._refuse([*worker.under_way, *waiting], unexpected(ended_by, self._settings.place))

    def _refuse(self, requests: Sequence[Request], error: StorageError) -> None:
        for request in requests:
            refuse(request, error)


def stop(all_workers: Sequence[Workers], watch: Watch, within_s: float) -> None:
    """Finish what was accepted, roll back open transactions, and close the connections. Blocks until done.

    What takes longer is cut off from the server and refused.
    """
    for workers in all_workers:
        workers.begin_to_stop()
    until = time.monotonic() + within_s
    if not all(workers.wait_for_end(until) for workers in all_workers):
        watch.pass_all()
        until = time.monotonic() + ENDS_WITHIN_S
        for workers in all_workers:
            if not workers.wait_for_end(until):
                workers.abandon()
    watch.stop()
