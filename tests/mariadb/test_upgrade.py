"""Making and upgrading the schema of a store in MariaDB, which commits each statement of it."""

import asyncio
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from aaow_storage import create_adapter
from aaow_storage.errors import SchemaVersionError
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._server import MariaDBServer
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb.testing import temporary_database
from aaow_storage_sql import (
    HEAD,
    VERSION_TABLE,
    Opening,
    RowLease,
    metadata,
    migrate_to,
    plan_steps,
    stored_version,
    upgrade_in_steps,
)
from aaow_storage_sql._migrations import history
from aaow_storage_sql._migrations.steps import Step
from aaow_storage_sql._schema import revisions

LOCK_TABLE = "aaow_migration_lock"
SHORT_LEASE_S = 0.2
OF_OTHERS = {
    "ix_changes_transaction_id_position",
    "ix_llm_executions_session_id_timestamp_id_node_id",
    "ix_llm_executions_usage",
}
"""The indexes that the metadata has for other databases."""


class Killed(BaseException):
    """The end of the process."""


@contextmanager
def opened(url: str) -> Iterator[MariaDBConnection]:
    with closing(MariaDBServer(Settings(location=location_of(url))).connect()) as connection:
        yield connection


def initialize(url: str) -> None:
    with opened(url) as connection:
        upgrade_in_steps(connection, Opening(), migrate=True)


def initialize_until(url: str, last: int) -> bool:
    """Initialize in a process that is killed before a statement; return whether there was one."""
    numbers = itertools.count()
    with opened(url) as connection:
        run = connection.execute

        def execute(text: str, values: Any) -> Any:
            if next(numbers) >= last:
                raise Killed
            return run(text, values)

        connection.execute = execute
        try:
            upgrade_in_steps(connection, Opening(), migrate=True)
        except Killed:
            connection.execute = run
            if LOCK_TABLE in [name for name, _ in schema_of(connection)]:
                connection.command(f"UPDATE {LOCK_TABLE} SET expires_at = 1")  # its lease ends
            return True
    return False


def schema_of(connection: MariaDBConnection) -> list[tuple[str, str]]:
    """The text of each table."""
    names = connection.execute("SHOW TABLES", ()).fetchall()
    texts = [connection.execute(f"SHOW CREATE TABLE {name}", ()).fetchone() for (name,) in names]
    return [(name, re.sub(r" AUTO_INCREMENT=\d+", "", text)) for name, text in texts]


def schema_at(url: str) -> list[tuple[str, str]]:
    with opened(url) as connection:
        return schema_of(connection)


def test_a_new_store_has_exactly_the_metadata(url: str):
    initialize(url)
    with opened(url) as connection:
        engine = sa.create_engine("mariadb+pymysql://", creator=lambda: connection.driver_connection)
        with engine.connect() as handed:
            options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
            differences = compare_metadata(MigrationContext.configure(handed, opts=options), metadata)
            assert {each[0] for each in differences} == {"add_index"}
            assert {each[1].name for each in differences} == OF_OTHERS
            found = sa.inspect(handed)
            for table in metadata.tables.values():
                names = {each["name"] for each in found.get_foreign_keys(table.name)}
                assert names == {each.name for each in table.foreign_key_constraints}
                checks = {each["name"] for each in found.get_check_constraints(table.name)}
                assert {name for name in checks if name.startswith("ck_")} == checks


def test_the_collations_do_not_depend_on_those_of_the_database(url: str, raw: Callable[..., list[tuple]]):
    raw("ALTER DATABASE CHARACTER SET latin1")
    initialize(url)
    columns = raw(
        "SELECT DISTINCT COLLATION_NAME FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE() AND COLLATION_NAME IS NOT NULL"
    )
    assert columns == [("utf8mb4_nopad_bin",)]


def test_killed_again_and_again_each_process_goes_on_where_the_one_before_ended(url: str):
    statements = itertools.count(10)
    while initialize_until(url, next(statements)):
        pass
    with temporary_database() as other:
        initialize(other)
        assert schema_at(url) == schema_at(other)
    with opened(url) as connection:
        assert stored_version(connection) == HEAD
        assert connection.command("SELECT COUNT(*) FROM change_feed") == (1,)


@pytest.mark.slow(seconds=40)  # makes a hundred stores
def test_killed_before_any_statement_the_next_initialize_makes_the_store_complete(url: str):
    initialize(url)
    complete = schema_at(url)
    for last in itertools.count():
        with temporary_database() as store:
            was_killed = initialize_until(store, last)
            initialize(store)
            assert schema_at(store) == complete
        if not was_killed:
            break
    assert last > len(metadata.tables)


@pytest.mark.asyncio
async def test_a_store_that_was_not_finished_is_finished_by_an_adapter_but_not_with_migrate_false(url: str):
    assert initialize_until(url, 30)
    adapter = create_adapter(url)
    with pytest.raises(SchemaVersionError, match="migrate=True to go on"):
        await adapter.initialize(migrate=False)
    async with create_adapter(url) as storage:
        assert await storage.list_sessions() == []


@pytest.mark.asyncio
async def test_four_adapters_that_start_together_all_succeed(url: str):
    adapters = [create_adapter(url) for _ in range(4)]
    await asyncio.gather(*(each.initialize() for each in adapters))
    assert await asyncio.gather(*(each.list_sessions() for each in adapters)) == [[]] * 4
    await asyncio.gather(*(each.close() for each in adapters))


def test_the_migration_of_a_process_that_died_is_taken_over_once_its_lease_ends(url: str):
    with opened(url) as died:
        assert RowLease(died, SHORT_LEASE_S).take()
    initialize(url)
    with opened(url) as connection:
        assert stored_version(connection) == HEAD
        owner = connection.command(f"SELECT owner FROM {LOCK_TABLE}")
    assert owner == ("",)


def test_one_of_many_processes_has_the_lock(url: str):
    with opened(url) as first:
        assert RowLease(first).take()
        RowLease(first).release()
        first.command(f"UPDATE {LOCK_TABLE} SET owner = '', expires_at = 0")
    taken = []

    def take() -> None:
        with opened(url) as connection:
            taken.append(RowLease(connection).take())

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]


class Invented:
    """A revision after the latest one."""

    revision = "9001"

    def upgrade(self, op: object) -> None:
        raise NotImplementedError

    def downgrade(self, op: object) -> None:
        raise NotImplementedError

    def steps(self, dialect: object) -> Iterator[Step]:
        yield Step("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS color VARCHAR(20)")
        yield Step("CREATE INDEX IF NOT EXISTS ix_sessions_color ON sessions (color)")
        has_check = "SELECT 1 FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND "
        checked = "ALTER TABLE sessions ADD CONSTRAINT ck_sessions_color CHECK (color <> '')"
        yield Step(checked, f"{has_check} CONSTRAINT_NAME = 'ck_sessions_color'")
        yield Step("UPDATE streams SET last_sequence = 7 WHERE last_sequence < 7")


def test_a_later_revision_that_is_killed_before_any_statement_goes_on(url: str, monkeypatch: pytest.MonkeyPatch):
    initialize(url)
    with opened(url) as connection:
        connection.command("INSERT INTO streams VALUES ('s', 3)")
    monkeypatch.setattr(history, "HISTORY", (*history.HISTORY, Invented()))
    monkeypatch.setattr(revisions, "REVISIONS", (*revisions.REVISIONS, "9001"))
    monkeypatch.setattr(revisions, "HEAD", "9001")
    with opened(url) as connection:
        assert plan_steps(connection).startswith("-- 9001: A revision after the latest one.\nALTER TABLE sessions ADD")
    statements = itertools.count()
    while initialize_until(url, next(statements)):
        pass
    with opened(url) as connection:
        assert stored_version(connection) == "9001"
        assert plan_steps(connection) == ""
        assert connection.command("SELECT last_sequence FROM streams") == (7,)
    sessions = dict(schema_at(url))["sessions"]
    assert ["ck_sessions_color" in sessions, "ix_sessions_color" in sessions] == [True, True]


def test_a_store_never_goes_back_to_an_earlier_version(url: str):
    initialize(url)
    with opened(url) as connection, pytest.raises(SchemaVersionError, match="never goes back"):
        migrate_to(connection, HEAD, "0010")


def test_tables_of_another_application_are_refused_and_nothing_is_created(url: str, raw: Callable[..., list[tuple]]):
    raw("CREATE TABLE sessions (mine INT)")
    with pytest.raises(SchemaVersionError, match="another application"):
        initialize(url)
    assert raw("SHOW TABLES") == [("sessions",)]
    assert VERSION_TABLE not in metadata.tables
