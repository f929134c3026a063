"""Stores in memory.

SQLite's own databases in memory make readers wait for a writer's whole transaction. So a store in memory is a file like
any other, in a folder of the process: in the memory file system where there is one, or else among temporary files. It
is there until the last adapter on it closes, or the process exits; what a process that was killed left is removed by
the next. A forked process has none of its parent's.
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

_MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
_PREFIX = "aaow-memory-"
_OWNER = "owner"


@frozen
class _Folder:
    """A folder whose owner is alive for as long as a lock on the file in it is held."""

    path: Path
    lock: int | None

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            with suppress(OSError):
                os.close(self.lock)


_lock = threading.Lock()
_folders: dict[str, tuple[_Folder, int]] = {}
_is_known_to_multiprocessing = False


def acquire(location: Location) -> Location:
    """Return the location as one with a path, making the folder of a store in memory on its first use."""
    if location.path is not None:
        return location
    with _lock:
        folder, users = _folders.get(location.memory_name) or (_new_folder(), 0)
        _remove_when_a_child_exits()
        _folders[location.memory_name] = (folder, users + 1)
    return evolve(location, path=folder.path / "store.db")


def release(location: Location) -> None:
    """Give up what `acquire` was called for; with its last user a store in memory is gone."""
    if location.path is not None:
        return
    with _lock:
        folder, users = _folders.pop(location.memory_name, (None, 0))
        if folder is None:  # it was removed as the process exits
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


def _remove_when_a_child_exits() -> None:
    """Have `_remove_all` called where the process is one of `multiprocessing`, which exits in a way of its own."""
    global _is_known_to_multiprocessing  # noqa: PLW0603 - once for each process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_known_to_multiprocessing:
        _is_known_to_multiprocessing = True
        util.Finalize(None, _remove_all, exitpriority=0)


def _forget_parent() -> None:
    """Know no store in memory, in a forked process, and keep no lock that says that the parent is alive."""
    global _lock, _is_known_to_multiprocessing
    _lock, _is_known_to_multiprocessing = threading.Lock(), False
    for folder, _ in list(_folders.values()):
        if folder.lock is not None:
            os.close(folder.lock)
    _folders.clear()


atexit.register(_remove_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def _new_folder() -> _Folder:
    for parent in (_MEMORY_FILE_SYSTEM, Path(tempfile.gettempdir())):
        with suppress(OSError):
            _remove_what_the_dead_left(parent)
            return _folder_in(parent)
    return _folder_in(None)


def _folder_in(parent: Path | None) -> _Folder:
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    if fcntl is None:
        return _Folder(path, None)
    folder = _Folder(path, None)
    try:
        unlocked = path / "new"
        folder = _Folder(path, os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o600))
        _is_locked(cast("int", folder.lock))
        unlocked.rename(path / _OWNER)  # nobody finds it before it is locked
    except BaseException as error:
        with cleaning_up_after(error):
            folder.remove()
        raise
    return folder


def _remove_what_the_dead_left(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or another process removes it just now
            lock = os.open(path / _OWNER, os.O_RDWR)
            folder = _Folder(path, lock)
            if _is_locked(lock):
                folder.remove()
            else:
                os.close(lock)


def _is_locked(lock: int) -> bool:
    """Lock a file until it is closed, and say whether that was possible."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
