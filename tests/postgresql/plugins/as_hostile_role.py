"""A pytest plugin that runs the conformance suite as a role with hostile session settings.

Each test runs once, with the first of its parameters; those of `ABOUT_VALUES` run with all, because settings change how
values and texts are read, written and ordered. The whole suite runs as an ordinary role elsewhere.

A test that begins with an open adapter gets a copy of a database that an adapter has migrated from nothing, as that
role. All others, such as those about `initialize`, get an empty database.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from aaow_storage import create_adapter
from aaow_storage_postgresql.testing import HOSTILE_ENVIRONMENT, hostile_url, private_server
from aaow_storage_postgresql.testing._databases import Databases

ROLE = "hostile"
ABOUT_VALUES = {"TestDifferential", "TestEndings", "TestNumbers", "TestQueries", "TestRecords", "TestSchemas"}


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The databases of a private server. It compiles no plans: with `enable_seqscan` off, most cost enough for it."""
    with private_server(settings={"jit": "off"}) as server, closing(Databases(server.url())) as made:
        yield made


@pytest.fixture(scope="session")
def migrated_database(databases: Databases) -> Iterator[str]:
    """The URL of a database with the schema, and without records, that the hostile role owns."""

    async def initialize(url: str) -> None:
        async with create_adapter("postgresql", url):
            pass

    with databases.temporary() as usual:
        url = hostile_url(databases.server, urlsplit(usual).path[1:])
        with hostile_environment():
            asyncio.run(initialize(url))
        yield url


class FixturesOfTests:
    """The fixtures in the place of the suite's."""

    @pytest.fixture
    def storage_url(self, request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
        """The URL of a database without records for the hostile role, in a process with hostile variables."""
        if "storage" in request.fixturenames:
            copied = request.getfixturevalue("migrated_database")
            with databases.temporary(copy_of=copied, owner=ROLE) as usual, hostile_environment():
                yield urlunsplit(urlsplit(copied)._replace(path=urlsplit(usual).path))
        else:
            with databases.temporary() as usual:
                url = hostile_url(databases.server, urlsplit(usual).path[1:])
                with hostile_environment():
                    yield url


@contextmanager
def hostile_environment() -> Iterator[None]:
    """Set the hostile environment variables inside the block."""
    with pytest.MonkeyPatch.context() as process:
        for variable, value in HOSTILE_ENVIRONMENT.items():
            process.setenv(variable, value)
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-as-hostile-role")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that differ from one before in their parameters alone, unless they are about values."""
    chosen, others, seen = [], [], set()
    for item in items:
        name, _, parameters = item.nodeid.partition("[")
        is_first = name not in seen or not parameters
        seen.add(name)
        (chosen if is_first or ABOUT_VALUES & set(name.split("::")) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a test whose store is not the hostile role's: its fixtures were not used."""
    store = getattr(item, "funcargs", {}).get("store")
    assert store is None or urlsplit(store.url).username == ROLE
