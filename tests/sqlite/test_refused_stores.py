"""A refused store is unchanged: its bytes, its journal mode, its log and its folder."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import StoredWorkflow, create_adapter
from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_sql import HEAD, VERSION_TABLE
from aaow_storage_sqlite import _open_store
from aaow_storage_sqlite._upgrade import migrate_store

pytestmark = pytest.mark.asyncio

NEWER = (
    f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)",
    f"INSERT INTO {VERSION_TABLE} VALUES ('9999')",
)
STORES = {
    "another application's table": (("CREATE TABLE sessions (sid TEXT)",), True),
    "another application's view": (("CREATE VIEW sessions AS SELECT 1 AS sid",), True),
    "a newer one": (NEWER, True),
    "a newer one, not to be migrated": (NEWER, False),
    "one without a schema": (("CREATE TABLE mine (a)",), False),
    "an empty file": ((), False),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate"])
@pytest.mark.parametrize("kind", STORES)
async def test_a_refused_store_is_unchanged(path: Path, kind: str, mode: str):
    statements, migrate = STORES[kind]
    path.touch()
    if statements:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            for statement in statements:
                connection.execute(statement)
    before = contents(path.parent)
    adapter = create_adapter("sqlite", str(path))
    for _ in range(2):
        with pytest.raises(SchemaVersionError):
            await adapter.initialize(migrate=migrate)
        assert contents(path.parent) == before


@pytest.mark.parametrize("folder", [".", "missing/deeper"])
async def test_a_missing_file_is_not_created_if_migrating_is_forbidden(tmp_path: Path, folder: str):
    with pytest.raises(SchemaVersionError, match="migrate=True"):
        await create_adapter("sqlite", str(tmp_path / folder / "store.db")).initialize(migrate=False)
    assert list(tmp_path.iterdir()) == []


async def test_a_refused_store_keeps_the_log_that_a_killed_process_left(path: Path):
    crashed = path.with_name("crashed")
    crashed.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in NEWER:
            connection.execute(statement)
        for suffix in ("", "-wal"):
            (crashed / f"store.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    before = contents(crashed)
    with pytest.raises(SchemaVersionError, match="9999"):
        await create_adapter("sqlite", str(crashed / "store.db")).initialize()
    after = contents(crashed)
    after.pop("store.db-shm", None)
    assert after == before


async def test_a_store_that_another_process_upgraded_just_before_is_refused_and_unchanged(
    path: Path, raw: Callable[..., list[tuple]], monkeypatch: pytest.MonkeyPatch
):
    def upgrade(connection, *_, **__) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for statement in NEWER:
                other.execute(statement)
        migrate_store(connection, HEAD, 1)

    monkeypatch.setattr(_open_store, "upgrade", upgrade)
    with pytest.raises(SchemaVersionError, match="9999"):
        await create_adapter("sqlite", str(path)).initialize()
    assert raw("SELECT name FROM sqlite_master WHERE type = 'table'") == [(VERSION_TABLE,)]


async def test_a_store_that_fails_to_migrate_raises_a_storage_error_and_is_unchanged(
    path: Path, raw: Callable[..., list[tuple]]
):
    raw("CREATE TABLE mine (a)")
    raw("CREATE INDEX ix_workflows_created_at_id ON mine (a)")
    with pytest.raises(StorageError, match="ix_workflows_created_at_id already exists") as caught:
        await create_adapter("sqlite", str(path)).initialize()
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert raw("SELECT name FROM sqlite_master ORDER BY name") == [("ix_workflows_created_at_id",), ("mine",)]


async def test_an_adapter_that_was_refused_opens_once_the_store_is_right(path: Path, raw: Callable[..., list[tuple]]):
    for statement in NEWER:
        raw(statement)
    adapter = create_adapter("sqlite", str(path))
    with pytest.raises(SchemaVersionError):
        await adapter.initialize()
    raw(f"DELETE FROM {VERSION_TABLE}")
    async with adapter:
        await adapter.save_workflow(StoredWorkflow(name="n", version="1", definition={}))
        assert await adapter.count_workflows() == 1
