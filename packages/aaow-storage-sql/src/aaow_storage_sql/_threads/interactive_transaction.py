"""An interactive transaction: a connection and its thread serve one caller until the transaction ends."""

import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from aaow_storage import TransactionOutcome
from aaow_storage.authoring import CLOSED_IN_TRANSACTION, INHERITED, note_failure
from aaow_storage.errors import OutcomeUnknownError, StorageError, TransactionError
from aaow_storage_sql._operation import Call, Operation, Work
from aaow_storage_sql._threads.executor import ExecutorTransaction
from aaow_storage_sql._threads.job import Job, Outcome, deliver

if TYPE_CHECKING:
    from aaow_storage_sql._statements.connection import SQLConnection

T = TypeVar("T")

MAX_QUEUE_WAIT_S = 3600.0
"""A timeout of a queue that every platform accepts."""


def run_in_savepoint(connection: "SQLConnection", job: Job[Any]) -> Outcome:
    """Run a job inside the open transaction; if it fails, only its own effect is undone.

    Its fast path comes first, without a savepoint if the database undoes a failed statement alone.

    Afterwards `connection.is_in_transaction` is False if all of the transaction was rolled back: by the database, as
    SQLite does when the disk is full; or here, because the error ended the transaction, as a deadlock does, or because
    the savepoint could not be rolled back to.
    """
    has_statement_rollback = connection.dialect.has_statement_rollback
    if has_statement_rollback and (done := job.run_fast_path(connection)) is not None:
        _roll_back_if_over(connection, done)
        return done
    try:
        connection.begin_operation()
    except StorageError as error:
        roll_back(connection, error)
        return Outcome(job, error=error)
    outcome = (None if has_statement_rollback else job.run_fast_path(connection)) or job.run(connection)
    _roll_back_if_over(connection, outcome)
    if connection.is_in_transaction:
        try:
            if outcome.error is None:
                connection.keep_operation()
            else:
                connection.undo_operation()
        except StorageError as error:
            if outcome.error is None:
                outcome = Outcome(job, error=error)
            else:
                note_failure(outcome.error, error)
            roll_back(connection, outcome.error)
    return outcome


def _roll_back_if_over(connection: "SQLConnection", outcome: Outcome) -> None:
    """Roll the transaction back if the error of an operation ended it.

    What its caller wrote afterwards would be committed, statement by statement.
    """
    if outcome.error is not None and connection.dialect.aborts_transaction(outcome.error):
        roll_back(connection, outcome.error)


class Control(Job[None]):
    """Opens or closes a savepoint. It runs even if its task was cancelled, and is not undone alone."""

    __slots__ = ()

    def __init__(self, work: Work[None]) -> None:
        super().__init__(Call(Operation(work, writes=True)))
        self.claim()


class End(Control):
    """Commits the transaction or rolls it back."""

    __slots__ = ("outcome", "reason")

    def __init__(self, outcome: TransactionOutcome, reason: str) -> None:
        super().__init__(_do_nothing)
        self.outcome = outcome
        self.reason = reason


class InteractiveTransaction(ExecutorTransaction):
    """Both sides of the transaction: coroutines for the caller, and `serve` for the thread of the connection."""

    def __init__(self, timeout: float) -> None:
        self.opened: Job[None] = Job(Call(Operation(_do_nothing, writes=True)))
        self.timeout = timeout
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        """What the caller asks for, in order; None if the adapter closes."""
        self._lock = threading.Lock()
        self._outcome: TransactionOutcome | None = None
        self._reason = ""
        self._savepoints = itertools.count(1)
        self._in_progress: Job[Any] | None = None
        """The job that the thread runs, until its outcome is delivered."""

    # The caller's side, on its event loop.

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._outcome

    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        job = Job(call)
        self._send(job)
        return job.wait_shielded()

    async def commit(self) -> None:
        await self._end(End(TransactionOutcome.COMMITTED, "it was committed; begin another one"))

    async def rollback(self) -> None:
        await self._end(End(TransactionOutcome.ROLLED_BACK, "it was rolled back; begin another one"))

    async def open_savepoint(self) -> int:
        number = next(self._savepoints)
        await self._control(lambda connection: connection.open_savepoint(f"caller_{number}"))
        return number

    async def close_savepoint(self, number: int, *, undo: bool) -> None:
        await self._control(lambda connection: connection.close_savepoint(f"caller_{number}", undo=undo))

    def abandon(self) -> None:
        """Roll back, because the caller was cancelled before the transaction was opened."""
        end = End(TransactionOutcome.ROLLED_BACK, "its beginning was cancelled")
        end.abandon()
        self._jobs.put(end)

    def end_with_adapter(self) -> None:
        """Roll back, because the adapter closes; called from any thread."""
        self._jobs.put(None)

    async def _control(self, work: Work[None]) -> None:
        control = Control(work)
        self._send(control)
        await control.wait_shielded()

    async def _end(self, end: End) -> None:
        self._send(end)
        await end.wait_shielded()

    def _send(self, job: Job[Any]) -> None:
        with self._lock:
            if self._outcome is not None:
                raise self._over()
            self._jobs.put(job)

    # The side of the connection's thread.

    def serve(
        self,
        connection: "SQLConnection",
        *,
        verify: Callable[[], None] = lambda: None,
        while_working: AbstractContextManager[object] | None = None,
    ) -> None:
        """Tell the caller that the transaction is open, and run its jobs until the transaction ends.

        The transaction is open on the connection already. `verify` is called after a commit, and raises a StorageError
        if that commit is worth nothing. The connection is used inside `while_working` only. A StorageError here ends
        the transaction. Any other error does so too, and is raised; each job has an outcome before.
        """
        connection.is_interactive = True
        try:
            deliver([Outcome(self.opened)])
            self._serve(connection, verify, while_working or nullcontext())
        except BaseException as error:
            self._close_after(error)
            if not isinstance(error, StorageError):
                raise
            roll_back(connection, error)
        finally:
            connection.is_interactive = False

    def _serve(
        self, connection: "SQLConnection", verify: Callable[[], None], while_working: AbstractContextManager[object]
    ) -> None:
        deadline = time.monotonic() + self.timeout
        while self._outcome is None:
            try:
                job = self._jobs.get(timeout=min(max(deadline - time.monotonic(), 0), MAX_QUEUE_WAIT_S))
            except Empty:
                job = None
                if time.monotonic() < deadline:
                    continue
            self._in_progress = job
            with while_working:
                is_late = time.monotonic() >= deadline
                if job is None or is_late:
                    self._expire(connection, job, is_late=is_late)
                elif isinstance(job, End):
                    self._carry_out(connection, job, verify)
                elif isinstance(job, Control) or job.claim():
                    self._run(connection, job)

    def _run(self, connection: "SQLConnection", job: Job[Any]) -> None:
        try:
            is_control = isinstance(job, Control)
            with connection.interruptible_by(job, cancels=not is_control):
                outcome = job.run(connection) if is_control else run_in_savepoint(connection, job)
                if is_control and outcome.error is not None:  # the state of the savepoint is not known
                    roll_back(connection, outcome.error)
        except StorageError as error:
            outcome = Outcome(job, error=error)
        if not connection.is_in_transaction:
            self._close(TransactionOutcome.ABORTED, f"all of it was rolled back: {_with_notes(outcome.error)}")
        deliver([outcome])

    def _carry_out(self, connection: "SQLConnection", end: End, verify: Callable[[], None]) -> None:
        error: StorageError | None = None
        try:
            with connection.interruptible_by(end, cancels=False):
                if end.outcome is TransactionOutcome.COMMITTED:
                    connection.commit()
                    verify()
                else:
                    _roll_back_as_asked(connection)
        except StorageError as failure:
            error = failure
            roll_back(connection, error)
            is_unknown = isinstance(failure, OutcomeUnknownError)
            outcome = TransactionOutcome.UNKNOWN if is_unknown else TransactionOutcome.ABORTED
            self._close(outcome, f"its commit failed: {failure}")
        else:
            self._close(end.outcome, end.reason)
        deliver([Outcome(end, error=error)])

    def _expire(self, connection: "SQLConnection", job: Job[Any] | None, *, is_late: bool) -> None:
        roll_back(connection)
        if is_late:
            reason = f"it was open for longer than {self.timeout:g} s; end it sooner, or pass a longer timeout"
            self._close(TransactionOutcome.TIMED_OUT, reason)
        else:
            self._close(TransactionOutcome.ABORTED, CLOSED_IN_TRANSACTION)
        if job is not None:
            deliver([self._refusal(job)])

    def abort(self, connection: "SQLConnection", error: BaseException) -> None:
        """End the transaction, because its connection or its thread failed."""
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, _described(error), error)
        roll_back(connection, error)

    def refuse(self, error: Exception) -> None:
        """Raise an error in the caller, because the transaction could not begin; no effect if it has begun."""
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, str(error), error)
        deliver([Outcome(self.opened, error=error)])

    def after_fork_in_child(self) -> None:
        """End the transaction in a forked process: the connection and its thread are the parent's."""
        self._lock = threading.Lock()
        self._jobs = SimpleQueue()
        if self._outcome is None:
            self._outcome, self._reason = TransactionOutcome.ABORTED, INHERITED

    def _close_after(self, error: BaseException) -> None:
        """End the transaction and refuse the jobs that have no outcome yet, because `error` was raised."""
        in_progress = self._in_progress
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, _described(error), error)
        if in_progress is not None:
            is_committed = isinstance(in_progress, End) and self._outcome is in_progress.outcome
            deliver([Outcome(in_progress) if is_committed else self._refusal(in_progress, error)])

    def _close(self, outcome: TransactionOutcome, reason: str, cause: BaseException | None = None) -> None:
        with self._lock:
            self._outcome, self._reason = outcome, reason
        while not self._jobs.empty():
            with suppress(Empty):
                job = self._jobs.get_nowait()
                if job is not None:
                    deliver([self._refusal(job, cause)])

    def _refusal(self, job: Job[Any], cause: BaseException | None = None) -> Outcome:
        error = self._over()
        error.__cause__ = cause
        return Outcome(job, error=error)

    def _over(self) -> TransactionError:
        return TransactionError(f"the transaction is over: {self._reason}")


def _roll_back_as_asked(connection: "SQLConnection") -> None:
    """Roll the open transaction back. It is no error if another one has ended it meanwhile, and the database says so.

    Raises:
        StorageError: ROLLBACK failed otherwise.
    """
    try:
        connection.command("ROLLBACK")
    except StorageError as error:
        if not connection.dialect.aborts_transaction(error):
            raise
        roll_back(connection, error)


def _described(error: BaseException) -> str:
    return str(error) if isinstance(error, StorageError) else f"an unexpected {type(error).__name__}: {error}"


def _with_notes(error: BaseException | None) -> str:
    """Return the message of an error and its notes, which are failures of the clean-up."""
    message = "the database did so" if error is None else _described(error)
    return "; ".join([message, *getattr(error, "__notes__", ())])


def _do_nothing(connection: "SQLConnection") -> None:
    del connection


def roll_back(connection: "SQLConnection", error: BaseException | None = None) -> None:
    """Roll the transaction back, if one is open; if that fails, discard the driver's connection.

    The failure is not raised, but added as a note to `error`, which is the reason for the rollback.
    """
    if not connection.is_in_transaction:
        return
    try:
        connection.command("ROLLBACK")
    except StorageError as failure:
        if error is not None:
            note_failure(error, failure)
        connection.discard()
