"""What the maintenance of a store in PostgreSQL tells, copies and puts back."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import (
    ConflictError,
    CorruptDataError,
    NotOfferedError,
    SchemaVersionError,
    Session,
    StorageAdapter,
    StorageError,
    StoreBusyError,
    ValidationError,
    create_adapter,
    maintenance_of,
)
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_conformance.data import samples
from aaow_storage_postgresql import _programs
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._conninfo import conninfo_of
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import migrate_store
from aaow_storage_postgresql.testing import (
    HOSTILE_ENVIRONMENT,
    Server,
    hostile_url,
    pgbouncer_of,
    skipped_where_missing,
    temporary_database,
)
from aaow_storage_sql import HEAD, REVISIONS, Opening

pytestmark = pytest.mark.asyncio

SCHEMA = """
    SELECT 'column', table_name || '.' || column_name, data_type || is_nullable FROM information_schema.columns
    WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', tgname || tgrelid::regclass::text, pg_get_triggerdef(oid) || tgenabled::text
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', oid::regprocedure::text, md5(prosrc) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3
"""


@pytest.fixture
def maintenance(url: str) -> StoreMaintenance:
    """The maintenance of the store in the database."""
    return maintenance_of("postgresql", url)


@pytest_asyncio.fixture
async def filled(url: str) -> AsyncIterator[str]:
    """A closed store with some records."""
    async with create_adapter("postgresql", url) as storage:
        for _ in range(20):
            session = await samples.stored_session(storage)
            await storage.save_execution_state(samples.a_state(session.id))
            await samples.stored_execution(storage, session.id)
    return url


def schema_at(url: str) -> list[tuple[str, ...]]:
    with closing(psycopg.connect(url)) as connection:
        found = connection.execute(SCHEMA).fetchall()
    # The server writes the same condition in another form once it has been dumped and read again.
    return [(kind, name, re.sub(r"::text|::character varying|[\[\]()]", "", text)) for kind, name, text in found]


def set_revision(url: str, revision: str) -> None:
    settings = Settings(conninfo_of(url), schema="public")
    connection = connect(settings)
    migrate_store(connection, settings, revision)
    connection.close()


async def sessions_at(url: str, **options: str) -> set[str]:
    async with create_adapter("postgresql", url, **options) as storage:
        return {each.id for each in await storage.list_sessions()}


# ----------------------------------------------------------------------------------------------------------- looking


async def test_an_empty_database_is_no_store(maintenance: StoreMaintenance):
    assert not await maintenance.exists()


async def test_a_missing_database_is_no_store(url: str):
    missing = urlunsplit(urlsplit(url)._replace(path="/nothing_like_it"))
    assert not await maintenance_of("postgresql", missing).exists()


async def test_tables_of_another_application_are_no_store(maintenance: StoreMaintenance, raw: Callable[..., list]):
    raw("CREATE TABLE sessions (x text)")
    assert not await maintenance.exists()


async def test_a_store_exists_and_tells_the_size_of_each_table(filled: str, maintenance: StoreMaintenance):
    assert await maintenance.exists()
    sizes = await maintenance.sizes()
    assert {"sessions", "llm_executions"} <= {each.name for each in sizes.tables}
    assert sizes.total_bytes == sum(each.table_bytes + each.index_bytes for each in sizes.tables) > 100_000


async def test_what_may_lose_commits_is_a_warning(filled: str, maintenance: StoreMaintenance):
    told = await maintenance.durability()
    assert {"synchronous_commit", "fsync", "full_page_writes"} <= set(told.settings)
    assert any("no synchronous standby" in each for each in told.warnings)
    assert any("fsync is off" in each for each in told.warnings) is (told.settings["fsync"] == "off")


# ---------------------------------------------------------------------------------------------------------- upgrades


async def test_a_store_that_is_up_to_date_has_nothing_to_upgrade(filled: str, maintenance: StoreMaintenance):
    assert (await maintenance.schema_status()).is_current
    assert await maintenance.plan_upgrade() == ""
    assert await maintenance.copy_before_upgrade() is None


@pytest.mark.parametrize("is_filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("revision", ["0003", "0006", REVISIONS[-2]])
async def test_the_statements_of_a_plan_make_the_schema_of_an_upgrade(
    url: str, maintenance: StoreMaintenance, revision: str, is_filled: bool
):
    async with create_adapter("postgresql", url) as storage:
        if is_filled:
            session = await samples.stored_session(storage)
            execution = await samples.stored_execution(storage, session.id)
            await samples.stored_tool_call(storage, execution.id)
            await storage.save_stream_event(samples.an_event())
    set_revision(url, revision)
    before = schema_at(url)
    plan = await maintenance.plan_upgrade()
    assert schema_at(url) == before
    assert (await maintenance.schema_status()).found == revision
    with temporary_database(copy_of=url) as by_hand:
        async with create_adapter("postgresql", url):
            pass
        steps, _, later = plan.partition("-- afterwards, without blocking writes\n")
        assert bool(later) is (is_filled and revision != REVISIONS[-2])
        with closing(psycopg.connect(by_hand, autocommit=True)) as connection:
            connection.execute(f"BEGIN; {steps} COMMIT;")
            for command in later.splitlines():
                connection.execute(command)
        assert schema_at(by_hand) == schema_at(url)
        assert not await maintenance_of("postgresql", by_hand).plan_upgrade()


# ----------------------------------------------------------------------------------------------------------- backups


async def test_a_restored_store_is_the_one_that_was_backed_up(
    filled: str, maintenance: StoreMaintenance, tmp_path: Path
):
    steps: list[tuple[int, int | None]] = []
    made = tmp_path / "made.dump"
    content = await maintenance.backup(made, lambda done, total: steps.append((done, total)))
    assert (content.format, content.schema_version, content.rows["sessions"]) == ("pg_dump", HEAD, 20)
    assert steps[-1] == (made.stat().st_size, made.stat().st_size)
    assert await maintenance.verify(made) == content
    with temporary_database() as target:
        assert await maintenance_of("postgresql", target).restore(made) == content
        assert schema_at(target) == schema_at(filled)
        assert await sessions_at(target) == await sessions_at(filled)
        async with create_adapter("postgresql", target) as storage:
            await samples.stored_session(storage)


async def test_a_backup_during_writes_has_all_that_was_acknowledged_before_it_began(
    storage: StorageAdapter, maintenance: StoreMaintenance, tmp_path: Path
):
    workflow = await samples.stored_workflow(storage)
    acknowledged: list[str] = []
    is_over = False

    async def write() -> None:
        while not is_over:
            async with storage.transaction() as transaction:
                pair = [Session(workflow_id=workflow.id, workflow_snapshot=workflow.definition) for _ in range(2)]
                for each in pair:
                    await transaction.create_session(each)
            acknowledged.extend(each.id for each in pair)
            await asyncio.sleep(0.01)

    writers = [asyncio.create_task(write()) for _ in range(8)]
    while len(acknowledged) < 50:
        await asyncio.sleep(0.01)
    before, count = set(acknowledged), len(acknowledged)
    content = await maintenance.backup(tmp_path / "made.dump")
    assert len(acknowledged) > count, "nobody wrote meanwhile"
    is_over = True
    await asyncio.gather(*writers)
    with temporary_database() as target:
        await maintenance_of("postgresql", target).restore(tmp_path / "made.dump")
        found = await sessions_at(target)
    assert before <= found
    assert len(found) == content.rows["sessions"]
    assert len(found) % 2 == 0, "half of a transaction"


async def test_a_schema_of_its_own_is_backed_up_without_what_else_is_in_it(
    url: str, raw: Callable[..., list], tmp_path: Path
):
    schema = 'a "quoted" name'
    async with create_adapter("postgresql", url, schema=schema) as storage:
        session = await samples.stored_session(storage)
    raw('SET search_path = "a ""quoted"" name"')
    raw("CREATE TABLE mine (id serial PRIMARY KEY, secret text)")
    raw("CREATE FUNCTION theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    raw("CREATE SEQUENCE numbers")
    await maintenance_of("postgresql", url, schema=schema).backup(tmp_path / "made.dump")
    assert b"secret" not in (tmp_path / "made.dump").read_bytes()
    with temporary_database() as target:
        with pytest.raises(ValidationError, match="schema="):
            await maintenance_of("postgresql", target).restore(tmp_path / "made.dump")
        await maintenance_of("postgresql", target, schema=schema).restore(tmp_path / "made.dump")
        assert await sessions_at(target, schema=schema) == {session.id}
        with closing(psycopg.connect(target)) as connection:
            names = connection.execute("SELECT proname FROM pg_proc WHERE proname = 'theirs'").fetchall()
        assert names == []


async def test_a_store_that_is_there_is_replaced_only_on_demand_and_if_nobody_uses_it(
    filled: str, maintenance: StoreMaintenance, tmp_path: Path
):
    made = tmp_path / "made.dump"
    await maintenance.backup(made)
    expected = await sessions_at(filled)
    async with create_adapter("postgresql", filled) as storage:
        await samples.stored_session(storage)
        with pytest.raises(ConflictError, match="has tables already"):
            await maintenance.restore(made)
        with pytest.raises(StoreBusyError, match="is in use"):
            await maintenance.restore(made, replace=True)
    assert len(await sessions_at(filled)) == 21
    before = schema_at(filled)
    await maintenance.restore(made, replace=True)
    assert await sessions_at(filled) == expected
    assert schema_at(filled) == before


async def test_a_flipped_byte_or_a_truncated_file_is_found_or_harmless(
    filled: str, maintenance: StoreMaintenance, tmp_path: Path
):
    made, damaged = tmp_path / "made.dump", tmp_path / "damaged.dump"
    content = await maintenance.backup(made)
    whole = made.read_bytes()
    with temporary_database() as target:
        for size in (0, 10, len(whole) // 2, len(whole) - 1):
            damaged.write_bytes(whole[:size])
            assert (await maintenance.verify(damaged)).findings, size
            with pytest.raises(StorageError):
                await maintenance_of("postgresql", target).restore(damaged)
        assert not await maintenance_of("postgresql", target).exists()
        assert schema_at(target) == []
    chance = random.Random(18)
    for _ in range(5):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole) // 2, len(whole))] ^= 1 << chance.randrange(8)
        damaged.write_bytes(changed)
        found = await maintenance.verify(damaged)
        assert found.findings or found.rows == content.rows


async def test_a_backup_of_a_later_release_is_refused(
    filled: str, maintenance: StoreMaintenance, raw: Callable[..., list], tmp_path: Path
):
    raw("UPDATE aaow_schema_version SET version_num = '9999'")
    await maintenance.backup(tmp_path / "made.dump")
    with temporary_database() as target:
        with pytest.raises(SchemaVersionError, match="newer release"):
            await maintenance_of("postgresql", target).restore(tmp_path / "made.dump")
        assert schema_at(target) == []


async def test_a_backup_replaces_no_file_and_a_cancelled_one_leaves_nothing(
    filled: str, maintenance: StoreMaintenance, tmp_path: Path
):
    made = tmp_path / "made.dump"
    backup = asyncio.create_task(maintenance.backup(made))
    await asyncio.sleep(0.05)
    backup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backup
    assert list(tmp_path.iterdir()) == []
    made.write_text("mine")
    with pytest.raises(ConflictError, match="is there already"):
        await maintenance.backup(made)
    assert made.read_text() == "mine"


async def test_without_the_programs_a_backup_is_not_offered(
    filled: str, maintenance: StoreMaintenance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_programs, "USUAL_PLACES", ())
    for call in (maintenance.backup, maintenance.restore, maintenance.verify):
        with pytest.raises(NotOfferedError, match="is not installed: install"):
            await call(tmp_path / "made.dump")


async def test_a_program_that_is_older_than_the_server_is_not_used():
    path, reason = _programs.find_program("pg_dump", 999)
    assert path is None
    assert "install the newer one" in reason


async def test_no_password_is_among_the_arguments_of_a_program(tmp_path: Path):
    program = tmp_path / "told"
    program.write_text('#!/bin/sh\necho "$@" "$PGPASSWORD"; exit 0\n')
    program.chmod(0o700)
    conninfo = conninfo_of("postgresql://ada:geheim@somewhere/agents")
    with _programs.running([program], Opening(), conninfo) as output:
        told = output.read().decode().split()
    assert told[-1] == "geheim"
    assert "geheim" not in " ".join(told[:-1])


async def test_a_file_that_is_no_dump_is_refused(maintenance: StoreMaintenance, tmp_path: Path):
    (tmp_path / "text").write_text("no dump at all")
    with pytest.raises(CorruptDataError, match="is no file of pg_dump"):
        await maintenance.restore(tmp_path / "text")


# ------------------------------------------------------------------------------------------------ other connections


@pytest.fixture
def hostile(server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The URLs of two databases for a role with hostile settings, in a process with hostile environment variables."""
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        for name in ("one", "two"):
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    urls = tuple(hostile_url(server.url(), name) for name in ("one", "two"))
    for variable, value in HOSTILE_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    return urls


@pytest.mark.slow(seconds=8)  # its own server, whose plans are slow with the settings of the role
async def test_settings_of_a_role_and_a_process_have_no_effect(hostile: tuple[str, ...], tmp_path: Path):
    one, two = hostile
    async with create_adapter("postgresql", one) as storage:
        session = Session(workflow_id=None, workflow_snapshot={"text": "\\ 'ä€😀'"}, metadata={"n": 0.1})
        await storage.create_session(session)
        await samples.stored_execution(storage, session.id)
    schema = "elsewhere"  # the first of the search path
    maintenance = maintenance_of("postgresql", one)
    assert await maintenance.exists()
    assert (await maintenance.sizes()).total_bytes > 0
    assert (await maintenance.schema_status()).is_current
    assert await maintenance.check_integrity() == ()
    content = await maintenance.backup(tmp_path / "made.dump")
    assert await maintenance.verify(tmp_path / "made.dump") == content
    for _ in range(2):
        restored = maintenance_of("postgresql", two, schema=schema)
        assert await restored.restore(tmp_path / "made.dump", replace=True) == content
    await restored.reclaim_space()
    async with create_adapter("postgresql", two, schema=schema) as storage:
        assert await storage.get_session(session.id) == session


async def test_through_a_pooler_a_store_is_looked_at_and_not_dumped(server: Server, tmp_path: Path):
    with skipped_where_missing(), pgbouncer_of(server) as pooler:
        url = f"{pooler}/postgres"
        async with create_adapter("postgresql", url, pooler="transaction") as storage:
            await samples.stored_session(storage)
        maintenance = maintenance_of("postgresql", url, pooler="transaction")
        assert await maintenance.exists()
        assert (await maintenance.sizes()).total_bytes > 0
        assert await maintenance.check_integrity() == ()
        set_revision(server.url(), "0009")
        assert "CREATE TABLE change_feed" in await maintenance.plan_upgrade()
        for call in (maintenance.backup, maintenance.restore):
            with pytest.raises(NotOfferedError, match="not its pooler"):
                await call(tmp_path / "made.dump")


# -------------------------------------------------------------------------------------------------- integrity, space


async def test_a_sound_store_has_no_finding_and_an_invalid_index_is_one(
    filled: str, maintenance: StoreMaintenance, raw: Callable[..., list]
):
    raw("CREATE EXTENSION IF NOT EXISTS amcheck")
    assert await maintenance.check_integrity() == ()
    raw("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_sessions_metadata'::regclass")
    (finding,) = await maintenance.check_integrity()
    assert "ix_sessions_metadata" in finding.place


async def test_space_is_given_back_while_an_adapter_is_open(storage: StorageAdapter, maintenance: StoreMaintenance):
    workflow = await samples.stored_workflow(storage)
    sessions = [await samples.stored_session(storage) for _ in range(50)]
    for each in sessions:
        await storage.delete_session(each.id)
    assert isinstance(await maintenance.reclaim_space(), int)
    assert await storage.get_workflow(workflow.id) == workflow
