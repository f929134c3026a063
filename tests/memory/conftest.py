"""A store that this process shares under a name."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_memory.plugin import temporary_store


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    with temporary_store(tmp_path) as url:
        yield url


@pytest_asyncio.fixture
async def storage(url: str) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the store."""
    async with create_adapter(url) as adapter:
        yield adapter
