"""Opening connections: to the first host that serves, with a session set to what this backend relies on."""

import math
from contextlib import closing

from attrs import evolve

from aaow_storage.authoring import storage_errors_alone
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_mariadb._connection import MariaDBConnection, lock_wait, server_seconds
from aaow_storage_mariadb._drivers.choice import driver_named
from aaow_storage_mariadb._drivers.driver import DriverConnection
from aaow_storage_mariadb._hosts import Host, Hosts
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import Watchdog

MIN_VERSION = (10, 6)
MIN_PACKET = 2**20
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
    driver = driver_named(settings.driver)
    dialect = driver.dialect(place)
    with storage_errors_alone(dialect.to_storage_error):
        driver_connection = driver.log_in(settings.location, host, settings.connect_timeout)
        try:
            max_packet, is_node = _check(driver_connection, place)
            if is_node:
                hosts.note_cluster()
            _set_session(driver_connection, settings)
            driver_connection.end_login()  # from now on, the watchdog limits the waits
            return MariaDBConnection(
                driver_connection,
                settings,
                dialect,
                watchdog,
                reconnect=lambda: connect(settings, hosts, watchdog),
                kill=lambda thread, timeout_s: _kill(settings, host, thread, timeout_s),
                max_packet=max_packet,
                is_node=is_node,
            )
        except BaseException:
            driver_connection.close()
            raise


def _check(driver_connection: DriverConnection, place: str) -> tuple[int, bool]:
    """Check that the server can be used; return the longest query that it accepts, in bytes, and if it is in a cluster.

    Raises:
        StorageUnavailableError: it does not serve now.
        StorageError: it cannot be used as it is set.
    """
    version, max_packet, undoes_all, is_read_only, innodb, cluster = driver_connection.request([_CHECKS]).fetchone()
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


def _set_session(driver_connection: DriverConnection, settings: Settings) -> None:
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
    driver_connection.request(["SET SESSION " + ", ".join(f"{name} = {value}" for name, value in wanted.items())])


def _kill(settings: Settings, host: Host, thread: int, timeout_s: float) -> None:
    """End the statement that runs on a connection to the host."""
    with closing(driver_named(settings.driver).log_in(settings.location, host, timeout_s)) as other:
        other.request([f"KILL QUERY {thread:d}"])
