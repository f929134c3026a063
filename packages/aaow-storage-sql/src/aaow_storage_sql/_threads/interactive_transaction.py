"""An explicit transaction: a connection and its thread, lent to one caller until the transaction ends."""

import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from aaow_storage import TransactionOutcome
from aaow_storage.authoring import INHERITED, note_failure
from aaow_storage.errors import StorageError, TransactionError
from aaow_storage_sql._operation import Call, Operation, Work
from aaow_storage_sql._threads.executor import ExecutorTransaction
from aaow_storage_sql._threads.job import Job, Outcome, deliver

if TYPE_CHECKING:
    from aaow_storage_sql._statements.connection import SQLConnection

T = TypeVar("T")

LONGEST_WAIT_S = 3600.0
_ADAPTER_CLOSED = "the adapter was closed while it was open"


def run_in_savepoint(connection: "SQLConnection", job: Job[Any]) -> Outcome:
    """Run a job inside the transaction that is open; where it fails, only what it did is undone.

    The database may have rolled the whole transaction back, SQLite when the disk is full for one; and it is rolled back
    where what the job did could not be undone alone. `connection.is_in_transaction` tells.
    """
    if connection.dialect.has_statement_rollback and (attempted := job.run_fast_path(connection)) is not None:
        return attempted
    try:
        connection.command("SAVEPOINT operation")
    except StorageError as error:
        roll_back(connection, error)
        return Outcome(job, error=error)
    outcome = job.run(connection)
    if outcome.error is not None and connection.dialect.aborts_transaction(outcome.error):
        roll_back(connection, outcome.error)
    elif connection.is_in_transaction:
        undoing = () if outcome.error is None else ("ROLLBACK TO operation",)
        try:
            _run_all(connection, (*undoing, "RELEASE operation"))
        except StorageError as error:
            if outcome.error is None:
                outcome = Outcome(job, error=error)
            else:
                note_failure(outcome.error, error)
            roll_back(connection, outcome.error)
    return outcome


class Step(Job[None]):
    """A savepoint opened or closed: carried out even where nobody waits for it, and not undone by itself."""

    __slots__ = ()

    def __init__(self, work: Work[None]) -> None:
        super().__init__(Call(Operation(work, writes=True)))
        self.claim()


class Ending(Step):
    """The last step of a transaction."""

    __slots__ = ("outcome", "reason")

    def __init__(self, outcome: TransactionOutcome, reason: str) -> None:
        super().__init__(_do_nothing)
        self.outcome = outcome
        self.reason = reason


class InteractiveTransaction(ExecutorTransaction):
    """Both sides of the loan: the coroutines of the caller, and `serve` for the thread that owns the connection."""

    def __init__(self, timeout: float) -> None:
        self.opened: Job[None] = Job(Call(Operation(_do_nothing, writes=True)))
        self.timeout = timeout
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._outcome: TransactionOutcome | None = None
        self._reason = ""
        self._savepoints = itertools.count(1)
        self._in_hand: Job[Any] | None = None
        """What the connection's thread is about to answer."""

    # the caller's side

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._outcome

    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        job = Job(call)
        self._send(job)
        return job.wait_shielded()

    async def commit(self) -> None:
        await self._end(Ending(TransactionOutcome.COMMITTED, "it was committed; begin another one"))

    async def rollback(self) -> None:
        await self._end(Ending(TransactionOutcome.ROLLED_BACK, "it was rolled back; begin another one"))

    async def open_savepoint(self) -> int:
        number = next(self._savepoints)
        await self._step(f"SAVEPOINT caller_{number}")
        return number

    async def close_savepoint(self, number: int, *, undo: bool) -> None:
        undoing = (f"ROLLBACK TO caller_{number}",) if undo else ()
        await self._step(*undoing, f"RELEASE caller_{number}")

    def abandon(self) -> None:
        """Roll back, since whoever began the transaction was cancelled before it was opened."""
        ending = Ending(TransactionOutcome.ROLLED_BACK, "its beginning was cancelled")
        ending.abandon()
        self._jobs.put(ending)

    def end_with_adapter(self) -> None:
        """Roll back, since the adapter closes. Called from any thread."""
        self._jobs.put(None)

    async def _step(self, *commands: str) -> None:
        step = Step(lambda connection: _run_all(connection, commands))
        self._send(step)
        await step.wait_shielded()

    async def _end(self, ending: Ending) -> None:
        self._send(ending)
        await ending.wait_shielded()

    def _send(self, job: Job[Any]) -> None:
        with self._lock:
            self._check()
            self._jobs.put(job)

    def _check(self) -> None:
        if self._outcome is not None:
            raise TransactionError(f"the transaction is over: {self._reason}")

    # the side of the connection's thread

    def serve(
        self,
        connection: "SQLConnection",
        *,
        verify: Callable[[], None] = lambda: None,
        while_working: AbstractContextManager[object] | None = None,
    ) -> None:
        """Do what the caller asks, in the transaction that is open on the connection, until it ends.

        `verify` is called when a commit is done, and raises a StorageError where that is worth nothing. The connection
        is used inside of `while_working` alone. Whatever this raises, what the caller asked for until then is answered,
        and the transaction is over.
        """
        connection.is_interactive = True
        try:
            self._serve(connection, verify, while_working or nullcontext())
        except BaseException as error:
            self._close_after(error)
            raise
        finally:
            connection.is_interactive = False

    def _serve(
        self, connection: "SQLConnection", verify: Callable[[], None], while_working: AbstractContextManager[object]
    ) -> None:
        deadline = time.monotonic() + self.timeout
        while self._outcome is None:
            try:
                job = self._jobs.get(timeout=min(max(deadline - time.monotonic(), 0), LONGEST_WAIT_S))
            except Empty:
                job = None
                if time.monotonic() < deadline:
                    continue
            self._in_hand = job
            with while_working:
                is_late = time.monotonic() >= deadline
                if job is None or is_late:
                    self._break_off(connection, job, is_late=is_late)
                elif isinstance(job, Ending):
                    self._carry_out(connection, job, verify)
                elif isinstance(job, Step) or job.claim():
                    self._run(connection, job)

    def _run(self, connection: "SQLConnection", job: Job[Any]) -> None:
        try:
            is_step = isinstance(job, Step)
            with connection.interruptible_by(job, cancels=not is_step):
                outcome = job.run(connection) if is_step else run_in_savepoint(connection, job)
                if is_step and outcome.error is not None:  # what the savepoint was to undo may be there, or be gone
                    roll_back(connection, outcome.error)
        except StorageError as error:
            outcome = Outcome(job, error=error)
        if not connection.is_in_transaction:
            self._close(TransactionOutcome.ABORTED, f"it was rolled back as a whole: {_told(outcome.error)}")
        deliver([outcome])

    def _carry_out(self, connection: "SQLConnection", ending: Ending, verify: Callable[[], None]) -> None:
        error: StorageError | None = None
        try:
            with connection.interruptible_by(ending, cancels=False):
                if ending.outcome is TransactionOutcome.COMMITTED:
                    connection.commit()
                    verify()
                else:
                    connection.command("ROLLBACK")
        except StorageError as failure:
            error = failure
            roll_back(connection, error)
            self._close(TransactionOutcome.ABORTED, f"its commit failed: {failure}")
        else:
            self._close(ending.outcome, ending.reason)
        deliver([Outcome(ending, error=error)])

    def _break_off(self, connection: "SQLConnection", job: Job[Any] | None, *, is_late: bool) -> None:
        roll_back(connection)
        if is_late:
            self._close(
                TransactionOutcome.TIMED_OUT,
                f"it was open for longer than {self.timeout:g} s; end it sooner, or pass a longer timeout",
            )
        else:
            self._close(TransactionOutcome.ABORTED, _ADAPTER_CLOSED)
        if job is not None:
            deliver([self._refusal(job)])

    def abort(self, connection: "SQLConnection", error: BaseException) -> None:
        """End the transaction, since the connection, or the thread that has it, failed under it."""
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, _described(error), error)
        roll_back(connection, error)

    def refuse(self, error: Exception) -> None:
        """Let the caller know that the transaction could not be begun; without effect where it was."""
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, str(error), error)
        deliver([Outcome(self.opened, error=error)])

    def after_fork_in_child(self) -> None:
        """Be over, in a forked process: the connection's thread is the parent's."""
        self._lock = threading.Lock()
        self._jobs = SimpleQueue()
        if self._outcome is None:
            self._outcome, self._reason = TransactionOutcome.ABORTED, INHERITED

    def _close_after(self, error: BaseException) -> None:
        """Answer what was in hand and what waits, since `error` came between."""
        in_hand = self._in_hand
        if self._outcome is None:
            self._close(TransactionOutcome.ABORTED, _described(error), error)
        if in_hand is not None:
            is_committed = isinstance(in_hand, Ending) and self._outcome is in_hand.outcome
            deliver([Outcome(in_hand) if is_committed else self._refusal(in_hand, error)])

    def _close(self, outcome: TransactionOutcome, reason: str, cause: BaseException | None = None) -> None:
        with self._lock:
            self._outcome, self._reason = outcome, reason
        while not self._jobs.empty():
            with suppress(Empty):
                job = self._jobs.get_nowait()
                if job is not None:
                    deliver([self._refusal(job, cause)])

    def _refusal(self, job: Job[Any], cause: BaseException | None = None) -> Outcome:
        error = TransactionError(f"the transaction is over: {self._reason}")
        error.__cause__ = cause
        return Outcome(job, error=error)


def _described(error: BaseException) -> str:
    return str(error) if isinstance(error, StorageError) else f"an unexpected {type(error).__name__}: {error}"


def _told(error: BaseException | None) -> str:
    """Return what an error says, and what is noted of the clean-up after it."""
    said = "the database did so" if error is None else _described(error)
    return "; ".join([said, *getattr(error, "__notes__", ())])


def _do_nothing(connection: "SQLConnection") -> None:
    del connection


def _run_all(connection: "SQLConnection", commands: Iterable[str]) -> None:
    for command in commands:
        connection.command(command)


def roll_back(connection: "SQLConnection", error: BaseException | None = None) -> None:
    """Leave the transaction, if one is open; where that fails, give the driver's connection up.

    The failure raises nothing, since the error that made the rollback necessary, if there is one, tells more. That gets
    a note of it.
    """
    if not connection.is_in_transaction:
        return
    try:
        connection.command("ROLLBACK")
    except StorageError as failure:
        if error is not None:
            note_failure(error, failure)
        connection.discard()
