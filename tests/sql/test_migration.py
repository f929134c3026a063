"""Running the migrations beside whatever else the process does with alembic and SQLAlchemy."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import op as proxy
from alembic.migration import MigrationContext
from alembic.operations import Operations

from aaow_storage_sql import LATEST, VERSION_TABLE, SQLConnection
from aaow_storage_sqlite._migration import migrate_store, version

PATIENCE_S = 5.0


@pytest.fixture
def program() -> Iterator[sa.Connection]:
    """A connection of the program, whose own migration is under way."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        yield connection
    engine.dispose()


def test_a_migration_of_the_program_itself_goes_on_where_it_was(connection: SQLConnection, program: sa.Connection):
    proxy.create_table("first", sa.Column("id", sa.Integer))
    migrating = threading.Thread(target=migrate_store, args=(connection, LATEST, PATIENCE_S))
    migrating.start()
    migrating.join()
    proxy.create_table("second", sa.Column("id", sa.Integer))
    assert proxy.get_bind() is program
    assert sa.inspect(program).get_table_names() == ["first", "second"]
    assert version(connection) == LATEST
    names = connection.driver_connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert not {("first",), ("second",)} & set(names)


def test_what_a_program_does_with_each_new_connection_is_not_done_with_a_store(connection: SQLConnection):
    def fail(*_: object) -> None:
        raise AssertionError("a listener of the program was called")

    sa.event.listen(sa.Engine, "connect", fail)
    sa.event.listen(sa.Pool, "checkout", fail)
    try:
        migrate_store(connection, LATEST, PATIENCE_S)
    finally:
        sa.event.remove(sa.Engine, "connect", fail)
        sa.event.remove(sa.Pool, "checkout", fail)
    assert version(connection) == LATEST


def test_the_table_of_the_version_is_as_alembic_makes_it(connection: SQLConnection):
    migrate_store(connection, LATEST, PATIENCE_S)
    engine = sa.create_engine("sqlite://")
    with engine.connect() as other:
        context = MigrationContext.configure(other, opts={"version_table": VERSION_TABLE})
        context._ensure_version_table()
        (theirs,) = other.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table'").one()
    engine.dispose()
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    ((ours,),) = connection.driver_connection.execute(query, (VERSION_TABLE,)).fetchall()
    assert ours.split() == theirs.split()


def test_a_store_that_went_back_to_nothing_has_no_version(connection: SQLConnection):
    for revision in (LATEST, "base", LATEST):
        migrate_store(connection, revision, PATIENCE_S)
        assert version(connection) == (None if revision == "base" else revision)
    rows = connection.driver_connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall()
    assert rows == [(LATEST,)]
