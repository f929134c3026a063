"""A database for each test, on the server that AAOW_TEST_POSTGRESQL_URL names, or on a private one."""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from aaow_storage import new_id
from aaow_storage_postgresql.testing._servers import private_server

URL_VARIABLE = "AAOW_TEST_POSTGRESQL_URL"
"""The environment variable with the URL of the server to create databases on."""

_VERSION_15 = 15_00_00
_NOTHING = sql.SQL("")
_COPY_FILES = sql.SQL(" STRATEGY file_copy")
"""Copy the files of a database as they are, and log no page: half as much work, if they are in memory."""
_lock = threading.Lock()
_databases: dict[tuple[int, str | None], "Databases"] = {}
"""By process, and by the URL of the server; None for the private one."""


class Databases:
    """Creates and drops databases on one server.

    It keeps its connection: the server spends more on a new one than on the database. A lost one is opened again.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def temporary(self, *, copy_of: str | None = None, owner: str | None = None) -> Iterator[str]:
        """Yield the URL of an empty database, or of a copy of the database at a URL, which no session may be on.

        It is dropped after the block, except in a forked process.
        """
        maker = os.getpid()
        name = f"aaow_test_{new_id()}"
        template = "template0" if copy_of is None else urlsplit(copy_of).path[1:]
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'").format(
            *map(sql.Identifier, (name, template))
        )
        if owner is not None:
            create = sql.SQL("{} OWNER {}").format(create, sql.Identifier(owner))
        self._execute(create, _COPY_FILES)
        try:
            yield urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        finally:
            if os.getpid() == maker:
                self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _execute(self, statement: sql.Composed, since_15: sql.SQL = _NOTHING) -> None:
        """Execute a statement, with another part at its end if the server is PostgreSQL 15 or later."""
        with self._lock:
            if self._connection is not None and not self._connection.closed:
                try:
                    _execute_on(self._connection, statement, since_15)
                except psycopg.OperationalError:
                    if not self._connection.closed:
                        raise
                else:
                    return
            self._connection = psycopg.connect(self.server, autocommit=True)
            _execute_on(self._connection, statement, since_15)


def _execute_on(connection: psycopg.Connection[Any], statement: sql.Composed, since_15: sql.SQL) -> None:
    connection.execute(statement + since_15 if connection.info.server_version >= _VERSION_15 else statement)


@contextmanager
def temporary_database(*, copy_of: str | None = None) -> Iterator[str]:
    """Yield the URL of an empty database; it is dropped after the block, except in a forked process.

    Without AAOW_TEST_POSTGRESQL_URL, all databases of a process are on one private server, started on first use.

    Args:
        copy_of: the URL of another such database, which is copied. No session may be on it.

    Raises:
        NoPostgreSQLError: no server is named, and none is installed.
    """
    with _databases_on(os.environ.get(URL_VARIABLE) or None).temporary(copy_of=copy_of) as url:
        yield url


def _databases_on(server: str | None) -> Databases:
    """Return the databases of a server, or of the private server, for this process."""
    place = (os.getpid(), server)
    with _lock:
        if place not in _databases:
            stack = ExitStack()
            atexit.register(_close, os.getpid(), stack)
            made = Databases(stack.enter_context(private_server()).url() if server is None else server)
            stack.callback(made.close)
            _databases[place] = made
        return _databases[place]


def _close(process: int, stack: ExitStack) -> None:
    if os.getpid() == process:
        stack.close()
