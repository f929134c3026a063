"""The one thread that writes. It commits together what waits together, and lends itself to explicit transactions.

Outcomes are sent when their commit is done, or a moment later: as the next commit begins, where that pays.

Where anything unexpected ends the thread, all that it was asked for and all that it will be asked for is refused, and
the error says why.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_sql import (
    InteractiveTransaction,
    Job,
    Outcome,
    SQLConnection,
    WorkQueue,
    deliver,
    roll_back,
    run_in_savepoint,
    start_thread,
    thread_ended_error,
)
from aaow_storage_sqlite._checkpointer import Checkpointer
from aaow_storage_sqlite._commit_pipeline import Halves
from aaow_storage_sqlite._connections import Settings, retry_while_locked
from aaow_storage_sqlite._dialect import is_locked
from aaow_storage_sqlite._fork_locks import Gate
from aaow_storage_sqlite._store_files import StoreFiles

MAX_BATCH = 256
LONGEST_HELD_S = 0.005
"""How long operations run before those that are committed are told all the same."""

Request = Job[Any] | InteractiveTransaction


class Writer:
    """Owns the writing connection. An outcome is delivered only after the commit that it is part of.

    Where it cannot be made, the connection and the files are still the caller's to close.
    """

    def __init__(self, settings: Settings, connection: SQLConnection, files: StoreFiles) -> None:
        self._settings = settings
        self._connection = connection
        self._files = files
        self._inbox: WorkQueue[Request] = WorkQueue()
        self._lock = threading.Lock()
        self._is_stopping = False
        self._lent: InteractiveTransaction | None = None
        self._halves = Halves()
        self._in_hand: list[Request] = []
        """What was taken from the inbox and may not be answered yet."""
        self._held: list[Outcome] = []
        """What came of the last commit, while it is not sent yet."""
        self._checkpointer = Checkpointer(settings, connection, files)
        self._gate = Gate(str(settings.location.path))
        self._before_closing: Callable[[], None] = lambda: None
        self._after_closing: Callable[[], None] = lambda: None
        self._has_ended = self._is_unused = False
        self._closing = threading.Lock()
        self._thread = start_thread(f"aaow-writer {settings.location}", self._run)

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
        self._close()

    def stop_unused(self, before_closing: Callable[[], None], after_closing: Callable[[], None]) -> None:
        """Have the thread do what `stop` does, since nothing can be asked for any more.

        It takes no lock and waits for nothing, so a finalizer may call it, on any thread.
        """
        self._before_closing, self._after_closing = before_closing, after_closing
        self._is_stopping = self._is_unused = True
        self._inbox.close_without_lock()
        lent = self._lent
        if lent is not None:
            lent.end_with_adapter()
        if self._has_ended:
            self._close()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to whatever waits
            with suppress(Exception):
                self._refuse_all(error)
            self._has_ended = True
            if self._is_unused:
                self._close()
        else:
            self._close()

    def _work(self) -> None:
        requests: list[Request] = []
        while requests := self._more(requests):
            self._in_hand = requests
            with self._gate:
                requests = self._done_now(requests)
            self._in_hand = []

    def _done_now(self, requests: list[Request]) -> list[Request]:
        """Do a share of the requests, and return the others."""
        try:
            self._files.check_now_and_then()
        except StorageError as error:
            self._send_held()
            for request in requests:
                _refuse(request, error)
            return []
        if len(requests) == 1 and self._is_done_in_one_statement(requests[0]):
            return []
        share = self._share_of(requests)
        for batch in _batches(requests[:share]):
            if isinstance(batch, InteractiveTransaction):
                self._lend(batch)
            else:
                self._commit(batch)
        return requests[share:]

    def _refuse_all(self, cause: BaseException) -> None:
        """Answer whatever waits and will come, since the thread ends; leave no lock of the database behind."""
        refusal = functools.partial(thread_ended_error, f"{self._settings.location}: the thread that writes", cause)
        with ExitStack() as each:  # all of it, also where a part fails
            each.callback(self._leave_transaction)
            requests = [*self._in_hand, *self._inbox.abort(refusal)]
            for request in requests:
                each.callback(_refuse, request, refusal())
            if self._lent is not None:
                each.callback(self._lent.abort, self._connection, refusal())
            each.callback(self._send_held)

    def _leave_transaction(self) -> None:
        try:
            roll_back(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def _close(self) -> None:
        """Close the connection, once; called when the thread has nothing more to do, or has ended."""
        if not self._closing.acquire(blocking=False):
            return
        with suppress(Exception), ExitStack() as closing:  # all of it, also where a part fails
            closing.callback(self._after_closing)
            closing.callback(self._files.close, self._connection.close)
            closing.callback(self._checkpointer.stop)
            closing.callback(self._before_closing)

    def _more(self, left: list[Request]) -> list[Request]:
        """Return what waits, behind what is left of the last time; where nothing does, wait."""
        waiting = left + self._inbox.get_nowait(MAX_BATCH - len(left))
        if waiting:
            return waiting
        self._send_held()
        return self._inbox.get(MAX_BATCH)

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
            deliver(self._held)
            self._held = []

    def _commit(self, batch: list[Job[Any]]) -> None:
        if all(job.is_cancelled for job in batch):
            return
        try:
            self._begin()
        except StorageError as error:
            deliver([Outcome(job, error=error) for job in batch])
            return
        # Not before the transaction is open: who is cancelled while it waits for another process need not wait too.
        jobs = [job for job in batch if job.claim()]
        if len(jobs) > 1:
            outcomes = self._committed_together(jobs) or [self._committed_alone(job) for job in jobs]
        else:
            outcomes = [self._committed(job) for job in jobs]
            roll_back(self._connection)
        self._has_committed(outcomes)

    def _is_done_in_one_statement(self, job: Request) -> bool:
        """Try a lone job without a transaction around it; False where it is none, or meets another process's lock."""
        if isinstance(job, InteractiveTransaction) or job.call.operation.fast_path is None:
            return False
        if not job.claim():
            return True
        self._send_held()
        outcome = job.run_fast_path(self._connection)
        if outcome is None or (outcome.error is not None and is_locked(outcome.error)):
            job.release()
            return False
        if outcome.error is None:
            outcome = self._verified([outcome])[0]
        self._has_committed([outcome])
        return True

    def _verified(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return what came of a commit that is done: an error where the files that it went to are gone."""
        try:
            self._files.check()
        except StorageError as error:
            return [outcome if outcome.error else Outcome(outcome.job, error=error) for outcome in outcomes]
        return outcomes

    def _committed_together(self, jobs: list[Job[Any]]) -> list[Outcome] | None:
        """Run the jobs in the open transaction, each undone alone where it fails; None where SQLite lost it."""
        connection = self._connection
        outcomes = []
        began = time.perf_counter()
        try:
            for job in jobs:
                has_fast_path = job.call.operation.fast_path is not None
                if self._held and (not has_fast_path or time.perf_counter() - began > LONGEST_HELD_S):
                    self._send_held()
                outcomes.append(run_in_savepoint(connection, job))
                if not connection.is_in_transaction:
                    return None
            ran = time.perf_counter()
            self._send_held()
            self._commit_transaction()
        except StorageError as error:
            roll_back(connection, error)
            return None
        self._halves.note(len(jobs), ran - began, time.perf_counter() - ran)
        return self._verified(outcomes)

    def _committed_alone(self, job: Job[Any]) -> Outcome:
        try:
            self._begin()
        except StorageError as error:
            return Outcome(job, error=error)
        return self._committed(job)

    def _committed(self, job: Job[Any]) -> Outcome:
        """Run the job in the open transaction, and end that."""
        self._send_held()
        outcome = job.run(self._connection)
        if outcome.error is None:
            try:
                self._commit_transaction()
                self._files.check()
            except StorageError as error:
                outcome = Outcome(job, error=error)
        if outcome.error is not None:
            roll_back(self._connection, outcome.error)
        return outcome

    def _lend(self, transaction: InteractiveTransaction) -> None:
        self._send_held()
        if transaction.opened.is_cancelled:
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
            transaction.refuse(AdapterClosedError(CLOSED))
            return
        self._serve(transaction)
        self._checkpointer.after_commit(self._send_held)

    def _serve(self, transaction: InteractiveTransaction) -> None:
        """Do what the caller asks until the transaction is over. A fork does not wait for that, but for each step."""
        with self._gate.open_in_transaction():
            transaction.serve(self._connection, verify=self._files.check, while_working=self._gate)
        with self._lock:
            self._lent = None

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


def _batches(requests: Iterable[Request]) -> Iterator[list[Job[Any]] | InteractiveTransaction]:
    """Yield each transaction alone, and the operations between two of them together."""
    batch: list[Job[Any]] = []
    for request in requests:
        if not isinstance(request, InteractiveTransaction):
            batch.append(request)
            continue
        if batch:
            yield batch
        yield request
        batch = []
    if batch:
        yield batch


def _refuse(request: Request, error: StorageError) -> None:
    if isinstance(request, InteractiveTransaction):
        request.refuse(error)
    else:
        deliver([Outcome(request, error=error)])
