"""Which tests begin first; the suite on a backend that is installed."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, such as `@pytest.mark.slow(seconds=60)`: no worker then ends with one."""

    def seconds(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return mark.kwargs.get("seconds", 0.0) if mark is not None else 0.0

    items.sort(key=seconds, reverse=True)


@pytest.fixture
def suite_on_installed(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the quick suite on the backend of a project, as if it was installed, in a process of its own.

    Its modules are in `tmp_path`, or in another folder; more arguments of pytest may follow.
    """

    def run(project: Mapping[str, Any], *arguments: str, modules: Path | None = None) -> Any:
        name, version, points = project["name"], project["version"], project["entry-points"]["aaow_storage"]
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = ["[aaow_storage]", *(f"{backend} = {module}" for backend, module in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        suite = ["--pyargs", "aaow_storage_conformance", f"--storage-backend={next(iter(points))}", "-m", "not slow"]
        options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
        path = [str(each) for each in (tmp_path, modules, os.environ.get("PYTHONPATH")) if each]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *suite, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )

    return run
