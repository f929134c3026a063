"""Whether a transaction is open is known without a question, whatever ended it: it is what the server says."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from aaow_storage.errors import ContentionError, StorageError
from aaow_storage_mariadb._connect import connect
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._settings import Settings

SOON_S = 20.0


def opened(url: str, driver: str) -> MariaDBConnection:
    settings = Settings(location=location_of(url), driver=driver)
    return connect(settings, Hosts(settings.location.hosts))


@pytest.fixture
def connection(url: str, driver: str, raw: Callable[..., list[tuple]]) -> Iterator[MariaDBConnection]:
    """A connection to a database with a table, whose rows are 1 and 2."""
    raw("CREATE TABLE t (id INTEGER PRIMARY KEY, number INTEGER NOT NULL DEFAULT 0)")
    raw("INSERT INTO t (id) VALUES (1), (2)")
    with closing(opened(url, driver)) as made:
        yield made


def is_open(connection: MariaDBConnection) -> bool:
    """Return what the connection knows, which is what the server says."""
    known = connection.driver_connection.is_in_transaction
    ((said,),) = connection.driver_connection.request(["SELECT @@in_transaction"]).fetchall()
    assert known == bool(said)
    return known


def fails(connection: MariaDBConnection, statement: str) -> None:
    with pytest.raises(StorageError):
        connection.command(statement)


def begin(connection: MariaDBConnection, *, writes: bool = True) -> None:
    connection.command("ROLLBACK")
    if writes:
        connection.begin_writing()
    else:
        connection.begin_reading()
    connection.command("SELECT 1")


def write(connection: MariaDBConnection) -> None:
    with suppress(StorageError):  # of one that only reads
        connection.command("UPDATE t SET number = number + 1")


def undo(connection: MariaDBConnection) -> None:
    if connection.is_in_transaction:
        connection.begin_operation()
        fails(connection, "INSERT INTO t (id) VALUES (1)")
        connection.undo_operation()


def change_the_schema(connection: MariaDBConnection) -> None:
    begin(connection)
    connection.command("CREATE OR REPLACE TABLE other (id INTEGER)")


def rebuild(connection: MariaDBConnection) -> None:
    connection.command("ROLLBACK")  # in a transaction its answer would say that this one is still open
    connection.execute("OPTIMIZE TABLE t", ())


def save(connection: MariaDBConnection) -> None:
    connection.command("ROLLBACK")
    connection.begin_writing()
    connection._commit_at_once(["UPDATE t SET number = 0"])


STEPS: dict[str, tuple[Callable[[MariaDBConnection], Any], bool | None]] = {
    "a statement": (lambda each: each.command("SELECT COUNT(*) FROM t"), None),
    "a statement that writes": (write, None),
    "a statement that fails": (lambda each: fails(each, "INSERT INTO t (id) VALUES (1)"), None),
    "a statement that cannot be read": (lambda each: fails(each, "INSERT INTO"), None),
    "the first statement of one that writes": (begin, True),
    "the first statement of one that reads": (lambda each: begin(each, writes=False), True),
    "a savepoint": (lambda each: each.open_savepoint("s"), None),
    "an operation that is undone": (undo, None),
    "COMMIT": (lambda each: each.command("COMMIT"), False),
    "ROLLBACK": (lambda each: each.command("ROLLBACK"), False),
    "a rollback by the driver": (lambda each: each.driver_connection.rollback(), False),
    "a change of the schema": (change_the_schema, False),
    "a table that is rebuilt": (rebuild, False),
    "a request that begins and commits": (save, False),
}
"""What is done, and whether a transaction is open then; None if that is as before."""


def test_each_two_steps_leave_what_the_server_says(connection: MariaDBConnection):
    was_open = is_open(connection)
    assert not was_open
    for first, second in itertools.product(STEPS, repeat=2):
        for name in (first, second):
            step, opens = STEPS[name]
            step(connection)
            expected = was_open if opens is None else opens
            was_open = is_open(connection)
            assert was_open == expected, (first, second, name)


def test_a_request_that_begins_and_fails_leaves_none(connection: MariaDBConnection):
    connection.begin_writing()
    with pytest.raises(StorageError):
        connection._commit_at_once(["UPDATE t SET number = 5", "INSERT INTO t (id) VALUES (1)"])
    assert not is_open(connection)
    connection._waiting.clear()
    assert connection.command("SELECT MAX(number) FROM t") == (0,)


def test_a_statement_that_waits_for_a_lock_too_long_leaves_the_transaction_open(
    connection: MariaDBConnection, url: str, driver: str
):
    with closing(opened(url, driver)) as other:
        other.begin_writing()
        other.command("UPDATE t SET number = 1 WHERE id = 1")
        connection.begin_writing()
        connection.command("UPDATE t SET number = 2 WHERE id = 2")
        fails(connection, "SET STATEMENT innodb_lock_wait_timeout=0 FOR UPDATE t SET number = 2 WHERE id = 1")
        assert is_open(connection)


def test_a_deadlock_leaves_no_transaction_in_the_one_that_it_ends(connection: MariaDBConnection, url: str, driver: str):
    with closing(opened(url, driver)) as other:
        other.begin_writing()
        other.command("UPDATE t SET number = 1 WHERE id = 1")
        connection.begin_writing()
        connection.command("UPDATE t SET number = 2 WHERE id = 2")
        ended: list[MariaDBConnection] = []

        def meet(which: MariaDBConnection, row: int) -> None:
            try:
                which.command(f"UPDATE t SET number = 3 WHERE id = {row}")
            except ContentionError:
                ended.append(which)

        threads = [threading.Thread(target=meet, args=each) for each in ((other, 2), (connection, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON_S)
        (aborted,) = ended
        assert not is_open(aborted)
        assert is_open(connection if aborted is other else other)


def test_a_statement_that_is_ended_leaves_the_transaction_open(
    connection: MariaDBConnection, raw: Callable[..., list[tuple]]
):
    connection.begin_writing()
    connection.command("UPDATE t SET number = 2 WHERE id = 2")
    fails(connection, "SET STATEMENT max_statement_time=0.1 FOR UPDATE t SET number = SLEEP(60) WHERE id = 1")
    assert is_open(connection)
    with suppress(StorageError):
        connection.command("ROLLBACK")
    assert raw("SELECT MAX(number) FROM t") == [(0,)]
