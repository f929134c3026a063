"""Stores, and the command line run inside of this process."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aaow_storage_tools.command_line import main

FOLDER = str(Path(__file__).parent)
if FOLDER not in sys.path:
    sys.path.append(FOLDER)

import demo_store  # noqa: E402 - it is in the folder of this file


@dataclass(frozen=True)
class Outcome:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON Lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The one JSON document on stderr."""
        error = json.loads(self.err)
        assert isinstance(error, dict)
        return error


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Keep out the settings of whoever runs the tests."""
    for name in ("DATABASE_URL", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no configuration"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command inside of this process, as the console script does."""

    def run(*arguments: str | Path, words: Sequence[str] = ()) -> Outcome:
        code = main([*map(str, arguments), *words])
        out, err = capsys.readouterr()
        return Outcome(int(code), out, err)

    return run


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store that the module `demo_store` has filled; tests copy it."""
    path = tmp_path_factory.mktemp("filled") / "demo.db"
    asyncio.run(demo_store.main(f"file:{path}"))
    return path


@pytest.fixture
def store(filled_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the filled store, and name it to commands by DATABASE_URL."""
    path = tmp_path / "demo.db"
    shutil.copyfile(filled_store, path)
    monkeypatch.setenv("DATABASE_URL", f"file:{path}")
    return path
