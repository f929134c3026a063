"""PyMySQL, the driver that is always installed: it is written in Python."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import pymysql
from pymysql.constants import CLIENT, SERVER_STATUS

from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._drivers.driver import COLLATION, Answer, Driver
from aaow_storage_mariadb._drivers.encryption import may_be_encrypted, tls_context
from aaow_storage_mariadb._errors import errors_of
from aaow_storage_mariadb._hosts import Host
from aaow_storage_mariadb._location import Location
from aaow_storage_sql import ErrorTable

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    _Connection = pymysql.Connection[Cursor]
else:
    _Connection = pymysql.Connection


class PyMySQLDialect(MariaDBDialect):
    """The dialect with the errors of PyMySQL."""

    driver_error: ClassVar[type[Exception]] = pymysql.MySQLError
    errors: ClassVar[ErrorTable] = errors_of(used_after_close=pymysql.InterfaceError, others=pymysql.OperationalError)


class PyMySQLConnection(_Connection):
    """A connection of PyMySQL. Each answer of the server but an error says whether a transaction is open."""

    @property
    def is_in_transaction(self) -> bool:
        status: int = self.server_status  # type: ignore[attr-defined]  # the stubs leave it out
        return self.open and bool(status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def descriptor(self) -> int:
        descriptor: int = self._sock.fileno()  # type: ignore[attr-defined]  # the stubs leave it out
        if descriptor < 0:
            raise OSError("the socket is closed")
        return descriptor

    def request(self, queries: Sequence[str]) -> Answer:
        cursor = self.cursor()
        cursor.execute(";".join(queries))
        while cursor.nextset():
            pass
        return cursor

    def end_login(self) -> None:
        vars(self)["_read_timeout"] = None


def log_in(location: Location, host: Host, timeout_s: float) -> PyMySQLConnection:
    """Return a connection to one host; see `Driver`."""
    name, port = host
    return PyMySQLConnection(
        host=name,
        port=port,
        unix_socket=location.socket,
        user=location.user or None,
        password=location.password,
        database=location.database,
        autocommit=True,
        charset="utf8mb4",
        collation=COLLATION,
        connect_timeout=max(1, math.ceil(timeout_s)),
        read_timeout=max(1, math.ceil(timeout_s)),
        write_timeout=None,
        ssl=tls_context(location.ssl),
        ssl_disabled=not may_be_encrypted(location, host),
        program_name="aaow-storage",
        client_flag=CLIENT.MULTI_STATEMENTS,
    )


DRIVER = Driver(PyMySQLDialect, log_in)
