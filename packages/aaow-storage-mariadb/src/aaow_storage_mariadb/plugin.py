"""The plugin of the MariaDB backend, loaded by the entry point `mariadb`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaow_storage import Backend, Capability
from aaow_storage.hookspecs import hookimpl
from aaow_storage_mariadb._drivers.choice import DEFAULT_DRIVER, driver_named
from aaow_storage_mariadb._executor import MariaDBExecutor
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import SQLStorageAdapter

if TYPE_CHECKING:
    from aaow_storage.authoring import StoreMaintenance

_CAPABILITIES = frozenset({Capability.STREAM_EVENTS, Capability.DURABLE, Capability.CHANGES, Capability.WRITERS_WAIT})
_OPTIONS = {
    "pool_size": f"the most connections of an adapter; each has a thread ({Settings.default_pool_size})",
    "connect_timeout": "how many seconds to wait for a server to answer (10.0)",
    "acquire_timeout": "how many seconds an operation waits for a free connection (30.0)",
    "statement_timeout": "how many seconds a statement may take, None for no limit (30.0)",
    "sync_wait": "wsrep_sync_wait: 1 if reads see what was committed on other nodes of a Galera cluster (None)",
    "driver": "the Python driver: pymysql, or mysqlclient, which aaow-storage-mariadb[mysqlclient] installs (pymysql)",
    "changes": "whether the store records its changes; None leaves it as it is, and a new one does (None)",
}


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the MariaDB backend."""
    return Backend(
        name="mariadb",
        summary="a MariaDB database, or a Galera cluster, shared by any number of processes and machines",
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
    pool_size: int = Settings.default_pool_size,
    connect_timeout: float = 10.0,
    acquire_timeout: float = 30.0,
    statement_timeout: float | None = 30.0,
    sync_wait: int | None = None,
    driver: str = DEFAULT_DRIVER,
    changes: bool | None = None,
) -> SQLStorageAdapter:
    """Make an adapter of the database at a `mariadb://` URL; without a URL, MARIADB_URL names it.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    settings = Settings(
        location=location_of(url),
        pool_size=pool_size,
        connect_timeout=connect_timeout,
        acquire_timeout=acquire_timeout,
        statement_timeout=statement_timeout,
        sync_wait=sync_wait,
        driver=driver,
        changes=changes,
    )
    return adapter_of(settings)


def maintenance(url: str | None = None, **options: Any) -> "StoreMaintenance":
    """Return the maintenance of the store at a URL, with the options of `create`.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    from aaow_storage_mariadb._maintenance import MariaDBMaintenance  # noqa: PLC0415 - for tools alone

    return MariaDBMaintenance(Settings(location=location_of(url), **options))


def adapter_of(settings: Settings) -> SQLStorageAdapter:
    """Make an adapter with these settings."""
    return SQLStorageAdapter(MariaDBExecutor(settings), _CAPABILITIES)


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database, on the server of AAOW_TEST_MARIADB_URL or on a private server.

    If no server is named and none is installed, the test is skipped; with the environment variable CI it fails.
    """
    del folder
    from aaow_storage_mariadb.testing import skipped_where_missing, temporary_database  # noqa: PLC0415 - for tests

    with skipped_where_missing(), temporary_database() as url:
        yield url


@contextmanager
def newer_schema(url: str, **options: Any) -> Iterator[None]:
    """Mark the store as migrated by a later release, for as long as the block lasts."""
    from aaow_storage_mariadb._literals import literal  # noqa: PLC0415 - for tests
    from aaow_storage_sql import VERSION_TABLE  # noqa: PLC0415 - for tests

    location = location_of(url)
    driver = driver_named(options.get("driver", DEFAULT_DRIVER))

    def run(query: str) -> Any:
        # A connection before and one after: the server may end one that is idle during the block.
        with closing(driver.log_in(location, location.hosts[0], 10)) as connection:
            return connection.request([query]).fetchone()

    def set_version(version: str) -> None:
        run(f"UPDATE {VERSION_TABLE} SET version_num = {literal(version)}")  # noqa: S608 - a name of ours

    (version,) = run(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a name of ours
    set_version(f"after {version}")
    try:
        yield
    finally:
        set_version(version)
