"""Connections to the server, whatever its own settings are, and commits whose outcome is known."""

import math
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

from aaow_storage.authoring import given_up_after_fork, storage_errors_alone
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql._commits import InDoubtError, Pending, outcome_of, pending
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Job, Parameters, Row, SQLConnection, started

OLDEST_SERVER = 140_000
PREPARED_STATEMENTS = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = struct.Struct("!q")
_CANCELLED_WITHIN_S = 5.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.1


_SETTINGS = ("default_transaction_isolation", "statement_timeout", "TimeZone")
_SET = sa.select(*(sa.func.set_config(name, sa.bindparam(name, type_=sa.Text), sa.false()) for name in _SETTINGS))


class PostgreSQLConnection(SQLConnection):
    """One connection of psycopg. It is of no more use when it `is_lost`."""

    def __init__(self, driver_connection: Any, settings: Settings, dialect: PostgreSQLDialect) -> None:
        super().__init__(driver_connection, dialect)
        self._settings = settings
        self._answering = threading.Lock()
        given_up_after_fork(self)
        self._jobs: Sequence[Job[Any]] = ()

    def after_fork_in_child(self) -> None:
        """Let go of the socket, in a forked process, so that the server sees it end with the parent.

        Nothing is sent: the descriptor is made one of something else, and psycopg closes no connection of a parent.
        """
        if not self.is_lost:
            nothing = os.open(os.devnull, os.O_RDWR)
            with suppress(OSError, psycopg.Error):
                os.dup2(nothing, self.driver_connection.fileno(), inheritable=False)
            os.close(nothing)

    @contextmanager
    def answering(self, *jobs: Job[Any], cancels: bool = True) -> Iterator[None]:
        """Let the jobs be interrupted when nobody waits for any of them, and nothing behind them."""
        self._jobs = jobs
        for job in jobs if cancels else ():
            job.may_be_interrupted(lambda: self._interrupt_later(jobs))
        try:
            yield
        finally:
            for job in jobs:
                job.may_be_interrupted(None)
            with self._answering:
                self._jobs = ()

    @property
    def is_interrupted(self) -> bool:
        """Whether the tasks of all jobs that are answered have been cancelled."""
        return bool(self._jobs) and all(job.is_abandoned for job in self._jobs)

    def _interrupt_later(self, jobs: Sequence[Job[Any]]) -> None:
        with suppress(StorageError):  # without another thread, the statement goes on to its own end
            started("aaow-interrupting", self._interrupt, jobs)

    def _interrupt(self, jobs: Sequence[Job[Any]]) -> None:
        with self._answering, suppress(Exception):  # who was to be interrupted goes on then
            if self._jobs is jobs and all(job.is_abandoned for job in jobs):
                self.driver_connection.cancel_safe(timeout=_CANCELLED_WITHIN_S)

    def rows_of_each(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        """Return all rows of several selects, which go to the server together; the connection is lost where one fails.

        psycopg takes a statement to be prepared then that the server skipped.
        """
        asked = []
        try:
            with self.driver_connection.pipeline():
                for select, parameters in selects:
                    compiled = self.dialect.compiled(select)
                    cursor = self.driver_connection.execute(compiled.text, compiled.bound(parameters))
                    asked.append((compiled, cursor))
            return [[compiled.fetched(row) for row in cursor] for compiled, cursor in asked]
        except StorageError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._unread(error) from error

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the server is gone."""
        return bool(self.driver_connection.closed)

    def begin(self, isolation: str, longest: float = math.inf) -> None:
        """Begin a transaction, such as one of `"READ COMMITTED"`, of which no statement takes longer than that."""
        self.command(f"BEGIN ISOLATION LEVEL {isolation}")
        usual = math.inf if self._settings.statement_timeout is None else self._settings.statement_timeout
        if longest < usual or (usual < math.inf and not self._settings.holds_sessions):
            self.command(f"SET LOCAL statement_timeout = {_milliseconds(min(longest, usual))}")

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
        transaction = pending(self)
        try:
            self.command("COMMIT")
        except StorageError:
            if not self.is_lost:
                raise
            return transaction is not None and was_committed(transaction, self._settings)
        return True


def connect(settings: Settings) -> PostgreSQLConnection:
    """Open a connection.

    Raises:
        StorageUnavailableError: the server does not answer, or has no connection left.
        StorageError: it lets nobody in like this, or is none to be used.
    """
    try:
        return _connect(settings)
    except _LostAtOnceError:
        return _connect(settings)


class _LostAtOnceError(StorageUnavailableError):
    """The connection was lost before it was of any use."""


def _connect(settings: Settings) -> PostgreSQLConnection:
    dialect = PostgreSQLDialect(settings.place, settings.schema)
    with storage_errors_alone(dialect.meant_by):
        driver_connection = psycopg.connect(
            settings.conninfo,
            autocommit=True,
            connect_timeout=max(2, round(settings.connect_timeout)),
            cursor_factory=_Cursor,
            prepare_threshold=5 if settings.holds_sessions else None,
            application_name="aaow-storage",
        )
    connection = PostgreSQLConnection(driver_connection, settings, dialect)
    try:
        _check(driver_connection, settings)
        _settle(driver_connection, connection, settings)
    except BaseException as error:
        is_lost = connection.is_lost
        connection.close()
        if is_lost and isinstance(error, StorageError):
            raise _LostAtOnceError(str(error)) from error.__cause__
        raise
    return connection


def was_committed(transaction: Pending, settings: Settings) -> bool:
    """Find out whether a transaction was committed, on connections of its own.

    Raises:
        InDoubtError: no server can say, or none could be asked for as long as an operation may wait for a connection.
    """
    deadline = time.monotonic() + settings.acquire_timeout
    while True:
        problem = "it is still under way"
        try:
            connection = connect(settings)
            try:
                outcome = outcome_of(transaction, connection)
            finally:
                connection.close()
        except InDoubtError:
            raise
        except StorageUnavailableError as error:
            outcome, problem = None, str(error)
        except StorageError as error:  # not the transaction's own: whoever hears of it must not take it for undone
            told = "the connection was lost during a commit, and what became of it cannot be asked for"
            raise InDoubtError(f"{told}: {error}") from error.__cause__
        if outcome is not None:
            return outcome
        if time.monotonic() > deadline:
            raise InDoubtError(f"the connection was lost during a commit, and nobody says what became of it: {problem}")
        time.sleep(random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))  # noqa: S311 - not a secret


def _check(driver_connection: "psycopg.Connection[Any]", settings: Settings) -> None:
    info = driver_connection.info
    if info.server_version < OLDEST_SERVER:
        raise StorageError(f"{settings.place}: the server is older than version {OLDEST_SERVER // 10_000}")
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(f"{settings.place}: its encoding is {encoding}; create it with the encoding UTF8")


def _settle(driver_connection: "psycopg.Connection[Any]", connection: PostgreSQLConnection, settings: Settings) -> None:
    driver_connection.prepared_max = PREPARED_STATEMENTS
    driver_connection.adapters.register_loader("timestamptz", _InstantLoader)
    if settings.holds_sessions:
        timeout = "0" if settings.statement_timeout is None else str(_milliseconds(settings.statement_timeout))
        values = ("read committed", timeout, "UTC")
        connection.row(_SET, dict(zip(_SETTINGS, values, strict=True)))


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


def _milliseconds(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), 2**31 - 1))
