"""Stores in memory.

SQLite's own databases in memory make readers wait for a writer's whole transaction. So a store in memory is a file like
any other, in a folder of the process: in the memory file system where there is one, or else among temporary files. It
is there until the last adapter on it closes.
"""

import shutil
import tempfile
import threading
from pathlib import Path

from attrs import evolve

from aaow_storage_sqlite._location import Location

_MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
_lock = threading.Lock()
_folders: dict[str, tuple[Path, int]] = {}


def acquire(location: Location) -> Location:
    """Return the location as one with a path, making the folder of a store in memory on its first use."""
    if location.path is not None:
        return location
    with _lock:
        folder, users = _folders.get(location.memory_name) or (_new_folder(), 0)
        _folders[location.memory_name] = (folder, users + 1)
    return evolve(location, path=folder / "store.db")


def release(location: Location) -> None:
    """Give up what `acquire` was called for; with its last user a store in memory is gone."""
    if location.path is not None:
        return
    with _lock:
        folder, users = _folders.pop(location.memory_name)
        if users > 1:
            _folders[location.memory_name] = (folder, users - 1)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    parent = _MEMORY_FILE_SYSTEM if _MEMORY_FILE_SYSTEM.is_dir() else None
    try:
        return Path(tempfile.mkdtemp(prefix="aaow-", dir=parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="aaow-"))
