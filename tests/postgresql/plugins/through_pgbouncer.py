"""A pytest plugin that runs the conformance suite on PostgreSQL through PgBouncer in transaction mode."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from aaow_storage import new_id
from aaow_storage_postgresql.testing import Server, pgbouncer_of, private_server


@pytest.fixture(scope="session")
def pooled() -> Iterator[tuple[Server, str]]:
    """A server, and the URL of its pooler."""
    with ExitStack() as stack:
        server = stack.enter_context(private_server())
        yield server, stack.enter_context(pgbouncer_of(server))


class FixturesOfTests:
    """The fixtures in the place of the suite's."""

    @pytest.fixture
    def storage_url(self, pooled: tuple[Server, str]) -> Iterator[str]:
        """The URL of an empty database, through the pooler."""
        server, url = pooled
        name = f"aaow_test_{new_id()}"
        server.create_database(name)
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        server.drop_database(name)

    @pytest.fixture
    def storage_options(self) -> dict[str, Any]:
        """The options for a pooler."""
        return {"pooler": "transaction"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-through-pgbouncer")
