"""The plugin that the entry point `postgresql` names."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from aaow_storage import Backend, Capability
from aaow_storage.hookspecs import hookimpl
from aaow_storage_postgresql._executor import PostgreSQLExecutor
from aaow_storage_postgresql._settings import parse_settings
from aaow_storage_sql import VERSION_TABLE, SQLStorageAdapter

_CAPABILITIES = frozenset({Capability.STREAM_EVENTS, Capability.DURABLE})
_OPTIONS = {
    "schema": "the schema that holds the tables, made where it is missing (the first of the search path)",
    "pool_size": "how many connections an adapter holds at most, each with a thread (8)",
    "connect_timeout": "how many seconds to wait for the server to answer (10.0)",
    "acquire_timeout": "how many seconds an operation waits for one of the connections (30.0)",
    "statement_timeout": "how many seconds a statement may take, None for as long as the server lets it (30.0)",
    "pooler": "'transaction' where a pooler such as PgBouncer hands out a connection for each transaction (None)",
}


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the PostgreSQL backend."""
    return Backend(
        name="postgresql",
        summary="a PostgreSQL database, for any number of processes of any number of machines",
        create=create,
        options=_OPTIONS,
        capabilities=_CAPABILITIES,
        temporary_store=temporary_store,
        newer_schema=newer_schema,
    )


def create(
    url: str | None = None,
    *,
    schema: str | None = None,
    pool_size: int = 8,
    connect_timeout: float = 10.0,
    acquire_timeout: float = 30.0,
    statement_timeout: float | None = 30.0,
    pooler: str | None = None,
) -> SQLStorageAdapter:
    """Make an adapter of the database at a `postgresql://` URL; None takes libpq's environment variables.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    settings = parse_settings(
        url,
        schema=schema,
        pool_size=pool_size,
        connect_timeout=connect_timeout,
        acquire_timeout=acquire_timeout,
        statement_timeout=statement_timeout,
        pooler=pooler,
    )
    return SQLStorageAdapter(PostgreSQLExecutor(settings), _CAPABILITIES)


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database, on the server of AAOW_TEST_POSTGRESQL_URL or on one of this process's own.

    Where no server is named and none is installed, a test is skipped; with the variable CI it fails.
    """
    del folder
    from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database  # noqa: PLC0415 - for tests

    with skipped_where_missing(), temporary_database() as url:
        yield url


@contextmanager
def newer_schema(url: str, *, schema: str | None = None, **options: Any) -> Iterator[None]:
    """Hold the store in a database as one that a later release has migrated."""
    del options
    table = sql.Identifier(*([schema] if schema is not None else []), VERSION_TABLE)
    set_version = sql.SQL("UPDATE {} SET version_num = %s").format(table)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        ((version,),) = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchall()
        connection.execute(set_version, (f"after {version}",))
        try:
            yield
        finally:
            connection.execute(set_version, (version,))
