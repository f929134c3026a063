"""Connections of `initialize`: cancelling it ends their waits."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Opening

_CANCEL_TIMEOUT_S = 1.0


@contextmanager
def open_connection(
    settings: Settings, opening: Opening, watchdog: Watchdog | None = None
) -> Iterator[PostgreSQLConnection]:
    """Yield a connection; it is closed after the block, and its statements fail once the opening is cancelled.

    Raises:
        StorageError: the server does not answer, or cannot be used.
        asyncio.CancelledError: the opening was cancelled; a connection that is made later is closed.
    """
    # libpq cannot be interrupted while it resolves a host name and connects, so it does that on a thread of its own.
    connection = opening.run_in_thread(lambda: connect(settings, watchdog), _close, "aaow-connecting")
    try:
        with opening.interrupt_with(_Interrupt(connection)):
            yield connection
    finally:
        _close(connection)


class _Interrupt:
    """Makes the running statement fail: by a cancel request first, after a second by shutting the socket down.

    It is called repeatedly, since a cancel request does not affect a statement that begins after it.
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
            if now - self._began < _CANCEL_TIMEOUT_S:
                driver_connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
            else:
                with socket.fromfd(driver_connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
                    same.shutdown(socket.SHUT_RDWR)


def _close(connection: PostgreSQLConnection) -> None:
    connection.close()
