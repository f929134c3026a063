"""Symbolic links are resolved: every process finds the same file, log and shared memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aaow_storage import StoredWorkflow, create_adapter
from aaow_storage.errors import SchemaVersionError, StorageUnavailableError, ValidationError

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make symbolic links"),
]

SAVE_IN_ANOTHER_PROCESS = """
import asyncio, os, sys
from aaow_storage import StoredWorkflow, create_adapter

async def main():
    async with create_adapter("sqlite", sys.argv[1]) as storage:
        assert await storage.get_workflow("here") is not None
        await storage.save_workflow(StoredWorkflow(id="there", name="n", version="1", definition={}))
        print(*sorted(os.listdir(sys.argv[2])))

asyncio.run(main())
"""
WORKFLOW = StoredWorkflow(id="here", name="n", version="1", definition={})


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """The folder of the file itself, beside one of links."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "links").mkdir()
    return tmp_path / "volume"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def link(path: Path, target: Path | str) -> Path:
    path.symlink_to(target)
    return path


async def saved(path: Path) -> None:
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.save_workflow(WORKFLOW)


async def found(path: Path) -> list[str]:
    async with create_adapter(f"file:{path}?mode=rw") as storage:
        return [workflow.id for workflow in await storage.list_workflows()]


@pytest.mark.parametrize("kind", ["relative", "absolute", "of a link", "of a folder"])
async def test_a_store_behind_a_symbolic_link_opens(tmp_path: Path, volume: Path, kind: str):
    await saved(volume / "store.db")
    links = tmp_path / "links"
    match kind:
        case "relative":
            named = link(links / "store.db", "../volume/store.db")
        case "absolute":
            named = link(links / "store.db", volume / "store.db")
        case "of a link":
            named = link(links / "second.db", link(links / "first.db", "../volume/store.db").name)
        case _:
            named = link(links / "folder", volume) / "store.db"
    assert await found(named) == ["here"]
    assert names(volume) == ["store.db"]


async def test_a_link_to_a_missing_file_creates_the_file_where_it_leads(tmp_path: Path, volume: Path):
    named = link(tmp_path / "links" / "new.db", "../volume/deeper/new.db")
    await saved(named)
    assert named.is_symlink()
    assert await found(volume / "deeper" / "new.db") == ["here"]
    assert names(tmp_path / "links") == ["new.db"]


async def test_a_refused_link_to_a_missing_file_creates_nothing(tmp_path: Path, volume: Path):
    named = link(tmp_path / "links" / "new.db", "../volume/deeper/new.db")
    with pytest.raises(ValidationError, match=f"{named} does not exist"):
        await create_adapter(f"file:{named}?mode=rw").initialize()
    with pytest.raises(SchemaVersionError):
        await create_adapter("sqlite", str(named)).initialize(migrate=False)
    assert names(volume) == []
    assert names(tmp_path / "links") == ["new.db"]


async def test_processes_that_use_the_link_and_the_file_share_one_log(tmp_path: Path, volume: Path):
    named = link(tmp_path / "links" / "store.db", "../volume/store.db")
    for mine, other in ((named, volume / "store.db"), (volume / "store.db", named)):
        async with create_adapter("sqlite", str(mine)) as storage:
            await storage.save_workflow(WORKFLOW)
            command = [sys.executable, "-c", SAVE_IN_ANOTHER_PROCESS, str(other), str(volume)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            assert run.stdout.split() == ["store.db", "store.db-shm", "store.db-wal"]
            assert await storage.get_workflow("there") is not None
            await storage.delete_workflow("there")
        assert names(volume) == ["store.db"]


async def test_changing_a_link_does_not_affect_an_open_store(tmp_path: Path, volume: Path):
    named = link(tmp_path / "links" / "store.db", "../volume/store.db")
    async with create_adapter("sqlite", str(named)) as storage:
        named.unlink()
        named.symlink_to("../volume/next.db")
        await storage.save_workflow(WORKFLOW)
        assert [each.id for each in await storage.list_workflows()] == ["here"]
    assert await found(volume / "store.db") == ["here"]
    assert not (volume / "next.db").exists()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("../volume", "is a folder; name a file in it"),
        ("/dev/null", "is a device, a pipe or a socket; name a file"),
        ("../volume/pipe", "is a device, a pipe or a socket; name a file"),
        ("store.db", "is a symbolic link that leads back to itself"),
        ("other.db", "is a symbolic link that leads back to itself"),
    ],
)
async def test_a_link_to_something_that_is_not_a_file_is_refused(
    tmp_path: Path, volume: Path, target: str, problem: str
):
    os.mkfifo(volume / "pipe")
    named = link(tmp_path / "links" / "store.db", target)
    link(tmp_path / "links" / "other.db", "store.db")
    for migrate in (True, False):
        with pytest.raises(ValidationError, match=f"{named} {problem}"):
            await create_adapter("sqlite", str(named)).initialize(migrate=migrate)
    assert names(volume) == ["pipe"]
    assert names(tmp_path / "links") == ["other.db", "store.db"]


async def test_a_folder_that_is_a_link_back_to_itself_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match="leads back to itself"):
        await create_adapter("sqlite", str(link(tmp_path / "loop", "loop") / "store.db")).initialize()


async def test_an_error_names_the_path_that_was_given(tmp_path: Path, volume: Path):
    (volume / "store.db").write_text("in the way")
    named = link(tmp_path / "links" / "store.db", "../volume/store.db/below.db")
    with pytest.raises(StorageUnavailableError, match=str(named)):
        await create_adapter("sqlite", str(named)).initialize()
