"""One connection to a server: deadlines for its answers, cancellation, and commits whose outcome is known."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from aaow_storage.authoring import given_up_after_fork
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql._late_imports import LateModule
from aaow_storage_sql._servers.commit_marks import CommitMarks
from aaow_storage_sql._servers.deadlines import Deadline, Watchdog
from aaow_storage_sql._servers.dialect import ServerDialect
from aaow_storage_sql._servers.in_doubt import CommitQuestion, was_committed
from aaow_storage_sql._servers.interrupter import Interrupter
from aaow_storage_sql._servers.meanings import Meaning
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.recorder import ChangeRecorder
from aaow_storage_sql._threads.job import Job

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import changes
    from aaow_storage_sql._statements.compiled import Row
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

T = TypeVar("T")
Args = TypeVarTuple("Args")


class NoAnswerError(StorageUnavailableError):
    """The server did not answer in time, and the connection was closed."""


class ServerConnection(SQLConnection, ABC):
    """One connection of a driver to a server, used by one thread at a time. Replace it when it `is_lost`.

    A backend says how its driver begins a transaction and cancels a statement. What it overrides beyond that waits for
    the server only inside `answered`.

    With a watchdog, no wait for an answer is longer than `statement_timeout` and a few seconds, and a statement that
    runs for cancelled tasks ends soon, or the socket is shut down.

    Args:
        driver_connection: the open connection of the driver, in which each statement outside a transaction is
            committed by itself.
        settings: the options of the adapter.
        dialect: the dialect of the statements.
        watchdog: shuts the socket down if an answer takes too long; None for a connection whose waits have no end.
        reconnect: opens another connection to the same database, to ask there for the outcome of a COMMIT.
    """

    dialect: ServerDialect

    def __init__(
        self,
        driver_connection: Any,
        settings: ServerSettings,
        dialect: ServerDialect,
        watchdog: Watchdog | None = None,
        *,
        reconnect: "Callable[[], ServerConnection]",
    ) -> None:
        super().__init__(driver_connection, dialect)
        self._settings = settings
        self._reconnect = reconnect
        self._deadline = None if watchdog is None else watchdog.watch(self.socket_descriptor)
        self._interrupter = Interrupter(self.send_cancel, self._deadline, settings.tuning.cancel_timeout_s)
        self._answer_timeout_s = settings.connect_timeout
        self._marks: CommitMarks | None = None
        self.may_commit = False
        """Whether the operation that runs is all of its transaction, and may be repeated; see `run_and_commit`."""
        self.is_in_doubt = False
        """Whether the connection was lost before the answer to a request that commits."""
        if not dialect.records_changes:
            self.recorder = ChangeRecorder()
        given_up_after_fork(self)

    # What a backend fills in.

    @property
    @abstractmethod
    def socket_descriptor(self) -> int:
        """The file descriptor of the driver's socket."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the driver has closed the connection, by itself or because it was asked to; asks no server."""

    @abstractmethod
    def send_cancel(self, timeout_s: float) -> None:
        """Ask the server to end the statement that runs on this connection, which then fails.

        It is called on another thread than the one that waits for the statement, so it needs a connection of its own.
        Return once the server has done it: what arrives later would end the next statement.

        Raises:
            StorageError: the server has not confirmed it within so many seconds.
        """

    @abstractmethod
    def begin_transaction(self, *, writes: bool, max_statement_s: float = math.inf) -> None:
        """Begin a transaction; called by `begin_reading` and `begin_writing`, which other code calls.

        One that writes sees in each statement what is committed by then, and locks the rows that it writes and those
        that it selects with `Dialect.for_update`. One that only reads sees the same snapshot in all of its statements.
        The server, not this process, ends a statement that takes longer than `max_statement_s`.
        """

    def prepare_commit(self) -> CommitQuestion | None:
        """Return what one can ask on another connection about the open transaction, if its COMMIT gets no answer.

        It is called just before COMMIT. None if the transaction has written nothing, so that it does not matter.

        Without means of the server's own, the transaction stores a mark: then the store has the table `commit_marks`,
        and `_servers/commit_marks.py` says what the server has to guarantee.
        """
        if self._marks is None:
            self._marks = CommitMarks()
        return self._marks.mark(self)

    # What all have.

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the server is gone."""
        return self.is_closed or (self._deadline is not None and self._deadline.has_expired)

    @property
    def is_closed_by_server(self) -> bool:
        """Whether the server has closed the idle connection, as far as this machine knows; asks no server.

        A request on it would fail, and perhaps leave open whether it had an effect.
        """
        return self._deadline is not None and self._deadline.is_peer_gone

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Run a request that commits what it does, by itself or because it is COMMIT; see `is_in_doubt`."""
        try:
            yield
        finally:
            self.is_in_doubt = self.is_lost

    def begin_reading(self) -> None:
        """Begin a transaction that only reads, on one snapshot."""
        self._limit_answers(math.inf)
        self.begin_transaction(writes=False)

    def begin_writing(self, max_statement_s: float = math.inf) -> None:
        """Begin a transaction that writes; each of its statements may take so many seconds."""
        self._limit_answers(max_statement_s)
        if self.recorder is not None:
            self.recorder.follow("BEGIN")  # the server may have ended the last transaction by itself
        self.begin_transaction(writes=True, max_statement_s=max_statement_s)

    def set_answer_timeout(self, statement_s: float) -> None:
        """Wait for answers to statements that may run that long, until the next transaction begins."""
        self._answer_timeout_s = statement_s + self._settings.tuning.answer_margin_s

    def _limit_answers(self, max_statement_s: float) -> None:
        """Wait for answers to statements as long as the settings, and `max_statement_s`, let them run."""
        timeout = self._settings.statement_timeout
        self.set_answer_timeout(min(max_statement_s, math.inf if timeout is None else timeout))

    def command(self, text: str) -> "Row | None":
        recorder = self.recorder
        if recorder is None:
            return super().command(text)
        if text == "COMMIT" and recorder.entries:
            changes.store(self, recorder.entries)
        row = super().command(text)
        recorder.follow(text)
        return row

    def commit(self) -> None:
        """Commit. If the connection is lost during COMMIT, ask on another one whether it succeeded.

        Raises:
            InDoubtError: no server can say.
            StorageError: it was not committed.
        """
        if not self.is_committed():
            problem = "the connection was lost before COMMIT, and nothing was stored; try again"
            raise StorageUnavailableError(f"{self._settings.place}: {problem}")

    def is_committed(self) -> bool:
        """Commit, and return True; return False if the connection was lost before COMMIT took effect.

        Raises:
            InDoubtError: no server can say.
            StorageError: the server refused the commit.
        """
        self.stop_cancelling()
        question = self.prepare_commit()
        try:
            self.command("COMMIT")
        except StorageError:
            if not self.is_lost:
                raise
            return question is not None and was_committed(
                question, self._settings, self._reconnect, gives_up=lambda: self.is_interrupted
            )
        return True

    def interruptible_by(self, *jobs: Job[Any], cancels: bool = True) -> AbstractContextManager[None]:
        """End what runs in the block once the tasks of all jobs are cancelled.

        The running statement is cancelled, unless `cancels` is False. If it does not end soon, the socket is shut down.
        """
        return self._interrupter.interruptible_by(jobs, cancels=cancels)

    def stop_cancelling(self) -> None:
        """Send no cancel request from now on. A COMMIT must not be cancelled: it would not wait for its standby."""
        self._interrupter.stop_cancelling()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all current jobs are cancelled."""
        return self._interrupter.is_interrupted

    def close(self) -> None:
        """Close the connection; the server rolls an open transaction back."""
        if self._deadline is not None:
            self._deadline.close()
        super().close()

    def after_fork_in_child(self) -> None:
        """Close the socket in a forked process, so that it ends with the parent's.

        Nothing is sent to the server: the descriptor is replaced by one of the null device before the driver may use
        it.
        """
        if self._deadline is not None:
            self._deadline.after_fork_in_child()
        if not self.is_closed:
            null = os.open(os.devnull, os.O_RDWR)
            with suppress(OSError, self.dialect.driver_error):
                os.dup2(null, self.socket_descriptor, inheritable=False)
            os.close(null)

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        try:
            if self._deadline is None:
                return super()._execute(text, values)
            timeout = self._answer_timeout_s
            within_s = min(timeout, self._settings.tuning.rollback_timeout_s) if text == "ROLLBACK" else timeout
            return self._answered_within(within_s, self._deadline, super()._execute, text, values)
        except StorageError as error:
            if self.dialect.meaning(error) is Meaning.LOST:
                self.close()
            raise

    def answered(self, run: Callable[[*Args], T], *args: *Args) -> T:
        """Run something that waits for one answer of the server and raises storage errors, and limit the wait."""
        if self._deadline is None:
            return run(*args)
        return self._answered_within(self._answer_timeout_s, self._deadline, run, *args)

    def _answered_within(self, within_s: float, deadline: Deadline, run: Callable[[*Args], T], *args: *Args) -> T:
        """Run something that waits for one answer of the server; shut the socket down if the answer takes longer."""
        deadline.begin(within_s)
        try:
            return run(*args)
        except StorageError as error:
            if not deadline.has_expired or self.is_interrupted:
                raise
            problem = f"the server did not answer within {self._answer_timeout_s:g} s, and the connection was closed"
            raise NoAnswerError(f"{self._settings.place}: {problem}; try again later") from error.__cause__
        finally:
            deadline.end()
