"""The reader threads, each with its own connection. The writer never makes them wait.

One thread does lookups, which find a record by a single statement, so that none of them waits for a list. A second one
would make them slower: threads of Python hand over the GIL in turns, which costs more than a lookup.
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
from aaow_storage_sqlite._connections import open_reader
from aaow_storage_sqlite._fork_locks import ForkLock
from aaow_storage_sqlite._schema_watch import SchemaWatch
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._store_files import StoreFiles

if TYPE_CHECKING:
    import threading


class Readers:
    """One thread for lookups, and others for the rest; a single thread does both."""

    def __init__(self, settings: Settings, files: StoreFiles, schema: SchemaWatch) -> None:
        count = settings.reader_threads
        self._settings = settings
        self._tuning = settings.tuning
        self._files = files
        self._schema = schema
        self._lookups: WorkQueue[Job[Any]] = WorkQueue()
        self._other_reads: WorkQueue[Job[Any]] = WorkQueue() if count > 1 else self._lookups
        self._threads: list[threading.Thread] = []
        try:
            for number in range(count):
                self._start(number, only_lookups=number == 0 and count > 1)
        except BaseException:
            self.stop()
            raise

    def _start(self, number: int, *, only_lookups: bool) -> None:
        queue = self._lookups if number == 0 else self._other_reads
        connection = open_reader(self._settings)
        connection.schema = self._schema
        fork_lock = ForkLock(str(self._settings.location.path), self._tuning.max_fork_wait_s)
        run = functools.partial(self._run, connection, queue, fork_lock, only_lookups=only_lookups)
        try:
            self._threads.append(start_thread(f"aaow-reader-{number} {self._settings.location}", run))
        except BaseException:
            connection.close()
            raise

    def submit(self, job: Job[Any], *, is_lookup: bool = False) -> None:
        """Accept a job; a lookup finds one record by a single statement.

        Raises:
            AdapterClosedError: the readers are stopping.
        """
        (self._lookups if is_lookup else self._other_reads).put(job)

    def stop(self) -> None:
        """Finish accepted jobs, and close the connections. Blocks until done."""
        self._lookups.close()
        if self._other_reads is not self._lookups:
            self._other_reads.close(readers=max(0, len(self._threads) - 1))
        for thread in self._threads:
            thread.join()

    def stop_dropped(self) -> None:
        """Let the threads end, because the adapter was dropped; takes no lock and waits for nothing."""
        self._lookups.close_without_lock()
        if self._other_reads is not self._lookups:
            self._other_reads.close_without_lock(readers=len(self._threads) - 1)

    def _run(
        self, connection: SQLConnection, queue: WorkQueue[Job[Any]], fork_lock: ForkLock, *, only_lookups: bool
    ) -> None:
        current: list[Job[Any]] = []
        try:
            while jobs := queue.get(self._tuning.max_reader_batch):
                current = jobs
                with fork_lock:
                    self._answer(connection, deque(jobs), are_lookups=only_lookups)
        except BaseException as error:  # noqa: BLE001 - passed on to everything that waits
            refusal = functools.partial(thread_ended_error, f"{self._settings.location}: a thread that reads", error)
            waiting = queue.abort(refusal, readers=len(self._threads))
            deliver([Outcome(job, error=refusal()) for job in (*current, *waiting)])
        finally:
            connection.close()

    def _answer(self, connection: SQLConnection, jobs: deque[Job[Any]], *, are_lookups: bool) -> None:
        """Answer the jobs; with errors if the files of the store are gone, or its schema is another."""
        try:
            self._files.check_if_due()
            self._schema.check_if_due(connection)
        except StorageError as error:
            deliver([Outcome(job, error=error) for job in jobs])
            return
        if are_lookups and len(jobs) == 1:
            # A single statement sees one snapshot without a transaction around it.
            deliver([jobs.popleft().run(connection)])
        while jobs:
            deliver(read_on_one_snapshot(connection, jobs, self._tuning.max_snapshot_s))


def read_on_one_snapshot(connection: SQLConnection, jobs: deque[Job[Any]], max_snapshot_s: float) -> list[Outcome]:
    """Remove jobs from the left and run them on one snapshot: the first one, and others until the time is up.

    The snapshot is newer than every job, so each job sees what was committed before it was submitted.
    """
    outcomes: list[Outcome] = []
    try:
        connection.command("BEGIN")
    except StorageError as error:
        outcomes = [Outcome(job, error=error) for job in jobs]
        jobs.clear()
        return outcomes
    until = time.perf_counter() + max_snapshot_s
    while jobs and (not outcomes or (time.perf_counter() < until and connection.is_in_transaction)):
        job = jobs.popleft()
        if not job.is_cancelled:
            with connection.interruptible_by(job):
                outcomes.append(job.run(connection))
    roll_back(connection, outcomes[-1].error if outcomes else None)
    return outcomes
