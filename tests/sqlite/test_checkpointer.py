"""The write-ahead log stays short, even beside overlapping readers."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from aaow_storage import StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage.errors import StorageUnavailableError
from aaow_storage_sql import SQLConnection
from aaow_storage_sqlite import _checkpointer
from aaow_storage_sqlite._connections import open_checkpointer
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._tuning import Tuning

pytestmark = pytest.mark.asyncio

MEBIBYTE = 2**20
ENDS_WITHIN_S = 60.0
EARLY = Tuning(
    checkpoint_bytes=MEBIBYTE // 8,
    restart_bytes=MEBIBYTE // 2,
    initial_checkpoint_changes=4,
    max_restart_wait_ms=10_000,
)
"""Checkpoints begin at a fraction of the usual size, and wait for readers that wait for a processor."""
Create = Callable[..., StorageAdapter]


@contextmanager
def readers_that_overlap(path: Path) -> Iterator[list[int]]:
    """Keep a read open at any time, each for some milliseconds; and note how long the log is."""
    stop, sizes = threading.Event(), [0]

    def read() -> None:
        current, following = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
        begin_reading(current)
        while not stop.wait(0.002):
            begin_reading(following)
            current.execute("ROLLBACK")
            current, following = following, current
            sizes.append(log_of(path).stat().st_size)
        for connection in (current, following):
            connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield sizes
    finally:
        stop.set()
        thread.join()


def begin_reading(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM workflows").fetchone()


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


async def write(storage: StorageAdapter, mebibytes: int) -> None:
    for number in range(mebibytes * 8):
        definition = {"text": f"{number} " + "x" * (MEBIBYTE // 8)}
        await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition=definition))


async def test_the_log_stays_short_beside_readers_that_overlap(path: Path, create_tuned: Create):
    async with create_tuned(path, EARLY) as storage:
        with readers_that_overlap(path) as sizes:
            await write(storage, 16)
    assert 0 < max(sizes) < 8 * MEBIBYTE


async def test_the_log_stays_short_if_the_thread_that_copies_it_is_late(
    path: Path, create_tuned: Create, monkeypatch: pytest.MonkeyPatch
):
    is_over, late = threading.Event(), []

    def wait(checkpointer: _checkpointer.Checkpointer, connection: SQLConnection) -> None:
        del checkpointer, connection
        late.append(is_over.wait(ENDS_WITHIN_S))

    monkeypatch.setattr(_checkpointer.Checkpointer, "_copy", wait)
    async with create_tuned(path, EARLY) as storage:
        try:
            with readers_that_overlap(path) as sizes:
                await write(storage, 16)
        finally:
            is_over.set()
    assert late
    assert 0 < max(sizes) < 8 * MEBIBYTE


async def test_the_log_is_overwritten_from_its_beginning_without_a_restart(path: Path, create_tuned: Create):
    async with (
        asyncio.timeout(ENDS_WITHIN_S),
        create_tuned(path, attrs.evolve(EARLY, restart_bytes=2**62)) as storage,
    ):
        sizes = [0, MEBIBYTE]
        while sizes[-1] > sizes[-2]:
            await write(storage, 1)
            sizes.append(log_of(path).stat().st_size)


async def test_the_log_stays_short_if_the_store_was_locked_when_it_grew(
    path: Path, create_tuned: Create, monkeypatch: pytest.MonkeyPatch
):
    refused = []

    def refuse_once(settings: Settings) -> SQLConnection:
        if not refused:
            refused.append(settings)
            raise StorageUnavailableError("the database is locked")
        return open_checkpointer(settings)

    monkeypatch.setattr(_checkpointer, "open_checkpointer", refuse_once)
    async with create_tuned(path, EARLY) as storage:
        await write(storage, 16)
        assert log_of(path).stat().st_size < 8 * MEBIBYTE
    assert refused


async def test_closing_truncates_the_log_if_another_connection_keeps_the_store_open(path: Path, create_tuned: Create):
    other = sqlite3.connect(path)
    async with create_tuned(path, EARLY) as storage:
        assert other.execute("SELECT count(*) FROM workflows").fetchone() == (0,)
        await write(storage, 1)
        assert log_of(path).stat().st_size > 0
    assert log_of(path).stat().st_size == 0
    other.close()


async def test_an_adapter_that_writes_little_needs_no_thread_for_checkpoints(path: Path):
    before = set(threading.enumerate())
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition={}))
        begun = [thread.name for thread in set(threading.enumerate()) - before]
        assert not any(name.startswith("aaow-checkpointer") for name in begun)


async def test_what_was_checkpointed_is_there_after_reopening(path: Path, create_tuned: Create):
    before = set(threading.enumerate())
    async with create_tuned(path, EARLY) as storage:
        await write(storage, 4)
        stored = await storage.get_workflow("w")
    assert set(threading.enumerate()) <= before
    async with create_tuned(path, EARLY) as storage:
        assert await storage.get_workflow("w") == stored
