"""The plugin of the PostgreSQL backend, loaded by the entry point `postgresql`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaow_storage import Backend, Capability
from aaow_storage.hookspecs import hookimpl
from aaow_storage_postgresql._conninfo import conninfo_of
from aaow_storage_postgresql._executor import PostgreSQLExecutor
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import SQLStorageAdapter

if TYPE_CHECKING:
    from aaow_storage.authoring import StoreMaintenance

_CAPABILITIES = frozenset({Capability.STREAM_EVENTS, Capability.DURABLE, Capability.CHANGES, Capability.WRITERS_WAIT})
_DEFAULT = Settings("")
_OPTIONS = {
    "schema": "the schema of the tables, created if it is missing (the first of the search path)",
    "pool_size": f"the most connections of an adapter; each has a thread ({_DEFAULT.pool_size})",
    "connect_timeout": f"how many seconds to wait for the server to answer ({_DEFAULT.connect_timeout})",
    "acquire_timeout": f"how many seconds an operation waits for a free connection ({_DEFAULT.acquire_timeout})",
    "statement_timeout": f"how many seconds a statement may take, None for no limit ({_DEFAULT.statement_timeout})",
    "pooler": "'transaction' if a pooler such as PgBouncer assigns connections per transaction (None)",
    "changes": "whether the store records its changes; None leaves it as it is, and a new one does (None)",
}


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the PostgreSQL backend."""
    return Backend(
        name="postgresql",
        summary="a PostgreSQL database, shared by any number of processes and machines",
        create=create,
        options=_OPTIONS,
        capabilities=_CAPABILITIES,
        contract="1.1",
        temporary_store=temporary_store,
        newer_schema=newer_schema,
        maintenance=maintenance,
    )


def create(
    url: str | None = None,
    *,
    schema: str | None = _DEFAULT.schema,
    pool_size: int = _DEFAULT.pool_size,
    connect_timeout: float = _DEFAULT.connect_timeout,
    acquire_timeout: float = _DEFAULT.acquire_timeout,
    statement_timeout: float | None = _DEFAULT.statement_timeout,
    pooler: str | None = _DEFAULT.pooler,
    changes: bool | None = _DEFAULT.changes,
) -> SQLStorageAdapter:
    """Make an adapter of the database at a `postgresql://` URL; without a URL, libpq's environment variables name it.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    settings = Settings(
        conninfo_of(url),
        schema=schema,
        pool_size=pool_size,
        connect_timeout=connect_timeout,
        acquire_timeout=acquire_timeout,
        statement_timeout=statement_timeout,
        pooler=pooler,
        changes=changes,
    )
    return adapter_of(settings)


def maintenance(url: str | None = None, **options: Any) -> "StoreMaintenance":
    """Return the maintenance of the store at a URL, with the options of `create`.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    from aaow_storage_postgresql._maintenance import PostgreSQLMaintenance  # noqa: PLC0415 - for tools alone

    return PostgreSQLMaintenance(Settings(conninfo_of(url), **options))


def adapter_of(settings: Settings) -> SQLStorageAdapter:
    """Make an adapter with these settings."""
    return SQLStorageAdapter(PostgreSQLExecutor(settings), _CAPABILITIES)


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database, on the server of AAOW_TEST_POSTGRESQL_URL or on a private server.

    If no server is named and none is installed, the test is skipped; with the environment variable CI it fails.
    """
    del folder
    from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database  # noqa: PLC0415 - for tests

    with skipped_where_missing(), temporary_database() as url:
        yield url


@contextmanager
def newer_schema(url: str, **options: Any) -> Iterator[None]:
    """Mark the store as migrated by a later release, for as long as the block lasts."""
    import sqlalchemy as sa  # noqa: PLC0415 - for tests

    from aaow_storage_postgresql._connect import connect  # noqa: PLC0415 - for tests
    from aaow_storage_sql import VERSION_TABLE  # noqa: PLC0415 - for tests

    versions = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
    set_version = sa.update(versions).values(version_num=sa.bindparam("version"))
    # Connected as the store is, since a role may end an idle session before its first statement.
    with closing(connect(Settings(conninfo_of(url), **options))) as connection:
        ((version,),) = connection.rows(sa.select(versions))
        connection.run(set_version, {"version": f"after {version}"})
        try:
            yield
        finally:
            connection.run(set_version, {"version": version})
