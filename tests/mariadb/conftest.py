"""Databases and servers for the tests of the MariaDB backend."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from aaow_storage_mariadb.testing import (
    Cluster,
    Server,
    private_cluster,
    private_server,
    skipped_where_missing,
    temporary_database,
)
from aaow_storage_mariadb.testing._connections import connect, fetch


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database."""
    with skipped_where_missing(), temporary_database() as database:
        yield database


@pytest.fixture
def raw(url: str) -> Iterator[Callable[..., list[tuple]]]:
    """Run SQL on another connection, without the adapter."""
    with closing(connect(url)) as connection:
        yield lambda statement, *values: fetch(connection, statement, *values)


@pytest.fixture
def server() -> Iterator[Server]:
    """A private server, which the test may stop and kill."""
    with skipped_where_missing(), private_server() as started:
        yield started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Galera cluster; tests heal it by the end of `temporary_database`.

    Each process has its own, so tests that use it are of one `xdist_group`, "mariadb cluster": a run with several
    processes needs `--dist=loadgroup` for that.
    """
    with skipped_where_missing(), private_cluster() as started:
        yield started
