"""Opening connections: to the first host that serves, with a session set to what this backend relies on."""

import functools
import math
import ssl
from contextlib import closing
from typing import Any

import pymysql
from attrs import evolve
from pymysql.constants import CLIENT

from aaow_storage.authoring import storage_errors_alone
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_mariadb._connection import MariaDBConnection, lock_wait, server_seconds
from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._hosts import Host, Hosts
from aaow_storage_mariadb._location import Location
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import Watchdog

MIN_VERSION = (10, 6)
MIN_PACKET = 2**20
_LOCAL = {"localhost", "127.0.0.1", "::1"}
"""Hosts to which nothing is encrypted unless the URL asks for it."""
_COLLATION = "utf8mb4_nopad_bin"
_CHECKS = """
SELECT VERSION(), @@max_allowed_packet, @@innodb_rollback_on_timeout, @@read_only,
    (SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB'),
    (SELECT GROUP_CONCAT(VARIABLE_NAME, '=', VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS
     WHERE VARIABLE_NAME IN ('wsrep_ready', 'wsrep_connected', 'wsrep_cluster_status'))
"""


def connect(settings: Settings, hosts: Hosts, watchdog: Watchdog | None = None) -> MariaDBConnection:
    """Open a connection to the first host that serves; the watchdog ends its waits.

    Raises:
        StorageUnavailableError: no host serves now.
        StorageError: a server refuses the login, or cannot be used; the error says what to change.
    """
    failures: list[StorageError] = []
    for host in hosts:
        try:
            connection = _connect(settings, hosts, host, watchdog)
        except StorageError as error:
            if not isinstance(error, StorageUnavailableError):
                raise
            failures.append(error)
        else:
            hosts.note_serving(host)
            return connection
    if len(failures) == 1:
        raise failures[0]
    problem = "; ".join(str(failure).removeprefix(f"{settings.place}: ") for failure in failures)
    raise StorageUnavailableError(f"{settings.place}: no host serves: {problem}") from failures[0].__cause__


def _connect(settings: Settings, hosts: Hosts, host: Host, watchdog: Watchdog | None) -> MariaDBConnection:
    place = evolve(settings.location, hosts=(host,)).place
    dialect = MariaDBDialect(place)
    with storage_errors_alone(dialect.to_storage_error):
        driver_connection = log_in(settings.location, host, settings.connect_timeout)
        try:
            max_packet, is_node = _check(driver_connection, place)
            if is_node:
                hosts.note_cluster()
            _set_session(driver_connection, settings)
            vars(driver_connection)["_read_timeout"] = None  # from now on, the watchdog limits the waits
            return MariaDBConnection(
                driver_connection,
                settings,
                dialect,
                watchdog,
                reconnect=lambda: connect(settings, hosts, watchdog),
                kill=lambda thread, timeout_s: _kill(settings.location, host, thread, timeout_s),
                max_packet=max_packet,
                is_node=is_node,
            )
        except BaseException:
            driver_connection.close()
            raise


def log_in(location: Location, host: Host, timeout_s: float) -> "pymysql.Connection[Any]":
    """Return a connection of the driver to one host, which has checked nothing; no answer takes longer than that."""
    name, port = host
    return pymysql.connect(
        host=name,
        port=port,
        unix_socket=location.socket,
        user=location.user or None,
        password=location.password,
        database=location.database,
        autocommit=True,
        charset="utf8mb4",
        collation=_COLLATION,
        connect_timeout=max(1, math.ceil(timeout_s)),
        read_timeout=max(1, math.ceil(timeout_s)),
        write_timeout=None,
        ssl=_tls(location.ssl),
        ssl_disabled=not location.ssl and (location.socket is not None or name in _LOCAL),
        program_name="aaow-storage",
        client_flag=CLIENT.MULTI_STATEMENTS,
    )


@functools.lru_cache(maxsize=16)
def _tls(parameters: tuple[tuple[str, str], ...]) -> ssl.SSLContext | None:
    """Return how to trust a server; None to encrypt if it can, without a check who it is.

    Raises:
        StorageError: a file cannot be read, or is none of certificates.
    """
    if not parameters:
        return None
    files = dict(parameters)
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca"))
        if "ssl_cert" in files:
            context.load_cert_chain(files["ssl_cert"], files.get("ssl_key"))
    except OSError as error:
        named = ", ".join(f"{name}={files[name]}" for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in files)
        raise StorageError(f"the files of the URL cannot be used ({named}): {error}; check their names") from error
    if files.get("ssl_verify") == "off":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check(driver_connection: "pymysql.Connection[Any]", place: str) -> tuple[int, bool]:
    """Check that the server can be used; return the longest query that it accepts, in bytes, and if it is in a cluster.

    Raises:
        StorageUnavailableError: it does not serve now.
        StorageError: it cannot be used as it is set.
    """
    version, max_packet, undoes_all, is_read_only, innodb, cluster = _row(driver_connection, _CHECKS)
    if "MariaDB" not in version or tuple(map(int, version.split("-")[0].split(".")[:2])) < MIN_VERSION:
        needed = ".".join(map(str, MIN_VERSION))
        raise StorageError(f"{place}: the server is {version}; MariaDB {needed} or later is needed")
    if innodb not in {"YES", "DEFAULT"}:
        raise StorageError(f"{place}: the server has no InnoDB; start it without skip-innodb")
    if undoes_all:
        raise StorageError(f"{place}: innodb_rollback_on_timeout is on; set it to OFF, and start the server again")
    if max_packet < MIN_PACKET:
        raise StorageError(f"{place}: max_allowed_packet is {max_packet}; set it to 64M, or at least {MIN_PACKET}")
    states = dict(each.split("=") for each in (cluster or "").lower().split(",") if each)
    is_node = states.get("wsrep_cluster_status", "disconnected") != "disconnected"
    if is_node and states.get("wsrep_ready") == "off":
        raise StorageUnavailableError(f"{place}: wsrep_ready is OFF: the node is not a part of a cluster with a quorum")
    if is_read_only:
        raise StorageUnavailableError(f"{place}: the server is read-only; name one that takes writes in the URL")
    return int(max_packet), is_node


def _set_session(driver_connection: "pymysql.Connection[Any]", settings: Settings) -> None:
    """Set what the statements of this backend rely on, whatever the server, the database and the user have."""
    timeout_s = settings.statement_timeout
    wanted = {
        "sql_mode": "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
        "time_zone": "'+00:00'",
        "foreign_key_checks": "1",
        "unique_checks": "1",
        "sql_select_limit": "DEFAULT",
        "group_concat_max_len": "4294967295",
        "innodb_lock_wait_timeout": lock_wait(settings),
        "max_statement_time": server_seconds(math.inf if timeout_s is None else timeout_s),
    }
    if settings.sync_wait is not None:
        wanted["wsrep_sync_wait"] = str(settings.sync_wait)
    _run(driver_connection, "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in wanted.items()))


def _kill(location: Location, host: Host, thread: int, timeout_s: float) -> None:
    """End the statement that runs on a connection to the host."""
    with closing(log_in(location, host, timeout_s)) as other:
        _run(other, f"KILL QUERY {thread:d}")


def _row(driver_connection: "pymysql.Connection[Any]", query: str) -> Any:
    with driver_connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def _run(driver_connection: "pymysql.Connection[Any]", query: str) -> None:
    with driver_connection.cursor() as cursor:
        cursor.execute(query)
