"""mysqlclient, a driver written in C, over MariaDB's own client library. Its module is MySQLdb.

Its lower level is used, `MySQLdb._mysql`, whose calls are those of the library: each waits without the interpreter's
lock. The upper level would send three more requests for each connection, and read more than is used with each row.

A connection raises an error if a second thread calls it while the first waits. So what other threads, or a forked
process, may ask for is read when it is opened.
"""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import MySQLdb
from MySQLdb import _mysql  # noqa: PLC2701 - its documentation describes it
from MySQLdb.constants import CLIENT, CR, FIELD_TYPE, FLAG
from MySQLdb.converters import conversions

from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._drivers.driver import COLLATION, Answer, Driver
from aaow_storage_mariadb._drivers.encryption import checks_server, may_be_encrypted, tls_context
from aaow_storage_mariadb._drivers.open_transaction import is_open_after
from aaow_storage_mariadb._errors import errors_of
from aaow_storage_mariadb._hosts import Host
from aaow_storage_mariadb._location import Location
from aaow_storage_sql import ErrorTable, Watchdog

_TEXT_OR_BYTES: Final = ((FLAG.BINARY, bytes), (None, str))
_TEXTS: Final = (
    FIELD_TYPE.BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.STRING,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.VAR_STRING,
)
"""The types of texts and of binary data: the character set of a column says which it is."""
_ROWS_A_CALL: Final = 10
"""A call that makes objects of rows holds the interpreter's lock until it has made all, and documents may be long."""
_CONVERSIONS: Final[Mapping[Any, Any]] = {
    **{kind: convert for kind, convert in conversions.items() if isinstance(kind, int)},
    **dict.fromkeys(_TEXTS, _TEXT_OR_BYTES),
    FIELD_TYPE.JSON: str,
}


class MySQLClientDialect(MariaDBDialect):
    """The dialect with the errors of mysqlclient."""

    driver_error: ClassVar[type[Exception]] = MySQLdb.MySQLError
    errors: ClassVar[ErrorTable] = errors_of(used_after_close=MySQLdb.InterfaceError, others=MySQLdb.OperationalError)


class MySQLClientAnswer:
    """The last answer to a request. Its rows are in the memory of the library, and become objects when fetched."""

    __slots__ = ("_result", "rowcount")

    def __init__(self, result: Any, rowcount: int) -> None:
        self._result = result
        self.rowcount = rowcount

    @property
    def description(self) -> Any:
        return None if self._result is None else self._result.describe()

    def fetchone(self) -> Any:
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int) -> Sequence[Any]:
        rows: list[Any] = []
        if self._result is not None:
            while (wanted := min(size - len(rows), _ROWS_A_CALL)) > 0:
                some = self._result.fetch_row(wanted)
                rows += some
                if len(some) < wanted:
                    break
        return rows

    def fetchall(self) -> Sequence[Any]:
        return self.fetchmany(sys.maxsize)

    def close(self) -> None:
        self._result = None


class MySQLClientConnection(_mysql.connection):
    """A connection of mysqlclient, which closes itself if it is lost."""

    def __init__(self, timeout_s: float, **options: Any) -> None:
        super().__init__(**options)
        self._descriptor: int = self.fileno()
        self._socket = _identity(self._descriptor)
        self._thread_id: int = super().thread_id()
        self._is_in_transaction = False
        # The library's own limit of time for an answer would hold for as long as the connection lives.
        self._watchdog = Watchdog("aaow-mariadb-login")
        self._login = self._watchdog.watch(self._descriptor)
        self._login.begin(timeout_s)
        self._watchdog.stop()

    @property
    def is_in_transaction(self) -> bool:
        return bool(self.open) and self._is_in_transaction

    @property
    def descriptor(self) -> int:
        if not self.open or _identity(self._descriptor) != self._socket:  # the library closes it before it says so
            raise OSError("the socket is closed")
        return self._descriptor

    def thread_id(self) -> int:
        return self._thread_id

    def request(self, queries: Sequence[str]) -> Answer:
        answered = 0
        try:
            self.query(";".join(queries).encode(errors="surrogateescape"))
            while True:
                answer = MySQLClientAnswer(self.store_result(), self.affected_rows())
                answered += 1
                if self.next_result() != 0:
                    return answer
        except MySQLdb.MySQLError as error:
            self._close_if_lost(error)
            raise
        finally:
            for query in queries[:answered]:
                self._is_in_transaction = is_open_after(query, was_open=self._is_in_transaction)

    def rollback(self) -> None:
        try:
            super().rollback()
        except MySQLdb.MySQLError as error:
            self._close_if_lost(error)
            raise
        self._is_in_transaction = False

    def end_login(self) -> None:
        self._login.close()
        self._watchdog.wake()  # its thread ends then

    def close(self) -> None:
        self.end_login()
        if self.open:
            super().close()

    def _close_if_lost(self, error: Exception) -> None:
        """Close after an error of the library, rather than the server: it has closed the socket."""
        code = error.args[0] if error.args else None
        if isinstance(code, int) and CR.MIN_ERROR <= code <= CR.MAX_ERROR:
            self.close()


def _identity(descriptor: int) -> tuple[int, int]:
    """Return what tells the file of a descriptor from all others that are open."""
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino


def log_in(location: Location, host: Host, timeout_s: float) -> MySQLClientConnection:
    """Return a connection to one host; see `Driver`."""
    name, port = host
    # To the library, `localhost` is a Unix socket, and any other name is none.
    place = {"host": "127.0.0.1" if name == "localhost" else name, "port": port}
    if location.socket is not None:
        place = {"host": "localhost", "unix_socket": location.socket}
    connection = MySQLClientConnection(
        timeout_s,
        **place,
        user=location.user,
        password=location.password,
        database=location.database,
        conv=_CONVERSIONS,
        connect_timeout=max(1, math.ceil(timeout_s)),
        client_flag=CLIENT.MULTI_STATEMENTS | CLIENT.MULTI_RESULTS,
        local_infile=0,
        charset="utf8mb4",
        **_encryption(location, host),
    )
    try:
        connection.request([f"SET NAMES utf8mb4 COLLATE {COLLATION}", "SET SESSION autocommit = 1"])
        if location.ssl:
            _check_encryption(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _encryption(location: Location, host: Host) -> dict[str, Any]:
    """Return the options of TLS. `REQUIRED` encrypts if the server can, and checks nothing.

    Raises:
        StorageError: a file cannot be read, or is none of certificates.
    """
    if not may_be_encrypted(location, host):
        return {"ssl_mode": "DISABLED"}
    tls_context(location.ssl)
    names = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}
    files = dict(location.ssl)
    given = {name: files[parameter] for name, parameter in names.items() if parameter in files}
    return {"ssl_mode": "VERIFY_IDENTITY" if checks_server(location) else "REQUIRED", "ssl": given}


def _check_encryption(connection: MySQLClientConnection) -> None:
    """Check that the connection is encrypted.

    Raises:
        MySQLdb.OperationalError: it is not.
    """
    _, cipher = connection.request(["SHOW SESSION STATUS LIKE 'Ssl_cipher'"]).fetchone()
    if not cipher:
        raise MySQLdb.OperationalError(CR.SSL_CONNECTION_ERROR, "the server does not support TLS")


DRIVER = Driver(MySQLClientDialect, log_in)
