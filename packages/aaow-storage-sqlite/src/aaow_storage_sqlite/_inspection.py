"""Looking at a SQLite file without opening it as a store: nothing is created, upgraded or written."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from aaow_storage.authoring import Durability, MaintenanceFinding, StoreSizes, TableSize, storage_errors_alone
from aaow_storage.errors import CorruptDataError, StorageError, StorageUnavailableError
from aaow_storage_sql import HEAD, VERSION_TABLE, Opening, SQLConnection, metadata
from aaow_storage_sqlite import _file_locks
from aaow_storage_sqlite._connections import CANCEL_CHECK_INSTRUCTIONS, SQLiteConnection, check_sqlite_version, connect
from aaow_storage_sqlite._file_systems import file_system_of, is_of_another_machine
from aaow_storage_sqlite._paths import resolve_path
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import version

MAX_FINDINGS = 100
_OWNERS = "SELECT name, tbl_name, type FROM sqlite_master WHERE type IN ('table', 'index')"
_PAGES = "SELECT name, sum(pgsize) FROM dbstat WHERE aggregate = TRUE GROUP BY name"
_RESTORE = "restore a backup that was verified, or copy what can be read with `aaow-storage copy`"


def path_of(settings: Settings) -> Path:
    """Return the path of the store, with its symbolic links resolved.

    Raises:
        StorageError: it is in memory.
        StorageUnavailableError: there is no file.
    """
    location = settings.location
    if location.path is None:
        raise StorageError(f"{location}: a store in memory belongs to its adapters; use a store in a file")
    resolved = resolve_path(evolve(location, creates=True)).path
    if resolved is None or not resolved.exists():
        raise StorageUnavailableError(f"{location}: there is no such file; check the path")
    return resolved


@contextmanager
def reading(settings: Settings, opening: Opening) -> Iterator[SQLiteConnection]:
    """Yield a connection to the store that changes nothing, and whose statements a cancellation ends."""
    check_sqlite_version()
    path = path_of(settings)
    _file_locks.check_inherited(str(path))
    location = evolve(settings.location, path=path, named=settings.location.path)
    with _opened(evolve(settings, location=location), location.read_only_uri, opening) as connection:
        yield connection


@contextmanager
def reading_backup(settings: Settings, path: Path, opening: Opening) -> Iterator[SQLiteConnection]:
    """Yield a connection to a file that nobody else changes, such as a backup; it creates no file beside it."""
    check_sqlite_version()
    location = evolve(settings.location, path=path.absolute(), named=None)
    with _opened(evolve(settings, location=location), f"{location.read_only_uri}&immutable=1", opening) as connection:
        yield connection


@contextmanager
def _opened(settings: Settings, uri: str, opening: Opening) -> Iterator[SQLiteConnection]:
    connection = connect(settings, uri)
    try:
        milliseconds = round(settings.busy_timeout * 1000)
        connection.command(f"PRAGMA busy_timeout = {min(milliseconds, 2**31 - 1)}")
        connection.driver_connection.set_progress_handler(lambda: opening.is_cancelled, CANCEL_CHECK_INSTRUCTIONS)
        yield connection
    finally:
        connection.close()


def integer(connection: SQLConnection, command: str) -> int:
    """Return the number that a command returns."""
    row = connection.command(command)
    return 0 if row is None else int(row[0])


def sizes_of(connection: SQLiteConnection, path: Path) -> StoreSizes:
    """Return the sizes of the file and its log, and of the tables if this SQLite can tell."""
    page_bytes = integer(connection, "PRAGMA page_size")
    log = Path(f"{path}-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    return StoreSizes(
        total_bytes=integer(connection, "PRAGMA page_count") * page_bytes + log_bytes,
        free_bytes=integer(connection, "PRAGMA freelist_count") * page_bytes,
        tables=_tables(connection),
    )


def _tables(connection: SQLiteConnection) -> tuple[TableSize, ...]:
    run = connection.driver_connection.execute
    try:
        pages = dict(run(_PAGES).fetchall())
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # this SQLite was built without it
            return ()
        raise connection.to_storage_error(error) from error
    except sqlite3.Error as error:
        raise connection.to_storage_error(error) from error
    owners = {name: (table, kind) for name, table, kind in run(_OWNERS)}
    sums: dict[str, dict[str, int]] = {}
    for name, size in pages.items():
        table, kind = owners.get(name, (name, "table"))
        sums.setdefault(table, {"table": 0, "index": 0})[kind] += size
    made = [TableSize(name=name, table_bytes=of["table"], index_bytes=of["index"]) for name, of in sums.items()]
    return tuple(sorted(made, key=lambda each: (-each.table_bytes - each.index_bytes, each.name)))


def durability_of(connection: SQLiteConnection, path: Path, settings: Settings) -> Durability:
    """Return what decides whether a commit survives, and warnings."""
    (mode,) = connection.command("PRAGMA journal_mode") or ("unknown",)
    kind = file_system_of(path)
    found = version(connection)
    told = {
        "journal_mode": str(mode),
        "synchronous": str(settings.synchronous),
        "file_system": kind or "unknown",
        "page_size": str(integer(connection, "PRAGMA page_size")),
        "sqlite_version": sqlite3.sqlite_version,
    }
    warnings = []
    if mode != "wal":
        warnings.append(
            f"the journal mode is {mode}, not WAL: readers and writers wait for each other; "
            "the next initialize() of an adapter switches it"
        )
    if settings.synchronous is not Synchronous.FULL:
        warnings.append("synchronous is NORMAL: a loss of power may lose the last commits; use 'FULL'")
    if kind is not None and is_of_another_machine(kind):
        warnings.append(
            f"the file is on a network file system ({kind}), where SQLite loses data; move it to a local disk"
        )
    if found != HEAD:
        warnings.append(f"the schema is {found or 'missing'}, and this release needs {HEAD}: see `migrate status`")
    return Durability(settings=told, warnings=tuple(warnings))


def check_pages(connection: SQLiteConnection, place: str) -> tuple[MaintenanceFinding, ...]:
    """Let SQLite check every page, index and reference of the file."""
    run = connection.driver_connection.execute
    findings = []
    try:
        for (text,) in run(f"PRAGMA integrity_check({MAX_FINDINGS})"):
            if text != "ok":
                problems = str(text).removeprefix("*** in database main ***\n").splitlines()
                findings += [MaintenanceFinding(problem=each, place=place, remedy=_RESTORE) for each in problems]
        for table, row, parent, _ in run("PRAGMA foreign_key_check").fetchmany(MAX_FINDINGS):
            problem = f"row {row} refers to a row of {parent} that is missing"
            findings.append(MaintenanceFinding(problem=problem, place=f"{place}, table {table}", remedy=_RESTORE))
    except sqlite3.OperationalError as error:
        if "malformed" not in str(error) and "interrupted" in str(error):
            raise connection.to_storage_error(error) from error
        findings.append(MaintenanceFinding(problem=str(error), place=place, remedy=_RESTORE))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        findings.append(MaintenanceFinding(problem=str(error), place=place, remedy=_RESTORE))
    return tuple(findings)


def rows_of(connection: SQLiteConnection, place: str) -> dict[str, int]:
    """Return how many rows each table of a store has.

    Raises:
        CorruptDataError: a table is missing or cannot be read.
    """
    with storage_errors_alone(connection.dialect.to_storage_error):
        names = {name for name, _, kind in connection.driver_connection.execute(_OWNERS) if kind == "table"}
    missing = {VERSION_TABLE} - names
    if missing:
        raise CorruptDataError(f"{place}: there is no store in this file; choose another file")
    ours = sorted(names & {*metadata.tables})
    return {name: integer(connection, f"SELECT count(*) FROM {name}") for name in ours}  # noqa: S608 - names of ours
