"""A process that has a store open while another one migrates it: nothing is read or written that it does not know."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aaow_storage import LLMExecutionResult, SchemaVersionError, Session, StorageAdapter, create_adapter
from aaow_storage_sql import HEAD, REVISIONS
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._tuning import Tuning
from aaow_storage_sqlite._upgrade import NUMBER, migrate_store

SESSION = Session(id="s", workflow_id=None, workflow_snapshot={})
OLDER = REVISIONS[-2]

CALLS: dict[str, Callable[[StorageAdapter], Any]] = {
    "a read of one record": lambda storage: storage.get_session("s"),
    "a list": lambda storage: storage.list_sessions(),
    "a lone write": lambda storage: storage.save_llm_execution("s", "n", LLMExecutionResult(id="lone")),
    "a write of several statements": lambda storage: storage.update_session("s", status="completed"),
    "a transaction": lambda storage: storage.begin_transaction(),
    "many writes at once": lambda storage: asyncio.gather(
        *(storage.save_llm_execution("s", "n", LLMExecutionResult(id=f"e {number}")) for number in range(8))
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest_asyncio.fixture
async def storage(path: Path) -> AsyncIterator[StorageAdapter]:
    """A store that is open, and used already, so that statements are compiled."""
    async with create_adapter("sqlite", str(path)) as adapter:
        await adapter.create_session(SESSION)
        for call in (CALLS["a read of one record"], CALLS["a list"]):
            await call(adapter)
        yield adapter


def migrate(path: Path, revision: str) -> None:
    """Migrate the store, as another process does."""
    connection = open_writer(parse_settings(str(path)))
    try:
        migrate_store(connection, revision, 10)
    finally:
        connection.close()


def run(path: Path, *statements: str) -> None:
    """Run statements in one transaction, as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("BEGIN IMMEDIATE", *statements, "COMMIT"):
            connection.execute(statement)


async def until_a_check_is_due() -> None:
    await asyncio.sleep(2 * Tuning().schema_check_interval_s)


@pytest.mark.asyncio
async def test_every_call_is_refused_after_a_migration_and_stores_nothing(storage: StorageAdapter, path: Path):
    await asyncio.to_thread(migrate, path, OLDER)
    await until_a_check_is_due()
    for name, call in CALLS.items():
        with pytest.raises(SchemaVersionError) as caught:
            await call(storage)
        assert (name, caught.value.found, caught.value.expected) == (name, OLDER, HEAD)
        assert "another process migrated it while it was open here; close this adapter" in str(caught.value)
    await asyncio.to_thread(migrate, path, HEAD)
    assert await storage.list_llm_executions() == []
    assert await storage.get_session("s") == SESSION


@pytest.mark.asyncio
async def test_the_version_of_a_later_release_is_named(storage: StorageAdapter, path: Path):
    run(path, "UPDATE aaow_schema_version SET version_num = '9999'", "CREATE TABLE later (x)")
    await until_a_check_is_due()
    with pytest.raises(SchemaVersionError, match=r"has schema version 9999, .* and use a later release"):
        await storage.list_sessions()


@pytest.mark.asyncio
async def test_a_write_that_waited_for_the_migration_is_refused(storage: StorageAdapter, path: Path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.ensure_future(CALLS["a lone write"](storage))
        await until_a_check_is_due()
        other.execute("UPDATE aaow_schema_version SET version_num = '9999'")
        other.execute("CREATE TABLE later (x)")
        other.execute("COMMIT")
        with pytest.raises(SchemaVersionError):
            await write
        assert other.execute("SELECT count(*) FROM llm_executions").fetchall() == [(0,)]


@pytest.mark.asyncio
async def test_an_open_transaction_makes_the_migration_wait(storage: StorageAdapter, path: Path):
    async with storage.transaction() as transaction:
        migration = asyncio.create_task(asyncio.to_thread(migrate, path, OLDER))
        await until_a_check_is_due()
        await transaction.update_session("s", status="completed")
        assert not migration.done()
    await migration
    await asyncio.to_thread(migrate, path, HEAD)
    session = await storage.get_session("s")
    assert session is not None
    assert session.status == "completed"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX of_mine ON sessions (status)", "CREATE TABLE of_mine (x)", "ANALYZE"],
    ids=["index", "table", "statistics"],
)
async def test_a_change_of_the_schema_that_is_no_migration_disturbs_nothing(
    storage: StorageAdapter, path: Path, statement: str
):
    run(path, statement)
    await until_a_check_is_due()
    for call in (CALLS["a lone write"], CALLS["a list"], CALLS["many writes at once"]):
        await call(storage)
    assert len(await storage.list_llm_executions()) == 9


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("ALTER TABLE sessions RENAME COLUMN status TO state", "a read of one record"),
        ("ALTER TABLE sessions RENAME COLUMN status TO state", "a list"),
        ("ALTER TABLE llm_executions ADD COLUMN later TEXT NOT NULL DEFAULT '' CHECK (later > '')", "a lone write"),
    ],
)
async def test_a_statement_that_fails_before_a_check_is_due_names_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, call: str
):
    monkeypatch.setattr("aaow_storage_sqlite._schema_watch.SchemaWatch.check_if_due", lambda *_: None)
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.create_session(SESSION)
        run(path, "UPDATE aaow_schema_version SET version_num = '9999'", statement)
        with pytest.raises(SchemaVersionError, match="another process migrated it") as caught:
            await CALLS[call](storage)
        assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_migration_that_changes_data_alone_is_noticed_too(path: Path, monkeypatch: pytest.MonkeyPatch):
    migrate(path, HEAD)
    connection = open_writer(parse_settings(str(path)))
    try:
        before = connection.command(NUMBER)
        monkeypatch.setattr("aaow_storage_sqlite._upgrade.migrate_to", lambda *_: None)
        migrate_store(connection, OLDER, 10)
        assert before is not None
        assert connection.command(NUMBER) == (before[0] + 1,)
    finally:
        connection.close()
