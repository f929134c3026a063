"""The write-ahead log stays short, whoever reads meanwhile."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aaow_storage import StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage.errors import StorageUnavailableError
from aaow_storage_sql import SQLConnection
from aaow_storage_sqlite import _checkpointer
from aaow_storage_sqlite._connections import Settings, open_checkpointer

pytestmark = pytest.mark.asyncio

MEBIBYTE = 2**20


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything begin at a fraction of the size."""
    monkeypatch.setattr(_checkpointer, "COPY_EVERY_BYTES", MEBIBYTE // 8)
    monkeypatch.setattr(_checkpointer, "COPY_EVERY_PAGES", 16)
    monkeypatch.setattr(_checkpointer, "RESTART_ABOVE_PAGES", 64)
    monkeypatch.setattr(_checkpointer, "CHANGES_AT_FIRST", 4)


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


@pytest.mark.usefixtures("early")
async def test_the_log_stays_short_beside_readers_that_overlap(path: Path):
    async with create_adapter("sqlite", str(path)) as storage:
        with readers_that_overlap(path) as sizes:
            await write(storage, 16)
    assert 0 < max(sizes) < 8 * MEBIBYTE


@pytest.mark.usefixtures("early")
async def test_the_log_is_used_again_from_its_start_without_waiting_for_it_to_be_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_checkpointer, "RESTART_ABOVE_PAGES", 2**31)
    async with create_adapter("sqlite", str(path)) as storage:
        await write(storage, 32)
        assert 0 < log_of(path).stat().st_size < 16 * MEBIBYTE


@pytest.mark.usefixtures("early")
async def test_the_log_stays_short_where_the_store_was_locked_when_it_grew(path: Path, monkeypatch: pytest.MonkeyPatch):
    refused = []

    def refuse_once(settings: Settings) -> SQLConnection:
        if not refused:
            refused.append(settings)
            raise StorageUnavailableError("the database is locked")
        return open_checkpointer(settings)

    monkeypatch.setattr(_checkpointer, "open_checkpointer", refuse_once)
    async with create_adapter("sqlite", str(path)) as storage:
        await write(storage, 16)
        assert log_of(path).stat().st_size < 8 * MEBIBYTE
    assert refused


@pytest.mark.usefixtures("early")
async def test_closing_leaves_no_log_where_another_connection_keeps_the_store_open(path: Path):
    other = sqlite3.connect(path)
    async with create_adapter("sqlite", str(path)) as storage:
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


@pytest.mark.usefixtures("early")
async def test_what_was_checkpointed_is_there_after_reopening(path: Path):
    before = set(threading.enumerate())
    async with create_adapter("sqlite", str(path)) as storage:
        await write(storage, 4)
        stored = await storage.get_workflow("w")
    assert set(threading.enumerate()) <= before
    async with create_adapter("sqlite", str(path)) as storage:
        assert await storage.get_workflow("w") == stored
