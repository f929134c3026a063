"""A new store has the permissions that were asked for, from the first moment on, whatever the umask is."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aaow_storage import StoredWorkflow, create_adapter
from aaow_storage.errors import StorageError, ValidationError
from aaow_storage_sqlite import _permissions

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such permissions elsewhere")

UMASKS = (0o000, 0o022, 0o027, 0o077, 0o777 & ~0o700, 0o177)


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Set the umask for the time of a test."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def modes_of_a_new_store(path: Path, file_mode: int | None) -> list[int]:
    """Store something; return the modes of the file, its log and the index of that while it is open, and after that."""
    async with create_adapter("sqlite", str(path), file_mode=file_mode) as storage:
        await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition={}))
        while_open = [mode(path.with_name(path.name + end)) for end in ("", "-wal", "-shm")]
    return [*while_open, mode(path)]


@pytest.mark.asyncio
@pytest.mark.parametrize("mask", UMASKS, ids=oct)
@pytest.mark.parametrize("file_mode", [0o600, 0o640, 0o660, 0o644, 0o666])
async def test_a_new_file_and_its_log_have_the_mode_that_was_asked_for(
    file_mode: int, mask: int, umask: Callable[[int], int], tmp_path: Path
):
    umask(mask)
    assert await modes_of_a_new_store(tmp_path / "agents.db", file_mode) == [file_mode] * 4


@pytest.mark.asyncio
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_without_a_mode_the_umask_decides(mask: int, umask: Callable[[int], int], tmp_path: Path):
    umask(mask)
    path = tmp_path / "folder" / "agents.db"
    assert await modes_of_a_new_store(path, None) == [0o644 & ~mask] * 4
    assert mode(path.parent) == 0o777 & ~mask


@pytest.mark.asyncio
@pytest.mark.parametrize("mask", UMASKS, ids=oct)
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o600, 0o700), (0o640, 0o750), (0o660, 0o770), (0o644, 0o755)])
async def test_new_folders_match_the_file_and_may_be_entered(
    file_mode: int, folder_mode: int, mask: int, umask: Callable[[int], int], tmp_path: Path
):
    umask(mask)
    path = tmp_path / "a" / "b" / "agents.db"
    await modes_of_a_new_store(path, file_mode)
    assert [mode(path.parent), mode(path.parent.parent)] == [folder_mode, folder_mode]


@pytest.mark.asyncio
async def test_an_existing_file_and_folder_keep_their_modes(tmp_path: Path):
    path = tmp_path / "agents.db"
    folder_mode = mode(tmp_path)
    await modes_of_a_new_store(path, None)
    path.chmod(0o640)
    assert await modes_of_a_new_store(path, 0o600) == [0o640] * 4
    assert mode(tmp_path) == folder_mode


@pytest.mark.asyncio
async def test_a_new_file_and_folder_have_no_wider_mode_at_any_moment(
    umask: Callable[[int], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    monkeypatch.setattr(_permissions, "_set_mode", lambda path, wanted: seen.append((path.name, mode(path) & ~wanted)))
    umask(0)
    await modes_of_a_new_store(tmp_path / "a" / "agents.db", 0o600)
    assert seen == [("a", 0), ("agents.db", 0)]


@pytest.mark.asyncio
async def test_a_file_is_created_even_if_only_the_administrator_may_call_mknod(
    umask: Callable[[int], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    umask(0o077)
    assert await modes_of_a_new_store(tmp_path / "agents.db", 0o660) == [0o660] * 4


def test_a_folder_keeps_the_group_of_its_parent(tmp_path: Path):
    tmp_path.chmod(0o2755)
    _permissions.create_folders_and_file(tmp_path / "a" / "agents.db", 0o660)
    assert mode(tmp_path / "a") == 0o2770


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        await modes_of_a_new_store(tmp_path / "file" / "agents.db", 0o600)


@pytest.mark.parametrize("value", [0o400, 0o1600, 0o1000, -1, "600", "0o600", 600.0, True, 600])
def test_a_mode_with_which_the_store_could_not_be_used_is_refused(value: object):
    with pytest.raises(ValidationError, match=r"^sqlite\.file_mode: .* from 0o600 to 0o777"):
        create_adapter("sqlite", "agents.db", file_mode=value)


@pytest.mark.asyncio
async def test_a_store_in_memory_takes_the_option_too():
    async with create_adapter("sqlite", ":memory:", file_mode=0o600) as storage:
        assert await storage.list_workflows() == []
