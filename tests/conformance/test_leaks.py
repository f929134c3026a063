"""The leak check: a test that leaves something behind fails, and names it."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aaow_storage_conformance.harness.leaks import find_leaks, open_resources, watched_folders

pytest_plugins = ["pytester"]

ENDS_WITHIN_S = 60
"""Upper bound for what takes no time on an idle machine."""


def run(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n")
    pytester.makepyfile(
        f"""
        import asyncio, os, subprocess, sys, threading
        from aaow_storage_conformance import clause

        @clause("WFL-1")
        async def test_it(storage, tmp_path):
            {body}
        """
    )
    return pytester.runpytest_subprocess("--storage-backend=sqlite", "-p", "no:cacheprovider")


def test_a_leak_fails_the_test_that_passed_and_its_clause(pytester: pytest.Pytester):
    result = run(pytester, "threading.Thread(target=threading.Event().wait, name='forgotten', daemon=True).start()")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the test or the backend left behind:", "the thread 'forgotten'", "  WFL-1  failed *"])


def test_a_leak_of_a_failed_test_is_not_reported(pytester: pytest.Pytester):
    body = "threading.Thread(target=threading.Event().wait, name='forgotten', daemon=True).start(); assert False"
    run(pytester, body).assert_outcomes(failed=1)


def test_a_clean_test_passes(pytester: pytest.Pytester):
    body = "await asyncio.to_thread((tmp_path / 'file').write_text, 'x'); await storage.list_sessions()"
    run(pytester, body).assert_outcomes(passed=1)


async def leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leak: Callable[[], object]) -> list[str]:
    monkeypatch.setattr("aaow_storage_conformance.harness.leaks.CLEAN_UP_TIMEOUT_S", 0.05)
    before = open_resources([str(tmp_path)])
    leak()
    return await find_leaks(before, [str(tmp_path)])


@pytest.mark.asyncio
async def test_a_thread_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="writer")
    assert await leaks(tmp_path, monkeypatch, thread.start) == ["the thread 'writer'"]
    stop.set()
    thread.join()


@pytest.mark.asyncio
async def test_a_call_that_still_runs_in_the_pool_of_the_loop_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started, stop = threading.Event(), threading.Event()
    calls = []

    def run_until_stopped() -> None:
        started.set()
        stop.wait()

    def call_in_the_pool() -> None:
        calls.append(asyncio.get_running_loop().run_in_executor(None, run_until_stopped))
        assert started.wait(ENDS_WITHIN_S)  # until it runs, its thread cannot be told from an idle one

    (left,) = await leaks(tmp_path, monkeypatch, call_in_the_pool)
    assert left.startswith("the thread 'asyncio_")
    stop.set()
    await calls[0]
    assert await leaks(tmp_path, monkeypatch, lambda: None) == []


@pytest.mark.asyncio
async def test_a_task_is_named_with_its_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    tasks = []
    (left,) = await leaks(
        tmp_path, monkeypatch, lambda: tasks.append(asyncio.create_task(wait_for_ever(), name="poller"))
    )
    assert left.startswith("the task 'poller' of ")
    assert left.endswith("wait_for_ever")
    tasks[0].cancel()


@pytest.mark.asyncio
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
async def test_a_process_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    processes = []
    command = [sys.executable, "-c", "input()"]
    (left,) = await leaks(
        tmp_path, monkeypatch, lambda: processes.append(subprocess.Popen(command, stdin=subprocess.PIPE))
    )
    assert left == f"the process {processes[0].pid} ({' '.join(command)})"
    processes[0].communicate(b"\n")


@pytest.mark.asyncio
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_an_open_file_in_the_folder_of_the_store_is_named_and_another_is_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path_factory.mktemp("other")
    opened: list[int] = []

    def open_in(folder: Path) -> None:
        opened.append(os.open(folder / "store.db", os.O_CREAT | os.O_RDWR))

    assert await leaks(tmp_path, monkeypatch, lambda: open_in(other)) == []
    left = await leaks(tmp_path, monkeypatch, lambda: open_in(tmp_path))
    assert left == [f"the descriptor {opened[-1]} of {tmp_path / 'store.db'}"]
    for descriptor in opened:
        os.close(descriptor)


@pytest.mark.asyncio
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_an_open_socket_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sockets = []
    left = await leaks(tmp_path, monkeypatch, lambda: sockets.extend(socket.socketpair()))
    assert [line.partition(" of ")[2][:7] for line in left] == ["socket:", "socket:"]
    for each in sockets:
        each.close()


@pytest.mark.asyncio
async def test_a_thread_that_ends_soon_after_the_test_is_no_leak(tmp_path: Path):
    before = open_resources([str(tmp_path)])
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    assert await find_leaks(before, [str(tmp_path)]) == []
    thread.join()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:////data/of this/store.db", "/data/of this/store.db"),
        ("file:///data/of%20this/store.db", "/data/of this/store.db"),
        ("store.db", str(Path("store.db").absolute())),
        ("postgresql://ann@db/agents", "/agents"),
    ],
)
def test_open_files_are_looked_for_at_the_path_of_the_url(tmp_path: Path, url: str, place: str):
    assert watched_folders(url, tmp_path) == (str(tmp_path), "/dev/shm/", place)


@pytest.mark.parametrize("url", [None, "memory://", "postgresql://db/"])
def test_a_url_without_a_path_adds_no_folder(tmp_path: Path, url: str | None):
    assert watched_folders(url, tmp_path) == (str(tmp_path), "/dev/shm/")
