"""Where PostgreSQL's programs are installed."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from aaow_storage_postgresql._programs import USUAL_PLACES
from aaow_storage_sql.testing import NotInstalledError


class NoPostgreSQLError(NotInstalledError):
    """No PostgreSQL server is installed on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "no PostgreSQL server is installed: apt-get install postgresql, or brew install postgresql; "
            "or name a server in AAOW_TEST_POSTGRESQL_URL"
        )


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
