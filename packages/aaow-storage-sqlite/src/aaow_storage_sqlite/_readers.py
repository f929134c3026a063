"""The threads that read, each on a connection of its own. The writer never makes them wait.

One thread reads single records, so that none of these waits behind a list. A second would make them slower: threads of
Python take turns, and each turn costs more than such a read.
"""

import threading
import time
from collections import deque
from typing import Any

from aaow_storage.errors import StorageError
from aaow_storage_sql import Inbox, Job, Outcome, SQLConnection, deliver, roll_back
from aaow_storage_sqlite._connections import Settings, open_reader

MAX_BATCH = 16
MOMENT_S = 0.001
"""How long jobs share one state of the store, and wait for each other's outcomes."""


class Readers:
    """One thread for the short jobs, and others for the rest; a single thread does both."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._short: Inbox[Job[Any]] = Inbox()
        self._other: Inbox[Job[Any]] = Inbox() if count > 1 else self._short
        connections: list[SQLConnection] = []
        try:
            for _ in range(count):
                connections.append(open_reader(settings))  # noqa: PERF401 - what was opened has to be closed
        except BaseException:
            for connection in connections:
                connection.close()
            raise
        self._threads = [
            threading.Thread(
                target=_run,
                args=(connection, self._short if number == 0 else self._other),
                kwargs={"are_short": number == 0 and count > 1},
                name=f"aaow-reader-{number} {settings.location}",
                daemon=True,
            )
            for number, connection in enumerate(connections)
        ]
        for thread in self._threads:
            thread.start()

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
            self._other.close(readers=len(self._threads) - 1)
        for thread in self._threads:
            thread.join()


def _run(connection: SQLConnection, inbox: Inbox[Job[Any]], *, are_short: bool) -> None:
    while batch := deque(inbox.take(MAX_BATCH)):
        if are_short and len(batch) == 1:
            # One statement sees one state without a transaction around it.
            deliver([batch.popleft().outcome_on(connection)])
        while batch:
            deliver(read_some(connection, batch))
    connection.close()


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
        if not job.is_abandoned:
            outcomes.append(job.outcome_on(connection))
    roll_back(connection, outcomes[-1].error if outcomes else None)
    return outcomes
