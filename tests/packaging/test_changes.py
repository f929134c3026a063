"""The change fragments become a section of the changelog, and all distributions have one version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [*sorted(ROOT.glob("packages/*")), ROOT / "conformance"]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
FRAGMENTS = [path for path in sorted((ROOT / SETTINGS["directory"]).iterdir()) if path.name not in SETTINGS["ignore"]]
KINDS = [kind["directory"] for kind in SETTINGS["type"]]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_named_by_its_kind_and_holds_one_paragraph(path: Path):
    assert re.fullmatch(rf"(\+[a-z][a-z0-9-]*|\d+)\.({'|'.join(KINDS)})\.md", path.name)
    text = path.read_text()
    assert "\n\n" not in text
    assert text.rstrip().endswith(".")
    assert max(map(len, text.splitlines())) <= 120


def test_the_fragments_become_a_section_of_the_changelog():
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9", "--date", "2030-01-01"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    section = " ".join(done.stdout.split())
    assert section.startswith("## 9.9.9 (2030-01-01)")
    assert [path.name for path in FRAGMENTS if " ".join(path.read_text().split()) not in section] == []


def test_the_changelog_has_the_place_where_a_section_is_put():
    assert (ROOT / SETTINGS["filename"]).read_text().count(SETTINGS["start_string"]) == 1


def test_the_page_on_fragments_names_every_kind():
    table = (ROOT / SETTINGS["directory"] / "README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == KINDS


def test_each_distribution_needs_the_others_in_its_own_version():
    projects = [tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in FOLDERS]
    (version,) = {project["version"] for project in projects}
    needed = [each for project in projects for each in needs_of(project) if each.startswith("aaow-storage")]
    assert {each.partition("~=")[2] for each in needed} == {version}


def needs_of(project: dict[str, Any]) -> list[str]:
    extras = project.get("optional-dependencies", {}).values()
    return [*project["dependencies"], *(each for extra in extras for each in extra)]
