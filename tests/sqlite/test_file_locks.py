"""Locks that survive when the program itself reads the files of its store."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage_sqlite import _file_locks

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="the system has no locks that belong to a descriptor"),
]

Descriptors = Callable[[Path], list[str]]
OPEN_AND_CLOSE = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM workflows'); c.close()"
)
KILLED = """
import asyncio, os, sys
import subprocess
from aaow_storage import StoredWorkflow, create_adapter

async def main(path, look):
    storage = create_adapter("sqlite", path)
    await storage.initialize()
    for number in range(20):
        for suffix in ("", "-wal", "-shm"):
            with open(path + suffix, "rb") as file:
                file.read()
        if number % 5 == 0:
            subprocess.run([sys.executable, "-c", look, path], check=True)
        await storage.save_workflow(StoredWorkflow(id=str(number), name="n", version="1", definition={}))
        print(number, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main(*sys.argv[1:]))
"""


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


def read_files(path: Path) -> None:
    """Read the files of a store, as a download or a checksum does; closing them drops POSIX locks."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).read_bytes()


def open_in_another_process(path: Path) -> None:
    """Open the store in another process, and close it."""
    subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(path)], check=True)


async def test_another_process_does_not_remove_the_log_of_a_program_that_has_read_its_files(
    storage: StorageAdapter, path: Path
):
    await storage.save_workflow(a_workflow("before"))
    log = path.with_name(f"{path.name}-wal")
    before = log.stat().st_ino
    read_files(path)
    open_in_another_process(path)
    assert log.stat().st_ino == before
    await storage.save_workflow(a_workflow("after"))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        assert other.execute("SELECT count(*) FROM workflows").fetchone() == (2,)


async def test_what_a_program_that_reads_its_files_acknowledged_survives_its_death(path: Path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), OPEN_AND_CLOSE], stdout=subprocess.PIPE, text=True, check=False
    )
    async with create_adapter("sqlite", str(path)) as storage:
        assert done.stdout.split() == [str(number) for number in range(20)]
        assert await storage.count_workflows() == 20


async def test_closing_removes_the_log(path: Path, descriptors_on: Descriptors):
    async with create_adapter("sqlite", str(path)) as storage, create_adapter("sqlite", str(path)) as other:
        await storage.save_workflow(a_workflow("w"))
        read_files(path)
        assert await other.count_workflows() == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert descriptors_on(path) == []


async def test_closing_drops_no_lock_of_another_connection_of_the_program(path: Path, descriptors_on: Descriptors):
    with closing(sqlite3.connect(path, isolation_level=None)) as beside:
        async with create_adapter("sqlite", str(path)) as storage:
            await storage.save_workflow(a_workflow("w"))
            assert beside.execute("SELECT count(*) FROM workflows").fetchone() == (1,)
        open_in_another_process(path)
        assert path.with_name(f"{path.name}-wal").exists()
        beside.execute("DELETE FROM workflows")
    async with create_adapter("sqlite", str(path)) as storage:
        assert await storage.count_workflows() == 0
    assert descriptors_on(path) == []


async def test_a_store_opens_on_a_file_system_without_such_locks(
    path: Path, descriptors_on: Descriptors, monkeypatch: pytest.MonkeyPatch
):
    def unknown(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(_file_locks.fcntl, "fcntl", unknown)
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.save_workflow(a_workflow("w"))
    monkeypatch.undo()
    async with create_adapter("sqlite", str(path)) as storage:
        assert await storage.count_workflows() == 1
    assert descriptors_on(path) == []
