"""The project's chores: `nox --list` names them, `nox -s tests` runs one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process of a test would compile every module again

nox.needs_version = ">=2026.8.17"  # the first to run an interpreter before it believes in it
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "packaging"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
STORAGE = "packages/aaow-storage"
SQL = "packages/aaow-storage-sql"
SQLITE = "packages/aaow-storage-sqlite"
POSTGRESQL = "packages/aaow-storage-postgresql"
MARIADB = "packages/aaow-storage-mariadb"
MEMORY = "packages/aaow-storage-memory"
TOOLS = "packages/aaow-storage-tools"
STUDIO = "packages/aaow-storage-studio"
CONFORMANCE = "conformance"
DOCS = f"{STORAGE}/docs"
SITE = f"{DOCS}/_build/html"
EVERYTHING = [STORAGE, SQL, SQLITE, POSTGRESQL, MARIADB, MEMORY, TOOLS, STUDIO, CONFORMANCE]

EMBEDDED = ["sqlite", "memory"]
BACKENDS = [*EMBEDDED, "postgresql", "mariadb"]  # the slow tests on a server are for the session `conformance`
WORKERS = [
    f"--numprocesses={os.environ.get('PYTEST_XDIST_AUTO_NUM_WORKERS', 2 * (os.cpu_count() or 1))}",
    "--dist=worksteal",
]
"""More than cores, because many tests wait: for other processes, servers, locks, the disk and limits of time.

The environment variable of `pytest -n auto`, PYTEST_XDIST_AUTO_NUM_WORKERS, sets another number.
"""
LONGEST_FIRST = [WORKERS[0], "--dist=load", "--maxschedchunk=1"]
"""Tests begin in the order in which they are collected."""
ONE_BY_ONE = ["--numprocesses=0"]
QUICK = ["-m", "not slow"]
SLOW = ["-m", "slow"]
SLOW_TESTS = ["-m", "slow and not cluster"]
CLUSTERS = ["-m", "cluster"]
OTHER_SESSIONS = ["tests/docs", "tests/packaging"]
PYTEST_PLUGINS = os.pathsep.join(["tests/postgresql/plugins", "tests/mariadb/plugins"])


def is_installed(version: str) -> bool:
    """Say whether that Python runs; what pyenv puts on the path does not run unless it is selected."""
    command = [f"python{version}", "-c", ""]
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - a Python


def has_mariadb_library() -> bool:
    """Say whether mysqlclient, the optional driver of MariaDB, finds the library that it is compiled with."""
    if shutil.which("pkg-config") is None:
        return False
    return subprocess.run(["pkg-config", "--exists", "libmariadb"], check=False).returncode == 0  # noqa: S607


# A Python that is not installed is skipped; the one that runs nox is there, so one at least runs.
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = list(dict.fromkeys(["3.11", "3.12", "3.13", "3.14", THIS_PYTHON]))
INSTALLED_PYTHONS = [version for version in PYTHONS if version == THIS_PYTHON or is_installed(version)]
OLDEST_PYTHON, NEWEST_PYTHON = INSTALLED_PYTHONS[0], INSTALLED_PYTHONS[-1]
SECOND_PYTHON = INSTALLED_PYTHONS[1 % len(INSTALLED_PYTHONS)]
SUITES = {version: [("sqlite", QUICK)] for version in INSTALLED_PYTHONS[2:-1]}
"""The runs of the suite that `tests` leaves out, by the Python that has them."""
SUITES[OLDEST_PYTHON] = [("sqlite", SLOW if OLDEST_PYTHON == NEWEST_PYTHON else []), ("memory", SLOW)]
SUITES[SECOND_PYTHON] = [*SUITES.get(SECOND_PYTHON, []), ("postgresql", QUICK), ("mariadb", QUICK)]

HAS_MARIADB_LIBRARY = has_mariadb_library()
if HAS_MARIADB_LIBRARY:
    PART = [*QUICK, "-k", "TestTransactions or TestCancellation", "-p", "with_driver", "--mariadb-driver=mysqlclient"]
    SUITES[SECOND_PYTHON] += [("mariadb", PART)]


@nox.session
def quickstart(session: nox.Session):
    """Run a workflow of agents on SQLite; `-- FILE.json` takes another definition."""
    install(session, STORAGE, SQL, SQLITE, MEMORY, TOOLS, STUDIO, group="quickstart")
    session.run("python", f"{STORAGE}/examples/quickstart", *session.posargs)


@nox.session(python=NEWEST_PYTHON)
def tests(session: nox.Session):
    """Run the quick tests, and the quick profile of the suite, on the newest Python; `-- ARGUMENTS` go to pytest."""
    install(session, *EVERYTHING, group="test")
    if session.posargs:
        session.run("pytest", *session.posargs)
    else:
        run_everything(session, ["pytest"], QUICK)


@nox.session(python=PYTHONS)
@nox.parametrize("part", ["slow", "suite", "clusters"], ids=["slow", "suite", "clusters"])
def tests_full(session: nox.Session, part: str):
    """Run what `tests` leaves out, shared out among the Pythons: each test runs on one, and the suite on each.

    The oldest has the slow tests, and those of clusters, whose nodes need the machine to themselves to tell in time
    which of them has failed. The suite runs on the servers on the second oldest, and on SQLite on all others; on
    the newest, `tests` does that. The session `conformance` has each combination.
    """
    suites = SUITES.get(session.python, []) if part == "suite" else []
    if not suites and (part == "suite" or session.python != OLDEST_PYTHON):
        session.skip("another Python runs them")
    install(session, *EVERYTHING, group="test")
    if part == "slow":
        run_own_tests(session, ["pytest"], SLOW_TESTS, LONGEST_FIRST)
    elif part == "clusters":
        run_own_tests(session, ["pytest"], CLUSTERS, ONE_BY_ONE)
    for backend, chosen in suites:
        run_suite(session, ["pytest"], backend, chosen)


@nox.session(python=PYTHONS)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def conformance(session: nox.Session, backend: str):
    """Run the conformance suite on one backend, with one Python."""
    install(session, *EVERYTHING, group="test")
    run_suite(session, ["pytest"], backend, session.posargs)


@nox.session
def lint(session: nox.Session):
    """Check style, formatting, and who imports whom."""
    install(session, *EVERYTHING, group="lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session):
    """Check the types of the packages, the suite and the examples of use."""
    install(session, *EVERYTHING, group="types")
    session.run("mypy", *session.posargs)
    session.run("pytest", "tests/typing", "-k", "pyright")


@nox.session(python=False)
def generate(session: nox.Session):
    """Write the synchronous classes again, after the asynchronous ones have changed."""
    session.run("python", f"{STORAGE}/tools/generate_sync.py", external=True)


@nox.session
def pictures(session: nox.Session):
    """Take the pictures of the studio's tour again; `-- NAME` takes that one."""
    install(session, STORAGE, SQL, SQLITE, POSTGRESQL, MEMORY, TOOLS, STUDIO, group="pictures")
    session.run("python", f"{STUDIO}/tools/make_pictures.py", *session.posargs)


@nox.session
def docs(session: nox.Session):
    """Build the site of the documentation, and run every Python block of every document; `-- serve` shows the site."""
    install(session, *EVERYTHING, group="docs")
    session.run(
        "sphinx-build", "--fail-on-warning", "--fresh-env", "--quiet", f"--doctree-dir={SITE}/../doctrees", DOCS, SITE
    )
    if session.posargs == ["serve"]:
        session.run("python", "-m", "http.server", "--bind=localhost", f"--directory={SITE}")
    else:
        session.run("pytest", "tests/docs", *session.posargs, env={"SITE": SITE})


@nox.session
def benchmarks(session: nox.Session):
    """Measure a backend beside its bare driver; `-- --help` lists what may be asked for."""
    install(session, STORAGE, SQL, SQLITE, POSTGRESQL, MARIADB, group="benchmarks")
    session.run("python", "-m", "benchmarks", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def packaging(session: nox.Session):
    """Build each distribution, and install each wheel into an environment of its own."""
    install(session, group="packaging")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session
def build(session: nox.Session):
    """Build all distributions into `dist/`; `-- VERSION` refuses to build another version."""
    install(session, group="packaging")
    for path in EVERYTHING:
        version = nox.project.load_toml(f"{path}/pyproject.toml")["project"]["version"]
        if session.posargs not in ([], [version]):
            session.error(f"{path} has version {version}, not {' '.join(session.posargs)}")
    shutil.rmtree("dist", ignore_errors=True)
    for path in EVERYTHING:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", path)


@nox.session
def release(session: nox.Session):
    """Set the version of all distributions, and move the change fragments into the changelog; `-- VERSION`."""
    if len(session.posargs) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+", session.posargs[0]):
        session.error("name one version, such as: nox -s release -- 0.2.0")
    (version,) = session.posargs
    install(session, group="changelog")
    for path in EVERYTHING:
        set_version(Path(path) / "pyproject.toml", version)
    session.run("towncrier", "build", "--yes", "--version", version)


@nox.session
def coverage(session: nox.Session):
    """Measure the branches that the tests and the suite reach."""
    install(session, *EVERYTHING, group="coverage")
    session.run("coverage", "erase")
    pytest = ["coverage", "run", "-m", "pytest"]
    run_everything(session, pytest, [])
    run_suite(session, pytest, "postgresql", QUICK)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *session.posargs)


def install(session: nox.Session, *distributions: str, group: str) -> None:
    """Install a dependency group, and distributions of this repository as editable, all at once.

    Tests get mysqlclient too, where it can be compiled; its own tests are skipped elsewhere.
    """
    requirements = nox.project.dependency_groups(PYPROJECT, group)
    session.install(*requirements, *(f"--editable={path}" for path in distributions))
    if HAS_MARIADB_LIBRARY and group in {"test", "coverage"}:
        session.install(*nox.project.dependency_groups(PYPROJECT, "mysqlclient"), success_codes=[0, 1, 2])


def set_version(path: Path, version: str) -> None:
    """Write the version of a distribution, and that which it needs of the others, into its `pyproject.toml`."""
    text = re.sub(r'^version = ".*"$', f'version = "{version}"', path.read_text(), flags=re.MULTILINE)
    path.write_text(re.sub(r'"(aaow-storage[\w-]*)~=.*"', rf'"\1~={version}"', text))


def run_everything(session: nox.Session, pytest: list[str], chosen: list[str]) -> None:
    """Run the repository's own tests, then the conformance suite on the embedded backends."""
    run_own_tests(session, pytest, chosen, WORKERS)
    for backend in EMBEDDED:
        run_suite(session, pytest, backend, chosen)


def run_own_tests(session: nox.Session, pytest: list[str], chosen: list[str], workers: list[str]) -> None:
    """Run the repository's own tests, but for those that other sessions run."""
    session.run(*pytest, *workers, *(f"--ignore={each}" for each in OTHER_SESSIONS), *chosen)


def run_suite(session: nox.Session, pytest: list[str], backend: str, chosen: list[str]) -> None:
    """Run the conformance suite on a backend.

    On a server, random histories run beside SQLite rather than a model; on PostgreSQL, most tests get a copy of a
    migrated store.
    """
    beside = [] if backend in EMBEDDED else ["--storage-model=sqlite"]
    copies = ["-p", "on_migrated_copies"] if backend == "postgresql" else []
    suite = [*WORKERS, "--pyargs", "aaow_storage_conformance", f"--storage-backend={backend}"]
    session.run(*pytest, *suite, *copies, *beside, *chosen, env={"PYTHONPATH": PYTEST_PLUGINS})
