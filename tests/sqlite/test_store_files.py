"""If files of an open store are removed or replaced, that is reported, and no other file is touched."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import StorageAdapter, StoredWorkflow, TransactionOutcome, create_adapter
from aaow_storage.errors import StorageError, TransactionError
from aaow_storage_sqlite import _store_files
from aaow_storage_sqlite._tuning import Tuning

pytestmark = pytest.mark.asyncio

CHECKS_ALWAYS = Tuning(files_check_interval_s=0.0)
CHECKS_RARELY = Tuning(files_check_interval_s=3600.0)
Create = Callable[..., StorageAdapter]


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


def files_of(path: Path) -> list[Path]:
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]


def remove_all(path: Path) -> None:
    for file in files_of(path):
        file.unlink()


def remove_database(path: Path) -> None:
    path.unlink()


def remove_log(path: Path) -> None:
    files_of(path)[1].unlink()


def remove_memory(path: Path) -> None:
    files_of(path)[2].unlink()


def replace_database(path: Path) -> None:
    other = path.with_name("backup.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE of_another_store (number)")
        connection.commit()
    other.replace(path)


def replace_log(path: Path) -> None:
    other = path.with_name("other")
    shutil.copyfile(files_of(path)[1], other)
    other.replace(files_of(path)[1])


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def move_database(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


LOSSES = [
    *(remove_all, remove_database, remove_log, remove_memory, replace_database, replace_log, move_folder),
    move_database,
]
NOTICED_AT_ONCE = [remove_all, remove_database, remove_log, replace_database, move_folder, move_database]
"""Losses that are noticed before the very next commit is acknowledged, however soon that is."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path in a folder that may be moved."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "store.db"


@pytest.fixture(params=["by name", "by inode"])
def identification(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identify files by name, as on Linux, and by inode, as on other systems."""
    if request.param == "by inode":
        monkeypatch.setattr(_store_files, "_PATH_ONLY", None)


OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
connection.close()
"""


def another_process(path: Path, *statements: str) -> None:
    """Run statements in a process that opens the file and closes it again."""
    subprocess.run([sys.executable, "-c", OTHER, str(path), *statements], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


@pytest.mark.usefixtures("identification")
@pytest.mark.parametrize("lose", LOSSES, ids=lambda each: each.__name__)
async def test_everything_is_refused_once_the_files_are_not_at_their_paths(
    path: Path, create_tuned: Create, lose: Callable[[Path], None]
):
    storage = create_tuned(path, CHECKS_ALWAYS)
    await storage.initialize()
    await storage.save_workflow(a_workflow("before"))
    lose(path)
    there = contents(path.parent)
    with pytest.raises(StorageError, match="while the store was open"):
        await storage.save_workflow(a_workflow("after"))
    with pytest.raises(StorageError, match="while the store was open"):
        await storage.begin_transaction()
    with pytest.raises(StorageError, match="while the store was open"):
        await storage.get_workflow("before")
    with pytest.raises(StorageError, match="while the store was open"):
        await storage.list_workflows()
    assert set(contents(path.parent)) == set(there)
    await storage.close()
    if lose in (replace_database, remove_all, remove_database, move_folder, move_database):
        assert {name: text for name, text in contents(path.parent).items() if "-shm" not in name} == {
            name: text for name, text in there.items() if "-shm" not in name
        }
    if lose is not replace_database:
        path.parent.mkdir(exist_ok=True)
        await storage.initialize()
        await storage.save_workflow(a_workflow("afterwards"))
        await storage.close()


@pytest.mark.parametrize("lose", NOTICED_AT_ONCE, ids=lambda each: each.__name__)
async def test_the_next_commit_after_a_loss_is_not_acknowledged(
    path: Path, create_tuned: Create, lose: Callable[[Path], None]
):
    async with create_tuned(path, CHECKS_RARELY) as storage:
        await storage.save_workflow(a_workflow("before"))
        lose(path)
        with pytest.raises(StorageError, match="while the store was open"):
            await storage.save_workflow(a_workflow("after"))


async def test_readers_check_the_files_again_after_the_check_interval(storage: StorageAdapter, path: Path):
    assert await storage.list_workflows() == []
    path.unlink()
    await asyncio.sleep(2 * Tuning().files_check_interval_s)  # the last check is trusted for that long
    with pytest.raises(StorageError, match="while the store was open"):
        await storage.list_workflows()


async def test_a_transaction_does_not_commit_into_files_that_are_gone(storage: StorageAdapter, path: Path):
    tx = await storage.begin_transaction()
    await tx.save_workflow(a_workflow("w"))
    remove_all(path)
    with pytest.raises(StorageError, match="while the store was open"):
        await tx.commit()
    assert tx.outcome is TransactionOutcome.ABORTED
    with pytest.raises(TransactionError):
        await tx.get_workflow("w")


async def test_many_writers_at_once_all_get_the_error(storage: StorageAdapter, path: Path):
    remove_all(path)
    saves = (storage.save_workflow(a_workflow(f"w{number}")) for number in range(64))
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert all(isinstance(result, StorageError) for result in results)


async def test_closing_saves_the_content_of_a_log_that_was_removed(path: Path):
    storage = create_adapter("sqlite", str(path))
    await storage.initialize()
    await storage.save_workflow(a_workflow("before"))
    remove_log(path)
    with pytest.raises(StorageError):
        await storage.save_workflow(a_workflow("after"))
    await storage.close()
    async with create_adapter("sqlite", str(path)) as again:
        assert await again.get_workflow("before") is not None


async def test_closing_does_not_overwrite_what_another_program_has_saved_since(path: Path):
    storage = create_adapter("sqlite", str(path))
    await storage.initialize()
    await storage.save_workflow(a_workflow("before"))
    remove_log(path)
    remove_memory(path)
    another_process(path, "CREATE TABLE since (number)", "INSERT INTO since VALUES (1)")
    with pytest.raises(StorageError):
        await storage.save_workflow(a_workflow("after"))
    await storage.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT number FROM since").fetchall() == [(1,)]


async def test_a_checkpoint_creates_no_file_in_place_of_one_that_is_gone(path: Path, create_tuned: Create):
    storage = create_tuned(path, Tuning(checkpoint_bytes=2**10))
    await storage.initialize()
    remove_all(path)
    storage._executor._writer._checkpointer.next_step()
    for number in range(3):
        with pytest.raises(StorageError):
            await storage.save_workflow(a_workflow(f"w{number}"))
    await storage.close()
    assert list(path.parent.iterdir()) == []


async def test_a_folder_that_cannot_be_searched_at_the_moment_is_not_a_loss(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch
):
    files = storage._executor._writer._files

    def forbidden(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(_store_files._file_locks, "inode_of", forbidden)
        patched.setattr(os, "access", lambda *_: False)
        files.check()
    await storage.save_workflow(a_workflow("w"))


async def test_closing_leaves_no_descriptor(path: Path, descriptors_on: Callable[[Path], list[str]]):
    async with create_adapter("sqlite", str(path)):
        pass
    assert descriptors_on(path) == []
