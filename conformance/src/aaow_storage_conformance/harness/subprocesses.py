"""Subprocesses that work on the store of a test, send reports over a socket, and can be killed at any time."""

import asyncio
import multiprocessing
import os
import pickle
import socket
import struct
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from types import ModuleType
from typing import Any

import attrs

from aaow_storage import Backend, available_backends, register_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_conformance.data.versions import set_tested_version
from aaow_storage_conformance.harness.watchdog import Watchdog, current_limits, watching

Report = Callable[[object], None]
"""Sends a value to the process of the test."""

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
EXIT_TIMEOUT_S = 30.0
MAX_SILENCE_S = 100.0
_start_lock = threading.Lock()
_LENGTH = struct.Struct("!I")


class Subprocess:
    """A running subprocess, seen from the process of the test."""

    def __init__(self, process: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._has_ended = False

    @property
    def id(self) -> int:
        """The process id."""
        number: int = self._process.pid
        return number

    async def next_report(self) -> Any:
        """Wait for the next report, and return it.

        Raises:
            RuntimeError: the function failed (the message holds its traceback), or sends no more reports.
        """
        kind, value = await self._receive()
        if kind != "reported":
            raise RuntimeError(f"the subprocess {kind}:\n{value}")
        return value

    async def result(self) -> Any:
        """Wait for the result of the function, dropping its reports.

        Raises:
            RuntimeError: the function failed (the message holds its traceback), or the process ended before.
        """
        while not self._has_ended:
            kind, value = await self._receive()
            if kind == "returned":
                return value
            if kind != "reported":
                raise RuntimeError(f"the subprocess {kind}:\n{value}")
        raise RuntimeError("the subprocess ended before it returned a result")

    async def kill(self) -> list[Any]:
        """Kill the process with SIGKILL, and return its reports that were not received yet.

        Raises:
            RuntimeError: the function had failed before.
        """
        self._process.kill()
        return await self.last_reports()

    async def last_reports(self) -> list[Any]:
        """Wait for the end of the process, and return its reports that were not received yet.

        Raises:
            RuntimeError: the function failed; the message holds its traceback.
        """
        reports = []
        while not self._has_ended:
            kind, value = await self._receive()
            if kind == "reported":
                reports.append(value)
            elif kind == "failed":
                raise RuntimeError(f"the subprocess {kind}:\n{value}")
        return reports

    async def end(self) -> None:
        """Kill the process if it has not returned, and wait for its end."""
        if not self._has_ended:
            self._process.kill()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.join, EXIT_TIMEOUT_S)
        self._process.close()

    async def _receive(self) -> tuple[str, Any]:
        try:
            async with asyncio.timeout(MAX_SILENCE_S):
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            received: tuple[str, Any] = pickle.loads(await self._reader.readexactly(length))  # noqa: S301 - our own process
        except (asyncio.IncompleteReadError, ConnectionError):
            received = "ended", None
        except TimeoutError:
            received = "failed", f"it sent no report for {MAX_SILENCE_S:g} s, and was killed"
            self._process.kill()
        self._has_ended = received[0] != "reported"
        return received


@asynccontextmanager
async def run_subprocess(
    plugins: Iterable[object], backend: Backend, function: Callable[..., Awaitable[Any]], *args: Any
) -> AsyncIterator[Subprocess]:
    """Run `function(report, *args)` in a subprocess with a new event loop; the subprocess ends with the block.

    The subprocess registers the plugins first. A backend that it cannot find then must be picklable.
    """
    context = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        context.set_forkserver_preload(_modules_to_preload(backend))
    plain = (tuple(plugins), backend.name, _pickle_or_none(backend), backend.contract)
    task = pickle.dumps((*plain, current_limits(), function, args))
    ours, theirs = socket.socketpair()
    with theirs:
        process = context.Process(target=run_child, args=(theirs, task), daemon=True)  # type: ignore[attr-defined]  # every start method has it
        await asyncio.to_thread(_start, process)
    other = Subprocess(process, *await asyncio.open_connection(sock=ours))
    try:
        yield other
    finally:
        await asyncio.shield(other.end())


def _start(process: Any) -> None:
    """Start the process without importing `__main__`, because the program that runs the tests may not be importable."""
    with _start_lock:
        program = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = program


def run_child(channel: socket.socket, task: bytes) -> None:
    """Run the task and send its outcome: the main function of the subprocess. It exits when the socket closes."""
    threading.Thread(target=_exit_with_parent, args=(channel,), daemon=True).start()
    sending = threading.Lock()

    def send(kind: str, value: object) -> None:
        message = pickle.dumps((kind, value))
        with sending:
            channel.sendall(_LENGTH.pack(len(message)) + message)

    try:
        plugins, name, backend, contract, limits, function, args = pickle.loads(task)  # noqa: S301 - written by the parent process
        for plugin in plugins:
            register_plugin(plugin)
        if backend is not None and name not in available_backends():
            register_plugin(UninstalledPlugin(pickle.loads(backend)))  # noqa: S301 - as above
        set_tested_version(contract)
        watch = Watchdog("the subprocess", limits)
        with watching(watch), watch.phase("work"):
            returned = asyncio.run(function(lambda report: send("reported", report), *args))
        send("returned", returned)
    except BaseException:  # noqa: BLE001 - sent to the process of the test
        send("failed", traceback.format_exc())


@attrs.frozen(eq=False)
class UninstalledPlugin:
    """A plugin for a backend that is not installed."""

    backend: Backend

    @hookimpl
    def aaow_storage_backend(self) -> Backend:
        """Return the backend."""
        return self.backend


def _pickle_or_none(backend: Backend) -> bytes | None:
    try:
        return pickle.dumps(backend)
    except (pickle.PicklingError, AttributeError, TypeError):  # it holds a local function or an open file
        return None


def _exit_with_parent(channel: socket.socket) -> None:
    with suppress(OSError):
        channel.recv(1)
    os._exit(1)


def _modules_to_preload(backend: Backend) -> list[str]:
    """Return the modules that the fork server imports once for all subprocesses.

    A backend may import most of its modules when its first store is opened; this process has imported them by now.
    """
    usable = [each for each in available_backends().values() if each.problem is None]
    plugins = {each.create.__module__: None for each in (backend, *usable)}
    packages = {name.partition(".")[0] for name in plugins}
    return [__name__, *plugins, *(name for name in sys.modules if name.partition(".")[0] in packages - {"__main__"})]
