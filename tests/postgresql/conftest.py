"""Databases and servers for the tests of the PostgreSQL backend."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_postgresql.testing import Server, private_server, skipped_where_missing, temporary_database


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database."""
    with skipped_where_missing(), temporary_database() as database:
        yield database


@pytest_asyncio.fixture
async def storage(url: str) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the database."""
    async with create_adapter("postgresql", url) as adapter:
        yield adapter


@pytest.fixture
def raw(url: str) -> Iterator[Callable[..., list[tuple]]]:
    """Run SQL on another connection, without the adapter."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:

        def run(statement: str, *values: object) -> list[tuple]:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def server() -> Iterator[Server]:
    """A private server, which the test may stop and kill."""
    with skipped_where_missing(), private_server() as started:
        yield started
