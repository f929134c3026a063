"""Whether writers wait depends on the server: on a cluster, one of another node goes first."""

import pytest

from aaow_storage import Capability, create_adapter
from aaow_storage_mariadb.testing import Cluster

pytestmark = pytest.mark.asyncio


async def test_an_adapter_of_one_server_claims_that_writers_wait(url: str):
    storage = create_adapter("mariadb", url)
    assert Capability.WRITERS_WAIT in storage.capabilities
    async with storage:
        assert Capability.WRITERS_WAIT in storage.capabilities


async def test_an_adapter_of_several_hosts_does_not_claim_that_writers_wait():
    storage = create_adapter("mariadb", "mariadb://user@one,other/database")
    assert Capability.WRITERS_WAIT not in storage.capabilities


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.xdist_group("mariadb cluster")
async def test_an_adapter_of_a_node_finds_out_that_it_is_of_a_cluster(cluster: Cluster):
    with cluster.temporary_database() as url:
        database = url.rpartition("/")[2]
        async with create_adapter("mariadb", cluster.nodes[0].url(database)) as storage:
            assert Capability.WRITERS_WAIT not in storage.capabilities
