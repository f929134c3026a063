"""The package that `new-backend` writes: the code of the guide for authors, which the suite is run on elsewhere."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import write_templates

from aaow_storage import ConflictError, ValidationError
from aaow_storage_tools import new_backend

MODULES = write_templates.modules()


@pytest.mark.parametrize("name", MODULES)
def test_a_template_is_the_code_of_its_guide(name: str):
    there = (write_templates.TEMPLATES / f"{name}.template").read_text("utf-8")
    same = meaning(write_templates.without_marks(there)) == meaning(write_templates.without_marks(MODULES[name]))
    assert same, "run python tests/tools/write_templates.py"


def test_all_modules_of_a_new_package_but_the_empty_one_come_from_a_guide():
    there = {path.relative_to(write_templates.TEMPLATES).as_posix() for path in modules_of_templates()}
    assert there == {f"{name}.template" for name in MODULES}


def modules_of_templates() -> list[Path]:
    """Return the templates of the modules of a package, without those of its tests and of `__init__.py`."""
    found = write_templates.TEMPLATES.rglob("*.py.template")
    return [path for path in found if path.name not in {"__init__.py.template", "test_backend.py.template"}]


def meaning(text: str) -> tuple[set[str], list[str]]:
    """Return what a module imports, and its other statements, whatever their order and format."""
    body = ast.parse(text).body
    imported = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {f"{getattr(node, 'module', '')} {alias.name}" for node in imported for alias in node.names}
    return names, [ast.dump(node) for node in body if node not in imported]


def installed(folder: Path, place: Path) -> dict[str, str]:
    """Return an environment in which the package in a folder is installed; its metadata is at a place."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {value}" for name, value in project["entry-points"]["aaow_storage"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[aaow_storage]", *points]))
    path = os.pathsep.join([str(place), str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


@pytest.mark.parametrize(("sql", "count"), [(False, 4), (True, 3)], ids=["rows", "sql"])
def test_the_tests_of_a_new_package_pass(tmp_path: Path, sql: bool, count: int):
    folder = new_backend("my-own-2", tmp_path / "package", sql=sql).folder
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=folder, env=installed(folder, tmp_path), check=False, capture_output=True, text=True
    )
    assert f"{count} passed" in done.stdout, done.stdout + done.stderr
    texts = [path.read_text() for path in folder.rglob("*") if path.suffix in {".py", ".toml", ".md", ".yml"}]
    marks = ("@NAME@", "@CLASS@", "@MODULE@", "@DISTRIBUTION@", "@RELEASE@")
    assert not [text for text in texts if any(mark in text for mark in marks)]


def test_an_adapter_of_a_new_sql_package_is_made_without_sqlalchemy_and_the_driver(tmp_path: Path):
    folder = new_backend("acme", tmp_path / "package", sql=True).folder
    program = """
import sys
from aaow_storage import create_adapter
create_adapter("acme://store.db")
names = {"sqlalchemy", "sqlite3", "aaow_storage_acme._server"}
print("aaow_storage_acme.plugin" in sys.modules, names & {*sys.modules})
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=installed(folder, tmp_path), check=True, capture_output=True, text=True)
    assert done.stdout == "True set()\n"


@pytest.mark.slow(seconds=20)
@pytest.mark.parametrize(
    ("sql", "clauses"),
    [(False, ["OPS-1"]), (True, ["OPS-1", "CHG-1", "DUR-1", "LIF-1"])],
    ids=["rows", "sql"],
)
def test_the_suite_runs_on_a_new_package_with_its_waivers(tmp_path: Path, sql: bool, clauses: list[str]):
    folder = new_backend("acme", tmp_path / "package", sql=sql).folder
    options = [
        "--storage-backend=acme",
        "--storage-waivers=waivers.toml",
        *(f"--conformance-clause={each}" for each in clauses),
        "-q",
        "-n",
        "0",
    ]
    command = [sys.executable, "-m", "pytest", "--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "not slow", *options],
        cwd=folder,
        env=installed(folder, tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "Acme", "1st", "a--b", "a-", "a_b", "../x", "memory", "sql", "tools"])
def test_a_name_that_no_backend_can_have_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ValidationError):
        new_backend(name, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_a_folder_with_files_is_left_as_it_is(tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConflictError, match="is not empty"):
        new_backend("acme", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_command_writes_into_a_folder_and_lists_the_files(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = run("new-backend", "acme", "--json")
    assert (done.code, done.document["distribution"]) == (0, "aaow-storage-acme")
    assert all((tmp_path / "aaow-storage-acme" / name).is_file() for name in done.document["files"])
    assert run("new-backend", "acme").code == 13
    assert run("new-backend", "memory").code == 2
    text = run("new-backend", "acme", "--folder", tmp_path / "other")
    assert "plugin.py" in text.out
    assert "pip install" in text.err
