"""A pytest plugin that runs the conformance suite as a role with hostile session settings."""

from collections.abc import Iterator

import pytest

from aaow_storage import new_id
from aaow_storage_postgresql.testing import HOSTILE_ENVIRONMENT, Server, hostile_url, private_server


@pytest.fixture(scope="session")
def hostile_server() -> Iterator[Server]:
    """A private server."""
    with private_server() as server:
        yield server


@pytest.fixture
def storage_url(hostile_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database for the hostile role, in a process with hostile environment variables."""
    name = f"aaow_test_{new_id()}"
    hostile_server.create_database(name)
    url = hostile_url(hostile_server.url(), name)
    with monkeypatch.context() as process:
        for variable, value in HOSTILE_ENVIRONMENT.items():
            process.setenv(variable, value)
        yield url
    hostile_server.drop_database(name)
