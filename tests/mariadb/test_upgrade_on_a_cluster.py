"""Making the schema of a store on a Galera cluster, on which locks of one node are not those of another."""

import threading
from contextlib import closing

import pytest

from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._server import MariaDBServer
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb.testing import Cluster
from aaow_storage_sql import HEAD, Opening, RowLease, metadata, stored_version, upgrade_in_steps

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow(seconds=30),
    pytest.mark.xdist_group("mariadb cluster"),
]
TIMES = 5


def connected(cluster: Cluster, database: str, node: int) -> MariaDBConnection:
    url = cluster.url(database, first=node)
    return MariaDBServer(Settings(location=location_of(url), sync_wait=1)).connect()


def test_stores_that_three_nodes_make_at_once_are_complete(cluster: Cluster):
    for _ in range(TIMES):
        with cluster.temporary_database() as url:
            database = url.rpartition("/")[2]
            failures: list[BaseException] = []

            def initialize(node: int, database: str = database, failures: list[BaseException] = failures) -> None:
                try:
                    with closing(connected(cluster, database, node)) as connection:
                        upgrade_in_steps(connection, Opening(), migrate=True)
                except BaseException as error:  # noqa: BLE001 - looked at below
                    failures.append(error)

            threads = [threading.Thread(target=initialize, args=(number % 3,)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            for node in range(3):
                with closing(connected(cluster, database, node)) as connection:
                    assert stored_version(connection) == HEAD
                    assert connection.command("SELECT COUNT(*) FROM change_feed") == (1,)
                    for name in metadata.tables:
                        assert connection.command(f"SELECT COUNT(*) FROM {name}") is not None


def test_one_of_several_that_take_the_lock_on_three_nodes_has_it(cluster: Cluster):
    with cluster.temporary_database() as url:
        database = url.rpartition("/")[2]
        with closing(connected(cluster, database, 0)) as connection:
            lease = RowLease(connection)
            assert lease.take()
            lease.release()
        for _ in range(TIMES):
            held: list[RowLease] = []
            connections = [connected(cluster, database, number % 3) for number in range(6)]

            def take(connection: MariaDBConnection, held: list[RowLease] = held) -> None:
                lease = RowLease(connection)
                if lease.take():
                    held.append(lease)

            threads = [threading.Thread(target=take, args=(each,)) for each in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(held) <= 1  # none, if all conflicted: then each tries again
            for each in held:
                each.release()
            for connection in connections:
                connection.close()
