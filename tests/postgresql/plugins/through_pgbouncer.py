"""A pytest plugin that runs the conformance suite on PostgreSQL through PgBouncer in transaction mode."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from aaow_storage_postgresql.testing import pgbouncer_of, private_server
from aaow_storage_postgresql.testing._databases import Databases


@pytest.fixture(scope="session")
def pooled() -> Iterator[tuple[Databases, str]]:
    """The databases of a server, and the URL of its pooler."""
    with private_server() as server, closing(Databases(server.url())) as databases, pgbouncer_of(server) as url:
        yield databases, url


class FixturesOfTests:
    """The fixtures in the place of the suite's."""

    @pytest.fixture
    def storage_url(self, pooled: tuple[Databases, str]) -> Iterator[str]:
        """The URL of an empty database, through the pooler."""
        databases, url = pooled
        with databases.temporary() as unpooled:
            yield urlunsplit(urlsplit(url)._replace(path=urlsplit(unpooled).path))

    @pytest.fixture
    def storage_options(self) -> dict[str, Any]:
        """The options for a pooler."""
        return {"pooler": "transaction"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-through-pgbouncer")
