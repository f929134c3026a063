"""Each distribution is built once, and its wheel installed alone into a fresh environment."""

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [*sorted(ROOT.glob("packages/*")), ROOT / "conformance"]


@dataclass(frozen=True)
class Distribution:
    """A folder of this repository, what it declares, and the two files built of it."""

    folder: Path
    project: dict[str, str]
    sdist: Path
    wheel: Path

    @property
    def package(self) -> str:
        return self.project["name"].replace("-", "_")

    @property
    def stem(self) -> str:
        return f"{self.package}-{self.project['version']}"

    def source_files(self) -> set[str]:
        source = self.folder / "src"
        files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        return {file.as_posix() for file in files if not re.search(r"(^|/)(\.|__pycache__)", str(file))}

    def read_from_wheel(self, name: str) -> bytes:
        with ZipFile(self.wheel) as wheel:
            return wheel.read(name)

    def read_from_sdist(self, name: str) -> bytes:
        with tarfile.open(self.sdist) as sdist:
            file = sdist.extractfile(f"{self.stem}/{name}")
            assert file is not None
            return file.read()

    def metadata(self) -> Message:
        return message_from_bytes(self.read_from_wheel(f"{self.stem}.dist-info/METADATA"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Distribution]:
    """Build the sdist of each, and its wheel out of the sdist."""
    target = tmp_path_factory.mktemp("dist")
    return {folder: build(folder, target) for folder in FOLDERS}


@pytest.fixture(scope="session", params=FOLDERS, ids=lambda folder: folder.name)
def distribution(request: pytest.FixtureRequest, built: dict[Path, Distribution]) -> Distribution:
    return built[request.param]


@pytest.fixture(scope="session")
def python(distribution: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that holds one wheel, and what that wheel says it needs."""
    environment = tmp_path_factory.mktemp(distribution.package)
    venv.create(environment)
    python = environment / "bin" / "python"
    siblings = f"--find-links={distribution.wheel.parent}"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", siblings, distribution.wheel)
    return python


def test_a_wheel_installed_alone_imports(distribution: Distribution, python: Path):
    run(python, "-I", "-c", f"import {distribution.package}")


def test_the_entry_points_of_a_wheel_resolve(distribution: Distribution, python: Path):
    load = "for point in metadata.distribution(name).entry_points: point.load()"
    name = distribution.project["name"]
    run(python, "-I", "-c", f"from importlib import metadata; {name=}\n{load}")


def test_a_wheel_holds_exactly_its_package(distribution: Distribution):
    with ZipFile(distribution.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == distribution.source_files()


def test_a_wheel_is_typed(distribution: Distribution):
    assert distribution.read_from_wheel(f"{distribution.package}/py.typed") == b""


def test_the_sql_wheel_ships_its_migrations(built: dict[Path, Distribution]):
    sql = built[ROOT / "packages/aaow-storage-sql"]
    with ZipFile(sql.wheel) as wheel:
        assert [name for name in wheel.namelist() if "/_migrations/versions/" in name]


def test_the_studio_wheel_ships_its_pages_and_the_licence_of_the_scripts_that_others_wrote(
    built: dict[Path, Distribution],
):
    studio = built[ROOT / "packages/aaow-storage-studio"]
    package = "aaow_storage_studio"
    licences = f"{package}/static/vendor/LICENSES.txt"
    with ZipFile(studio.wheel) as wheel:
        names = wheel.namelist()
    assert {f"{package}/templates/layout.html", f"{package}/static/vendor/htmx.min.js"} <= set(names)
    in_metadata = f"{studio.stem}.dist-info/licenses/src/{licences}"
    assert studio.read_from_wheel(in_metadata) == studio.read_from_wheel(licences)


@pytest.mark.parametrize("distribution", [ROOT / "conformance"], indirect=True, ids=["conformance"])
def test_pytest_explains_the_asserts_of_an_installed_suite(distribution: Distribution, python: Path, tmp_path: Path):
    (tmp_path / "test_backend.py").write_text(
        f"import importlib, pkgutil, {distribution.package} as suite\n"
        "def test_asserts():\n"
        "    for module in pkgutil.walk_packages(suite.__path__, suite.__name__ + '.'):\n"
        "        if not module.ispkg and not module.name.endswith(('_rewriting', '__main__')):\n"
        "            assert '@pytest_ar' in vars(importlib.import_module(module.name)), module.name\n"
    )
    run(python, "-I", "-m", "pytest", "-p", "no:cacheprovider", tmp_path)


def test_the_licence_of_the_project_is_in_each_distribution(distribution: Distribution):
    licence = (ROOT / "LICENSE").read_bytes()
    in_wheel = f"{distribution.stem}.dist-info/licenses/LICENSE"
    assert distribution.read_from_sdist("LICENSE") == licence
    assert distribution.read_from_wheel(in_wheel) == licence


def test_the_metadata_says_what_the_folder_declares(distribution: Distribution):
    metadata = distribution.metadata()
    assert metadata["Name"] == distribution.project["name"]
    assert metadata["License-Expression"] == "WTFPL"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload() == (distribution.folder / "README.md").read_text()


def test_all_distributions_have_one_version(built: dict[Path, Distribution]):
    assert len({distribution.metadata()["Version"] for distribution in built.values()}) == 1


def build(folder: Path, target: Path) -> Distribution:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, folder)
    return Distribution(
        folder=folder,
        project=project,
        sdist=target / f"{stem}.tar.gz",
        wheel=target / f"{stem}-py3-none-any.whl",
    )


def run(*command: str | Path) -> None:
    """Run a command; pytest shows what it printed where it fails."""
    subprocess.run(command, check=True)
