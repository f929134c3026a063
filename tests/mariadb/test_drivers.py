"""The drivers differ in speed alone: the same values, the same limits of time, and the same end of a connection."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Session, create_adapter
from aaow_storage.errors import StorageUnavailableError, ValidationError
from aaow_storage_mariadb._connect import connect
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._drivers.choice import driver_named
from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._location import Location, location_of
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb.testing import Server
from aaow_storage_sql import Watchdog
from aaow_storage_sql.testing import proxy_of

LONG_S = 60
SOON_S = 20.0
LIMIT_S = 1.0


def opened(url: str, driver: str, watchdog: Watchdog | None = None) -> MariaDBConnection:
    settings = Settings(location=location_of(url), driver=driver)
    return connect(settings, Hosts(settings.location.hosts), watchdog)


@pytest.fixture
def connection(url: str, driver: str) -> Iterator[MariaDBConnection]:
    """A connection that no watchdog watches."""
    with closing(opened(url, driver)) as made:
        yield made


@pytest.mark.parametrize("name", ["oracle", "MySQLdb", "", None, 5])
def test_a_name_that_no_driver_has_is_refused_with_those_that_there_are(name: Any):
    with pytest.raises(ValidationError, match=r"driver.* pymysql, mysqlclient"):
        create_adapter("mariadb://app@db/agents", driver=name)


def test_a_driver_that_is_not_installed_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "MySQLdb._mysql", None)
    with pytest.raises(ValidationError, match=r"driver.* pip install aaow-storage-mariadb\[mysqlclient\]"):
        create_adapter("mariadb://app@db/agents", driver="mysqlclient")
    create_adapter("mariadb://app@db/agents")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a'", "a"),
        ("'\u00e4\U0001f600'", "\u00e4\U0001f600"),
        ("''", ""),
        ("REPEAT('a', 70000)", "a" * 70_000),
        ("X'00ff'", b"\x00\xff"),
        ("CAST('a' AS BINARY)", b"a"),
        ("7", 7),
        ("-9223372036854775808", -(2**63)),
        ("CAST(18446744073709551615 AS UNSIGNED)", 2**64 - 1),
        ("TRUE", 1),
        ("COUNT(*)", 1),
        ("1.50", Decimal("1.50")),
        ("CAST(1 AS DECIMAL(36, 18))", Decimal("1.000000000000000000")),
        ("SUM(1)", Decimal(1)),
        ("1e0", 1.0),
        ("0.1e0 + 0.2e0", 0.1 + 0.2),
        ("NULL", None),
        ("JSON_ARRAYAGG('a')", '["a"]'),
        ("GROUP_CONCAT('a')", "a"),
        ("VERSION() LIKE '%MariaDB%'", 1),
        ("@@max_statement_time", 30.0),
        ("@@character_set_client", "utf8mb4"),
        ("@@collation_connection", "utf8mb4_nopad_bin"),
        ("@@autocommit", 1),
        ("@@local_infile", 1),
    ],
)
def test_a_value_is_of_the_same_type_with_each_driver(connection: MariaDBConnection, expression: str, value: Any):
    row = connection.command(f"SELECT {expression.replace('%', '%%')}")
    assert row == (value,)
    assert type(row[0]) is type(value)
    if isinstance(value, Decimal):
        assert str(row[0]) == str(value)


def test_all_answers_to_a_request_are_read_and_the_last_is_returned(connection: MariaDBConnection):
    driver_connection = connection.driver_connection
    driver_connection.request(["CREATE TABLE t (id INTEGER PRIMARY KEY)"])
    inserted = driver_connection.request(["SELECT 1", "INSERT INTO t VALUES (1), (2), (3)"])
    assert (inserted.rowcount, inserted.description, inserted.fetchone()) == (3, None, None)
    found = driver_connection.request(["UPDATE t SET id = 9 WHERE id = 3", "SELECT id FROM t ORDER BY id"])
    assert found.description is not None
    assert (found.rowcount, found.fetchone(), [*found.fetchmany(1)]) == (3, (1,), [(2,)])
    assert ([*found.fetchall()], [*found.fetchmany(5)], found.fetchone()) == ([(9,)], [], None)
    same = driver_connection.request(["UPDATE t SET id = id"])
    assert same.rowcount == 0


def test_the_host_localhost_is_the_server_at_its_port(url: str, driver: str):
    with closing(opened(url.replace("127.0.0.1", "localhost"), driver)) as connection:
        assert connection.command("SELECT @@port") == (location_of(url).hosts[0][1],)


def test_a_socket_in_the_url_is_used(server: Server, driver: str):
    account = "`aaow`@`localhost`"
    server.execute(f"CREATE USER {account} IDENTIFIED BY 'aaow'")
    server.execute(f"GRANT ALL PRIVILEGES ON *.* TO {account}")
    url = f"mariadb://aaow:aaow@/mysql?socket={server.folder / 'socket'}"
    with closing(opened(url, driver)) as connection:
        assert connection.command("SELECT USER()") == ("aaow@localhost",)


def waits_for(raw: Callable[..., list[tuple]], statement: str) -> None:
    """Return once a statement runs on the server."""
    ends_at = time.monotonic() + SOON_S
    running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s"
    while raw(running, statement) != [(1,)]:
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_a_wait_for_an_answer_ends_when_the_watchdog_shuts_the_socket_down_and_holds_no_other_thread_up(
    url: str, driver: str, raw: Callable[..., list[tuple]]
):
    watchdog = Watchdog("test")
    errors: list[Exception] = []
    statement = f"SELECT SLEEP({LONG_S})"

    def wait() -> None:
        try:
            connection.command(statement)
        except StorageUnavailableError as error:
            errors.append(error)

    with closing(opened(url, driver, watchdog)) as connection:
        thread = threading.Thread(target=wait)
        begun = time.monotonic()
        thread.start()
        waits_for(raw, statement)
        watchdog.expire_all()
        thread.join(SOON_S)
        assert time.monotonic() - begun < SOON_S
        assert "the server did not answer within" in str(errors)
        assert connection.is_closed
        assert not connection.is_in_transaction
    watchdog.stop()


def test_another_thread_ends_a_statement(url: str, driver: str, raw: Callable[..., list[tuple]]):
    errors: list[Exception] = []
    statement = f"UPDATE t SET id = id + SLEEP({LONG_S})"

    def wait() -> None:
        try:
            connection.command(statement)
        except StorageUnavailableError as error:
            errors.append(error)

    raw("CREATE TABLE t (id INTEGER)")
    raw("INSERT INTO t VALUES (1)")
    with closing(opened(url, driver)) as connection:
        thread = threading.Thread(target=wait)
        thread.start()
        waits_for(raw, statement)
        connection.send_cancel(SOON_S)
        thread.join(SOON_S)
        assert "error 1317" in str(errors)
        assert connection.command("SELECT 1") == (1,)


def test_a_server_that_accepts_and_says_nothing_is_given_up(driver: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = location_of(f"mariadb://app@127.0.0.1:{silent.getsockname()[1]}/agents")
        settings = Settings(location=location, driver=driver, connect_timeout=LIMIT_S)
        begun = time.monotonic()
        with pytest.raises(StorageUnavailableError):
            connect(settings, Hosts(location.hosts))
        assert time.monotonic() - begun < SOON_S


def logged_in(url: str, driver: str) -> Any:
    """Return a connection of the driver that has not ended its login."""
    location: Location = location_of(url)
    return driver_named(driver).log_in(location, location.hosts[0], LIMIT_S)


def test_answers_are_waited_for_as_long_as_connect_timeout_until_the_login_has_ended(url: str, driver: str):
    error = driver_named(driver).dialect.driver_error
    with proxy_of(url) as proxy:
        with closing(logged_in(proxy.url, driver)) as connection, proxy.holding_back():
            begun = time.monotonic()
            with pytest.raises(error):
                connection.request(["SELECT 1"])
            assert time.monotonic() - begun < SOON_S
            assert not connection.open
        with closing(logged_in(proxy.url, driver)) as connection:
            connection.end_login()
            assert connection.request([f"SELECT SLEEP({2 * LIMIT_S})"]).fetchone() == (0,)


def test_a_login_leaves_no_thread(connection: MariaDBConnection):
    ends_at = time.monotonic() + SOON_S
    while [each for each in threading.enumerate() if each.name == "aaow-mariadb-login"]:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    assert connection.command("SELECT 1") == (1,)


def test_a_connection_that_the_server_has_ended_is_closed_by_its_next_statement(
    connection: MariaDBConnection, raw: Callable[..., list[tuple]]
):
    connection.begin_writing()
    assert connection.command("SELECT 1") == (1,)
    raw(f"KILL CONNECTION {connection.driver_connection.thread_id()}")
    with pytest.raises(StorageUnavailableError):
        connection.command("SELECT 1")
    assert connection.is_closed
    assert not connection.is_in_transaction


@pytest.mark.asyncio
async def test_an_adapter_goes_on_at_the_next_host(url: str, driver: str):
    with proxy_of(url) as proxy:
        location = location_of(url)
        hosts = (("127.0.0.1", proxy.port), *location.hosts)
        where = url.replace(f"127.0.0.1:{hosts[1][1]}", ",".join(f"{name}:{port}" for name, port in hosts))
        async with create_adapter(where, driver=driver, pool_size=2) as storage:
            await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            proxy.close()
            proxy.cut_once(b"SELECT", lets_through=False)
            assert (await storage.get_session("s")).id == "s"
            await storage.update_session("s", metadata={"after": True})
            assert (await storage.get_session("s")).metadata == {"after": True}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_process_that_closes_its_socket_leaves_the_connection_of_the_parent(
    url: str, driver: str, raw: Callable[..., list[tuple]]
):
    """It is forked while another thread waits for an answer, which must not hold the forked process up."""
    statement = "SELECT SLEEP(2)"
    with closing(opened(url, driver)) as connection:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(connection.command(statement)))
        thread.start()
        waits_for(raw, statement)
        descriptor = connection.socket_descriptor
        process = os.fork()
        if process == 0:
            with suppress(BaseException):
                connection.after_fork_in_child()
                os._exit(0 if os.path.samestat(os.fstat(descriptor), Path(os.devnull).stat()) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        thread.join(SOON_S)
        assert found == [(0,)]
        assert connection.command("SELECT 1") == (1,)


def test_a_descriptor_that_is_another_files_by_now_is_left_alone(connection: MariaDBConnection):
    """So it is of a connection whose socket the library has closed, before its thread says that it is lost."""
    descriptor = connection.socket_descriptor
    kept = os.dup(descriptor)
    reading, writing = os.pipe()
    if type(connection.driver_connection).__module__.endswith("mysqlclient"):
        os.dup2(writing, descriptor)
        connection.after_fork_in_child()
        assert os.path.samestat(os.fstat(descriptor), os.fstat(writing))
        os.dup2(kept, descriptor)
    for each in (kept, reading, writing):
        os.close(each)
    assert connection.command("SELECT 1") == (1,)
