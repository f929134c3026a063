"""The writer thread: it commits waiting operations together, and serves interactive transactions.

Acknowledgements are sent once their commit is done. If that pays, they are held until the next commit begins; see
`_commit_pipeline`. They are sent before anything that may block, and after `max_ack_hold_s` at the latest.

If an unexpected error ends the thread, all waiting and later requests are refused with that error as the cause.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, TypeVar, TypeVarTuple

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_sql import (
    InteractiveTransaction,
    Job,
    Outcome,
    SQLConnection,
    WorkQueue,
    deliver,
    import_late,
    import_writing,
    roll_back,
    run_in_savepoint,
    start_thread,
    thread_ended_error,
)
from aaow_storage_sqlite._checkpointer import Checkpointer
from aaow_storage_sqlite._commit_pipeline import Acknowledgements, CommitPipeline
from aaow_storage_sqlite._dialect import is_locked
from aaow_storage_sqlite._fork_locks import ForkLock
from aaow_storage_sqlite._retry import retry_while_locked
from aaow_storage_sqlite._schema_watch import SchemaWatch
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._store_files import StoreFiles

T = TypeVar("T")
Args = TypeVarTuple("Args")
Request = Job[Any] | InteractiveTransaction


class Writer:
    """Owns the writing connection. An outcome is sent only after the commit that it is part of.

    If the constructor fails, the connection and the files are still the caller's to close.
    """

    def __init__(self, settings: Settings, connection: SQLConnection, files: StoreFiles, schema: SchemaWatch) -> None:
        self._settings = settings
        self._tuning = settings.tuning
        self._connection = connection
        self._files = files
        self._schema = schema
        self._queue: WorkQueue[Request] = WorkQueue()
        self._current: list[Request] = []
        """Requests that were taken from the queue and may not be answered yet."""
        self._pipeline = CommitPipeline(self._tuning)
        self._acks = Acknowledgements()
        self._checkpointer = Checkpointer(settings, connection, files)
        self._fork_lock = ForkLock(str(settings.location.path), self._tuning.max_fork_wait_s)
        self._lock = threading.Lock()
        self._is_stopping = False
        self._interactive: InteractiveTransaction | None = None
        self._before_closing: Callable[[], None] = lambda: None
        self._after_closing: Callable[[], None] = lambda: None
        self._has_ended = self._is_dropped = False
        self._closing = threading.Lock()
        self._thread = start_thread(f"aaow-writer {settings.location}", self._run)

    def submit(self, request: Request) -> None:
        """Accept an operation or an interactive transaction.

        Raises:
            AdapterClosedError: the writer is stopping.
        """
        self._queue.put(request)

    def stop(self) -> None:
        """Finish accepted operations, roll back open transactions, and close the connection. Blocks until done."""
        self._queue.close()
        with self._lock:
            self._is_stopping = True
            if self._interactive is not None:
                self._interactive.end_with_adapter()
        self._thread.join()
        self._close()

    def stop_dropped(self, before_closing: Callable[[], None], after_closing: Callable[[], None]) -> None:
        """Let the thread do what `stop` does, because the adapter was dropped and nothing can be submitted any more.

        It takes no lock and waits for nothing, so a finalizer may call it, on any thread.
        """
        self._before_closing, self._after_closing = before_closing, after_closing
        self._is_stopping = self._is_dropped = True
        self._queue.close_without_lock()
        interactive = self._interactive
        if interactive is not None:
            interactive.end_with_adapter()
        if self._has_ended:
            self._close()

    # the thread

    def _run(self) -> None:
        try:
            self._current = self._queue.get(self._tuning.max_writer_batch)
            if self._current:
                with suppress(Exception):  # an operation that needs it tries again, and reports the error
                    import_writing()  # now, because later it would extend the transaction of the first operation
                    import_late(f"{__package__}._expressions")
                self._serve(self._current)
        except BaseException as error:  # noqa: BLE001 - passed on to everything that waits
            with suppress(Exception):
                self._refuse_all(error)
            self._has_ended = True
            if self._is_dropped:
                self._close()
        else:
            self._close()

    def _serve(self, requests: list[Request]) -> None:
        """Do these requests and all that come, until the queue is closed."""
        while requests := self._next_requests(requests):
            self._current = requests
            with self._fork_lock:
                requests = self._process(requests)
            self._current = []

    def _next_requests(self, left: list[Request]) -> list[Request]:
        """Return the requests left over from the last batch, and waiting ones; if there are none, wait for one."""
        requests = left + self._queue.get_nowait(self._tuning.max_writer_batch - len(left))
        return requests or self._blocking(self._queue.get, self._tuning.max_writer_batch)

    def _process(self, requests: list[Request]) -> list[Request]:
        """Do the next batch of requests, and return the others."""
        try:
            self._files.check_if_due()
            self._schema.check_if_due(self._connection)
        except StorageError as error:
            self._acks.flush()
            for request in requests:
                _refuse(request, error)
            return []
        if len(requests) == 1 and self._autocommit(requests[0]):
            return []
        size = self._next_batch_size(requests)
        for batch in _batches(requests[:size]):
            if isinstance(batch, list):
                self._commit_batch(batch)
            else:
                self._blocking(self._run_interactive, batch)
        return requests[size:]

    def _next_batch_size(self, waiting: list[Request]) -> int:
        """Return how many requests to do next; hold acknowledgements only while there are two batches."""
        in_flight = len(waiting) + len(self._acks.pending)
        size = self._pipeline.next_batch_size(in_flight)
        if size == in_flight:
            self._acks.flush()
        return size

    def _blocking(self, action: Callable[[*Args], T], *args: *Args) -> T:
        """Run an action that may wait, for the disk, a lock, a caller or the queue; flush acknowledgements first."""
        if self._acks.pending:
            self._acks.flush()
        return action(*args)

    def _acknowledge(self, outcomes: list[Outcome]) -> None:
        """Send the outcomes of a commit, or hold them while another batch waits; then do a checkpoint that is due."""
        self._acks.hold(outcomes)
        if not self._pipeline.is_split:
            self._acks.flush()
        self._checkpoint()

    def _checkpoint(self) -> None:
        step = self._checkpointer.next_step()
        if step is not None:
            self._blocking(step)

    # operations

    def _autocommit(self, request: Request) -> bool:
        """Try a lone job in one statement, without waiting for a lock; return whether that answered it.

        It does not if the job needs more statements, or if another process holds the lock.
        """
        if not isinstance(request, Job) or request.call.operation.fast_path is None:
            return False
        job = request
        if not job.claim():
            return True
        outcome = self._blocking(self._commit_fast_path, job)
        if outcome is None:
            job.release()
            return False
        if outcome.error is None:
            outcome = self._verify([outcome])[0]
        self._acknowledge([outcome])
        return True

    def _commit_fast_path(self, job: Job[Any]) -> Outcome | None:
        """Run the fast path of a job, and commit with what it changed; None if it fell back, or the lock is held."""
        connection = self._connection
        try:
            connection.command("BEGIN IMMEDIATE")
        except StorageError as error:
            return None if is_locked(error) else Outcome(job, error=error)
        outcome = job.run_fast_path(connection)
        try:
            if outcome is not None and outcome.error is None:
                self._commit()
        except StorageError as error:
            outcome = Outcome(job, error=error)
        if connection.is_in_transaction:
            roll_back(connection, None if outcome is None else outcome.error)
        return outcome

    def _commit_batch(self, batch: list[Job[Any]]) -> None:
        if all(job.is_cancelled for job in batch):
            return
        try:
            self._begin()
        except StorageError as error:
            self._acks.hold(Outcome(job, error=error) for job in batch)
            self._acks.flush()
            return
        # Claim jobs only after BEGIN succeeds, so callers cancelled while we wait for the lock are skipped.
        jobs = [job for job in batch if job.claim()]
        if len(jobs) > 1:
            outcomes = self._commit_group(jobs) or self._commit_each(jobs)
        else:
            outcomes = [self._run_and_commit(job) for job in jobs]
            roll_back(self._connection)
        self._acknowledge(outcomes)

    def _commit_group(self, jobs: list[Job[Any]]) -> list[Outcome] | None:
        """Run the jobs in the open transaction, each undone alone if it fails, and commit; None if SQLite lost it."""
        connection = self._connection
        outcomes = []
        began = time.perf_counter()
        try:
            for job in jobs:
                if self._acks.pending and (
                    job.call.operation.fast_path is None or time.perf_counter() - began > self._tuning.max_ack_hold_s
                ):
                    self._acks.flush()  # a job of several statements may take long
                outcomes.append(run_in_savepoint(connection, job))
                if not connection.is_in_transaction:
                    return None
            ran = time.perf_counter()
            self._commit()
        except StorageError as error:
            roll_back(connection, error)
            return None
        self._pipeline.record_commit(len(jobs), ran - began, time.perf_counter() - ran)
        return self._verify(outcomes)

    def _commit_each(self, jobs: list[Job[Any]]) -> list[Outcome]:
        """Run each job in a transaction of its own, after that of all jobs was rolled back."""
        outcomes = []
        for job in jobs:
            try:
                self._begin()
            except StorageError as error:
                outcomes.append(Outcome(job, error=error))
            else:
                outcomes.append(self._run_and_commit(job))
        return outcomes

    def _run_and_commit(self, job: Job[Any]) -> Outcome:
        """Run the job in the open transaction, and commit or roll back."""
        outcome = self._blocking(job.run, self._connection)
        if outcome.error is None:
            try:
                self._commit()
                self._files.check()
            except StorageError as error:
                outcome = Outcome(job, error=error)
        if outcome.error is not None:
            roll_back(self._connection, outcome.error)
        return outcome

    def _verify(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return the outcomes of a commit, as errors if the files that it went to are gone."""
        try:
            self._files.check()
        except StorageError as error:
            return [outcome if outcome.error else Outcome(outcome.job, error=error) for outcome in outcomes]
        return outcomes

    # interactive transactions

    def _run_interactive(self, transaction: InteractiveTransaction) -> None:
        if transaction.opened.is_cancelled:
            return
        try:
            self._begin()
        except StorageError as error:
            transaction.refuse(error)
            return
        with self._lock:
            if not self._is_stopping:
                self._interactive = transaction
        if self._interactive is None:
            roll_back(self._connection)
            transaction.refuse(AdapterClosedError(CLOSED))
            return
        self._serve_interactive(transaction)
        self._checkpoint()

    def _serve_interactive(self, transaction: InteractiveTransaction) -> None:
        """Do what the caller asks until the transaction ends. A fork waits for single steps, not for the end."""
        with self._fork_lock.release_in_transaction():
            transaction.serve(self._connection, verify=self._files.check, while_working=self._fork_lock)
        with self._lock:
            self._interactive = None

    # transaction control

    def _begin(self) -> None:
        begin = functools.partial(self._connection.command, "BEGIN IMMEDIATE")
        retry_while_locked(begin, self._settings.busy_timeout, on_locked=self._on_locked)
        try:
            self._schema.check(self._connection)  # the wait for the lock may have been for a migration
        except StorageError as error:
            roll_back(self._connection, error)
            raise

    def _on_locked(self) -> None:
        self._pipeline.record_contention()
        self._acks.flush()  # the other process may hold the lock for long

    def _commit(self) -> None:
        commit = functools.partial(self._connection.command, "COMMIT")
        self._blocking(retry_while_locked, commit, self._settings.busy_timeout)

    # the end of the thread

    def _refuse_all(self, cause: BaseException) -> None:
        """Refuse whatever waits and will come, because the thread ends; release the lock of the database."""
        refusal = functools.partial(thread_ended_error, f"{self._settings.location}: the thread that writes", cause)
        with ExitStack() as steps:  # all of them are run, even if one fails
            steps.callback(self._leave_transaction)
            requests = [*self._current, *self._queue.abort(refusal)]
            for request in requests:
                steps.callback(_refuse, request, refusal())
            if self._interactive is not None:
                steps.callback(self._interactive.abort, self._connection, refusal())
            steps.callback(self._acks.flush)

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
        with suppress(Exception), ExitStack() as steps:  # all of them are run, even if one fails
            steps.callback(self._after_closing)
            steps.callback(self._files.close, self._connection.close)
            steps.callback(self._checkpointer.stop)
            steps.callback(self._before_closing)


def _batches(requests: Iterable[Request]) -> Iterator[list[Job[Any]] | InteractiveTransaction]:
    """Yield each interactive transaction alone, and the operations between two of them together."""
    batch: list[Job[Any]] = []
    for request in requests:
        if isinstance(request, Job):  # not "is no transaction": to ask an abstract class takes ten times as long
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
