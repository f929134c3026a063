"""Where PostgreSQL's programs are installed."""

import os
import shutil
import subprocess
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aaow_storage_postgresql._programs import USUAL_PLACES


class NotInstalledError(RuntimeError):
    """A program that a test needs is not installed; the message says how to install it."""


class NoPostgreSQLError(NotInstalledError):
    """No PostgreSQL server is installed on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "no PostgreSQL server is installed: apt-get install postgresql, or brew install postgresql; "
            "or name a server in AAOW_TEST_POSTGRESQL_URL"
        )


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """Skip the test if a program is not installed; with the environment variable CI it fails.

    Raises:
        NotInstalledError: a program is missing, on CI.
    """
    try:
        yield
    except NotInstalledError as error:
        if "CI" in os.environ:
            raise
        raise unittest.SkipTest(str(error)) from error


def folder_of_binaries() -> Path:
    """Return the folder of `initdb` and `postgres`: from `pg_config`, from PATH, or one of the usual folders.

    Raises:
        NoPostgreSQLError: there is none.
    """
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgreSQLError


def _candidates() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        named = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
        yield Path(named.stdout.strip())
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    for pattern in USUAL_PLACES:
        found = Path("/").glob(pattern.removeprefix("/"))
        yield from sorted(found, key=_version, reverse=True)


def _version(folder: Path) -> list[int]:
    return [int("".join(filter(str.isdigit, part)) or 0) for part in folder.parts]
