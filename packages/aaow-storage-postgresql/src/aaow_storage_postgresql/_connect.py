"""Opening connections: with binary results, datetimes in UTC, and a session set to what this backend relies on."""

import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from aaow_storage.authoring import storage_errors_alone
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._session_settings import connection_parameters
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import NoAnswerError, Watchdog

MIN_SERVER_VERSION = 140_000
MAX_ATTEMPTS = 5
"""How often a connection that is lost before its first use is opened. A role's timeout of idle sessions may be shorter
than this process waits for a processor."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = struct.Struct("!q")


def connect(settings: Settings, watchdog: Watchdog | None = None) -> PostgreSQLConnection:
    """Open a connection; the watchdog ends its waits.

    Raises:
        StorageUnavailableError: the server does not answer, or has no free connection.
        StorageError: the server refuses the login, is too old, or has an encoding other than UTF8.
    """
    for _ in range(MAX_ATTEMPTS - 1):
        with suppress(_LostBeforeUseError):
            return _connect(settings, watchdog)
    return _connect(settings, watchdog)


class _LostBeforeUseError(StorageUnavailableError):
    """The connection was lost while its session was set; the next one may work."""


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
        driver_connection.prepared_max = settings.tuning.max_prepared_statements
        driver_connection.adapters.register_loader("timestamptz", _InstantLoader)
        connection = PostgreSQLConnection(
            driver_connection, settings, dialect, watchdog, reconnect=lambda: connect(settings, watchdog)
        )
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


def _check(driver_connection: "psycopg.Connection[Any]", settings: Settings) -> None:
    info = driver_connection.info
    if info.server_version < MIN_SERVER_VERSION:
        raise StorageError(
            f"{settings.place}: the server is older than version {MIN_SERVER_VERSION // 10_000}; upgrade it"
        )
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(f"{settings.place}: the encoding is {encoding}; create it with the encoding UTF8")


class _Cursor(psycopg.Cursor[Any]):
    """Asks for binary results, since settings of the server change the text form."""

    def __init__(self, connection: "psycopg.Connection[Any]", *, row_factory: Callable[..., Any] | None = None) -> None:
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = Format.BINARY


class _InstantLoader(Loader):
    """Loads timestamps as datetimes in UTC, whatever the time zone of the session."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime | int:
        """Return the instant; for one that no datetime can be, such as infinity, a number, which records refuse."""
        microseconds: int
        (microseconds,) = _MICROSECONDS.unpack(data)
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            return microseconds
