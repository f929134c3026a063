"""Looking at a store in PostgreSQL: its sizes, its durability, and what the server can check. Nothing is changed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from attrs import evolve
from psycopg import sql

from aaow_storage.authoring import Durability, MaintenanceFinding, StoreSizes, TableSize, storage_errors_alone
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._search_path import resolve_schema
from aaow_storage_postgresql._session_settings import milliseconds
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import version
from aaow_storage_sql import HEAD, VERSION_TABLE, Opening, metadata, open_connection

TABLES = sorted({*metadata.tables, VERSION_TABLE})
_TABLES = """
    SELECT c.relname::text FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY (%(tables)s::text[])
"""
_SIZES = """
    SELECT c.relname::text, pg_table_size(c.oid)::bigint, pg_indexes_size(c.oid)::bigint
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relkind = 'r' AND c.relname = ANY (%(tables)s::text[])
"""
_SETTINGS = """
    SELECT name::text, setting::text FROM pg_catalog.pg_settings
    WHERE name IN ('synchronous_commit', 'synchronous_standby_names', 'fsync', 'full_page_writes', 'data_checksums',
                   'server_version', 'wal_level')
"""
_INVALID_INDEXES = """
    SELECT i.relname::text, t.relname::text
    FROM pg_catalog.pg_index AS x
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = %(schema)s AND t.relname = ANY (%(tables)s::text[]) AND NOT x.indisvalid
"""
_INDEXES = """
    SELECT i.oid::bigint, i.relname::text, t.relname::text
    FROM pg_catalog.pg_index AS x
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_am AS a ON a.oid = i.relam
    JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = %(schema)s AND t.relname = ANY (%(tables)s::text[]) AND x.indisvalid AND a.amname = 'btree'
"""
_CHECKSUMS = """
    SELECT coalesce(checksum_failures, 0)::bigint FROM pg_catalog.pg_stat_database WHERE datname = current_database()
"""
_CHECKER = """
    SELECT n.nspname::text FROM pg_catalog.pg_extension AS e
    JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_RESTORE = "restore a backup that was verified, or copy what can be read with `aaow-storage copy`"


@contextmanager
def opened(settings: Settings, opening: Opening) -> Iterator[tuple[PostgreSQLConnection, Settings]]:
    """Yield a connection without a limit of time, and the settings with the schema that holds the store."""
    settings = evolve(settings, statement_timeout=None)
    with open_connection(lambda: connect(settings), opening) as connection:
        settings = resolve_schema(settings, connection)
        connection.use_settings(settings)
        if settings.has_own_sessions:
            connection.command("SET statement_timeout = 0")
            connection.command(f"SET lock_timeout = {milliseconds(settings.acquire_timeout)}")
        yield connection, settings


def fetch(
    connection: PostgreSQLConnection, query: str | sql.Composed, values: Mapping[str, Any] | None = None
) -> list[Any]:
    """Return the rows of a query."""
    with storage_errors_alone(connection.dialect.to_storage_error):
        rows: list[Any] = connection.driver_connection.execute(query, values).fetchall()
    return rows


def execute(connection: PostgreSQLConnection, statement: sql.Composed) -> None:
    """Run a statement that returns no rows."""
    with storage_errors_alone(connection.dialect.to_storage_error):
        connection.driver_connection.execute(statement)


def tables_of(connection: PostgreSQLConnection, settings: Settings) -> list[str]:
    """Return the tables of the schema whose names are those of ours, sorted."""
    return sorted(name for (name,) in fetch(connection, _TABLES, of_store(settings)))


def of_store(settings: Settings) -> dict[str, Any]:
    """Return the parameters of the queries about the tables of a store."""
    return {"schema": settings.schema, "tables": TABLES}


def sizes_of(connection: PostgreSQLConnection, settings: Settings) -> StoreSizes:
    """Return the sizes of the tables, with what is stored out of line."""
    rows = fetch(connection, _SIZES, of_store(settings))
    tables = [TableSize(name=name, table_bytes=size, index_bytes=indexes) for name, size, indexes in rows]
    tables.sort(key=lambda each: (-each.table_bytes - each.index_bytes, each.name))
    return StoreSizes(total_bytes=sum(each.table_bytes + each.index_bytes for each in tables), tables=tuple(tables))


def durability_of(connection: PostgreSQLConnection, settings: Settings) -> Durability:
    """Return what decides whether a commit survives, and warnings."""
    told: dict[str, str] = dict(sorted(fetch(connection, _SETTINGS)))
    found = version(connection, settings)
    warnings = []
    if told.get("fsync") == "off":
        warnings.append("fsync is off: a crash of the machine may lose all; switch it on")
    if told.get("full_page_writes") == "off":
        warnings.append("full_page_writes is off: a crash of the machine may leave torn pages; switch it on")
    if told.get("synchronous_commit") == "off":
        warnings.append("synchronous_commit is off: a crash of the server loses the last commits; switch it on")
    if not told.get("synchronous_standby_names") or told.get("synchronous_commit") in {"off", "local"}:
        warnings.append(
            "no synchronous standby confirms commits: a failover may lose the last ones; set synchronous_standby_names"
        )
    if found != HEAD:
        warnings.append(f"the schema is {found or 'missing'}, and this release needs {HEAD}: see `migrate status`")
    return Durability(settings=told, warnings=tuple(warnings))


def check_store(connection: PostgreSQLConnection, settings: Settings) -> tuple[MaintenanceFinding, ...]:
    """Return what the server finds wrong; with its extension `amcheck`, it compares every index with its table."""
    where = settings.place
    findings = [
        MaintenanceFinding(
            problem="the index is invalid: its creation was interrupted",
            place=f"{where}, index {index} of {table}",
            remedy="open the store with initialize(), which builds it again",
        )
        for index, table in fetch(connection, _INVALID_INDEXES, of_store(settings))
    ]
    for (failures,) in fetch(connection, _CHECKSUMS):
        if failures:
            problem = f"{failures} pages of the database had a wrong checksum when they were read"
            findings.append(MaintenanceFinding(problem=problem, place=where, remedy=_RESTORE))
    for table in tables_of(connection, settings):
        findings += _read_all(connection, settings, table)
    for (extension,) in fetch(connection, _CHECKER):
        findings += _check_indexes(connection, settings, extension)
    return tuple(findings)


def _read_all(connection: PostgreSQLConnection, settings: Settings, table: str) -> Iterator[MaintenanceFinding]:
    """Read every page of a table, and compute something of every row."""
    text = sql.SQL("SELECT count(*), max(length(t::text)) FROM {} AS t")
    query = text.format(sql.Identifier(settings.schema or "public", table))
    try:
        connection.driver_connection.execute(query)
    except (psycopg.errors.InternalError, psycopg.errors.DataError, psycopg.errors.SystemError) as error:
        problem = " ".join(str(error).split())
        yield MaintenanceFinding(problem=problem, place=f"{settings.place}, table {table}", remedy=_RESTORE)
    except psycopg.Error as error:
        raise connection.to_storage_error(error) from error


def _check_indexes(connection: PostgreSQLConnection, settings: Settings, schema: str) -> Iterator[MaintenanceFinding]:
    check = sql.SQL("SELECT {}(index => %s::oid::regclass, heapallindexed => true)")
    query = check.format(sql.Identifier(schema, "bt_index_check"))
    for oid, index, table in fetch(connection, _INDEXES, of_store(settings)):
        try:
            connection.driver_connection.execute(query, (oid,))
        except psycopg.errors.InsufficientPrivilege:
            return
        except (psycopg.errors.InternalError, psycopg.errors.DataError) as error:
            place = f"{settings.place}, index {index} of {table}"
            problem = " ".join(str(error).split())
            yield MaintenanceFinding(problem=problem, place=place, remedy=f"REINDEX INDEX {index}, then check again")
        except psycopg.Error as error:
            raise connection.to_storage_error(error) from error
