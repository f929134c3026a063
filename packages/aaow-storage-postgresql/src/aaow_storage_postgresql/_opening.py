"""Connections for as long as a store is being opened: a cancellation ends what they wait for."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from aaow_storage_postgresql._connection import PostgreSQLConnection, connect
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Opening

_ASKED_FOR_S = 1.0


@contextmanager
def open_connection(
    settings: Settings, opening: Opening, watchdog: Watchdog | None = None
) -> Iterator[PostgreSQLConnection]:
    """Hold a connection that is closed at the end of the block, and fails when the opening is cancelled.

    The watch ends its waits for a server that does not answer.

    Raises:
        StorageError: the server does not answer, or is none to be used.
        asyncio.CancelledError: the opening was cancelled; a connection that comes later is closed.
    """
    # libpq cannot be interrupted while it looks up a host's address and connects.
    connection = opening.run_in_thread(lambda: connect(settings, watchdog), _close, "aaow-connecting")
    try:
        with opening.interrupt_with(_Interrupt(connection)):
            yield connection
    finally:
        _close(connection)


class _Interrupt:
    """Makes the statement of a connection fail: the server is asked to, and if that takes long, the socket shut down.

    It is called again and again, since a statement that begins just after the server was asked is not meant.
    """

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self._connection = connection
        self._began: float | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = now
        driver_connection = self._connection.driver_connection
        with suppress(psycopg.Error, OSError):
            if now - self._began < _ASKED_FOR_S:
                driver_connection.cancel_safe(timeout=_ASKED_FOR_S)
            else:
                with socket.fromfd(driver_connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
                    same.shutdown(socket.SHUT_RDWR)


def _close(connection: PostgreSQLConnection) -> None:
    connection.close()
