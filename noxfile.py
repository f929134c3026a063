"""The project's chores: `nox --list` names them, `nox -s tests` runs one."""

import os
import sys

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
MEMORY = "packages/aaow-storage-memory"
CONFORMANCE = "conformance"
DOCS = f"{STORAGE}/docs"
SITE = f"{DOCS}/_build/html"
EVERYTHING = [STORAGE, SQL, SQLITE, POSTGRESQL, MEMORY, CONFORMANCE]

EMBEDDED = ["sqlite", "memory"]
BACKENDS = [*EMBEDDED, "postgresql"]  # the slow tests on a server are for the session `conformance`
SUITE = ["--numprocesses=2", "--pyargs", "aaow_storage_conformance"]

# A Python that is not installed is skipped; the one that runs nox is there, so one at least runs.
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = list(dict.fromkeys(["3.11", "3.12", "3.13", "3.14", THIS_PYTHON]))


@nox.session
def quickstart(session: nox.Session):
    """Run a workflow of agents on SQLite; `-- FILE.json` takes another definition."""
    install(session, STORAGE, SQL, SQLITE, MEMORY, group="quickstart")
    session.run("python", f"{STORAGE}/examples/quickstart", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session):
    """Run all tests, the slow ones on the Python of nox alone; `-- ARGUMENTS` go to pytest instead."""
    install(session, *EVERYTHING, group="test")
    if session.posargs:
        session.run("pytest", *session.posargs)
    else:
        run_everything(session, "pytest", slow=session.python == THIS_PYTHON)


@nox.session
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def conformance(session: nox.Session, backend: str):
    """Run the conformance suite on one backend."""
    install(session, *EVERYTHING, group="test")
    session.run("pytest", *SUITE, f"--storage-backend={backend}", *session.posargs)


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
    install(session, STORAGE, SQL, SQLITE, POSTGRESQL, group="benchmarks")
    session.run("python", "-m", "benchmarks", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def packaging(session: nox.Session):
    """Build each distribution, and install each wheel into an environment of its own."""
    install(session, group="packaging")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session
def coverage(session: nox.Session):
    """Measure the branches that the tests and the suite reach."""
    install(session, *EVERYTHING, group="coverage")
    session.run("coverage", "erase")
    run_everything(session, "coverage", "run", "-m", "pytest")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *session.posargs)


def install(session: nox.Session, *distributions: str, group: str) -> None:
    """Install a dependency group, and distributions of this repository as editable, all at once."""
    requirements = nox.project.dependency_groups(PYPROJECT, group)
    session.install(*requirements, *(f"--editable={path}" for path in distributions))


def run_everything(session: nox.Session, *pytest: str, slow: bool = True) -> None:
    """Run the repository's own tests, then the conformance suite as a backend's author would."""
    chosen = [] if slow else ["-m", "not slow"]
    session.run(*pytest, "--numprocesses=auto", "--ignore=tests/packaging", *chosen)
    for backend in BACKENDS if slow else EMBEDDED:
        quick = [] if slow and backend in EMBEDDED else ["-m", "not slow"]
        beside = [] if backend in EMBEDDED else ["--storage-model=sqlite"]
        session.run(*pytest, *SUITE, f"--storage-backend={backend}", *beside, *quick)
