"""Whether the files of an open store are still where they were.

SQLite goes on with files that were removed or replaced: what it commits then, no process will ever see again. So the
writer looks before it acknowledges a commit, and readers look now and then.

The log is not looked at by `stat`: see the checkpointer. That there is one at its path takes little to find out.
Whether it is the same, Linux says by the name of the descriptor; that takes longer, and is asked now and then.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sqlite import _file_locks
from aaow_storage_sqlite._location import Location

LOOKS_AGAIN_AFTER_S = 0.01
"""How long a reader trusts the last look, and a writer that the log and the shared memory are the same files."""
_DESCRIPTORS = "/proc/self/fd"
_PATH_ONLY = getattr(os, "O_PATH", None)
"""Opens a file to name it only: to close such a descriptor drops no lock."""


class StoreFiles:
    """The database of a store, its log and its shared memory, once a connection has opened them.

    Attributes:
        log: a descriptor of the log.
    """

    def __init__(self, location: Location) -> None:
        self._path = str(location.path)
        real = os.path.realpath(self._path)
        self._log_path, self._memory_path = f"{real}-wal", f"{real}-shm"
        self._memory = -1
        self._problem: str | None = None
        self._looked_at = 0.0
        self.log = _opened(self._log_path, os.O_RDONLY)
        try:
            if _PATH_ONLY is not None:
                self._memory = _opened(self._memory_path, _PATH_ONLY)
            self._store = _file_locks.inode_of(self._path)
            self._has_names = self._memory >= 0 and Path(_DESCRIPTORS, str(self.log)).is_symlink()
            self._others_at_first = self._others()
        except BaseException as error:
            self._close_descriptors()
            if isinstance(error, OSError):
                raise StorageUnavailableError(f"{self._path} cannot be looked at: {error}") from error
            raise
        _file_locks.hold(real)

    def check(self) -> None:
        """Look whether the files are in their places.

        Raises:
            StorageError: one of them was removed, moved or replaced, now or before.
        """
        if self._problem is None and (self._is_another_store() or not os.access(self._log_path, os.F_OK)):
            self._find_problem()
        if time.monotonic() - self._looked_at > LOOKS_AGAIN_AFTER_S:
            self._look()
        self._raise_problem()

    def check_now_and_then(self) -> None:
        """Do what `check` does, unless it was done a moment before."""
        if time.monotonic() - self._looked_at > LOOKS_AGAIN_AFTER_S:
            self.check()
        elif self._problem is not None:
            self._raise_problem()

    def close(self, close_connection: Callable[[], None]) -> None:
        """Close the last connection and the descriptors.

        Where the files are in their places, SQLite copies what is in the log into the database, and removes the log.
        Where the log alone was removed, and no other was made since, what it held is saved like that too. In any other
        case the files belong to another store, and nothing is written into them.
        """
        is_ours = not self._is_another_store()
        if is_ours and self._problem is not None:
            is_ours = not os.path.lexists(self._log_path)
        try:
            if is_ours:
                _file_locks.give_up(self._store)
            close_connection()
        finally:
            if not is_ours:
                _file_locks.give_up(self._store)
            self._close_descriptors()
            _file_locks.close_unlocked()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._problem is None and (self._is_another_store() or self._others() != self._others_at_first):
            self._find_problem()

    def _is_another_store(self) -> bool:
        try:
            return _file_locks.inode_of(self._path) != self._store
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # such as a folder that may not be searched for now
            return False

    def _others(self) -> tuple[object, object]:
        """Return what tells the log and the shared memory from other files, or that they are gone."""
        if not self._has_names:
            return _inode_at(self._log_path), _inode_at(self._memory_path)
        try:
            return _name_of(self.log), _name_of(self._memory)
        except OSError:  # the file system of processes is gone, and nothing can be found out
            return self._others_at_first

    def _find_problem(self) -> None:
        names = [self._path, self._log_path, self._memory_path]
        now = (None if self._is_another_store() else self._store, *self._others())
        changed = [
            name
            for name, was, is_now in zip(names, (self._store, *self._others_at_first), now, strict=True)
            if was != is_now
        ]
        if changed or not os.path.lexists(self._log_path):
            self._problem = " and ".join(changed or [self._log_path])

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise StorageError(
                f"{self._problem}: removed, moved or replaced while the store was open; what was saved last may be "
                "lost with it, and nothing more is taken: see to the files, close the adapter and open it again"
            )

    def _close_descriptors(self) -> None:
        for descriptor in (self.log, self._memory):
            if descriptor >= 0:
                os.close(descriptor)
        self.log = self._memory = -1


def _name_of(descriptor: int) -> str:
    """Return the path of an open file, with a mark where it was removed or replaced."""
    return os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115 - takes half of the time


def _inode_at(path: str) -> _file_locks.Inode | None:
    with suppress(OSError):
        return _file_locks.inode_of(path)
    return None


def _opened(path: str, flags: int) -> int:
    """Open a file that SQLite made when the writer first read.

    Raises:
        StorageUnavailableError: it cannot be opened.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else flags)
    except OSError as error:
        raise StorageUnavailableError(f"{path} cannot be opened: {error}") from error
