"""Modules of this package, run as processes of their own that wait for a line before they begin to work."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import benchmarks

_FOLDER = str(Path(benchmarks.__file__).parents[1])


class Child:
    """A process that prints a line when it is ready, and its result when its input ends."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": _FOLDER},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Wait for its first line."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"{self._process.args!r} ended before it was ready")

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> str:
        """End its input, and return what else it printed.

        Raises:
            RuntimeError: it failed.
        """
        output = self._process.communicate()[0]
        if self._process.returncode:
            raise RuntimeError(f"{self._process.args!r} failed with {self._process.returncode}")
        return output

    def kill(self) -> None:
        """End it, if it runs."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def children(count: int, module: str, *arguments: object) -> Iterator[list[Child]]:
    """Start processes and wait until all are ready; none outlives the block."""
    started: list[Child] = []
    try:
        for _ in range(count):
            started.append(Child(module, *arguments))  # noqa: PERF401 - what was started has to be ended
        for child in started:
            child.wait_until_ready()
        yield started
    finally:
        for child in started:
            child.kill()
