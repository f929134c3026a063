"""An environment of its own, in which plugins are installed that nobody would want."""

import fcntl
import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BACKEND = """
from aaow_storage import Backend
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter

@hookimpl
def aaow_storage_backend():
    return {returned}
"""
GOOD = 'Backend(name="{name}", summary="{name}", create=lambda url=None: MemoryAdapter())'

PLUGINS = {
    "throwaway-wheel": ("wheeled", BACKEND.format(returned=GOOD.format(name="wheeled"))),
    "throwaway-editable": ("edited", BACKEND.format(returned=GOOD.format(name="edited"))),
    "throwaway-one": ("twice", BACKEND.format(returned=GOOD.format(name="twice"))),
    "throwaway-two": ("twice", BACKEND.format(returned=GOOD.format(name="twice"))),
    "throwaway-broken": ("broken", "import no_such_driver"),
    "throwaway-quitter": ("quitter", "raise SystemExit('bye')"),
    "throwaway-stranger": ("stranger", BACKEND.format(returned="'a str'")),
    "throwaway-impostor": ("impostor", BACKEND.format(returned=GOOD.format(name="wheeled"))),
    "throwaway-empty": ("empty", "# no hook in here"),
    "throwaway-typo": ("typo", BACKEND.format(returned="None").replace("aaow_storage_backend", "aaow_storage_bakend")),
    "throwaway-raiser": ("raiser", BACKEND.format(returned="1 / 0")),
    "throwaway-maker": ("maker", BACKEND.format(returned='Backend(name="maker", summary="", create=lambda url: 7)')),
}
EDITABLE = {"throwaway-editable"}
BUILD_BACKEND = Path(__file__).with_name("throwaway_build.py")

PROBE = """
import json, sys
from aaow_storage import *
try:
    result = {expression}
except StorageError as error:
    result = {{
        "type": type(error).__name__,
        "message": str(error),
        "cause": None if error.__cause__ is None else type(error.__cause__).__name__,
    }}
print(json.dumps(result))
"""


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that sees this one's packages, and has the plugins besides.

    All workers of pytest-xdist share it: the first to come makes it, and no test changes it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "plugins"
    with (shared / "plugins.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "is-complete").exists():
            install_plugins(folder)
            (folder / "is-complete").touch()
    return folder / "environment" / "bin" / "python"


def install_plugins(folder: Path) -> None:
    """Make the environment, and install the plugins with pip: one as editable, the others from wheels."""
    environment, sources, wheels = (folder / each for each in ("environment", "sources", "wheels"))
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/*/site-packages")
    (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    sources.mkdir()
    wheels.mkdir()
    folders = {name: write_plugin(sources / name, name, *PLUGINS[name]) for name in PLUGINS}
    write_wheel = runpy.run_path(str(BUILD_BACKEND))["write_wheel"]
    arguments = [
        f"--editable={path}" if name in EDITABLE else write_wheel(path, wheels) for name, path in folders.items()
    ]
    offline = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", f"--python={environment}"]
    subprocess.run([*pip, "install", *offline, *arguments], check=True)


@pytest.fixture
def evaluate(python: Path) -> Callable[..., Any]:
    """Evaluate an expression in a process of its own; of a storage error, return what it tells."""

    def evaluate(expression: str, **variables: str) -> Any:
        command = [python, "-c", PROBE.format(expression=expression)]
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=variables)
        return json.loads(done.stdout)

    return evaluate


def write_plugin(folder: Path, distribution: str, name: str, source: str) -> Path:
    """Write a distribution that pip builds without anything else."""
    folder.mkdir()
    module = distribution.replace("-", "_")
    shutil.copy(BUILD_BACKEND, folder)
    (folder / f"{module}.py").write_text(source)
    (folder / "pyproject.toml").write_text(
        f"""
        [build-system]
        requires = []
        build-backend = "throwaway_build"
        backend-path = ["."]

        [project]
        name = "{distribution}"
        version = "1.0"
        entry-points.aaow_storage.{name} = "{module}"
        """
    )
    return folder
