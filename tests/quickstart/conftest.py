"""The quickstart, run as its readers run it: as a program, with its output in a pipe, in a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

QUICKSTART = Path(__file__).parents[2] / "packages/aaow-storage/examples/quickstart"
FILE = "aaow-quickstart.db"


def run_quickstart(folder: Path, *arguments: str | Path, columns: int = 80) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", QUICKSTART, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(columns), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """Run the quickstart in the test's folder."""

    def run(*arguments: str | Path, columns: int = 80) -> CompletedProcess[str]:
        return run_quickstart(tmp_path, *arguments, columns=columns)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a document, or bytes, to a file in the test's folder."""

    def write(document: Any, name: str = "workflow.json") -> Path:
        path = tmp_path / name
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return path

    return write


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The path of the quickstart's default store."""
    return str(tmp_path / FILE)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompletedProcess[str], str]:
    """The output of one run of the shipped workflow, and the path of its store, which tests must not change."""
    folder = tmp_path_factory.mktemp("finished")
    return run_quickstart(folder), str(folder / FILE)


@pytest.fixture(scope="session")
def shipped() -> dict[str, Any]:
    """The definition that comes with the quickstart."""
    return json.loads((QUICKSTART / "research_report.json").read_text(encoding="utf-8"))
