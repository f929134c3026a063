"""Leaks: threads, tasks, processes and descriptors that a test leaves behind."""

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import thread as thread_pools
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

CLEAN_UP_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.01
PROC = Path("/proc/self")
FILES = PROC / "fd"
TASKS = PROC / "task"
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Processes that Python starts once and keeps."""
DEBUGGERS = ("pydevd", "debugpy", "ptvsd")


@attrs.frozen
class Resources:
    """The resources of this process at one moment.

    Attributes:
        threads: the running threads, but for idle ones of the loop's own pool.
        tasks: the tasks of the running loop.
        processes: the ids of child processes.
        files: descriptors of sockets and of files in the watched folders, each with its target.
    """

    threads: frozenset[threading.Thread]
    tasks: frozenset[asyncio.Task[Any]]
    processes: frozenset[int]
    files: frozenset[tuple[str, str]]

    def leaked_since(self, before: "Resources") -> list[str]:
        """Describe each resource that was not there before."""
        threads = sorted(f"the thread {thread.name!r}" for thread in self.threads - before.threads)
        tasks = sorted(f"the task {_describe_task(task)}" for task in self.tasks - before.tasks)
        processes = [f"the process {_command(each)}" for each in sorted(self.processes - before.processes)]
        files = [f"the descriptor {number} of {name}" for number, name in sorted(self.files - before.files)]
        return [*threads, *tasks, *processes, *files]


def open_resources(folders: Iterable[str] = ()) -> Resources:
    """Return the current resources, without the calling task; called in a running loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return Resources(_threads(), frozenset(tasks), _processes(), _files(tuple(folders)))


def watched_folders(url: str | None, folder: Path) -> tuple[str, ...]:
    """Return the folders whose open files belong to a store: the test's folder, the URL's path, and /dev/shm."""
    path = unquote(urlsplit(url).path) if url is not None else ""
    path = f"/{path.lstrip('/')}" if path.startswith("/") else str(Path(path).absolute()) if path else ""
    return (str(folder), "/dev/shm/", *([path] if len(path) > 1 else []))  # noqa: S108 - only compared with


async def find_leaks(before: Resources, folders: Iterable[str]) -> list[str]:
    """Describe the leaks since `before`; resources get two seconds to go away."""
    deadline = time.monotonic() + CLEAN_UP_TIMEOUT_S
    while (left := open_resources(folders).leaked_since(before)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(POLL_INTERVAL_S)
    return left


def _threads() -> frozenset[threading.Thread]:
    frames = sys._current_frames()  # noqa: SLF001 - the only way to see that a thread is idle
    return frozenset(
        thread
        for thread in threading.enumerate()
        if not isinstance(thread, threading._DummyThread)  # noqa: SLF001 - a thread that Python did not start
        and not thread.name.startswith(DEBUGGERS)
        and not (thread.name.startswith("asyncio_") and _waits_for_work(frames.get(thread.ident or 0)))
    )


def _waits_for_work(frame: FrameType | None) -> bool:
    return frame is None or frame.f_code.co_filename == thread_pools.__file__


def _processes() -> frozenset[int]:
    children = {process.pid for process in multiprocessing.active_children() if process.pid is not None}
    if TASKS.is_dir():
        for thread in os.listdir(TASKS):  # noqa: PTH208 - twice as fast, and called before and after each test
            try:
                text = (TASKS / thread / "children").read_text()
            except OSError:  # the thread has ended, or the kernel has no such file
                continue
            children.update(map(int, text.split()))
    return frozenset(child for child in children if not any(helper in _command(child) for helper in HELPERS))


def _files(folders: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    found = set()
    if FILES.is_dir():
        for number in os.listdir(FILES):  # noqa: PTH208 - as above
            try:
                target = os.readlink(f"{FILES}/{number}")  # noqa: PTH115 - as above
            except OSError:  # the descriptor of the listing itself
                continue
            if target.startswith(("socket:", *folders)):
                found.add((number, target))
    return frozenset(found)


def _command(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        words = ""
    return f"{process} ({words[:120] or 'ended, but not waited for'})"


def _describe_task(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()!r} of {getattr(coroutine, '__qualname__', coroutine)}"
