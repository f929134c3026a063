"""A pytest plugin that runs the conformance suite on a Galera cluster of three nodes.

All adapters use the first node; with `--cluster-nodes=apart`, their connections that only read use the second; with
`--cluster-nodes=random`, each adapter uses one of its own. Then what was stored on a node is read on another. A process
of pytest-xdist has a cluster of its own, so use few.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._server import MariaDBServer
from aaow_storage_mariadb.testing import Cluster, private_cluster
from aaow_storage_sql import Watchdog
from aaow_storage_sql._servers import open_store
from aaow_storage_sql._servers.worker_pool import WorkerPool


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
    """Let each adapter begin with a node of its own, or read on another node, if it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if nodes == "apart":
            patch.setattr(open_store, "WorkerPool", pool_apart)
        if nodes == "random":
            made = Hosts.__init__
            chosen = random.Random(0)

            def begin_with_any(self: Hosts, hosts: tuple[tuple[str, int], ...]) -> None:
                made(self, tuple(chosen.sample(hosts, len(hosts))))

            patch.setattr(Hosts, "__init__", begin_with_any)
        yield


def pool_apart(server: MariaDBServer, watchdog: Watchdog, role: str, *arguments: Any, **options: Any) -> WorkerPool:
    """Make a pool of threads; those that only read begin with the second node."""
    if role.endswith("reader"):
        first, *others = server.settings.location.hosts
        server = evolve(server, hosts=Hosts((*others, first)))
    return WorkerPool(server, watchdog, role, *arguments, **options)


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
        return {} if nodes == "first" else {"sync_wait": 1}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for which nodes are used."""
    parser.addoption(
        "--cluster-nodes", choices=["first", "apart", "random"], default="first", help="which nodes adapters use"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures after the suite's, since the last of a name is used."""
    config.pluginmanager.register(FixturesOfTests(), "fixtures-on-a-cluster")
