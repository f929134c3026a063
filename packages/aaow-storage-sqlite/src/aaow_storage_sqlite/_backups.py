"""Backups of a SQLite store: a copy of the database at one instant, in one file, while others go on writing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from attrs import evolve

from aaow_storage.authoring import BackupContent, MaintenanceFinding, StepCallback, storage_errors_alone
from aaow_storage.errors import (
    ConflictError,
    CorruptDataError,
    SchemaVersionError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
)
from aaow_storage_sql import HEAD, REVISIONS, Opening, new_file
from aaow_storage_sqlite import _file_locks
from aaow_storage_sqlite._connections import SQLiteConnection, connect
from aaow_storage_sqlite._inspection import check_pages, integer, path_of, reading, reading_backup, rows_of
from aaow_storage_sqlite._paths import ensure_parent_directory, resolve_path
from aaow_storage_sqlite._retry import retry_while_locked
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._upgrade import version

FORMAT = "sqlite"
_STEP_BYTES = 8 * 2**20
"""How much is copied between two looks for a cancellation."""
_DEFAULT_MODE = 0o644
_BESIDE = ("-wal", "-shm", "-journal")


def back_up(settings: Settings, path: Path, progress: StepCallback | None, opening: Opening) -> BackupContent:
    """Write a backup into a new file, with the permissions of the store."""
    mode = path_of(settings).stat().st_mode
    with new_file(path, mode) as made:
        with reading(settings, opening) as source:
            if version(source) is None:
                raise CorruptDataError(f"{settings.location}: there is no store in this file; nothing to back up")
            # All steps read the snapshot of this transaction, so that no commit of others makes SQLite begin again.
            source.command("BEGIN")
            source.command("SELECT count(*) FROM sqlite_master")
            _copy_pages(source, made, progress, opening)
        with reading_backup(settings, made, opening) as copy:
            return BackupContent(format=FORMAT, schema_version=version(copy), rows=rows_of(copy, str(path)))


def _copy_pages(source: SQLiteConnection, target: Path, progress: StepCallback | None, opening: Opening) -> None:
    """Copy all pages of a database to a file; the file is flushed by who asked for it."""
    with closing(sqlite3.connect(target, isolation_level=None)) as written:
        written.execute("PRAGMA synchronous = OFF")
        _copy(source, written, progress, opening)


def _copy(
    source: SQLiteConnection, target: sqlite3.Connection, progress: StepCallback | None, opening: Opening
) -> None:
    page_bytes = integer(source, "PRAGMA page_size")

    def step(status: int, remaining: int, total: int) -> None:
        del status
        opening.check()
        if progress is not None:
            progress((total - remaining) * page_bytes, total * page_bytes)

    with storage_errors_alone(source.dialect.to_storage_error):
        source.driver_connection.backup(target, pages=max(1, _STEP_BYTES // page_bytes), progress=step)


def verify(settings: Settings, path: Path, progress: StepCallback | None, opening: Opening) -> BackupContent:
    """Read every page of a backup, and return what is in it."""
    if not path.is_file():
        raise StorageUnavailableError(f"{path}: there is no such file; check the path")
    size = path.stat().st_size
    findings: tuple[MaintenanceFinding, ...] = ()
    found, rows = None, {}
    try:
        with reading_backup(settings, path, opening) as connection:
            found = version(connection)
            findings = (*_check_size(connection, path, size), *check_pages(connection, str(path)))
            rows = rows_of(connection, str(path))
    except StorageError as error:
        opening.check()
        if not findings:
            findings = (MaintenanceFinding(problem=str(error), place=str(path), remedy="use another backup"),)
    if progress is not None:
        progress(size, size)
    return BackupContent(format=FORMAT, schema_version=found, rows=rows, findings=findings)


def _check_size(connection: SQLiteConnection, path: Path, size: int) -> tuple[MaintenanceFinding, ...]:
    expected = integer(connection, "PRAGMA page_count") * integer(connection, "PRAGMA page_size")
    if size == expected:
        return ()
    problem = f"the file has {size} bytes, and its database {expected}: it was cut off, or something was added"
    return (MaintenanceFinding(problem=problem, place=str(path), remedy="use another backup"),)


def restore(
    settings: Settings, path: Path, progress: StepCallback | None, opening: Opening, *, replace: bool
) -> BackupContent:
    """Put a backup in the place of the store; it is checked first, and a damaged one is refused."""
    location = resolve_path(settings.location)
    if location.path is None:
        raise StorageError(f"{location}: a store in memory cannot be restored; use a store in a file")
    settings = evolve(settings, location=location)
    _file_locks.check_inherited(str(location.path))
    content = verify(settings, path, None, opening)
    if content.findings or content.schema_version is None:
        problem = content.findings[0].problem if content.findings else "there is no store in it"
        raise CorruptDataError(f"{path}: {problem}; nothing was restored, use another backup")
    if content.schema_version not in REVISIONS:
        remedy = "the backup was made by a newer release; install that release or a later one"
        raise SchemaVersionError(content.schema_version, HEAD, remedy)
    left = [suffix for suffix in _BESIDE if Path(f"{location.path}{suffix}").exists()]
    if location.path.exists() and location.path.stat().st_size:
        if not replace:
            raise ConflictError(f"{location}: there is a file already; it was not changed. Restore to another path")
        _replace(settings, location.path, path, progress, opening)
        return content
    if left and not replace:
        problem = f"{location.path}{left[0]} is there without its database, which somebody removed"
        raise ConflictError(f"{problem}; nothing was restored: move it away, or replace it")
    _create(settings, location.path, path, progress, opening)
    return content


def _create(settings: Settings, target: Path, path: Path, progress: StepCallback | None, opening: Opening) -> None:
    ensure_parent_directory(evolve(settings.location, file_mode=None))
    for suffix in _BESIDE:  # the log of a database that is gone would be applied to the new one
        Path(f"{target}{suffix}").unlink(missing_ok=True)
    if target.exists():  # empty
        target.unlink()
    mode = _DEFAULT_MODE if settings.location.file_mode is None else settings.location.file_mode
    with new_file(target, mode) as made, reading_backup(settings, path, opening) as source:
        _copy_pages(source, made, progress, opening)


def _replace(settings: Settings, target: Path, path: Path, progress: StepCallback | None, opening: Opening) -> None:
    """Replace the content of a database in one transaction, or a file that is none, or damaged, by a new file.

    Raises:
        StoreBusyError: another connection has it open.
    """
    connection = connect(settings)
    try:
        _take_alone(connection, settings, opening)
        with reading_backup(settings, path, opening) as source:
            _copy(source, connection.driver_connection, progress, opening)
    except CorruptDataError:
        connection.close()
        _set_aside(target)
        _create(settings, target, path, progress, opening)
    finally:
        connection.close()


def _take_alone(connection: SQLiteConnection, settings: Settings, opening: Opening) -> None:
    """Lock a database against all others until the connection closes, and leave the write-ahead log.

    Without the log, a copy may have another size of pages, and one that is cut off is rolled back by who comes next.
    """

    def take(command: str) -> Callable[[], object]:
        return lambda: connection.command(command)

    try:
        for command in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "COMMIT", "PRAGMA journal_mode = DELETE"):
            retry_while_locked(take(command), min(settings.busy_timeout, 1.0), opening)
    except StoreBusyError as error:
        remedy = "stop every process that has it open, and try again; nothing was changed"
        raise StoreBusyError(f"{settings.location}: the store is in use; {remedy}") from error.__cause__
    if connection.command("PRAGMA journal_mode") != ("delete",):
        raise StoreBusyError(f"{settings.location}: the store is in use; stop every process that has it open")


def _set_aside(target: Path) -> None:
    """Rename a damaged database and what is beside it; it may hold what the backup lacks."""
    number = 1
    while (aside := target.with_name(f"{target.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-journal", ""):
        beside = Path(f"{target}{suffix}")
        if beside.exists():
            beside.rename(f"{aside}{suffix}")
    Path(f"{target}-shm").unlink(missing_ok=True)
