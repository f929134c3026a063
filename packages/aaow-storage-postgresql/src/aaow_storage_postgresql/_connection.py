"""One connection to a server: deadlines for its answers, cancellation, and commits whose outcome is known."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from enum import Enum
from typing import Any, TypeVar, TypeVarTuple

import psycopg
import sqlalchemy as sa

from aaow_storage.authoring import given_up_after_fork
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._commands import run_commands
from aaow_storage_postgresql._deadlines import Deadline, Watchdog
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._in_doubt import identify, was_committed
from aaow_storage_postgresql._interrupter import Interrupter
from aaow_storage_postgresql._session_settings import limit_statements, set_session, set_transaction
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Job, Parameters, Row, SQLConnection

T = TypeVar("T")
Args = TypeVarTuple("Args")

_STATEMENT_TIMEOUT_MS = sa.select(sa.cast(catalog.settings.c.setting, sa.BigInteger)).where(
    catalog.settings.c.name == sa.literal_column("'statement_timeout'")
)


class NoAnswerError(StorageUnavailableError):
    """The server did not answer in time, and the connection was closed."""


class OperationSavepoint(Enum):
    """The savepoint of the last operation of the open transaction.

    It is released together with the command that follows, since each round trip costs as much as a small statement.
    COMMIT and ROLLBACK release it themselves.
    """

    NONE = "there is none"
    USED = "it is older than what the operation did"
    UNUSED = "nothing was done since, so it serves the next operation"


class PostgreSQLConnection(SQLConnection):
    """One psycopg connection. Replace it when it `is_lost`.

    With a watchdog, no wait for an answer is longer than `statement_timeout` and a few seconds, and a statement that
    runs for cancelled tasks ends soon, or the socket is shut down.
    """

    def __init__(
        self,
        driver_connection: Any,
        settings: Settings,
        dialect: PostgreSQLDialect,
        watchdog: Watchdog | None = None,
        *,
        reconnect: "Callable[[], PostgreSQLConnection]",
    ) -> None:
        super().__init__(driver_connection, dialect)
        self._settings = settings
        self._reconnect = reconnect
        self._deadline = None if watchdog is None else watchdog.watch(driver_connection.pgconn.socket)
        self._interrupter = Interrupter(driver_connection, self._deadline, settings.tuning.cancel_timeout_s)
        self._statement_limit_s = math.inf if settings.statement_timeout is None else settings.statement_timeout
        """How long the server lets a statement run, in seconds."""
        self._answer_timeout_s = settings.connect_timeout
        self._savepoint = OperationSavepoint.NONE
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Close the socket in a forked process, so that it ends with the parent's.

        Nothing is sent to the server: the descriptor is replaced by one of the null device before libpq may use it.
        """
        if self._deadline is not None:
            self._deadline.after_fork_in_child()
        if not self.driver_connection.closed:
            null = os.open(os.devnull, os.O_RDWR)
            with suppress(OSError, psycopg.Error):
                os.dup2(null, self.driver_connection.fileno(), inheritable=False)
            os.close(null)

    def prepare_session(self) -> None:
        """Set the session, and from then on wait for answers as long as statements may run."""
        if self._settings.has_own_sessions:
            set_session(self, self._settings, self.driver_connection.info.server_version)
        if self._settings.statement_timeout is None:
            row = self.row(_STATEMENT_TIMEOUT_MS)
            self._statement_limit_s = row[0] / 1000 if row and row[0] else math.inf
        self._answer_timeout_s = self._answer_timeout()

    def set_answer_timeout(self, statement_s: float) -> None:
        """Wait for answers to statements that may run that long, until the next transaction begins."""
        self._answer_timeout_s = statement_s + self._settings.tuning.answer_margin_s

    def use_settings(self, settings: Settings) -> None:
        """Switch to other settings of the same database."""
        if settings != self._settings:
            self._settings = settings
            self.dialect = PostgreSQLDialect(settings.place, settings.schema)
            self.prepare_session()

    def _answer_timeout(self, max_statement_s: float = math.inf) -> float:
        """Return how long to wait for the answer to a statement that may run that long."""
        timeout = self._settings.statement_timeout
        return min(max_statement_s, math.inf if timeout is None else timeout) + self._settings.tuning.answer_margin_s

    def close(self) -> None:
        """Close the connection; the server rolls an open transaction back."""
        if self._deadline is not None:
            self._deadline.close()
        super().close()

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

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        if self._deadline is None:
            return super()._execute(text, values)
        timeout = self._answer_timeout_s
        within_s = min(timeout, self._settings.tuning.rollback_timeout_s) if text == "ROLLBACK" else timeout
        return self._answered_within(within_s, self._deadline, super()._execute, text, values)

    def _run_commands(self, *commands: str) -> None:
        """Run commands that return nothing, in one round trip."""
        if self._deadline is None:
            self._try_commands(commands)
        else:
            self._answered_within(self._answer_timeout_s, self._deadline, self._try_commands, commands)

    def _try_commands(self, commands: Sequence[str]) -> None:
        try:
            run_commands(self.driver_connection, commands)
        except Exception as error:
            raise self.to_storage_error(error) from error

    def _answered_within(self, within_s: float, deadline: Deadline, run: Callable[[*Args], T], *args: *Args) -> T:
        """Run something that waits for one answer of the server; shut the socket down if the answer takes longer."""
        deadline.begin(within_s)
        try:
            return run(*args)
        except StorageError as error:
            if not deadline.has_expired:
                raise
            raise self._no_answer(error) from error.__cause__
        finally:
            deadline.end()

    def _no_answer(self, error: StorageError) -> StorageError:
        if self.is_interrupted:
            return error
        problem = f"the server did not answer within {self._answer_timeout_s:g} s, and the connection was closed"
        return NoAnswerError(f"{self._settings.place}: {problem}; try again later")

    def open_savepoint(self, name: str) -> None:
        """Open a savepoint in the open transaction, between two operations."""
        self._release_and(f"SAVEPOINT {name}")
        self._savepoint = OperationSavepoint.NONE

    def close_savepoint(self, name: str, *, undo: bool) -> None:
        """Close a savepoint, between two operations; with it ends that of the last operation, which is inside it."""
        super().close_savepoint(name, undo=undo)
        self._savepoint = OperationSavepoint.NONE

    def begin_operation(self) -> None:
        """Begin an operation that may be undone alone."""
        if self._savepoint is not OperationSavepoint.UNUSED:
            self._release_and(f"SAVEPOINT {self.operation_savepoint}")
        self._savepoint = OperationSavepoint.USED

    def keep_operation(self) -> None:
        """End the operation; what it did stays. Its savepoint is released later."""

    def undo_operation(self) -> None:
        """End the operation, and undo what it did."""
        self.command(f"ROLLBACK TO {self.operation_savepoint}")
        self._savepoint = OperationSavepoint.UNUSED

    def _release_and(self, command: str) -> None:
        """Release the savepoint of the last operation, if there is one, and run the command."""
        if self._savepoint is OperationSavepoint.NONE:
            self._run_commands(command)
        else:
            self._run_commands(f"RELEASE {self.operation_savepoint}", command)

    def pipeline_rows(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        """Send several selects in one pipeline; return the rows of each. If one fails, the connection is closed.

        It cannot be used after that, since psycopg counts statements as prepared that the server skipped.
        """
        sent = []
        if self._deadline is not None:
            self._deadline.begin(self._answer_timeout_s)
        try:
            with self.driver_connection.pipeline():
                for select, parameters in selects:
                    compiled = self.dialect.compile(select)
                    cursor = self.driver_connection.execute(compiled.text, compiled.bind(parameters))
                    sent.append((compiled, cursor))
            return [[compiled.convert(row) for row in cursor] for compiled, cursor in sent]
        except Exception as error:  # noqa: BLE001 - raised as an error of storage
            self.close()
            made = error if isinstance(error, StorageError) else self._unread(error)
            has_expired = self._deadline is not None and self._deadline.has_expired
            raise (self._no_answer(made) if has_expired else made) from (made.__cause__ or error)
        finally:
            if self._deadline is not None:
                self._deadline.end()

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the server is gone."""
        return bool(self.driver_connection.closed) or (self._deadline is not None and self._deadline.has_expired)

    def begin(self, isolation: str, max_statement_s: float = math.inf) -> None:
        """Begin a transaction of an isolation level such as `"READ COMMITTED"`; limit each of its statements."""
        self._answer_timeout_s = self._answer_timeout(max_statement_s)
        self._savepoint = OperationSavepoint.NONE
        self.command(f"BEGIN ISOLATION LEVEL {isolation}")
        if not self._settings.has_own_sessions:
            set_transaction(self, self._settings)
        if max_statement_s < self._statement_limit_s:
            limit_statements(self, max_statement_s)

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
        transaction = identify(self)
        try:
            self.command("COMMIT")
        except StorageError:
            if not self.is_lost:
                raise
            return transaction is not None and was_committed(
                transaction, self._settings, self._reconnect, gives_up=lambda: self.is_interrupted
            )
        return True
