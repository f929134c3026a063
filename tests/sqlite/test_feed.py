"""The change feed of a file that several adapters have open."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from aaow_storage import Capability, ChangesLostError, CorruptDataError, Session, StorageAdapter, create_adapter, now
from aaow_storage_conformance.data import samples

pytestmark = pytest.mark.asyncio


async def test_an_adapter_that_is_open_while_another_switches_the_feed_off_stores_no_changes(tmp_path: Path):
    path = f"{tmp_path}/store.db"
    async with create_adapter("sqlite", path) as storage:
        await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
        async with create_adapter("sqlite", path, changes=False):
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone() == (0,)
        async with create_adapter("sqlite", path, changes=True):
            session = Session(workflow_id=None, workflow_snapshot={})
            await storage.create_session(session)
        assert [change.id for change in await storage.get_changes()] == [session.id]


def run(path: str | Path, *statements: str) -> None:
    """Run SQL on the file of a store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def write(storage: StorageAdapter, count: int = 5) -> None:
    """Make so many changes, each in a transaction of its own."""
    for _ in range(count):
        await storage.create_budget_pool(samples.a_pool())


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM changes WHERE position = 1",
        "DELETE FROM changes WHERE position = 3",
        "UPDATE changes SET position = -3 WHERE position = 3",
        "UPDATE changes SET position = -position",
        "UPDATE changes SET position = 7 WHERE position = 5",
        "UPDATE changes SET position = position + 1000",
        "UPDATE change_feed SET pruned = generation || '.0.3.0.0'",
    ],
)
async def test_a_row_that_is_missing_is_an_error_and_no_silent_gap(storage: StorageAdapter, path: Path, damage: str):
    await write(storage)
    run(path, damage)
    with pytest.raises(CorruptDataError, match=r"changes\.position"):
        await storage.get_changes()


async def test_a_reader_that_comes_to_a_missing_row_is_refused(storage: StorageAdapter, path: Path):
    await write(storage)
    (*_, third) = await storage.get_changes(limit=3)
    run(path, "DELETE FROM changes WHERE position = 4")
    with pytest.raises(CorruptDataError, match=r"the row 4 is missing before the row 5"):
        await storage.get_changes(third.position)


@pytest.mark.parametrize("damaged", ["at = 'abc'", "at = 1.5", "changes = '{'", "changes = '[]'", "transaction_id = 5"])
async def test_damaged_changes_are_not_pruned(storage: StorageAdapter, path: Path, damaged: str):
    await write(storage)
    (*_, last) = await storage.get_changes()
    run(path, f"UPDATE changes SET {damaged} WHERE position = 4")
    with pytest.raises(CorruptDataError, match=rf"changes\.{damaged.partition(' ')[0]} of the row"):
        await storage.prune_changes(last.position)
    run(path, f"UPDATE changes SET {damaged}")
    with pytest.raises(CorruptDataError):
        await storage.prune_changes(now() + timedelta(days=1))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchone() == (5,)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE changes SET changes = '{'",
        "UPDATE change_feed SET is_recording = 'abc'",
        "UPDATE change_feed SET is_recording = 7",
        "UPDATE change_feed SET generation = '?'",
        "UPDATE change_feed SET pruned = 'x'",
        "DELETE FROM change_feed",
    ],
)
async def test_a_damaged_feed_says_so_until_it_is_switched_off_and_on(tmp_path: Path, damage: str):
    path = f"{tmp_path}/store.db"
    async with create_adapter("sqlite", path) as storage:
        await write(storage)
    run(path, damage)
    async with create_adapter("sqlite", path) as storage:
        assert Capability.CHANGES in storage.capabilities
        for read in (storage.get_changes, storage.last_change, storage.changes().__anext__):
            with pytest.raises(CorruptDataError, match=r"changes=False and then changes=True"):
                await read()
    async with create_adapter("sqlite", path, changes=False) as storage:
        assert Capability.CHANGES not in storage.capabilities
        await write(storage, 1)
    async with create_adapter("sqlite", path, changes=True) as storage:
        assert await storage.get_changes() == []
        await write(storage, 2)
        assert len(await storage.get_changes()) == 2


async def test_a_position_that_is_newer_than_a_restored_backup_is_refused_for_ever(tmp_path: Path):
    path, backup = tmp_path / "store.db", tmp_path / "backup.db"
    async with create_adapter("sqlite", str(path)) as storage:
        await write(storage, 3)
        kept = [change.position for change in await storage.get_changes()]
    shutil.copy(path, backup)
    async with create_adapter("sqlite", str(path)) as storage:
        await write(storage, 2)
        newer = [change.position for change in await storage.get_changes(kept[-1])]
    shutil.copy(backup, path)
    async with create_adapter("sqlite", str(path)) as storage:
        for count in (0, 1, 1, 1):  # until other changes have the numbers of those that were lost, and one more
            await write(storage, count)
            for lost in newer:
                with pytest.raises(ChangesLostError):
                    await storage.get_changes(lost)
                with pytest.raises(ChangesLostError):
                    await storage.prune_changes(lost)
        new = await storage.get_changes(kept[-1])
        assert len(new) == 3
        assert not {*newer} & {change.position for change in new}


async def test_a_change_of_a_record_whose_id_is_not_text_fails_alone(storage: StorageAdapter, path: Path):
    await storage.save_stream_event(samples.an_event(stream_id="damaged"))
    run(path, "UPDATE stream_events SET id = x'00ff'")
    deletion, *saves = await asyncio.gather(
        storage.delete_stream_events("damaged"),
        *(storage.save_stream_event(samples.an_event(stream_id="other")) for _ in range(3)),
        return_exceptions=True,
    )
    assert isinstance(deletion, CorruptDataError)
    assert saves == [None, None, None]
    assert len(await storage.get_changes()) == 4
