"""The backend of the guide for authors passes the suite, installed as the guide says."""

import re
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
def test_the_backend_of_the_guide_passes_the_suite(suite_on_installed, tmp_path: Path):
    program = [block for block in blocks("python") if "asyncio.run(" not in block]
    (project,) = (tomllib.loads(block)["project"] for block in blocks("toml"))
    (tmp_path / "aaow_notebook.py").write_text("\n".join(program))
    done = suite_on_installed(project)
    assert done.returncode == 0, done.stdout
    assert "\nquick profile: " in done.stdout
