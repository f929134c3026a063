"""The one thread that writes. It commits together what waits together, and lends itself to explicit transactions.

Outcomes are sent when their commit is done, or a moment later: as the next commit begins, where that pays.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_sql import Inbox, Job, LentTransaction, Outcome, SQLConnection, deliver, roll_back, undone_alone
from aaow_storage_sqlite._checkpoints import Checkpointer
from aaow_storage_sqlite._connections import Settings, retry_while_locked
from aaow_storage_sqlite._dialect import is_locked
from aaow_storage_sqlite._halves import Halves

MAX_BATCH = 256
LONGEST_HELD_S = 0.005
"""How long operations run before those that are committed are told all the same."""

Request = Job[Any] | LentTransaction


class Writer:
    """Owns the writing connection. An outcome is delivered only after the commit that it is part of."""

    def __init__(self, settings: Settings, connection: SQLConnection) -> None:
        self._settings = settings
        self._connection = connection
        self._inbox: Inbox[Request] = Inbox()
        self._lock = threading.Lock()
        self._is_stopping = False
        self._lent: LentTransaction | None = None
        self._halves = Halves()
        self._held: list[Outcome] = []
        """What came of the last commit, while it is not sent yet."""
        self._checkpointer = Checkpointer(settings, connection)
        self._thread = threading.Thread(target=self._run, name=f"aaow-writer {settings.location}", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Accept an operation or a transaction.

        Raises:
            AdapterClosedError: the writer is stopping.
        """
        self._inbox.put(request)

    def stop(self) -> None:
        """Finish what was accepted, roll back open transactions, and close the connection. Blocks until done."""
        self._inbox.close()
        with self._lock:
            self._is_stopping = True
            if self._lent is not None:
                self._lent.end_with_adapter()
        self._thread.join()

    def _run(self) -> None:
        requests: list[Request] = []
        while requests := self._more(requests):
            if len(requests) == 1 and self._is_done_in_one_statement(requests[0]):
                requests = []
                continue
            share = self._share_of(requests)
            now, requests = requests[:share], requests[share:]
            for batch in _batches(now):
                if isinstance(batch, LentTransaction):
                    self._lend(batch)
                else:
                    self._commit(batch)
        self._checkpointer.stop()
        self._connection.close()

    def _more(self, left: list[Request]) -> list[Request]:
        """Return what waits, behind what is left of the last time; where nothing does, wait."""
        waiting = left + self._inbox.take_waiting(MAX_BATCH - len(left))
        if waiting:
            return waiting
        self._send_held()
        return self._inbox.take(MAX_BATCH)

    def _share_of(self, waiting: list[Request]) -> int:
        """Return how many to commit next, and hold on to outcomes only while that is one half of two."""
        in_flight = len(waiting) + len(self._held)
        share = self._halves.share_of(in_flight)
        if share == in_flight:
            self._send_held()
        return share

    def _has_committed(self, outcomes: list[Outcome]) -> None:
        """Keep what came of a commit, or send it, before what is due after one."""
        self._held += outcomes
        if not self._halves.is_half:
            self._send_held()
        self._checkpointer.after_commit(self._send_held)

    def _send_held(self) -> None:
        if self._held:
            held, self._held = self._held, []
            deliver(held)

    def _commit(self, batch: list[Job[Any]]) -> None:
        if all(job.is_abandoned for job in batch):
            return
        try:
            self._begin()
        except StorageError as error:
            deliver([Outcome(job, error=error) for job in batch])
            return
        # Not before the transaction is open: who is cancelled while it waits for another process need not wait too.
        jobs = [job for job in batch if job.take()]
        if len(jobs) > 1:
            outcomes = self._committed_together(jobs) or [self._committed_alone(job) for job in jobs]
        else:
            outcomes = [self._committed(job) for job in jobs]
            roll_back(self._connection)
        self._has_committed(outcomes)

    def _is_done_in_one_statement(self, job: Request) -> bool:
        """Try a lone job without a transaction around it; False where it is none, or meets another process's lock."""
        if isinstance(job, LentTransaction) or job.attempt is None:
            return False
        if not job.take():
            return True
        self._send_held()
        outcome = job.attempted_on(self._connection)
        if outcome is None or (outcome.error is not None and is_locked(outcome.error)):
            job.put_back()
            return False
        self._has_committed([outcome])
        return True

    def _committed_together(self, jobs: list[Job[Any]]) -> list[Outcome] | None:
        """Run the jobs in the open transaction, each undone alone where it fails; None where SQLite lost it."""
        connection = self._connection
        outcomes = []
        began = time.perf_counter()
        try:
            for job in jobs:
                if self._held and (job.attempt is None or time.perf_counter() - began > LONGEST_HELD_S):
                    self._send_held()
                outcomes.append(undone_alone(connection, job))
                if not connection.is_in_transaction:
                    return None
            ran = time.perf_counter()
            self._send_held()
            self._commit_transaction()
        except StorageError as error:
            roll_back(connection, error)
            return None
        self._halves.note(len(jobs), ran - began, time.perf_counter() - ran)
        return outcomes

    def _committed_alone(self, job: Job[Any]) -> Outcome:
        try:
            self._begin()
        except StorageError as error:
            return Outcome(job, error=error)
        return self._committed(job)

    def _committed(self, job: Job[Any]) -> Outcome:
        """Run the job in the open transaction, and end that."""
        self._send_held()
        outcome = job.outcome_on(self._connection)
        if outcome.error is None:
            try:
                self._commit_transaction()
            except StorageError as error:
                outcome = Outcome(job, error=error)
        if outcome.error is not None:
            roll_back(self._connection, outcome.error)
        return outcome

    def _lend(self, transaction: LentTransaction) -> None:
        self._send_held()
        if transaction.opened.is_abandoned:
            return
        try:
            self._begin()
        except StorageError as error:
            transaction.refuse(error)
            return
        with self._lock:
            if not self._is_stopping:
                self._lent = transaction
        if self._lent is None:
            roll_back(self._connection)
            transaction.refuse(AdapterClosedError("the adapter is closed"))
            return
        deliver([Outcome(transaction.opened)])
        try:
            transaction.serve(self._connection)
        except StorageError as error:
            transaction.break_down(self._connection, error)
        with self._lock:
            self._lent = None
        self._checkpointer.after_commit(self._send_held)

    def _begin(self) -> None:
        self._retry(self._begin_at_once)

    def _begin_at_once(self) -> None:
        try:
            self._connection.command("BEGIN IMMEDIATE")
        except StorageError:
            self._halves.note_other_process()
            self._send_held()  # that process may have the lock for long
            raise

    def _commit_transaction(self) -> None:
        self._retry(lambda: self._connection.command("COMMIT"))

    def _retry(self, action: Callable[[], object]) -> None:
        retry_while_locked(action, self._settings.busy_timeout)


def _batches(requests: Iterable[Request]) -> Iterator[list[Job[Any]] | LentTransaction]:
    """Yield each transaction alone, and the operations between two of them together."""
    batch: list[Job[Any]] = []
    for request in requests:
        if not isinstance(request, LentTransaction):
            batch.append(request)
            continue
        if batch:
            yield batch
        yield request
        batch = []
    if batch:
        yield batch
