"""Backups of a store in PostgreSQL: a file of `pg_dump`, of the snapshot in which its rows were counted."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import Factory, frozen
from psycopg import sql

from aaow_storage.authoring import BackupContent, MaintenanceFinding, StepCallback
from aaow_storage.errors import CorruptDataError, NotOfferedError, StorageError, StorageUnavailableError
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._inspection import TABLES, fetch, opened, tables_of
from aaow_storage_postgresql._programs import find_program, running
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import version
from aaow_storage_sql import VERSION_TABLE, Opening, new_file

FORMAT = "pg_dump"
_WATCH_INTERVAL_S = 0.5
_OTHERS = """
    SELECT c.relname::text FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND NOT c.relname = ANY (%(tables)s::text[])
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
          WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND t.relname = ANY (%(tables)s::text[])
      )
"""
"""What else is in the schema, which is not ours to back up; a sequence of a column belongs to its table."""
_COPY = re.compile(rb'COPY (?:"((?:[^"]|"")+)"|([\w$]+))\.(?:"((?:[^"]|"")+)"|([\w$]+)) \(.*\) FROM stdin;\n')


def back_up(given: Settings, path: Path, progress: StepCallback | None, opening: Opening) -> BackupContent:
    """Write a backup into a new file, for its owner alone.

    Raises:
        NotOfferedError: `pg_dump` is not installed, or is older than the server; or the connection is to a pooler.
    """
    check_own_sessions("backup", given)
    with opened(given, opening) as (connection, settings):
        server = connection.driver_connection.info.server_version // 10_000
        program, reason = find_program("pg_dump", server)
        if program is None:
            raise NotOfferedError("backup", settings.place, reason)
        connection.command("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = version(connection, settings)
        if found is None:
            raise StorageUnavailableError(f"{settings.place}: there is no store in this schema; nothing to back up")
        ((snapshot,),) = fetch(connection, "SELECT pg_export_snapshot()")
        rows = _count_rows(connection, settings)
        schema = catalog.quote(str(settings.schema))
        others = fetch(connection, _OTHERS, {"schema": settings.schema, "tables": TABLES})
        command: list[str | Path] = [
            program,
            "--format=custom",
            "--encoding=UTF8",
            "--no-owner",
            "--no-privileges",
            f"--snapshot={snapshot}",
            f"--schema={schema}",
            f"--lock-wait-timeout={milliseconds(settings.acquire_timeout)}",
            *(f"--exclude-table={schema}.{catalog.quote(name)}" for (name,) in others),
        ]
        with (
            new_file(path) as made,
            _watched(made, progress),
            running([*command, f"--file={made}"], opening, settings.conninfo) as output,
        ):
            output.read()
        connection.command("ROLLBACK")
    return BackupContent(format=FORMAT, schema_version=found, rows=rows)


def check_own_sessions(operation: str, settings: Settings) -> None:
    """Check that the connections are to the server itself: settings of a dump would leak to clients of a pooler.

    Raises:
        NotOfferedError: they are to a pooler.
    """
    if not settings.has_own_sessions:
        raise NotOfferedError(operation, settings.place, "name the server itself, not its pooler")


def _count_rows(connection: PostgreSQLConnection, settings: Settings) -> dict[str, int]:
    rows = {}
    for name in tables_of(connection, settings):
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(str(settings.schema), name))
        ((rows[name],),) = fetch(connection, query)
    del rows[VERSION_TABLE]
    return rows


@contextmanager
def _watched(file: Path, progress: StepCallback | None) -> Iterator[None]:
    """Tell how long the file is, now and then, as long as the block runs."""
    if progress is None:
        yield
        return
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_WATCH_INTERVAL_S):
            progress(file.stat().st_size, None)

    thread = threading.Thread(target=watch, name="aaow-watching", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    progress(file.stat().st_size, file.stat().st_size)


@frozen
class Dump:
    """What the list of a dump says.

    Attributes:
        schema: the schema of its tables.
        entries: the lines of the list that make a store, in order.
    """

    schema: str
    entries: list[str] = Factory(list)


_NUMBERS = r"\d+; \d+ \d+ "
_STORE = re.compile(rf"{_NUMBERS}TABLE (?!DATA )(?P<schema>.+) {VERSION_TABLE} .*")
_KINDS = "TABLE|TABLE DATA|CONSTRAINT|FK CONSTRAINT|INDEX|TRIGGER|DEFAULT|SEQUENCE|SEQUENCE OWNED BY|SEQUENCE SET"
"""What belongs to a table; a dump has no other tables than ours."""


def read_list(program: Path, path: Path, opening: Opening) -> Dump:
    """Return what is in a dump, without the schema itself, and without functions of other applications.

    Raises:
        CorruptDataError: it is no dump, or it has no store.
    """
    try:
        with running([program, "--list", path], opening) as output:
            lines = output.read().decode(errors="replace").splitlines()
    except StorageError as error:
        opening.check()
        raise CorruptDataError(f"{path} is no file of pg_dump, or is damaged: {error}") from error
    schemas = [match["schema"] for match in map(_STORE.fullmatch, lines) if match is not None]
    if len(schemas) != 1:
        raise CorruptDataError(f"{path}: there is no store in this dump; choose another file")
    of_store = re.compile(
        f"{_NUMBERS}(?:(?:{_KINDS}) {re.escape(schemas[0])} |(?:FUNCTION|TYPE) {re.escape(schemas[0])} aaow_)"
    )
    return Dump(schemas[0], [line for line in lines if of_store.match(line)])


def verify(settings: Settings, path: Path, progress: StepCallback | None, opening: Opening) -> BackupContent:
    """Unpack a dump, and count its rows; no server is needed.

    Raises:
        NotOfferedError: `pg_restore` is not installed.
    """
    program = restoring_program("verify", settings)
    if not path.is_file():
        raise StorageUnavailableError(f"{path}: there is no such file; check the path")
    rows: dict[str, int] = {}
    versions: list[str] = []

    def count(table: str, line: bytes) -> None:
        if table == VERSION_TABLE:
            versions.append(line.decode(errors="replace").strip())
        else:
            rows[table] = rows.get(table, 0) + 1

    findings: tuple[MaintenanceFinding, ...] = ()
    try:
        read_list(program, path, opening)
        with running([program, "--data-only", "--file=-", path], opening) as output:
            done = 0
            for table, line in data_of(output, on_table=lambda table: rows.setdefault(table, 0)):
                count(table, line)
                done += len(line)
                if progress is not None:
                    progress(done, None)
    except StorageError as error:
        opening.check()
        findings = (MaintenanceFinding(problem=str(error), place=str(path), remedy="use another backup"),)
    rows.pop(VERSION_TABLE, None)
    if not findings and len(versions) != 1:
        problem = "the version of the schema is missing"
        findings = (MaintenanceFinding(problem=problem, place=str(path), remedy="use another backup"),)
    return BackupContent(
        format=FORMAT,
        schema_version=versions[0] if versions else None,
        rows=dict(sorted(rows.items())),
        findings=findings,
    )


def restoring_program(operation: str, settings: Settings) -> Path:
    """Return `pg_restore`.

    Raises:
        NotOfferedError: it is not installed.
    """
    program, reason = find_program("pg_restore")
    if program is None:
        raise NotOfferedError(operation, settings.place, reason)
    return program


def copied_table(line: bytes) -> str | None:
    """Return the table that a line of a script of SQL begins to fill, or None."""
    match = _COPY.fullmatch(line)
    if match is None:
        return None
    quoted, plain = match[3], match[4]
    return (quoted.replace(b'""', b'"') if quoted is not None else plain).decode()


def data_of(output: Iterator[bytes], on_table: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
    """Yield each row of a script of SQL, with its table; `on_table` is called for each table."""
    table = None
    for line in output:
        if table is None:
            table = copied_table(line)
            if table is not None:
                on_table(table)
        elif line == b"\\.\n":
            table = None
        else:
            yield table, line
