"""Stores in memory.

SQLite's own in-memory databases make readers wait for a writer's whole transaction. So a store in memory is a file like
any other, in a private folder: in the memory file system if there is one, or else among temporary files. It exists
until its last adapter closes or the process exits. What a killed process left is removed by the next process. A forked
process has none of its parent's stores.
"""

import atexit
import os
import shutil
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

from attrs import evolve, frozen

from aaow_storage.authoring import cleaning_up_after
from aaow_storage_sqlite._location import Location

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

_MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - the folder created in it is private
_PREFIX = "aaow-memory-"
_OWNER = "owner"


@frozen(eq=False, repr=False)
class _Folder:
    """A folder whose process is alive as long as a lock on the owner file in it is held."""

    path: Path
    lock: int | None

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            with suppress(OSError):
                os.close(self.lock)


_lock = threading.Lock()
_folders: dict[str, tuple[_Folder, int]] = {}
"""The folder of each store, by its name, and the number of its adapters."""
_is_registered_with_multiprocessing = False


def acquire(location: Location) -> Location:
    """Return the location with a path; the folder of a store in memory is created on its first use."""
    if location.path is not None:
        return location
    with _lock:
        folder, users = _folders.get(location.memory_name) or (_new_folder(), 0)
        _register_with_multiprocessing()
        _folders[location.memory_name] = (folder, users + 1)
    return evolve(location, path=folder.path / "store.db")


def release(location: Location) -> None:
    """Undo one `acquire`; a store in memory is removed with its last user."""
    if location.path is not None:
        return
    with _lock:
        folder, users = _folders.pop(location.memory_name, (None, 0))
        if folder is None:  # it was removed because the process exits
            return
        if users > 1:
            _folders[location.memory_name] = (folder, users - 1)
        else:
            folder.remove()


def _remove_all() -> None:
    """Remove the stores in memory that are open when the process exits."""
    for folder, _ in list(_folders.values()):
        folder.remove()
    _folders.clear()


def _register_with_multiprocessing() -> None:
    """Have `_remove_all` called in a process of `multiprocessing`, which exits without running `atexit` functions."""
    global _is_registered_with_multiprocessing  # noqa: PLW0603 - once for each process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_registered_with_multiprocessing:
        _is_registered_with_multiprocessing = True
        util.Finalize(None, _remove_all, exitpriority=0)


def _after_fork_in_child() -> None:
    """Forget the parent's stores, and close the descriptors whose locks show that the parent is alive."""
    global _lock, _is_registered_with_multiprocessing
    _lock, _is_registered_with_multiprocessing = threading.Lock(), False
    for folder, _ in list(_folders.values()):
        if folder.lock is not None:
            os.close(folder.lock)
    _folders.clear()


atexit.register(_remove_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _new_folder() -> _Folder:
    for parent in (_MEMORY_FILE_SYSTEM, Path(tempfile.gettempdir())):
        with suppress(OSError):
            _remove_orphans(parent)
            return _create_folder(parent)
    return _create_folder(None)


def _create_folder(parent: Path | None) -> _Folder:
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    if fcntl is None:
        return _Folder(path, None)
    folder = _Folder(path, None)
    try:
        unlocked = path / "new"
        folder = _Folder(path, os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o600))
        _try_lock(cast("int", folder.lock))
        unlocked.rename(path / _OWNER)  # only now, locked, is it visible to other processes
    except BaseException as error:
        with cleaning_up_after(error):
            folder.remove()
        raise
    return folder


def _remove_orphans(parent: Path) -> None:
    """Remove the folders of processes that have ended."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or another process is removing it
            lock = os.open(path / _OWNER, os.O_RDWR)
            folder = _Folder(path, lock)
            if _try_lock(lock):
                folder.remove()
            else:
                os.close(lock)


def _try_lock(descriptor: int) -> bool:
    """Lock a file until it is closed, and return whether that was possible."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
