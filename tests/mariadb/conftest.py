"""Databases and servers for the tests of the MariaDB backend."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from types import ModuleType
from typing import Any

import pytest

from aaow_storage_mariadb._drivers.choice import problem_of
from aaow_storage_mariadb.testing import (
    Cluster,
    Server,
    private_cluster,
    private_server,
    skipped_where_missing,
    temporary_database,
)
from aaow_storage_mariadb.testing._connections import connect, fetch
from aaow_storage_sql.testing import NotInstalledError

MODULES = {"pymysql": "pymysql", "mysqlclient": "MySQLdb"}


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database."""
    with skipped_where_missing(), temporary_database() as database:
        yield database


@pytest.fixture(params=[*MODULES])
def driver(request: pytest.FixtureRequest) -> str:
    """The name of a driver: the test runs with each."""
    name: str = request.param
    with skipped_where_missing():
        if (problem := problem_of(name)) is not None:
            raise NotInstalledError(problem)
    return name


@pytest.fixture
def driver_module(driver: str) -> ModuleType:
    """The Python module of the driver."""
    return importlib.import_module(MODULES[driver])


@pytest.fixture
def requests(driver: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the connections of the driver send, a text for each request; without what asks for the store's version."""
    module = importlib.import_module(f"aaow_storage_mariadb._drivers.{driver}")
    (kind,) = (each for name, each in vars(module).items() if name in {"PyMySQLConnection", "MySQLClientConnection"})
    sent: list[str] = []
    send = kind.request

    def noting(self: Any, queries: Sequence[str]) -> Any:
        if not queries[0].startswith("SELECT version_num"):
            sent.append(";".join(queries))
        return send(self, queries)

    monkeypatch.setattr(kind, "request", noting)
    return sent


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
