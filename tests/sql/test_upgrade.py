"""Running the migrations beside whatever else the process does with alembic and SQLAlchemy."""

import compileall
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from alembic import op as proxy
from alembic.migration import MigrationContext
from alembic.operations import Operations

import aaow_storage_sql
from aaow_storage_sql import HEAD, VERSION_TABLE, SQLConnection
from aaow_storage_sql._migrations import migrate
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import migrate_store, version

PATIENCE_S = 5.0

OPEN = """
import asyncio, sys, aaow_storage_sql
from aaow_storage import create_adapter

async def main():
    async with create_adapter("sqlite", sys.argv[1]) as storage:
        print(await storage.count_workflows(), aaow_storage_sql.__file__.startswith(sys.argv[2]))

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def alembic_makes_the_statements(monkeypatch: pytest.MonkeyPatch):
    """Each test begins as a process that has migrated nothing."""
    monkeypatch.setattr(migrate, "_new_schemas", {})


@pytest.fixture(params=["archive", "compiled", "100% of %(here)s"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where the package is once more: in an archive, as compiled files alone, and below a folder of any name."""
    package = Path(aaow_storage_sql.__file__).parent
    place = tmp_path / request.param
    if request.param == "archive":
        with ZipFile(place, "w") as archive:
            for path in package.rglob("*.py"):
                archive.write(path, path.relative_to(package.parent))
        return place
    shutil.copytree(package, place / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    if request.param == "compiled":
        compileall.compile_dir(place, legacy=True, quiet=2)
        for path in place.rglob("*.py"):
            path.unlink()
    return place


def test_the_migrations_are_found_wherever_the_package_is(place: Path, tmp_path: Path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "store.db"), str(place)]
    environment = {**os.environ, "PYTHONPATH": str(place)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (run.stdout, run.stderr) == ("0 True\n", "")


@pytest.fixture
def program() -> Iterator[sa.Connection]:
    """A connection of the program, whose own migration is under way."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        yield connection
    engine.dispose()


def test_a_migration_of_the_program_itself_is_not_disturbed(connection: SQLConnection, program: sa.Connection):
    proxy.create_table("first", sa.Column("id", sa.Integer))
    migrating = threading.Thread(target=migrate_store, args=(connection, HEAD, PATIENCE_S))
    migrating.start()
    migrating.join()
    proxy.create_table("second", sa.Column("id", sa.Integer))
    assert proxy.get_bind() is program
    assert sa.inspect(program).get_table_names() == ["first", "second"]
    assert version(connection) == HEAD
    names = connection.driver_connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert not {("first",), ("second",)} & set(names)


def test_listeners_of_the_program_on_new_connections_do_not_run_for_a_store(connection: SQLConnection):
    def fail(*_: object) -> None:
        raise AssertionError("a listener of the program was called")

    sa.event.listen(sa.Engine, "connect", fail)
    sa.event.listen(sa.Pool, "checkout", fail)
    try:
        migrate_store(connection, HEAD, PATIENCE_S)
    finally:
        sa.event.remove(sa.Engine, "connect", fail)
        sa.event.remove(sa.Pool, "checkout", fail)
    assert version(connection) == HEAD


def test_the_version_table_is_what_alembic_makes(connection: SQLConnection):
    migrate_store(connection, HEAD, PATIENCE_S)
    engine = sa.create_engine("sqlite://")
    with engine.connect() as other:
        context = MigrationContext.configure(other, opts={"version_table": VERSION_TABLE})
        context._ensure_version_table()
        (theirs,) = other.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table'").one()
    engine.dispose()
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    ((ours,),) = connection.driver_connection.execute(query, (VERSION_TABLE,)).fetchall()
    assert ours.split() == theirs.split()


def test_a_store_downgraded_to_base_has_no_version(connection: SQLConnection):
    for revision in (HEAD, "base", HEAD):
        migrate_store(connection, revision, PATIENCE_S)
        assert version(connection) == (None if revision == "base" else revision)
    rows = connection.driver_connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall()
    assert rows == [(HEAD,)]


def schema_of(connection: SQLConnection) -> list[tuple[object, ...]]:
    return connection.driver_connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_the_second_store_that_a_process_makes_has_the_same_schema_without_alembic(
    connection: SQLConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    migrate_store(connection, HEAD, PATIENCE_S)
    monkeypatch.setattr(MigrationContext, "configure", None)
    second = open_writer(Settings(Location(tmp_path / "second.db"), Synchronous.NORMAL, busy_timeout=5))
    with closing(second.driver_connection):
        migrate_store(second, HEAD, PATIENCE_S)
        assert schema_of(second) == schema_of(connection)
        assert version(second) == HEAD
        assert feed_of(second) != feed_of(connection)  # positions of the one are refused by the other


def feed_of(connection: SQLConnection) -> list[tuple[object, ...]]:
    return connection.driver_connection.execute("SELECT generation FROM change_feed WHERE is_recording").fetchall()


def test_a_store_that_holds_something_else_is_migrated_step_by_step(connection: SQLConnection):
    migrate_store(connection, HEAD, PATIENCE_S)
    made = schema_of(connection)
    migrate_store(connection, "base", PATIENCE_S)
    connection.command("CREATE TABLE zebras (id)")
    migrate_store(connection, HEAD, PATIENCE_S)
    assert [row for row in schema_of(connection) if row[1] != "zebras"] == made
