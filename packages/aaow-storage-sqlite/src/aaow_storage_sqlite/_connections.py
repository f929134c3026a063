"""Opening connections to a store, with the settings that the contract rests on."""

import random
import sqlite3
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import CorruptDataError, StorageError, StorageUnavailableError, ValidationError
from aaow_storage_sql import SQLConnection
from aaow_storage_sqlite._dialect import SQLiteDialect, is_locked
from aaow_storage_sqlite._functions import install
from aaow_storage_sqlite._location import Location

T = TypeVar("T")

OLDEST_SQLITE = (3, 37, 0)
PAGE_BYTES = 8192
_SHORTEST_PAUSE_S = 0.0001
_LONGEST_PAUSE_S = 0.001


class Synchronous(StrEnum):
    """When a commit is on the disk: `FULL` before the operation returns, `NORMAL` a little later.

    With `NORMAL` a loss of power may lose the last operations, never a part of one; the death of the process, none.
    """

    FULL = "FULL"
    NORMAL = "NORMAL"


@frozen
class Settings:
    """Where the store is, and how its connections behave."""

    location: Location
    synchronous: Synchronous
    busy_timeout: float
    """How long, in seconds, to wait for another connection's lock."""
    indexes: tuple[sa.Index, ...] = ()
    """What the user wants beside the schema's own."""

    @property
    def dialect(self) -> SQLiteDialect:
        """The dialect, with the store's name for errors."""
        return SQLiteDialect(str(self.location))


def check_sqlite_version() -> None:
    """Check that the SQLite library of this Python can do what is needed.

    Raises:
        StorageError: it is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(
            f"this Python has SQLite {sqlite3.sqlite_version}, {needed} or later is needed; use a newer Python build"
        )


def prepare_place(location: Location) -> None:
    """Make the folder that the file is to be in.

    Raises:
        ValidationError: the path is a folder, or the file is missing and must not be created.
        StorageUnavailableError: the folder cannot be made.
    """
    path = location.path
    if path is None:
        return
    if path.is_dir():
        raise ValidationError("sqlite", "url", f"{path} is a folder; name a file in it")
    if not location.creates:
        if not path.exists():
            raise ValidationError("sqlite", "url", f"{path} does not exist, and mode=rw does not create it")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailableError(f"{path}: its folder cannot be made: {error}") from error


def open_writer(settings: Settings) -> SQLConnection:
    """Open a connection that writes; a new file gets its page size and its journal mode.

    It does not wait for locks: `retry_while_locked` does.

    Raises:
        StorageError: the file cannot be opened, cannot be written, or is not a SQLite database.
    """
    connection = _connect(settings)
    try:
        connection.command(f"PRAGMA busy_timeout = {_milliseconds(settings.busy_timeout)}")
        connection.command(f"PRAGMA page_size = {PAGE_BYTES}")
        _use_write_ahead_log(connection, settings)
        connection.command("PRAGMA foreign_keys = ON")
        connection.command(f"PRAGMA synchronous = {settings.synchronous}")
        connection.command("PRAGMA busy_timeout = 0")
    except BaseException as error:
        connection.driver_connection.close()
        if isinstance(error, CorruptDataError):
            raise CorruptDataError(f"{settings.location} is not a SQLite database, or is encrypted: {error}") from error
        raise
    return connection


def _use_write_ahead_log(connection: SQLConnection, settings: Settings) -> None:
    mode = retry_while_locked(lambda: connection.command("PRAGMA journal_mode = WAL"), settings.busy_timeout)
    if mode != ("wal",):
        raise StorageError(f"{settings.location}: the file system allows no write-ahead log; use a local one")


def open_reader(settings: Settings) -> SQLConnection:
    """Open a connection that only reads."""
    connection = _connect(settings)
    connection.command(f"PRAGMA busy_timeout = {_milliseconds(settings.busy_timeout)}")
    connection.command("PRAGMA query_only = ON")
    return connection


def open_checkpointer(settings: Settings) -> SQLConnection:
    """Open a connection that moves what is in the write-ahead log into the database.

    Raises:
        StorageUnavailableError: another connection locks the whole store, as it does for a moment when it opens it.
    """
    connection = _connect(settings)
    try:
        connection.command(f"PRAGMA synchronous = {settings.synchronous}")
    except BaseException:
        connection.driver_connection.close()
        raise
    return connection


def retry_while_locked(action: Callable[[], T], patience: float) -> T:
    """Run the action again, after short random pauses, for as long as another connection's lock forbids it.

    SQLite's own handler sleeps up to 100 ms a time, in which a busy process takes the lock again and again.

    Raises:
        StorageUnavailableError: it was locked for longer than `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except StorageError as error:
            if not is_locked(error):
                raise
            if time.monotonic() >= deadline:
                raise StorageUnavailableError(f"{error}; waited {patience:g} s for another process's lock") from error
            time.sleep(random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))  # noqa: S311 - not a secret


def _connect(settings: Settings) -> SQLConnection:
    dialect = settings.dialect
    try:
        connection = sqlite3.connect(
            settings.location.uri,
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
    except sqlite3.Error as error:
        raise dialect.translated(error) from error
    install(connection)
    return SQLConnection(connection, dialect)


def _milliseconds(seconds: float) -> int:
    return min(round(seconds * 1000), 2**31 - 1)
