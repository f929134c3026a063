"""Files that appear whole, on the disk, at a path where nothing was, or not at all."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aaow_storage.errors import ConflictError, StorageUnavailableError

_PRIVATE = 0o600


@contextmanager
def new_file(path: Path, mode: int = _PRIVATE) -> Iterator[Path]:
    """Yield the path of an empty file beside `path`; after the block it is flushed, and linked to `path`.

    If the block raises, nothing is left. The permissions are those of `mode` at the end, and private until then.

    Raises:
        ConflictError: there is something at `path`; it stays.
        StorageUnavailableError: the folder cannot be written.
    """
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE))
    except OSError as error:
        raise StorageUnavailableError(f"{path} cannot be written: {error}; choose another folder") from error
    try:
        if os.path.lexists(path):
            raise _taken(path)
        yield made
        made.chmod(stat.S_IMODE(mode))
        _flush(made)
        _link(made, path)
        _flush(path.parent)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise StorageUnavailableError(f"{path} cannot be written: {error}; free space, or choose another") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                made.with_name(f"{made.name}{suffix}").unlink()


def _taken(path: Path) -> ConflictError:
    return ConflictError(f"{path} is there already, and was not changed: choose another name, or move it away")


def _link(made: Path, path: Path) -> None:
    """Give the file its name, unless that is taken."""
    try:
        path.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        made.rename(path)


def _flush(path: Path) -> None:
    """Flush a file or a folder to the disk; a folder that cannot be flushed is left to the system."""
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not is_folder:
            raise
    finally:
        os.close(descriptor)
