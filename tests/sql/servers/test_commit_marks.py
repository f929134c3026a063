"""Commits without an answer: whether they succeeded is told right, and what is told never changes afterwards."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from sqlite_as_server import Connection, SQLiteServer

from aaow_storage import now
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql import InDoubtError, commit_marks, remove_old_marks
from aaow_storage_sql._servers.commit_marks import KEPT, CommitMark, CommitMarks

MARKS = sa.select(commit_marks.c.number)


@pytest.fixture(autouse=True)
def table(server: SQLiteServer) -> None:
    """A table to write to."""
    with closing(sqlite3.connect(server.settings.path)) as connection:
        connection.execute("CREATE TABLE written (id TEXT)")


@pytest.fixture
def other(server: SQLiteServer) -> Connection:
    """Another connection, which waits for no lock."""
    with closing(server.connect(busy_timeout_s=0)) as connection:
        yield connection


def write(connection: Connection, id: str) -> None:
    """Begin a transaction, and write a row in it."""
    connection.begin_writing()
    connection.command(f"INSERT INTO written VALUES ('{id}')")


def written(server: SQLiteServer) -> list[str]:
    """Return what is committed."""
    with closing(sqlite3.connect(server.settings.path)) as connection:
        return [each for (each,) in connection.execute("SELECT id FROM written ORDER BY id")]


def losing_after(action: Callable[[sqlite3.Connection], object]) -> Callable[[Connection], Any]:
    """Return what a server does that answers COMMIT by doing this, and loses the connection before the answer."""

    def commit_by(connection: Connection) -> Any:
        action(connection.driver_connection)
        connection.driver_connection.close()
        raise sqlite3.OperationalError("the connection was lost")

    return commit_by


def commit(driver_connection: sqlite3.Connection) -> None:
    driver_connection.execute("COMMIT")


def roll_back(driver_connection: sqlite3.Connection) -> None:
    driver_connection.execute("ROLLBACK")


def test_a_commit_that_was_done_before_the_connection_was_lost_succeeds(
    server: SQLiteServer, connection_to_server: Connection
):
    write(connection_to_server, "a")
    connection_to_server.commit_by = losing_after(commit)
    connection_to_server.commit()
    assert written(server) == ["a"]


def test_a_commit_that_was_not_done_fails_and_says_that_nothing_is_stored(
    server: SQLiteServer, connection_to_server: Connection
):
    write(connection_to_server, "a")
    connection_to_server.commit_by = losing_after(roll_back)
    with pytest.raises(StorageUnavailableError, match="lost before COMMIT, and nothing was stored"):
        connection_to_server.commit()
    assert written(server) == []


def test_each_transaction_of_a_connection_is_told_by_its_own_number(
    server: SQLiteServer, connection_to_server: Connection
):
    for each in ("a", "b"):
        write(connection_to_server, each)
        connection_to_server.commit()
    write(connection_to_server, "c")
    connection_to_server.commit_by = losing_after(roll_back)
    assert not connection_to_server.is_committed()
    assert written(server) == ["a", "b"]


def test_while_the_transaction_is_open_there_is_no_answer(connection_to_server: Connection, other: Connection):
    write(connection_to_server, "a")
    mark = connection_to_server.prepare_commit()
    assert mark.resolve(other) is None
    connection_to_server.command("COMMIT")
    assert mark.resolve(other) is True


def test_an_open_transaction_is_asked_for_until_it_has_ended(
    server: SQLiteServer, connection_to_server: Connection, other: Connection
):
    write(connection_to_server, "a")
    mark = connection_to_server.prepare_commit()
    asked = 0

    def connect() -> Connection:
        nonlocal asked
        asked += 1
        if asked == 3:
            connection_to_server.command("COMMIT")
        return server.connect(busy_timeout_s=0)

    lost = server.connect()
    lost._reconnect = connect
    lost._marks = connection_to_server._marks
    lost.prepare_commit = lambda: mark
    lost.commit_by = losing_after(lambda _: None)
    assert lost.is_committed()
    assert asked == 3


def test_a_transaction_that_never_ends_leaves_its_commit_in_doubt(
    server: SQLiteServer, connection_to_server: Connection
):
    write(connection_to_server, "a")
    mark = connection_to_server.prepare_commit()
    lost = SQLiteServer(evolve(server.settings, acquire_timeout=0.05)).connect()
    lost._reconnect = lambda: server.connect(busy_timeout_s=0)
    lost.prepare_commit = lambda: mark
    lost.commit_by = losing_after(lambda _: None)
    with pytest.raises(InDoubtError, match="it has not ended yet"):
        lost.is_committed()


def test_an_answer_that_it_is_not_committed_stays_so_if_its_own_answer_is_lost(
    connection_to_server: Connection, other: Connection
):
    write(connection_to_server, "a")
    mark = connection_to_server.prepare_commit()
    connection_to_server.command("ROLLBACK")
    assert [mark.resolve(other) for _ in range(2)] == [False, False]


def test_an_answer_that_it_is_not_committed_is_a_write_to_the_row_of_the_connection(other: Connection):
    """Where nodes have locks of their own, that is what the transaction is then in conflict with."""
    mark = CommitMark("0" * 32, 1)
    assert mark.resolve(other) is False
    assert other.rows(MARKS) == [(-1,)]


def test_a_mark_that_comes_after_the_answer_that_it_is_not_committed_is_refused(
    connection_to_server: Connection, other: Connection
):
    """As when the mark and COMMIT were sent together, and both come late."""
    connection_to_server._marks = CommitMarks()
    assert CommitMark(connection_to_server._marks._token, 1).resolve(other) is False
    connection_to_server.begin_writing()
    with pytest.raises(StorageError):
        connection_to_server.prepare_commit()


def test_marks_of_connections_that_are_gone_are_removed_and_others_stay(other: Connection):
    insert = sa.insert(commit_marks).values(
        {column.name: sa.bindparam(column.name, type_=column.type) for column in commit_marks.columns}
    )
    for number, at in enumerate([now() - 2 * KEPT, now()], 1):
        other.run(insert, {"token": f"{number}", "number": number, "at": at})
    remove_old_marks(other)
    assert other.rows(MARKS) == [(2,)]
