"""The one thread that writes. It commits together what waits together, and lends itself to explicit transactions."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_sql import Inbox, Job, LentTransaction, Outcome, SQLConnection, deliver, roll_back, undone_alone
from aaow_storage_sqlite._checkpoints import Checkpointer
from aaow_storage_sqlite._connections import Settings, retry_while_locked
from aaow_storage_sqlite._dialect import is_locked

MAX_BATCH = 256

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
        while requests := self._inbox.take(MAX_BATCH):
            for batch in _batches(requests):
                if isinstance(batch, LentTransaction):
                    self._lend(batch)
                else:
                    self._commit(batch)
        self._checkpointer.stop()
        self._connection.driver_connection.close()

    def _commit(self, batch: list[Job[Any]]) -> None:
        if all(job.is_abandoned for job in batch):
            return
        if len(batch) == 1 and self._is_done_in_one_statement(batch[0]):
            self._checkpointer.after_commit()
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
        deliver(outcomes)
        self._checkpointer.after_commit()

    def _is_done_in_one_statement(self, job: Job[Any]) -> bool:
        """Try a lone job without a transaction around it; False where it is none, or meets another process's lock."""
        if job.attempt is None:
            return False
        if not job.take():
            return True
        outcome = job.attempted_on(self._connection)
        if outcome is None or (outcome.error is not None and is_locked(outcome.error)):
            job.put_back()
            return False
        deliver([outcome])
        return True

    def _committed_together(self, jobs: list[Job[Any]]) -> list[Outcome] | None:
        """Run the jobs in the open transaction, each undone alone where it fails; None where SQLite lost it."""
        connection = self._connection
        try:
            outcomes = []
            for job in jobs:
                outcomes.append(undone_alone(connection, job))
                if not connection.is_in_transaction:
                    return None
            self._commit_transaction()
        except StorageError:
            roll_back(connection)
            return None
        return outcomes

    def _committed_alone(self, job: Job[Any]) -> Outcome:
        try:
            self._begin()
        except StorageError as error:
            return Outcome(job, error=error)
        return self._committed(job)

    def _committed(self, job: Job[Any]) -> Outcome:
        """Run the job in the open transaction, and end that."""
        outcome = job.outcome_on(self._connection)
        if outcome.error is None:
            try:
                self._commit_transaction()
            except StorageError as error:
                outcome = Outcome(job, error=error)
        if outcome.error is not None:
            roll_back(self._connection)
        return outcome

    def _lend(self, transaction: LentTransaction) -> None:
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
        self._checkpointer.after_commit()

    def _begin(self) -> None:
        self._retry(lambda: self._connection.command("BEGIN IMMEDIATE"))

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
