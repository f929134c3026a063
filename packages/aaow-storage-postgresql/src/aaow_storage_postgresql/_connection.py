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
from aaow_storage_postgresql._deadlines import Watch
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._in_doubt import InDoubtError, Pending, outcome_of, pending
from aaow_storage_postgresql._interrupter import Interrupter
from aaow_storage_postgresql._session_settings import (
    connection_parameters,
    limit_statements,
    set_session,
    set_transaction,
)
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Job, Parameters, Row, SQLConnection

OLDEST_SERVER = 140_000
PREPARED_STATEMENTS = 500
ANSWERS_LATE_S = 5.0
"""How much longer than the server's own limit of a statement its answer is waited for."""
ROLLS_BACK_WITHIN_S = 5.0
"""How long the answer to a rollback is waited for: to close the connection rolls back as well."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = struct.Struct("!q")
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.1

_settings_view = sa.table("pg_settings", sa.column("name"), sa.column("setting"), schema="pg_catalog")
_LIMIT_MS = sa.select(sa.cast(_settings_view.c.setting, sa.BigInteger)).where(
    _settings_view.c.name == sa.literal_column("'statement_timeout'")
)


class NotAnsweredError(StorageUnavailableError):
    """The server did not answer in time, and the connection was closed."""


class PostgreSQLConnection(SQLConnection):
    """One connection of psycopg. It is of no more use when it `is_lost`.

    With a watch, no answer is waited for longer than `statement_timeout` and a few seconds, and what runs for cancelled
    tasks ends soon, or the connection is cut.
    """

    def __init__(
        self, driver_connection: Any, settings: Settings, dialect: PostgreSQLDialect, watch: Watch | None = None
    ) -> None:
        super().__init__(driver_connection, dialect)
        self._settings = settings
        self._watch = watch
        self._deadline = None if watch is None else watch.deadline_of(driver_connection.pgconn.socket)
        self._interrupter = Interrupter(driver_connection, self._deadline)
        self._limit = math.inf if settings.statement_timeout is None else settings.statement_timeout
        """How long the server lets a statement take, in seconds."""
        self._answers_within = settings.connect_timeout
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

    def settle(self) -> None:
        """Set the session, and wait for answers as long as statements may take from then on."""
        if self._settings.holds_sessions:
            set_session(self, self._settings, self.driver_connection.info.server_version)
        if self._settings.statement_timeout is None:
            row = self.row(_LIMIT_MS)
            self._limit = row[0] / 1000 if row and row[0] else math.inf
        self._answers_within = self._usual()

    def wait_for_answers(self, longest: float) -> None:
        """Let statements take that long until the next transaction begins, where the server lets them."""
        self._answers_within = longest + ANSWERS_LATE_S

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings of the same database."""
        if settings != self._settings:
            self._settings = settings
            self.dialect = PostgreSQLDialect(settings.place, settings.schema)
            self.settle()

    def _usual(self, longest: float = math.inf) -> float:
        """Return how long an answer is waited for, where a statement may take that long, or as long as any."""
        timeout = self._settings.statement_timeout
        return min(longest, math.inf if timeout is None else timeout) + ANSWERS_LATE_S

    def close(self) -> None:
        """Close the connection; what is open on it is rolled back."""
        if self._deadline is not None:
            self._deadline.close()
        super().close()

    def answering(self, *jobs: Job[Any], cancels: bool = True) -> AbstractContextManager[None]:
        """Let the jobs end early when the tasks of all of them are cancelled, and nothing behind them.

        The statement that runs then is cancelled, unless `cancels` is False; what does not end soon is cut.
        """
        return self._interrupter.answering(jobs, cancels=cancels)

    def cancel_no_more(self) -> None:
        """Let what follows run to its end: a statement that commits must not be cancelled.

        The server would then not wait for its standby.
        """
        self._interrupter.cancel_no_more()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that are answered have been cancelled."""
        return self._interrupter.is_interrupted

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        deadline = self._deadline
        if deadline is None:
            return super()._execute(text, values)
        within = self._answers_within
        deadline.begin(min(within, ROLLS_BACK_WITHIN_S) if text == "ROLLBACK" else within)
        try:
            return super()._execute(text, values)
        except StorageError as error:
            if not deadline.has_passed:
                raise
            raise self._not_answered(error) from error.__cause__
        finally:
            deadline.end()

    def _not_answered(self, error: StorageError) -> StorageError:
        if self.is_interrupted:
            return error
        problem = f"the server did not answer within {self._answers_within:g} s, and the connection was closed"
        return NotAnsweredError(f"{self._settings.place}: {problem}; try again later")

    def rows_of_each(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        """Return all rows of several selects, which go to the server together; the connection is lost where one fails.

        psycopg takes a statement to be prepared then that the server skipped.
        """
        asked = []
        if self._deadline is not None:
            self._deadline.begin(self._answers_within)
        try:
            with self.driver_connection.pipeline():
                for select, parameters in selects:
                    compiled = self.dialect.compiled(select)
                    cursor = self.driver_connection.execute(compiled.text, compiled.bound(parameters))
                    asked.append((compiled, cursor))
            return [[compiled.fetched(row) for row in cursor] for compiled, cursor in asked]
        except Exception as error:  # noqa: BLE001 - raised as an error of storage
            self.close()
            made = error if isinstance(error, StorageError) else self._unread(error)
            has_passed = self._deadline is not None and self._deadline.has_passed
            raise (self._not_answered(made) if has_passed else made) from (made.__cause__ or error)
        finally:
            if self._deadline is not None:
                self._deadline.end()

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the server is gone."""
        return bool(self.driver_connection.closed) or (self._deadline is not None and self._deadline.has_passed)

    def begin(self, isolation: str, longest: float = math.inf) -> None:
        """Begin a transaction, such as one of `"READ COMMITTED"`, of which no statement takes longer than that."""
        self._answers_within = self._usual(longest)
        self.command(f"BEGIN ISOLATION LEVEL {isolation}")
        if not self._settings.holds_sessions:
            set_transaction(self, self._settings)
        if longest < self._limit:
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
        self.cancel_no_more()
        transaction = pending(self)
        try:
            self.command("COMMIT")
        except StorageError:
            if not self.is_lost:
                raise
            return transaction is not None and was_committed(
                transaction, self._settings, self._watch, gives_up=lambda: self.is_interrupted
            )
        return True


def connect(settings: Settings, watch: Watch | None = None) -> PostgreSQLConnection:
    """Open a connection; the watch ends its waits.

    Raises:
        StorageUnavailableError: the server does not answer, or has no connection left.
        StorageError: it lets nobody in like this, or is none to be used.
    """
    try:
        return _connect(settings, watch)
    except _LostAtOnceError:
        return _connect(settings, watch)


class _LostAtOnceError(StorageUnavailableError):
    """The connection was lost before it was of any use."""


def _connect(settings: Settings, watch: Watch | None) -> PostgreSQLConnection:
    dialect = PostgreSQLDialect(settings.place, settings.schema)
    with storage_errors_alone(dialect.meant_by):
        driver_connection = psycopg.connect(
            settings.conninfo,
            autocommit=True,
            connect_timeout=max(2, round(settings.connect_timeout)),
            cursor_factory=_Cursor,
            prepare_threshold=5 if settings.holds_sessions else None,
            application_name="aaow-storage",
            **connection_parameters(conninfo_to_dict(settings.conninfo)),
        )
    try:
        _check(driver_connection, settings)
        driver_connection.prepared_max = PREPARED_STATEMENTS
        driver_connection.adapters.register_loader("timestamptz", _InstantLoader)
        connection = PostgreSQLConnection(driver_connection, settings, dialect, watch)
    except BaseException:
        driver_connection.close()
        raise
    try:
        connection.settle()
    except BaseException as error:
        is_lost = connection.is_lost
        connection.close()
        if is_lost and isinstance(error, StorageError) and not isinstance(error, NotAnsweredError):
            raise _LostAtOnceError(str(error)) from error.__cause__
        raise
    return connection


def was_committed(
    transaction: Pending, settings: Settings, watch: Watch | None, *, gives_up: Callable[[], bool]
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
            connection = connect(settings, watch)
            try:
                outcome = outcome_of(transaction, connection)
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
        time.sleep(random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))  # noqa: S311 - not a secret
    raise InDoubtError(f"the connection was lost during a commit, and no server says what became of it: {problem}")


def _check(driver_connection: "psycopg.Connection[Any]", settings: Settings) -> None:
    info = driver_connection.info
    if info.server_version < OLDEST_SERVER:
        raise StorageError(f"{settings.place}: the server is older than version {OLDEST_SERVER // 10_000}")
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
