"""Databases for tests: empty ones and copies, dropped after their blocks."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest

from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_postgresql.testing._databases import URL_VARIABLE, Databases

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def databases(url: str) -> Iterator[Databases]:
    """The databases of the server, made on a connection to one of its databases."""
    with closing(Databases(url)) as made:
        yield made


def rows(url: str, statement: str) -> list[tuple]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_database_is_empty_and_is_dropped_after_its_block():
    with skipped_where_missing(), temporary_database() as url:
        assert rows(url, TABLES) == []
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_copy_holds_what_the_database_does_and_goes_its_own_way(url: str):
    rows(url, "CREATE TABLE mine (number integer)")
    with temporary_database(copy_of=url) as copy:
        assert rows(copy, TABLES) == [("mine",)]
        rows(copy, "DROP TABLE mine")
    assert rows(url, TABLES) == [("mine",)]


def test_a_connection_that_was_lost_is_opened_again(databases: Databases):
    with databases.temporary() as database:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
        assert rows(database, ended.format(urlsplit(databases.server).path[1:])) == [(True,)]
        with databases.temporary() as other:
            assert rows(other, TABLES) == []


def test_an_error_of_the_server_is_raised(databases: Databases):
    with pytest.raises(psycopg.Error, match="does not exist"), databases.temporary(owner="a missing role"):
        pass


def test_a_server_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(URL_VARIABLE, "postgresql://aaow@127.0.0.1:1/postgres")
    with pytest.raises(psycopg.OperationalError), temporary_database():
        pass
