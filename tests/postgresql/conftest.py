"""Databases and servers for the tests of the PostgreSQL backend."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_postgresql.testing import NoPostgreSQLError, Server, private_server, temporary_database


def skip_or_fail(error: NoPostgreSQLError) -> None:
    """Skip where no server is installed; on CI that is a failure."""
    if "CI" in os.environ:
        raise error
    pytest.skip(str(error))


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database."""
    try:
        database = temporary_database()
        entered = database.__enter__()
    except NoPostgreSQLError as error:
        skip_or_fail(error)
    yield entered
    database.__exit__(None, None, None)


@pytest_asyncio.fixture
async def storage(url: str) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the database."""
    async with create_adapter("postgresql", url) as adapter:
        yield adapter


@pytest.fixture
def raw(url: str) -> Iterator[Callable[..., list[tuple]]]:
    """Run SQL on the database on another connection, past every rule."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:

        def run(statement: str, *values: object) -> list[tuple]:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, to be stopped and killed."""
    try:
        with private_server() as started:
            yield started
    except NoPostgreSQLError as error:
        skip_or_fail(error)
