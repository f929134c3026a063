"""A SQLite store below the adapter, for the tests of what SQL backends share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aaow_storage_sql import SQLConnection
from aaow_storage_sqlite._connections import Settings, Synchronous, open_writer
from aaow_storage_sqlite._location import Location


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[SQLConnection]:
    """A connection to an empty file, without a schema."""
    settings = Settings(Location(tmp_path / "store.db"), Synchronous.NORMAL, busy_timeout=5)
    opened = open_writer(settings)
    yield opened
    opened.driver_connection.close()
