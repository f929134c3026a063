"""Connections of `initialize` and of maintenance: cancelling those ends their waits."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from aaow_storage.errors import StorageError
from aaow_storage_sql._servers.connection import ServerConnection
from aaow_storage_sql._threads.opening import Opening

C = TypeVar("C", bound=ServerConnection)

_CANCEL_TIMEOUT_S = 1.0


@contextmanager
def open_connection(connect: Callable[[], C], opening: Opening) -> Iterator[C]:
    """Yield the connection that `connect` opens; it is closed after the block.

    Its statements fail once the opening is cancelled.

    Raises:
        StorageError: the server does not answer, or cannot be used.
        asyncio.CancelledError: the opening was cancelled; a connection that is made later is closed.
    """
    # A driver cannot be interrupted while it resolves a host name and connects, so it does that on a thread of its own.
    connection = opening.run_in_thread(connect, _close, "aaow-connecting")
    try:
        with opening.interrupt_with(_Interrupt(connection)):
            yield connection
    finally:
        _close(connection)


class _Interrupt:
    """Makes the running statement fail: by a cancel request first, after a second by shutting the socket down.

    It is called repeatedly, since a cancel request does not affect a statement that begins after it.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._began: float | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = now
        connection = self._connection
        with suppress(StorageError, OSError, connection.dialect.driver_error):
            if now - self._began < _CANCEL_TIMEOUT_S:
                connection.send_cancel(_CANCEL_TIMEOUT_S)
            else:
                with socket.fromfd(connection.socket_descriptor, socket.AF_INET, socket.SOCK_STREAM) as same:
                    same.shutdown(socket.SHUT_RDWR)


def _close(connection: ServerConnection) -> None:
    connection.close()
