"""The processes that a test of the suite starts on its store: reports, kills, and how they end."""

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aaow_storage import available_backends, register_plugin, unregister_plugin
from aaow_storage_conformance import Store
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.history import Writers, initial_calls, make_calls
from aaow_storage_conformance.suite.durability import open_and_stay, write

IN_CODE = """
from aaow_storage import Backend, available_backends
from aaow_storage.hookspecs import hookimpl

def create(url=None):
    return available_backends()["sqlite"].create(url)

@hookimpl
def aaow_storage_backend():
    return Backend(name="in-code", summary="SQLite under another name", create=create)
"""
STARTS_ONE_AND_DIES = """
import asyncio, os, sys
from aaow_storage import available_backends
from aaow_storage_conformance import Store
from aaow_storage_conformance.suite.durability import open_and_stay

async def main(url):
    async with Store(available_backends()["sqlite"], url).process(open_and_stay) as process:
        await process.next_report()
        await process.next_report()
        print(process.id, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(main(sys.argv[1]))
"""
ENDS_WITHIN_S = 60


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(available_backends()["sqlite"], f"sqlite:///{tmp_path / 'store.db'}")


@pytest.mark.asyncio
async def test_reports_come_while_the_process_runs_and_the_last_ones_when_it_is_killed(store: Store):
    calls = initial_calls()
    async with store.open() as storage:
        await make_calls(storage, calls)
    async with store.process(write, Writers(names=("writer",), kills_itself_after=3)) as process:
        name, unit = await process.next_report()
        assert (name, unit[0].name) == ("writer", "save_workflow")
        assert len(await process.last_reports()) == 5
        with pytest.raises(RuntimeError, match="ended"):
            await process.result()


@pytest.mark.asyncio
async def test_a_process_that_stays_can_be_killed(store: Store):
    async with store.process(open_and_stay) as process:
        assert [await process.next_report(), await process.next_report()] == ["opening", "open"]
        assert await process.kill() == []
        assert await process.kill() == []


@pytest.mark.asyncio
async def test_the_error_of_a_function_in_another_process_shows_its_traceback(store: Store):
    with pytest.raises(RuntimeError, match=r"in rename(.|\n)*NotFoundError: there is no workflow 'nowhere'"):
        await store.run_in_subprocess(subprocess_functions.rename, "nowhere", "name")


@pytest.mark.asyncio
async def test_a_backend_that_is_registered_in_code_is_known_in_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "backend_in_code.py").write_text(IN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    plugin = importlib.import_module("backend_in_code")
    register_plugin(plugin)
    try:
        store = Store(available_backends()["in-code"], f"sqlite:///{tmp_path / 'store.db'}")
        assert await store.run_in_subprocess(subprocess_functions.workflow_ids) == []
    finally:
        unregister_plugin(plugin)
        del sys.modules["backend_in_code"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what runs is looked up in /proc")
def test_a_process_ends_with_the_one_that_started_it_and_does_not_run_its_program(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(STARTS_ONE_AND_DIES)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    starter = subprocess.run(
        [sys.executable, program, url], capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False
    )
    assert (starter.returncode, starter.stderr) == (-signal.SIGKILL, "")
    deadline = time.monotonic() + ENDS_WITHIN_S
    while _runs(int(starter.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
