"""PostgreSQL's own programs for backups: where they are, and how one is run without showing a password."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aaow_storage.authoring import redacted_text
from aaow_storage.errors import StorageError
from aaow_storage_sql import Opening

USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_MAX_TOLD_CHARS = 2_000


def find_program(name: str, min_version: int = 0) -> tuple[Path | None, str]:
    """Return a program of at least that major version, the one on PATH first; or None and the reason."""
    newest = 0
    for path in _candidates(name):
        found = _version_of(path)
        if found >= max(min_version, 1):
            return path, ""
        newest = max(newest, found)
    if newest:
        return None, f"{name} is of version {newest}, and the server of version {min_version}: install the newer one"
    return None, f"{name} is not installed: install PostgreSQL's client programs, or export the store instead"


def _candidates(name: str) -> Iterator[Path]:
    if (on_path := shutil.which(name)) is not None:
        yield Path(on_path)
    for pattern in USUAL_PLACES:
        found = Path("/").glob(f"{pattern.removeprefix('/')}/{name}")
        yield from sorted(found, key=_numbers, reverse=True)


def _numbers(path: Path) -> list[int]:
    return [int("".join(filter(str.isdigit, part)) or 0) for part in path.parts]


def _version_of(program: Path) -> int:
    """Return the major version that a program tells; 0 if it cannot be run."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - found on PATH
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(told.stdout)
    return int(match[1]) if match is not None and told.returncode == 0 else 0


@contextmanager
def running(command: Sequence[str | Path], opening: Opening, conninfo: str | None = None) -> Iterator[IO[bytes]]:
    """Run a program, and yield its output; a cancellation ends it.

    With a `conninfo` it connects to that database. The password is passed by the environment, because every user of the
    machine may see arguments.

    Raises:
        StorageError: the program cannot be run, or fails; the error has what it says.
    """
    arguments, environment = [*map(str, command)], dict(os.environ)
    if conninfo is not None:
        parts = conninfo_to_dict(conninfo)
        if (password := parts.pop("password", None)) is not None:
            environment["PGPASSWORD"] = str(password)
        shown = make_conninfo("", **{key: str(value) for key, value in parts.items() if key != "sslpassword"})
        arguments += ["--no-password", f"--dbname={shown}"]
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(  # noqa: S603 - found on PATH
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told, env=environment
            )
        except OSError as error:
            raise StorageError(f"{arguments[0]} cannot be run: {error}") from error
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            with opening.interrupt_with(process.terminate):
                yield process.stdout
                code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        opening.check()
        if code:
            told.seek(0)
            text = redacted_text(told.read().decode(errors="replace").strip())[-_MAX_TOLD_CHARS:]
            raise StorageError(f"{Path(arguments[0]).name} failed: {text}")
