"""Restoring a store in PostgreSQL from a file of `pg_dump`, in one transaction."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from aaow_storage.authoring import BackupContent, StepCallback, storage_errors_alone
from aaow_storage.errors import (
    ConflictError,
    CorruptDataError,
    SchemaVersionError,
    StorageUnavailableError,
    StoreBusyError,
    ValidationError,
)
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._dumps import FORMAT, check_own_sessions, copied_table, read_list, restoring_program
from aaow_storage_postgresql._inspection import execute, fetch, of_store, opened, tables_of
from aaow_storage_postgresql._migration_lock import try_lock
from aaow_storage_postgresql._programs import running
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import HEAD, REVISIONS, VERSION_TABLE, Opening

_CODE_THERE = """
    SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = %(schema)s AND starts_with(p.proname::text, 'aaow_') ORDER BY p.proname <> 'aaow_json_sort_key'
"""
_TYPES_THERE = """
    SELECT t.typname::text FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE n.nspname = %(schema)s AND t.typtype = 'c' AND starts_with(t.typname::text, 'aaow_')
      AND NOT t.typname = ANY (%(tables)s::text[])
"""
_OTHER_ADAPTERS = """
    SELECT pid::bigint FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND application_name = 'aaow-storage' AND pid <> pg_backend_pid() ORDER BY pid
"""
_HAS_SCHEMA = "SELECT count(*)::bigint FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s"


def restore(
    given: Settings, path: Path, progress: StepCallback | None, opening: Opening, *, replace: bool
) -> BackupContent:
    """Put a dump in the place of the store."""
    check_own_sessions("restore", given)
    program = restoring_program("restore", given)
    if not path.is_file():
        raise StorageUnavailableError(f"{path}: there is no such file; check the path")
    dump = read_list(program, path, opening)
    with opened(given, opening) as (connection, settings):
        if settings.schema != dump.schema:
            problem = f"the store in {path} is of the schema {dump.schema!r}: pass schema={dump.schema!r} to restore it"
            raise ValidationError("postgresql", "schema", problem)
        connection.command("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.command(f"SET LOCAL lock_timeout = {milliseconds(settings.acquire_timeout)}")
        _prepare(connection, settings, replace=replace)
        with tempfile.NamedTemporaryFile("w", suffix=".list") as entries:
            entries.write("\n".join(dump.entries) + "\n")
            entries.flush()
            command: list[str | Path] = [
                program,
                "--no-owner",
                "--no-privileges",
                f"--use-list={entries.name}",
                "--file=-",
                path,
            ]
            with running(command, opening) as script:
                rows = _run_script(connection, script, progress)
        content = _content(connection, settings, path, rows)
        connection.command("COMMIT")
    return content


def _prepare(connection: PostgreSQLConnection, settings: Settings, *, replace: bool) -> None:
    """Make room for the store: its schema is there, and no table has a name of ours."""
    where = of_store(settings)
    if not try_lock(connection, settings):
        raise StoreBusyError(f"{settings.place}: another process migrates the store; try again later")
    if fetch(connection, _HAS_SCHEMA, where) == [(0,)]:
        connection.command(f"CREATE SCHEMA {catalog.quote_in_command(str(settings.schema))}")
    there = tables_of(connection, settings)
    if not there:
        return
    if not replace:
        shown = ", ".join(there[:3])
        problem = f"{settings.place}: the schema {settings.schema} has tables already ({shown} ...)"
        raise ConflictError(f"{problem}; nothing was restored: restore into an empty schema or database")
    others = [str(pid) for (pid,) in fetch(connection, _OTHER_ADAPTERS)]
    if others:
        problem = f"{settings.place}: the store is in use by the server processes {', '.join(others)}"
        raise StoreBusyError(f"{problem}; stop every process that has it open, and try again; nothing was changed")
    schema = str(settings.schema)
    tables = sql.SQL(", ").join(sql.Identifier(schema, name) for name in there)
    execute(connection, sql.SQL("DROP TABLE {}").format(tables))
    for (function,) in fetch(connection, _CODE_THERE, where):
        execute(connection, sql.SQL("DROP FUNCTION {}").format(sql.SQL(function)))
    for (name,) in fetch(connection, _TYPES_THERE, where):
        execute(connection, sql.SQL("DROP TYPE {}").format(sql.Identifier(schema, name)))


def _run_script(
    connection: PostgreSQLConnection, script: Iterator[bytes], progress: StepCallback | None
) -> dict[str, int]:
    """Run a script of `pg_restore`, and return how many rows each table got.

    Statements are collected, and sent together before the next rows, which are sent as they are.
    """
    rows: dict[str, int] = {}
    statements: list[bytes] = []
    done = 0
    for line in script:
        done += len(line)
        table = copied_table(line)
        if table is None:
            if not line.startswith((b"\\restrict ", b"\\unrestrict ")):  # commands of psql
                statements.append(line)
            continue
        _send(connection, b"".join(statements))
        statements = []
        rows[table] = 0
        with (
            storage_errors_alone(connection.dialect.to_storage_error),
            psycopg.Cursor(connection.driver_connection).copy(line) as copy,
        ):
            for row in script:
                if row == b"\\.\n":
                    break
                copy.write(row)
                rows[table] += 1
                done += len(row)
                if progress is not None:
                    progress(done, None)
    _send(connection, b"".join(statements))
    return rows


def _send(connection: PostgreSQLConnection, statements: bytes) -> None:
    """Run several statements at once.

    Raises:
        StorageError: one failed.
    """
    result = connection.driver_connection.pgconn.exec_(statements)
    if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY}:
        raise connection.to_storage_error(psycopg.errors.error_from_result(result))


def _content(connection: PostgreSQLConnection, settings: Settings, path: Path, rows: dict[str, int]) -> BackupContent:
    """Return what was restored.

    Raises:
        SchemaVersionError: a later release made the backup.
    """
    table = sql.Identifier(str(settings.schema), VERSION_TABLE)
    query = sql.SQL("SELECT version_num::text FROM {}").format(table)
    with storage_errors_alone(connection.dialect.to_storage_error):
        versions = [each for (each,) in connection.driver_connection.execute(query)]
    if len(versions) != 1:
        raise CorruptDataError(
            f"{path}: the version of the schema is missing; nothing was restored, use another backup"
        )
    if versions[0] not in REVISIONS:
        remedy = "the backup was made by a newer release; install that release or a later one"
        raise SchemaVersionError(versions[0], HEAD, remedy)
    del rows[VERSION_TABLE]
    return BackupContent(format=FORMAT, schema_version=versions[0], rows=dict(sorted(rows.items())))
