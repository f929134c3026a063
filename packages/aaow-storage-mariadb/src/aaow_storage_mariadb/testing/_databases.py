"""A database for each test, on the server that AAOW_TEST_MARIADB_URL names, or on a private one."""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pymysql

from aaow_storage import new_id
from aaow_storage_mariadb.testing._connections import connect, fetch, quoted
from aaow_storage_mariadb.testing._servers import private_server

URL_VARIABLE = "AAOW_TEST_MARIADB_URL"
"""The environment variable with the URL of the server to create databases on."""

_DROPPED_WITHIN_TRIES = 10
_LOCK_WAIT_S = 1
_LOCK_WAIT_TIMEOUT = 1205
_OWN_SESSIONS = "SELECT id FROM information_schema.processlist WHERE db = %s"
_NO_SUCH_SESSION = 1094
_lock = threading.Lock()
_databases: dict[tuple[int, str | None], "Databases"] = {}
"""By process, and by the URL of the server; None for the private one."""


class Databases:
    """Creates and drops databases on one server. It keeps its connection; a lost one is opened again."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._connection: pymysql.Connection[Any] | None = None

    @contextmanager
    def temporary(self) -> Iterator[str]:
        """Yield the URL of an empty database; it is dropped after the block, except in a forked process."""
        maker = os.getpid()
        name = f"aaow_test_{new_id()}"
        with self._lock:
            self._execute(f"CREATE DATABASE {quoted(name)}")
        try:
            yield urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        finally:
            if os.getpid() == maker:
                with self._lock:
                    self._drop(name)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None and self._connection.open:
                self._connection.close()

    def _drop(self, name: str) -> None:
        """End the sessions on a database, and drop it: an open transaction would keep it for ever."""
        for tries_left in reversed(range(_DROPPED_WITHIN_TRIES)):
            for (session,) in self._execute(_OWN_SESSIONS, name):
                self._end_session(session)
            try:
                self._execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
            except pymysql.err.OperationalError as error:
                if error.args[0] != _LOCK_WAIT_TIMEOUT or not tries_left:
                    raise
            else:
                return

    def _end_session(self, session: int) -> None:
        try:
            self._execute(f"KILL CONNECTION {session:d}")
        except pymysql.err.OperationalError as error:
            if error.args[0] != _NO_SUCH_SESSION:
                raise

    def _execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        if self._connection is None or not self._connection.open or not _answers(self._connection):
            self._connection = connect(self.server)
            fetch(self._connection, "SET SESSION lock_wait_timeout = %s", _LOCK_WAIT_S)
        return fetch(self._connection, statement, *values)


def _answers(connection: "pymysql.Connection[Any]") -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.Error:
        return False
    return True


@contextmanager
def temporary_database() -> Iterator[str]:
    """Yield the URL of an empty database; it is dropped after the block, except in a forked process.

    Without AAOW_TEST_MARIADB_URL, all databases of a process are on one private server, started on first use.

    Raises:
        NoMariaDBError: no server is named, and none is installed.
    """
    with _databases_on(os.environ.get(URL_VARIABLE) or None).temporary() as url:
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
