"""Connections to the server, whatever its own settings are, and commits whose outcome is known."""

import math
import os
import random
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from aaow_storage.authoring import given_up_after_fork, storage_errors_alone
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._in_doubt import InDoubtError, InDoubtTransaction, identify, resolve
from aaow_storage_postgresql._interrupter import Interrupter
from aaow_storage_postgresql._session_settings import (
    connection_parameters,
    limit_statements,
    set_session,
    set_transaction,
)
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Job, Parameters, Row, SQLConnection

MIN_SERVER_VERSION = 140_000
MAX_PREPARED_STATEMENTS = 500
ANSWER_MARGIN_S = 5.0
"""How much longer than the server's own limit of a statement its answer is waited for."""
ROLLBACK_TIMEOUT_S = 5.0
"""How long the answer to a rollback is waited for: to close the connection rolls back as well."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = struct.Struct("!q")
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.01, 0.1

_settings_view = sa.table("pg_settings", sa.column("name"), sa.column("setting"), schema="pg_catalog")
_LIMIT_MS = sa.select(sa.cast(_settings_view.c.setting, sa.BigInteger)).where(
    _settings_view.c.name == sa.literal_column("'statement_timeout'")
)


class NoAnswerError(StorageUnavailableError):
    """The server did not answer in time, and the connection was closed."""


class PostgreSQLConnection(SQLConnection):
    """One psycopg connection. Replace it when it `is_lost`.

    With a watchdog, no wait for an answer is longer than `statement_timeout` and a few seconds, and a statement that
    runs for cancelled tasks ends soon, or the socket is shut down.
    """

    def __init__(
        self, driver_connection: Any, settings: Settings, dialect: PostgreSQLDialect, watchdog: Watchdog | None = None
    ) -> None:
        super().__init__(driver_connection, dialect)
        self._settings = settings
        self._watchdog = watchdog
        self._deadline = None if watchdog is None else watchdog.watch(driver_connection.pgconn.socket)
        self._interrupter = Interrupter(driver_connection, self._deadline)
        self._statement_limit_s = math.inf if settings.statement_timeout is None else settings.statement_timeout
        """How long the server lets a statement take, in seconds."""
        self._answer_timeout_s = settings.connect_timeout
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Let go of the socket, in a forked process, so that the server sees it end with the parent.

        Nothing is sent: the descriptor is made one of something else, and psycopg closes no connection of a parent.
        """
        if self._deadline is not None:
            self._deadline.after_fork_in_child()
        if not self.driver_connection.closed:
            nothing = os.open(os.devnull, os.O_RDWR)
            with suppress(OSError, psycopg.Error):
                os.dup2(nothing, self.driver_connection.fileno(), inheritable=False)
            os.close(nothing)

    def prepare_session(self) -> None:
        """Set the session, and wait for answers as long as statements may take from then on."""
        if self._settings.has_own_sessions:
            set_session(self, self._settings, self.driver_connection.info.server_version)
        if self._settings.statement_timeout is None:
            row = self.row(_LIMIT_MS)
            self._statement_limit_s = row[0] / 1000 if row and row[0] else math.inf
        self._answer_timeout_s = self._answer_timeout()

    def set_answer_timeout(self, longest: float) -> None:
        """Let statements take that long until the next transaction begins, where the server lets them."""
        self._answer_timeout_s = longest + ANSWER_MARGIN_S

    def use_settings(self, settings: Settings) -> None:
        """Go on with other settings of the same database."""
        if settings != self._settings:
            self._settings = settings
            self.dialect = PostgreSQLDialect(settings.place, settings.schema)
            self.prepare_session()

    def _answer_timeout(self, longest: float = math.inf) -> float:
        """Return how long an answer is waited for, where a statement may take that long, or as long as any."""
        timeout = self._settings.statement_timeout
        return min(longest, math.inf if timeout is None else timeout) + ANSWER_MARGIN_S

    def close(self) -> None:
        """Close the connection; what is open on it is rolled back."""
        if self._deadline is not None:
            self._deadline.close()
        super().close()

    def interruptible_by(self, *jobs: Job[Any], cancels: bool = True) -> AbstractContextManager[None]:
        """Let the jobs end early when the tasks of all of them are cancelled, and nothing behind them.

        The statement that runs then is cancelled, unless `cancels` is False; what does not end soon is cut.
        """
        return self._interrupter.interruptible_by(jobs, cancels=cancels)

    def stop_cancelling(self) -> None:
        """Let what follows run to its end: a statement that commits must not be cancelled.

        The server would then not wait for its standby.
        """
        self._interrupter.stop_cancelling()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that are answered have been cancelled."""
        return self._interrupter.is_interrupted

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        deadline = self._deadline
        if deadline is None:
            return super()._execute(text, values)
        within = self._answer_timeout_s
        deadline.begin(min(within, ROLLBACK_TIMEOUT_S) if text == "ROLLBACK" else within)
        try:
            return super()._execute(text, values)
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

    def pipeline_rows(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        """Return all rows of several selects, which go to the server together; the connection is lost where one fails.

        psycopg takes a statement to be prepared then that the server skipped.
        """
        asked = []
        if self._deadline is not None:
            self._deadline.begin(self._answer_timeout_s)
        try:
            with self.driver_connection.pipeline():
                for select, parameters in selects:
                    compiled = self.dialect.compile(select)
                    cursor = self.driver_connection.execute(compiled.text, compiled.bind(parameters))
                    asked.append((compiled, cursor))
            return [[compiled.convert(row) for row in cursor] for compiled, cursor in asked]
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

    def begin(self, isolation: str, longest: float = math.inf) -> None:
        """Begin a transaction, such as one of `"READ COMMITTED"`, of which no statement takes longer than that."""
        self._answer_timeout_s = self._answer_timeout(longest)
        self.command(f"BEGIN ISOLATION LEVEL {isolation}")
        if not self._settings.has_own_sessions:
            set_transaction(self, self._settings)
        if longest < self._statement_limit_s:
            limit_statements(self, longest)

    def commit(self) -> None:
        """Commit the transaction that is open; where the connection is lost meanwhile, find out what became of it.

        Raises:
            InDoubtError: nobody can say.
            StorageError: it was not committed.
        """
        if not self.is_committed():
            problem = "the connection was lost before the commit: nothing was stored; try again"
            raise StorageUnavailableError(f"{self._settings.place}: {problem}")

    def is_committed(self) -> bool:
        """Commit the transaction that is open, and return whether it was; False where the connection is lost before.

        Raises:
            InDoubtError: nobody can say.
            StorageError: it was not committed, and cannot be.
        """
        self.stop_cancelling()
        transaction = identify(self)
        try:
            self.command("COMMIT")
        except StorageError:
            if not self.is_lost:
                raise
            return transaction is not None and was_committed(
                transaction, self._settings, self._watchdog, gives_up=lambda: self.is_interrupted
            )
        return True


def connect(settings: Settings, watchdog: Watchdog | None = None) -> PostgreSQLConnection:
    """Open a connection; the watch ends its waits.

    Raises:
        StorageUnavailableError: the server does not answer, or has no connection left.
        StorageError: it lets nobody in like this, or is none to be used.
    """
    try:
        return _connect(settings, watchdog)
    except _LostBeforeUseError:
        return _connect(settings, watchdog)


class _LostBeforeUseError(StorageUnavailableError):
    """The connection was lost before it was of any use."""


def _connect(settings: Settings, watchdog: Watchdog | None) -> PostgreSQLConnection:
    dialect = PostgreSQLDialect(settings.place, settings.schema)
    with storage_errors_alone(dialect.to_storage_error):
        driver_connection = psycopg.connect(
            settings.conninfo,
            autocommit=True,
            connect_timeout=max(2, round(settings.connect_timeout)),
            cursor_factory=_Cursor,
            prepare_threshold=5 if settings.has_own_sessions else None,
            application_name="aaow-storage",
            **connection_parameters(conninfo_to_dict(settings.conninfo)),
        )
    try:
        _check(driver_connection, settings)
        driver_connection.prepared_max = MAX_PREPARED_STATEMENTS
        driver_connection.adapters.register_loader("timestamptz", _InstantLoader)
        connection = PostgreSQLConnection(driver_connection, settings, dialect, watchdog)
    except BaseException:
        driver_connection.close()
        raise
    try:
        connection.prepare_session()
    except BaseException as error:
        is_lost = connection.is_lost
        connection.close()
        if is_lost and isinstance(error, StorageError) and not isinstance(error, NoAnswerError):
            raise _LostBeforeUseError(str(error)) from error.__cause__
        raise
    return connection


def was_committed(
    transaction: InDoubtTransaction, settings: Settings, watchdog: Watchdog | None, *, gives_up: Callable[[], bool]
) -> bool:
    """Find out whether a transaction was committed, on connections of its own.

    Raises:
        InDoubtError: no server can say, or none could be asked for as long as an operation may wait for a connection,
            or until `gives_up` says so.
    """
    deadline = time.monotonic() + settings.acquire_timeout
    outcome, problem = None, "its task was cancelled"
    while not gives_up():
        problem = "it is still under way"
        try:
            connection = connect(settings, watchdog)
            try:
                outcome = resolve(transaction, connection)
            finally:
                connection.close()
        except InDoubtError:
            raise
        except StorageUnavailableError as error:
            problem = str(error)
        except StorageError as error:  # not the transaction's own, which must not be taken for undone
            what = "the connection was lost during a commit, and what became of it cannot be asked for"
            raise InDoubtError(f"{what}: {error}") from error.__cause__
        if outcome is not None:
            return outcome
        if time.monotonic() > deadline:
            break
        time.sleep(random.uniform(_MIN_PAUSE_S, _MAX_PAUSE_S))  # noqa: S311 - not a secret
    raise InDoubtError(f"the connection was lost during a commit, and no server says what became of it: {problem}")


def _check(driver_connection: "psycopg.Connection[Any]", settings: Settings) -> None:
    info = driver_connection.info
    if info.server_version < MIN_SERVER_VERSION:
        raise StorageError(f"{settings.place}: the server is older than version {MIN_SERVER_VERSION // 10_000}")
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(f"{settings.place}: its encoding is {encoding}; create it with the encoding UTF8")


class _Cursor(psycopg.Cursor[Any]):
    """Asks for binary results, which no setting of the server changes."""

    def __init__(self, connection: "psycopg.Connection[Any]", *, row_factory: Callable[..., Any] | None = None) -> None:
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = Format.BINARY


class _InstantLoader(Loader):
    """Makes datetimes of UTC, whatever the time zone of the session is."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime | int:
        """Return the instant; where no datetime can be it, such as infinity, its number, which a record refuses."""
        microseconds: int
        (microseconds,) = _MICROSECONDS.unpack(data)
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            return microseconds
