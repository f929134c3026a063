"""Databases and servers for tests: empty, dropped after their blocks, and found where MariaDB is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import SkipTest

import pymysql
import pytest

from aaow_storage_mariadb.testing import (
    BINARIES_VARIABLE,
    URL_VARIABLE,
    NoGaleraError,
    NoMariaDBError,
    Server,
    skipped_where_missing,
    temporary_database,
)
from aaow_storage_mariadb.testing._connections import connect, fetch
from aaow_storage_mariadb.testing._databases import Databases
from aaow_storage_mariadb.testing._programs import find_programs


@pytest.fixture
def databases(url: str) -> Iterator[Databases]:
    """The databases of the server, made on a connection to one of its databases."""
    with closing(Databases(url)) as made:
        yield made


def rows(url: str, statement: str) -> list[tuple]:
    with closing(connect(url)) as connection:
        return fetch(connection, statement)


def test_a_database_is_empty_and_is_dropped_after_its_block():
    with skipped_where_missing(), temporary_database() as url:
        assert rows(url, "SHOW TABLES") == []
    with pytest.raises(pymysql.Error, match="Unknown database"):
        connect(url)


def test_a_database_is_dropped_while_a_transaction_on_it_is_open(databases: Databases):
    with databases.temporary() as database:
        rows(database, "CREATE TABLE mine (number integer)")
        left_open = connect(database)
        left_open.begin()
        fetch(left_open, "INSERT INTO mine VALUES (1)")
    with pytest.raises(pymysql.Error):
        left_open.commit()
    assert rows(databases.server, f"SHOW DATABASES LIKE '{database.rpartition('/')[2]}'") == []


def test_a_connection_that_was_lost_is_opened_again(databases: Databases):
    with databases.temporary():
        own = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = DATABASE()"
        for (session,) in rows(databases.server, own):
            rows(databases.server, f"KILL {session}")
        with databases.temporary() as other:
            assert rows(other, "SHOW TABLES") == []


def test_a_server_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(URL_VARIABLE, "mariadb://aaow@127.0.0.1:1/")
    with pytest.raises(pymysql.OperationalError), temporary_database():
        pass


def test_what_was_committed_outlives_a_kill_and_a_stop(server: Server):
    server.create_database("mine")
    rows(server.url("mine"), "CREATE TABLE mine (number integer primary key)")
    for number, end in enumerate((server.kill, server.stop)):
        rows(server.url("mine"), f"INSERT INTO mine VALUES ({number})")
        end()
        assert not server.is_running
        server.start()
    assert rows(server.url("mine"), "SELECT * FROM mine") == [(0,), (1,)]


def test_a_server_that_stands_still_accepts_connections_and_does_not_answer(server: Server):
    with server.standing_still(), pytest.raises(pymysql.OperationalError, match="timed out"):
        connect(server.url(), answers_within_s=0.2)
    assert rows(server.url(), "SELECT 1") == [(1,)]


def test_the_user_may_create_databases_and_change_nothing_that_is_global(server: Server):
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        rows(server.url(), "SET GLOBAL max_connections = 10")


def test_a_server_that_does_not_start_shows_its_log(server: Server):
    server.stop()
    with pytest.raises(RuntimeError, match=r"has ended(.|\n)*unknown variable 'no-such-option=1'"):
        server.start(["--no-such-option=1"])


def test_where_no_mariadb_is_the_test_is_skipped_and_fails_on_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(SkipTest, match="apt-get install mariadb-server"), skipped_where_missing():
        find_programs()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(NoMariaDBError), skipped_where_missing():
        find_programs()


def test_an_installation_without_galera_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("usr/bin/mariadb-install-db", "usr/sbin/mariadbd", "usr/bin/rsync"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path))
    with pytest.raises(NoGaleraError, match=r"libgalera_smm\.so is missing: apt-get install galera-4 rsync"):
        find_programs().galera()
