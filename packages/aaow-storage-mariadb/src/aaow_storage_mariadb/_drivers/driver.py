"""What this backend needs from a driver. All else that a driver can do is not used."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from attrs import frozen

from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._hosts import Host
from aaow_storage_mariadb._location import Location


class Answer(Protocol):
    """The last answer to a request: rows, or how many rows a statement has changed.

    A text is a str, binary data are bytes, and numbers are int, float and Decimal, by the type of the column.
    """

    @property
    def rowcount(self) -> int:
        """How many rows there are, or were changed."""

    @property
    def description(self) -> Any:
        """None if the statement has no rows."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchmany(self, size: int) -> Sequence[Any]:
        """Return the next rows, so many at most."""

    def fetchall(self) -> Sequence[Any]:
        """Return the rows that are left."""

    def close(self) -> None:
        """Forget the rows that are left."""


class DriverConnection(Protocol):
    """A connection in which each statement outside of a transaction is committed by itself.

    All methods but `thread_id` are called by one thread at a time. They raise errors of the driver.
    """

    @property
    def open(self) -> Any:
        """Whether the driver has the connection; it closes one that is lost. Asks no server."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction was open after the last answer that was no error."""

    @property
    def descriptor(self) -> int:
        """The file descriptor of the socket, also while another thread waits for an answer.

        Raises:
            OSError: it is closed; the number may be that of another file.
        """

    def thread_id(self) -> int:
        """Return the server's number of the connection, also while another thread waits for an answer."""

    def request(self, queries: Sequence[str]) -> Answer:
        """Send statements in one request, read all of their answers, and return the last."""

    def rollback(self) -> None:
        """Roll back, whether or not a transaction is known to be open."""

    def end_login(self) -> None:
        """Let answers take any time from now on."""

    def close(self) -> None:
        """Close the connection."""


@frozen
class Driver:
    """A driver: its dialect, which knows its errors, and how to log in.

    `log_in(location, host, timeout_s)` returns a connection to one host, which has checked nothing. Until `end_login`,
    no answer takes longer than so many seconds. An error is one of the driver, or a StorageError.
    """

    dialect: type[MariaDBDialect]
    log_in: Callable[[Location, Host, float], DriverConnection]


class _NotSent:
    """The answer to a statement that is sent later."""

    rowcount = -1
    description = None

    def fetchone(self) -> Any:
        return None

    def fetchmany(self, size: int) -> Sequence[Any]:
        del size
        return ()

    def fetchall(self) -> Sequence[Any]:
        return ()

    def close(self) -> None:
        """There is nothing to forget."""


NOT_SENT: Final[Answer] = _NotSent()
"""The answer to a statement that is sent later."""
COLLATION: Final = "utf8mb4_nopad_bin"
"""The collation of a session, in which texts are compared by their characters."""
