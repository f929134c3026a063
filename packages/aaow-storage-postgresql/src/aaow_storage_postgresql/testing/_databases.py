"""A database for each test, on the server that AAOW_TEST_POSTGRESQL_URL names, or on a private one."""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from aaow_storage import new_id
from aaow_storage_postgresql.testing._servers import private_server

URL_VARIABLE = "AAOW_TEST_POSTGRESQL_URL"
"""The environment variable with the URL of the server to create databases on."""

_lock = threading.Lock()
_servers: dict[int, str] = {}


@contextmanager
def temporary_database() -> Iterator[str]:
    """Yield the URL of an empty database; it is dropped after the block, except in a forked process.

    Without AAOW_TEST_POSTGRESQL_URL, all databases of a process are on one private server, started on first use.

    Raises:
        NoPostgreSQLError: no server is named, and none is installed.
    """
    maker = os.getpid()
    server = os.environ.get(URL_VARIABLE) or _own_server()
    name = f"aaow_test_{new_id()}"
    _execute(server, sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        if os.getpid() == maker:
            _execute(server, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _own_server() -> str:
    with _lock:
        url = _servers.get(os.getpid())
        if url is None:
            stack = ExitStack()
            atexit.register(_close, os.getpid(), stack)
            url = _servers[os.getpid()] = stack.enter_context(private_server()).url()
        return url


def _close(process: int, stack: ExitStack) -> None:
    if os.getpid() == process:
        stack.close()


def _execute(server: str, statement: sql.Composed) -> None:
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(statement)
