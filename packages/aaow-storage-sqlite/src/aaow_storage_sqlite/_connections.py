"""Opening SQLite connections to a store: one that writes, some that read, one that copies the write-ahead log."""

import functools
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from aaow_storage.authoring import cleaning_up_after, storage_errors_alone
from aaow_storage.errors import CorruptDataError, SchemaVersionError, StorageError, StorageUnavailableError
from aaow_storage_sql import LateModule, Opening, SQLConnection
from aaow_storage_sqlite._dialect import may_be_of_schema
from aaow_storage_sqlite._functions import install
from aaow_storage_sqlite._interruptible import InterruptibleConnection
from aaow_storage_sqlite._retry import retry_while_locked
from aaow_storage_sqlite._schema_watch import SchemaWatch
from aaow_storage_sqlite._settings import Settings

if TYPE_CHECKING:
    from aaow_storage_sql import Row
    from aaow_storage_sql._repositories import changes
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

MIN_SQLITE_VERSION = (3, 37, 0)
PAGE_BYTES = 8192
CANCEL_CHECK_INSTRUCTIONS = 20_000
"""Virtual-machine instructions between two checks whether the opening was cancelled."""
_MAX_C_INT = 2**31 - 1


def check_sqlite_version() -> None:
    """Check that the SQLite library of this Python is new enough.

    Raises:
        StorageError: it is too old.
    """
    if sqlite3.sqlite_version_info < MIN_SQLITE_VERSION:
        needed = ".".join(map(str, MIN_SQLITE_VERSION))
        raise StorageError(
            f"this Python has SQLite {sqlite3.sqlite_version}, {needed} or later is needed; use a newer Python build"
        )


def open_writer(
    settings: Settings, opening: Opening | None = None, inspect: Callable[[SQLConnection], object] | None = None
) -> "SQLiteConnection":
    """Open a connection that writes; a new file gets its page size and its journal mode.

    `inspect` is called before anything is written, and may refuse the file by an error, which leaves it unchanged. The
    connection does not wait for locks: `retry_while_locked` does.

    Raises:
        StorageError: the file cannot be opened or written, or is not a SQLite database.
        asyncio.CancelledError: the opening was cancelled.
    """
    connection = connect(settings)
    if opening is not None:
        # A progress handler ends a long statement; `interrupt()` would miss one that begins a moment later.
        connection.driver_connection.set_progress_handler(lambda: opening.is_cancelled, CANCEL_CHECK_INSTRUCTIONS)
    try:
        if inspect is not None:
            retry_while_locked(lambda: inspect(connection), settings.busy_timeout, opening)
        for command in (
            f"PRAGMA page_size = {PAGE_BYTES}",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA synchronous = {settings.synchronous}",
        ):
            retry_while_locked(functools.partial(connection.command, command), settings.busy_timeout, opening)
        _enable_write_ahead_log(connection, settings, opening)
    except BaseException as error:
        with cleaning_up_after(error):
            _close_without_checkpoint(connection, settings)
        if isinstance(error, CorruptDataError):
            problem = f"{settings.location} is not a SQLite database, or is encrypted: {error}"
            raise CorruptDataError(problem) from error.__cause__
        raise
    connection.reopen = lambda: open_writer(without_creating(settings))
    return connection


def without_creating(settings: Settings) -> Settings:
    """Return settings whose connections never create the file in place of one that was removed."""
    return evolve(settings, location=evolve(settings.location, creates=False))


def _enable_write_ahead_log(connection: SQLConnection, settings: Settings, opening: Opening | None) -> None:
    mode = retry_while_locked(lambda: connection.command("PRAGMA journal_mode = WAL"), settings.busy_timeout, opening)
    if mode != ("wal",):
        raise StorageError(
            f"{settings.location}: the file system allows no write-ahead log; put the file on a local disk"
        )


def _close_without_checkpoint(connection: SQLConnection, settings: Settings) -> None:
    """Close a connection, leaving a write-ahead log as it is.

    The last connection that may write copies the log into the database when it closes. So it is closed while another
    one, which may only read, is open.
    """
    try:
        if Path(f"{settings.location.path}-wal").stat().st_size:
            with closing(sqlite3.connect(settings.location.read_only_uri, uri=True, isolation_level=None)) as reader:
                reader.execute("PRAGMA schema_version").fetchone()
                connection.close()
    except (OSError, sqlite3.Error):
        pass  # there is no log, or the file cannot be read
    finally:
        connection.close()


def open_reader(settings: Settings) -> "SQLiteConnection":
    """Open a connection that only reads.

    Raises:
        StorageError: the file cannot be opened.
    """
    connection = connect(settings)
    try:
        connection.command(f"PRAGMA busy_timeout = {_milliseconds(settings.busy_timeout)}")
        connection.command("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    connection.reopen = lambda: open_reader(without_creating(settings))
    return connection


def open_checkpointer(settings: Settings) -> "SQLiteConnection":
    """Open a connection that copies the write-ahead log into the database.

    Raises:
        StorageUnavailableError: another connection locks the whole store, as it briefly does when it opens it.
    """
    connection = connect(settings)
    try:
        connection.command(f"PRAGMA synchronous = {settings.synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


class SQLiteConnection(InterruptibleConnection):
    """A connection that is reopened after it was discarded."""

    reopen: "Callable[[], SQLiteConnection] | None" = None
    """Opens another connection to the same store, with the same settings."""
    schema: SchemaWatch | None = None
    """Tells, of an open store, whether a statement failed because another process has migrated it."""
    _is_discarded = False

    def command(self, text: str) -> "Row | None":
        recorder = self.recorder
        if recorder is None:
            return super().command(text)
        if text == "COMMIT" and recorder.entries:
            changes.store(self, recorder.entries)
        row = super().command(text)
        recorder.follow(text)
        return row

    def discard(self) -> None:
        super().discard()
        self._is_discarded = True
        with suppress(StorageError):  # the next statement tries again, and reports the error
            self._replace()

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        if not self._is_discarded:
            return self._because_of_schema(error) or super().to_storage_error(error, values)
        try:
            self._replace()
        except StorageError as failure:
            return failure
        return StorageUnavailableError("the connection was lost and has been reopened; try again")

    def _because_of_schema(self, error: Exception) -> StorageError | None:
        """Return the error that the store has another schema, if it has, and the statement may have failed of that."""
        schema, self.schema = self.schema, None  # meanwhile, an error of the check is just that
        try:
            if schema is not None and may_be_of_schema(error):
                with suppress(CorruptDataError, StorageUnavailableError):
                    schema.check_version(self)
        except SchemaVersionError as problem:
            return problem
        finally:
            self.schema = schema
        return None

    def _replace(self) -> None:
        if self.reopen is not None:
            opened = self.reopen()
            self.driver_connection, self.failures = opened.driver_connection, opened.failures
            self.replaced = opened.replaced
            self._is_discarded = False


def connect(settings: Settings, uri: str | None = None) -> SQLiteConnection:
    """Open a connection to the store, or at another URI, and install the functions; nothing is set or written.

    Raises:
        StorageError: the file cannot be opened.
    """
    dialect = settings.dialect
    with storage_errors_alone(dialect.to_storage_error):
        driver_connection = sqlite3.connect(
            settings.location.uri if uri is None else uri,
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=settings.tuning.cached_statements,
        )
        connection = SQLiteConnection(driver_connection, dialect, settings.tuning.interrupt_interval_s)
        install(driver_connection, connection.failures, connection.replaced)
    return connection


def _milliseconds(seconds: float) -> int:
    return min(round(seconds * 1000), _MAX_C_INT)
