"""Clusters for tests: what is done to their nodes, and that they heal."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from aaow_storage_mariadb.testing import Cluster, NodeState
from aaow_storage_mariadb.testing._connections import connect, fetch

pytestmark = [pytest.mark.cluster, pytest.mark.slow(seconds=25)]
WHOLE = NodeState(is_ready=True, state="Synced", size=3)


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """The name of an empty table on all nodes."""
    with cluster.temporary_database() as url:
        name = f"`{url.rpartition('/')[2]}`.mine"
        cluster.nodes[0].execute(f"CREATE TABLE {name} (number integer PRIMARY KEY)")
        yield name


def rows(cluster: Cluster, node: int, statement: str) -> list[tuple]:
    with closing(connect(cluster.nodes[node].url())) as connection:
        fetch(connection, "SET SESSION wsrep_sync_wait = 7")
        return fetch(connection, statement)


def test_what_one_node_took_is_on_all_of_them(cluster: Cluster, table: str):
    for node in range(3):
        rows(cluster, node, f"INSERT INTO {table} VALUES ({node})")
    for node in range(3):
        assert rows(cluster, node, f"SELECT number FROM {table} ORDER BY number") == [(0,), (1,), (2,)]


def test_a_node_without_the_others_is_not_ready_and_joins_them_again(cluster: Cluster, table: str):
    first, second, third = cluster.nodes
    with first.cut_off():
        assert first.wait_until(lambda state: not state.is_ready).size == 1
        assert second.wait_until(lambda state: state.size == 2).is_ready
        rows(cluster, 1, f"INSERT INTO {table} VALUES (1)")
    cluster.heal()
    second.kill()
    first.kill()
    assert second.state() == NodeState()
    assert not third.wait_until(lambda state: not state.is_ready).is_ready
    cluster.heal()
    assert [node.state() for node in cluster.nodes] == [WHOLE, WHOLE, WHOLE]
    assert rows(cluster, 0, f"SELECT * FROM {table}") == [(1,)]


def test_a_cluster_that_was_stopped_node_by_node_starts_with_the_last_one(cluster: Cluster, table: str):
    rows(cluster, 0, f"INSERT INTO {table} VALUES (1)")
    for node in cluster.nodes:
        node.stop()
    cluster.heal()
    assert rows(cluster, 1, f"SELECT * FROM {table}") == [(1,)]
