"""A SQLite store below the adapter, for the tests of what SQL backends share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_sql import HEAD, SQLConnection
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import migrate_store


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[SQLConnection]:
    """A connection to an empty file, without a schema."""
    settings = Settings(Location(tmp_path / "store.db"), Synchronous.NORMAL, busy_timeout=5)
    opened = open_writer(settings)
    yield opened
    opened.driver_connection.close()


@pytest.fixture
def migrated(connection: SQLConnection) -> SQLConnection:
    """The connection, to a file that has the schema."""
    migrate_store(connection, HEAD, 5)
    return connection


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on a file."""
    async with create_adapter("sqlite", str(tmp_path / "store.db")) as adapter:
        yield adapter
