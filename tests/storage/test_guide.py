"""The backend of the guide for authors passes the suite, installed as the guide says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "packages" / "aaow-storage" / "docs" / "write-a-backend.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_backend_of_the_guide_keeps_data_and_no_pickles():
    program = "\n".join(blocks("python"))
    assert "import pickle" not in program
    assert "dumps(" in program
    assert "loads(" in program


@pytest.mark.slow(seconds=60)
def test_the_backend_of_the_guide_passes_the_suite(tmp_path: Path):
    program = [block for block in blocks("python") if "asyncio.run(" not in block]
    (project,) = (tomllib.loads(block)["project"] for block in blocks("toml"))
    (tmp_path / "aaow_notebook.py").write_text("\n".join(program))
    info = tmp_path / f"aaow_notebook-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {value}" for name, value in project["entry-points"]["aaow_storage"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[aaow_storage]", *points]))

    suite = ["--pyargs", "aaow_storage_conformance", "--storage-backend=notebook", "-m", "not slow"]
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *suite],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "\nquick profile: " in done.stdout
