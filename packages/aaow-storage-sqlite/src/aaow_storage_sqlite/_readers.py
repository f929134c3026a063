"""The threads that read, each on a connection of its own. The writer never makes them wait.

One thread reads single records, so that none of these waits behind a list. A second would make them slower: threads of
Python take turns, and each turn costs more than such a read.
"""

import functools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aaow_storage.errors import StorageError
from aaow_storage_sql import (
    Job,
    Outcome,
    SQLConnection,
    WorkQueue,
    deliver,
    roll_back,
    start_thread,
    thread_ended_error,
)
from aaow_storage_sqlite._connections import Settings, open_reader
from aaow_storage_sqlite._fork_locks import Gate
from aaow_storage_sqlite._store_files import StoreFiles

if TYPE_CHECKING:
    import threading

MAX_BATCH = 16
MOMENT_S = 0.001
"""How long jobs share one state of the store, and wait for each other's outcomes."""


class Readers:
    """One thread for the short jobs, and others for the rest; a single thread does both."""

    def __init__(self, settings: Settings, count: int, files: StoreFiles) -> None:
        self._location = settings.location
        self._files = files
        self._short: WorkQueue[Job[Any]] = WorkQueue()
        self._other: WorkQueue[Job[Any]] = WorkQueue() if count > 1 else self._short
        self._threads: list[threading.Thread] = []
        try:
            for number in range(count):
                self._start(open_reader(settings), number, are_short=number == 0 and count > 1)
        except BaseException:
            self.stop()
            raise

    def _start(self, connection: SQLConnection, number: int, *, are_short: bool) -> None:
        inbox = self._short if number == 0 else self._other
        name = f"aaow-reader-{number} {self._location}"
        gate = Gate(str(self._location.path))
        try:
            self._threads.append(start_thread(name, self._run, connection, inbox, gate, are_short=are_short))
        except BaseException:
            connection.close()
            raise

    def put(self, job: Job[Any], *, is_short: bool = False) -> None:
        """Accept a job; a short one reads one record with one statement.

        Raises:
            AdapterClosedError: the readers are stopping.
        """
        (self._short if is_short else self._other).put(job)

    def stop(self) -> None:
        """Finish what was accepted, and close the connections. Blocks until done."""
        self._short.close()
        if self._other is not self._short:
            self._other.close(readers=max(0, len(self._threads) - 1))
        for thread in self._threads:
            thread.join()

    def stop_unused(self) -> None:
        """Let the threads end, since nothing can be asked for any more; takes no lock and waits for nothing."""
        self._short.close_without_lock()
        if self._other is not self._short:
            self._other.close_without_lock(readers=len(self._threads) - 1)

    def _run(self, connection: SQLConnection, inbox: WorkQueue[Job[Any]], gate: Gate, *, are_short: bool) -> None:
        batch: deque[Job[Any]] = deque()
        in_hand: list[Job[Any]] = []
        try:
            while taken := inbox.get(MAX_BATCH):
                in_hand = taken
                batch = deque(taken)
                with gate:
                    self._answer(connection, batch, are_short=are_short)
        except BaseException as error:  # noqa: BLE001 - handed to whatever waits
            refusal = functools.partial(thread_ended_error, f"{self._location}: a thread that reads", error)
            waiting = inbox.abort(refusal, readers=len(self._threads))
            deliver([Outcome(job, error=refusal()) for job in (*in_hand, *waiting)])
        finally:
            connection.close()

    def _answer(self, connection: SQLConnection, batch: deque[Job[Any]], *, are_short: bool) -> None:
        """Answer the jobs, unless the files of the store are gone."""
        try:
            self._files.check_now_and_then()
        except StorageError as error:
            deliver([Outcome(job, error=error) for job in batch])
            return
        if are_short and len(batch) == 1:
            # One statement sees one state without a transaction around it.
            deliver([batch.popleft().run(connection)])
        while batch:
            deliver(read_some(connection, batch))


def read_some(connection: SQLConnection, jobs: deque[Job[Any]]) -> list[Outcome]:
    """Take jobs away and run them on one state of the store, for a moment; the first of them however long it takes.

    The state is newer than every job, so each sees what was committed before it was asked for.
    """
    outcomes: list[Outcome] = []
    try:
        connection.command("BEGIN")
    except StorageError as error:
        unread = [*jobs]
        jobs.clear()
        return [Outcome(job, error=error) for job in unread]
    until = time.perf_counter() + MOMENT_S
    while jobs and (not outcomes or (time.perf_counter() < until and connection.is_in_transaction)):
        job = jobs.popleft()
        if not job.is_cancelled:
            with connection.interruptible_by(job):
                outcomes.append(job.run(connection))
    roll_back(connection, outcomes[-1].error if outcomes else None)
    return outcomes
