"""Migrations: they run once for all processes, up and down, in any schema."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextvars import Context

import attrs
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from aaow_storage import OrderBy, QueryFilter, Session, create_adapter
from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._indexes import LATER_INDEXES, build_indexes
from aaow_storage_postgresql._migration_lock import try_lock
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import migrate_store, upgrade, version
from aaow_storage_sql import HEAD, REVISIONS, VERSION_TABLE, metadata

PROCESSES = 8
BUILDS = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event = 'virtualxid'"
INITIALIZE = """
import asyncio, sys
from aaow_storage import create_adapter

async def main():
    adapter = create_adapter("postgresql", sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    async with adapter:
        await adapter.list_sessions()

asyncio.run(main())
"""


OF_OTHERS = {
    "ix_changes_transaction_id",
    "ix_llm_executions_session_id_timestamp_id_node_id",
    "ix_llm_executions_usage",
}
"""The indexes that the metadata has for other databases."""


@pytest.fixture
def settings(url: str) -> Settings:
    """The settings of connections to the database."""
    return Settings(url)


@pytest.fixture
def connection(settings: Settings) -> Iterator[PostgreSQLConnection]:
    """A connection to the database, which has no schema."""
    opened = connect(settings)
    yield opened
    opened.driver_connection.close()


def test_migrating_from_empty_yields_the_metadata(connection: PostgreSQLConnection, settings: Settings):
    migrate_store(connection, settings, HEAD)
    engine = sa.create_engine(settings.conninfo.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as handed:
        declared = {index.name for table in metadata.tables.values() for index in table.indexes}
        unknown = {VERSION_TABLE, *LATER_INDEXES} - declared
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _: name not in unknown,
            "include_object": lambda each, name, *_: name not in OF_OTHERS,
        }
        assert compare_metadata(MigrationContext.configure(handed, opts=options), metadata) == []
        found = sa.inspect(handed)
        for table in metadata.tables.values():
            columns = {column["name"]: column["type"] for column in found.get_columns(table.name)}
            for column in table.columns:
                expected = column.type.dialect_impl(handed.dialect)
                collation = getattr(expected, "collation", None) or getattr(column.type, "collation", None)
                assert getattr(columns[column.name], "collation", None) == collation, column
    engine.dispose()


def test_downgrades_restore_each_revision(
    connection: PostgreSQLConnection, settings: Settings, raw: Callable[..., list[tuple]]
):
    def objects() -> set[tuple]:
        relations = raw("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        functions = raw("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        return {*relations, *functions} - {(VERSION_TABLE,), (f"{VERSION_TABLE}_pkc",)}

    found = {}
    for revision in REVISIONS:
        migrate_store(connection, settings, revision)
        found[revision] = objects()
    for revision in reversed(REVISIONS):
        migrate_store(connection, settings, revision)
        assert objects() == found[revision]
    migrate_store(connection, settings, "base")
    assert objects() == set()


def test_a_failed_migration_changes_nothing(
    connection: PostgreSQLConnection, settings: Settings, raw: Callable[..., list[tuple]]
):
    migrate_store(connection, settings, REVISIONS[0])
    raw("CREATE TABLE approval_requests (mine integer)")
    with pytest.raises(StorageError, match="approval_requests"):
        migrate_store(connection, settings, HEAD)
    assert version(connection, settings) == REVISIONS[0]
    assert raw("SELECT to_regclass('budget_pools')") == [(None,)]


def test_an_old_store_is_not_migrated_with_migrate_false(connection: PostgreSQLConnection, settings: Settings):
    migrate_store(connection, settings, REVISIONS[0])
    with pytest.raises(SchemaVersionError, match="migrate=True"):
        upgrade(connection, settings, migrate=False)
    assert version(connection, settings) == REVISIONS[0]


@pytest.mark.parametrize("old", [False, True], ids=["an empty database", "an old one with rows"])
def test_eight_processes_that_start_together_all_succeed(
    url: str, settings: Settings, raw: Callable[..., list[tuple]], old: bool
):
    if old:
        opened = connect(settings)
        migrate_store(opened, settings, REVISIONS[0])
        opened.driver_connection.close()
        raw("INSERT INTO documents (digest, body) VALUES (sha256('{}'), '{}')")
        columns = "id, snapshot_digest, status, created_at, updated_at, metadata"
        values = "n::text, sha256('{}'), 'running', now(), now(), '{}'"
        raw(f"INSERT INTO sessions ({columns}) SELECT {values} FROM generate_series(1, 2000) n")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", INITIALIZE, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, errors


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["agents", 'Quo"ted name', "select", "100% mine", "%s%%(a)s", "[a]", "a.b"])
async def test_applications_share_a_database_in_separate_schemas(url: str, raw: Callable[..., list[tuple]], name: str):
    async with create_adapter("postgresql", url, schema=name) as one, create_adapter("postgresql", url) as other:
        session = Session(workflow_id=None, workflow_snapshot={"a": 1}, metadata={"user": "ada"})
        await one.create_session(session)
        assert await other.list_sessions() == []
        assert await one.list_sessions() == [session]
        assert await one.get_session(session.id) == session
    async with create_adapter("postgresql", url, schema=name) as again:
        assert await again.list_sessions(QueryFilter({"metadata.user": "ada"}, OrderBy("metadata.user"))) == [session]
    assert raw("SELECT count(*) FROM pg_tables WHERE schemaname = %s", name) == [(len(metadata.tables) + 1,)]


@pytest.mark.asyncio
async def test_initialize_waits_for_another_migration(url: str, settings: Settings):
    holding = connect(settings)
    holding.begin_writing()
    assert try_lock(holding, attrs.evolve(settings, schema="public"))  # the schema that it finds
    adapter = create_adapter("postgresql", url, statement_timeout=0.2)
    starting = asyncio.create_task(adapter.initialize())
    done, _ = await asyncio.wait([starting], timeout=0.5)
    assert not done
    holding.command("ROLLBACK")
    await starting
    await adapter.close()
    holding.driver_connection.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("schema", [None, 'Quo"ted'])
async def test_indexes_on_a_filled_table_are_built_without_blocking_writes(
    url: str, settings: Settings, raw: Callable[..., list[tuple]], schema: str | None
):
    async with create_adapter("postgresql", url, schema=schema) as adapter:
        await adapter.create_session(Session(id="old", workflow_id=None, workflow_snapshot={}))
        own = attrs.evolve(settings, schema=schema)
        opened = connect(own)
        for revision in ("0003", HEAD):
            migrate_store(opened, own, revision)
        opened.driver_connection.close()
        async with adapter.transaction() as transaction:
            await transaction.update_session("old", status="paused")
            upgraded = create_adapter("postgresql", url, schema=schema)
            starting = asyncio.create_task(upgraded.initialize())
            while not raw(BUILDS):
                assert not starting.done(), starting.exception()
                await asyncio.sleep(0.01)
            for _ in range(3):
                new = Session(workflow_id=None, workflow_snapshot={}, metadata={"user": "bob"})
                await asyncio.create_task(adapter.create_session(new), context=Context())
            assert not starting.done()
        await starting
        assert await upgraded.count_sessions(QueryFilter({"metadata.user": "bob"})) == 3
        await upgraded.close()
    made = raw("SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid")
    assert sum(name.endswith(tuple(LATER_INDEXES)) for (name,) in made) == len(LATER_INDEXES)


def test_an_invalid_index_is_built_again(
    connection: PostgreSQLConnection, settings: Settings, raw: Callable[..., list[tuple]]
):
    migrate_store(connection, settings, HEAD)
    raw("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_sessions_metadata'::regclass")
    raw("DROP INDEX ix_workflows_metadata")
    build_indexes(connection, settings)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass"
    assert [raw(valid, name) for name in LATER_INDEXES] == [[(True,)]] * len(LATER_INDEXES)
