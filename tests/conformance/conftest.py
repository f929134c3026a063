"""Fixtures of the tests of the conformance suite."""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tracemalloc  # noqa: F401 - pytest would import it at a warning, and find half of it at a warning meanwhile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from aaow_storage_conformance.broken._runner import ContractTest, contract_tests

FORKING_PYTEST = Path(__file__).parent / "forking_pytest.py"
PYTEST = (sys.executable, "-mpytest")
NEW_INTERPRETER = "new_interpreter: pytest runs in a new interpreter, which imports everything"


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())


@pytest.fixture
def collect_garbage_at_the_end() -> Iterator[None]:
    """Collect what the test dropped, so that its warnings do not fail the next test, which may allow none.

    Modules need it whose tests drop broken backends while they are open, or while a call on them never returns.
    """
    gc.freeze()  # so that only objects of the test are looked at, which is quick
    yield
    gc.collect()
    gc.unfreeze()


class ForkedPytest:
    """A run of pytest in a process that `forking_pytest.py` forked; has what `pytester` needs of a `Popen`."""

    stdin = None

    def __init__(
        self, forking: subprocess.Popen[str], arguments: tuple[str, ...], stdout: TextIO, stderr: TextIO
    ) -> None:
        self._forking = forking
        folder = str(Path.cwd())
        path = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        files = {"stdout": stdout.name, "stderr": stderr.name}
        self._ask({"arguments": arguments, "folder": folder, "environment": environment, **files})
        self._process = int(self._answer())

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the run has ended, and return its exit status."""
        assert self._forking.stdout is not None
        ready, _, _ = select.select([self._forking.stdout], [], [], timeout)
        if not ready:
            raise subprocess.TimeoutExpired("pytest", timeout or 0)
        return int(self._answer())

    def kill(self) -> None:
        """End the run at once."""
        os.kill(self._process, signal.SIGKILL)

    def _ask(self, run: dict[str, Any]) -> None:
        assert self._forking.stdin is not None
        print(json.dumps(run), file=self._forking.stdin, flush=True)

    def _answer(self) -> str:
        assert self._forking.stdout is not None
        return self._forking.stdout.readline()


@pytest.fixture(scope="session")
def forking_pytest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported what pytest and the suite import, and forks."""
    pipe, folder = subprocess.PIPE, tmp_path_factory.mktemp("forking")
    with subprocess.Popen([sys.executable, FORKING_PYTEST], stdin=pipe, stdout=pipe, text=True, cwd=folder) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def pytester(
    request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A folder to run pytest in; each run is in a process of its own, forked where all modules are imported already.

    Importing takes a second. A test with the mark `new_interpreter` runs pytest in new interpreters instead.
    """
    if request.node.get_closest_marker("new_interpreter") is None:
        forking, popen = request.getfixturevalue("forking_pytest"), pytester.popen

        def fork(command: tuple[str, ...], *, stdout: TextIO, stderr: TextIO, **how: Any) -> Any:
            if command[: len(PYTEST)] == PYTEST:
                return ForkedPytest(forking, command[len(PYTEST) :], stdout, stderr)
            return popen(command, stdout=stdout, stderr=stderr, **how)

        monkeypatch.setattr(pytester, "popen", fork)
    return pytester


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", NEW_INTERPRETER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run pytest in a process of its own as slow, because each takes seconds."""
    for item in items:
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
