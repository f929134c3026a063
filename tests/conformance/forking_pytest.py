"""Runs pytest again and again, each time in a new process that is forked where all modules are imported already.

Run as `python forking_pytest.py`: it reads a line of JSON for each run, and answers with the id of the process, and
with its exit status when it has ended. It starts no thread, so that it may fork.
"""

import gc
import importlib
import json
import os
import runpy
import sys

import pytest


def main() -> None:
    """Import what a run of pytest imports, then fork for each run."""
    config = pytest.Config.fromdictargs({}, [])  # imports the plugins
    importlib.import_module("aaow_storage_conformance.test_contract")  # pytest rewrites the asserts in it
    config._ensure_unconfigure()  # undoes the hook that rewrites asserts; a run has one of its own
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run(**json.loads(line))
        print(process, flush=True)  # noqa: T201 - an answer
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)  # noqa: T201 - an answer


def run(arguments: list[str], folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    """Do what `python -m pytest` does, with these arguments, in this folder, and exit."""
    for descriptor, path in enumerate((os.devnull, stdout, stderr)):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *environment["PYTHONPATH"].split(os.pathsep), *sys.path[1:]]
    sys.modules["xdist.plugin"]._sys_path[:] = sys.path  # what its workers get, kept when it was imported
    sys.argv = [pytest.__file__, *arguments]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
