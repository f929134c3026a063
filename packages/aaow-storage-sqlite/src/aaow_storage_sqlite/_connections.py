"""Opening connections to a store, with the settings that the contract rests on."""

import errno
import functools
import os
import random
import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa
from attrs import frozen

from aaow_storage.authoring import cleaning_up_after, storage_errors_alone
from aaow_storage.errors import CorruptDataError, StorageError, StorageUnavailableError, ValidationError
from aaow_storage_sql import Opening, SQLConnection
from aaow_storage_sqlite._dialect import SQLiteDialect, is_locked
from aaow_storage_sqlite._functions import install
from aaow_storage_sqlite._interruptible import InterruptibleConnection
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._permissions import make_place

T = TypeVar("T")

OLDEST_SQLITE = (3, 37, 0)
PAGE_BYTES = 8192
_SHORTEST_PAUSE_S = 0.0001
_LONGEST_PAUSE_S = 0.001
_INSTRUCTIONS_BETWEEN_LOOKS = 20_000


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


def find_place(location: Location) -> Location:
    """Return where the file itself is, or is to be, behind symbolic links. Nothing is made.

    SQLite puts its log beside that file, so every process finds it there, whichever path it uses.

    Raises:
        ValidationError: it is no file, or a link that leads to none, or is missing and must not be created.
        StorageUnavailableError: a folder on the way cannot be searched.
    """
    path = location.path
    if path is None:
        return location
    file = Path(os.path.realpath(path))
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not location.creates:
            raise _wrong(f"{path} does not exist, and mode=rw does not create it") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _wrong(f"{path} is a symbolic link that leads back to itself; let it lead to a file") from error
        raise StorageUnavailableError(f"{path} cannot be looked at: {error}") from error
    else:
        if stat.S_ISDIR(mode):
            raise _wrong(f"{path} is a folder; name a file in it")
        if not stat.S_ISREG(mode):
            raise _wrong(f"{path} is a device, a pipe or a socket; name a file")
    return attrs.evolve(location, path=file, named=path)


def make_folder(location: Location) -> None:
    """Make the folder that the file is to be in.

    Raises:
        StorageUnavailableError: it cannot be made.
    """
    if location.path is None:
        return
    try:
        make_place(location.path, location.file_mode)
    except OSError as error:
        raise StorageUnavailableError(f"{location}: its folder cannot be made: {error}") from error


def open_writer(
    settings: Settings, opening: Opening | None = None, look: Callable[[SQLConnection], object] | None = None
) -> "SQLiteConnection":
    """Open a connection that writes; a new file gets its page size and its journal mode.

    `look` is called before anything is written, and may refuse the file by an error: it stays as it is. The connection
    does not wait for locks: `retry_while_locked` does.

    Raises:
        StorageError: the file cannot be opened, cannot be written, or is not a SQLite database.
        asyncio.CancelledError: the opening was cancelled.
    """
    connection = _connect(settings)
    if opening is not None:
        # A statement that takes long asks now and then; `interrupt()` would miss one that begins a moment later.
        connection.driver_connection.set_progress_handler(lambda: opening.is_cancelled, _INSTRUCTIONS_BETWEEN_LOOKS)
    try:
        if look is not None:
            retry_while_locked(lambda: look(connection), settings.busy_timeout, opening)
        for command in (
            f"PRAGMA page_size = {PAGE_BYTES}",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA synchronous = {settings.synchronous}",
        ):
            retry_while_locked(functools.partial(connection.command, command), settings.busy_timeout, opening)
        _use_write_ahead_log(connection, settings, opening)
    except BaseException as error:
        with cleaning_up_after(error):
            _close_unchanged(connection, settings)
        if isinstance(error, CorruptDataError):
            problem = f"{settings.location} is not a SQLite database, or is encrypted: {error}"
            raise CorruptDataError(problem) from error.__cause__
        raise
    connection.opened_again = lambda: open_writer(_existing(settings))
    return connection


def _existing(settings: Settings) -> Settings:
    """Return the settings that open the file only where it is there."""
    return attrs.evolve(settings, location=attrs.evolve(settings.location, creates=False))


def _use_write_ahead_log(connection: SQLConnection, settings: Settings, opening: Opening | None) -> None:
    mode = retry_while_locked(lambda: connection.command("PRAGMA journal_mode = WAL"), settings.busy_timeout, opening)
    if mode != ("wal",):
        raise StorageError(f"{settings.location}: the file system allows no write-ahead log; use a local one")


def _close_unchanged(connection: SQLConnection, settings: Settings) -> None:
    """Close a connection without moving a log that is there into the file, as the last one does that may write."""
    try:
        if Path(f"{settings.location.path}-wal").stat().st_size:
            with closing(sqlite3.connect(settings.location.read_only_uri, uri=True, isolation_level=None)) as reader:
                reader.execute("PRAGMA schema_version").fetchone()
                connection.close()
    except (OSError, sqlite3.Error):
        pass  # there is no log, or nothing can be read in the first place
    finally:
        connection.close()


def open_reader(settings: Settings) -> "SQLiteConnection":
    """Open a connection that only reads."""
    connection = _connect(settings)
    try:
        connection.command(f"PRAGMA busy_timeout = {_milliseconds(settings.busy_timeout)}")
        connection.command("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    connection.opened_again = lambda: open_reader(_existing(settings))
    return connection


def open_checkpointer(settings: Settings) -> "SQLiteConnection":
    """Open a connection that moves what is in the write-ahead log into the database.

    Raises:
        StorageUnavailableError: another connection locks the whole store, as it does for a moment when it opens it.
    """
    connection = _connect(settings)
    try:
        connection.command(f"PRAGMA synchronous = {settings.synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def retry_while_locked(action: Callable[[], T], patience: float, opening: Opening | None = None) -> T:
    """Run the action again, after short random pauses, for as long as another connection's lock forbids it.

    SQLite's own handler sleeps up to 100 ms a time, in which a busy process takes the lock again and again.

    Raises:
        StorageUnavailableError: it was locked for longer than `patience` seconds.
        asyncio.CancelledError: the opening was cancelled meanwhile.
    """
    pause = time.sleep if opening is None else opening.sleep
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except StorageError as error:
            if not is_locked(error):
                raise
            if time.monotonic() >= deadline:
                problem = f"{error}; waited {patience:g} s for another process's lock"
                raise StorageUnavailableError(problem) from error.__cause__
            pause(random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))  # noqa: S311 - not a secret


class SQLiteConnection(InterruptibleConnection):
    """A connection that is opened again where it had to be given up."""

    opened_again: "Callable[[], SQLiteConnection] | None" = None
    """Opens another connection to the same store, with the same settings."""
    _is_given_up = False

    def discard(self) -> None:
        super().discard()
        self._is_given_up = True
        with suppress(StorageError):  # the next statement tries again, and says what is wrong
            self._open_again()

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        if not self._is_given_up:
            return super().to_storage_error(error, values)
        try:
            self._open_again()
        except StorageError as failure:
            return failure
        return StorageUnavailableError("the connection had to be opened again; try again")

    def _open_again(self) -> None:
        if self.opened_again is not None:
            opened = self.opened_again()
            self.driver_connection, self.failures = opened.driver_connection, opened.failures
            self._is_given_up = False


def _connect(settings: Settings) -> SQLiteConnection:
    dialect = settings.dialect
    with storage_errors_alone(dialect.to_storage_error):
        connection = sqlite3.connect(
            settings.location.uri,
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        made = SQLiteConnection(connection, dialect)
        install(connection, made.failures)
    return made


def _wrong(problem: str) -> ValidationError:
    return ValidationError("sqlite", "url", problem)


def _milliseconds(seconds: float) -> int:
    return min(round(seconds * 1000), 2**31 - 1)
