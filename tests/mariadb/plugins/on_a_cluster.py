"""A pytest plugin that runs the conformance suite on a Galera cluster of three nodes.

All adapters use the first node, or with `--cluster-nodes=random` each one of its own: then what one of them has stored
is read by others elsewhere. A process of pytest-xdist has a cluster of its own, so use few.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb.testing import Cluster, private_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster."""
    with private_cluster() as started:
        yield started


@pytest.fixture(scope="session")
def nodes(request: pytest.FixtureRequest) -> str:
    """Which nodes the adapters use."""
    return request.config.getoption("--cluster-nodes")


@pytest.fixture(scope="session", autouse=True)
def chosen_nodes(nodes: str) -> Iterator[None]:
    """Let each adapter begin with a node of its own, if it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if nodes == "random":
            made = Hosts.__init__
            chosen = random.Random(0)

            def begin_with_any(self: Hosts, hosts: tuple[tuple[str, int], ...]) -> None:
                made(self, tuple(chosen.sample(hosts, len(hosts))))

            patch.setattr(Hosts, "__init__", begin_with_any)
        yield


class FixturesOfTests:
    """The fixtures in the place of the suite's."""

    @pytest.fixture
    def storage_url(self, cluster: Cluster) -> Iterator[str]:
        """The URL of an empty database, on all nodes."""
        with cluster.temporary_database() as url:
            yield url

    @pytest.fixture
    def storage_options(self, nodes: str) -> dict[str, Any]:
        """The options with which a read on a node sees what was committed on others."""
        return {"sync_wait": 1} if nodes == "random" else {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for which nodes are used."""
    parser.addoption("--cluster-nodes", choices=["first", "random"], default="first", help="which nodes adapters use")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-on-a-cluster")
