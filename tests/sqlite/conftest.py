"""A store in a file, and a look at it past the adapter."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is, or is to be."""
    return tmp_path / "store.db"


@pytest_asyncio.fixture
async def storage(path: Path) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the file."""
    async with create_adapter("sqlite", str(path)) as adapter:
        yield adapter


@pytest.fixture
def raw(path: Path) -> Iterator[Callable[..., list[tuple]]]:
    """Run SQL on the file on another connection, past every rule."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield lambda sql, *values: connection.execute(sql, values).fetchall()
    connection.close()
