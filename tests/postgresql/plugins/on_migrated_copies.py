"""A pytest plugin that runs the conformance suite on PostgreSQL with fewer migrations.

A test that begins with an open adapter gets a copy of a database that an adapter has migrated from nothing; most get
that of the test before, emptied. All others, such as those about `initialize`, get an empty database.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from aaow_storage import create_adapter
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_postgresql.testing._copies import Copies


@pytest.fixture(scope="session")
def migrated_copies() -> Iterator[Copies]:
    """Copies of a database with the schema, and without records."""

    async def initialize(url: str) -> None:
        async with create_adapter("postgresql", url):
            pass

    with skipped_where_missing(), temporary_database() as url:
        asyncio.run(initialize(url))
        with closing(Copies(url)) as copies:
            yield copies


class FixturesOfTests:
    """The fixtures in the place of the suite's."""

    @pytest.fixture
    def storage_url(self, request: pytest.FixtureRequest) -> Iterator[str]:
        """The URL of a database without records for the test."""
        if "storage" in request.fixturenames:
            copies: Copies = request.getfixturevalue("migrated_copies")
            with copies.one() as url:
                yield url
        else:
            with skipped_where_missing(), temporary_database() as url:
                yield url


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-on-migrated-copies")
