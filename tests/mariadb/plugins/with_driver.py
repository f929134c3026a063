"""A pytest plugin that runs the conformance suite with the Python driver that `--mariadb-driver` names."""

from typing import Any

import pytest


class FixturesOfTests:
    """The fixture in the place of the suite's."""

    @pytest.fixture
    def storage_options(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        """The option of every adapter."""
        return {"driver": request.config.getoption("--mariadb-driver")}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the driver."""
    parser.addoption("--mariadb-driver", default="mysqlclient", help="which driver the adapters use")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-with-a-driver")
