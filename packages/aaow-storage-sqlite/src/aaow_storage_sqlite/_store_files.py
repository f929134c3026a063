"""Checks that the files of an open store are still at their paths.

SQLite goes on with files that were removed or replaced, and no process will ever see what it commits then. So the
writer checks before it acknowledges a commit, and readers check now and then.

`stat` must not be called on the log; see `_checkpointer`. Whether there is a file at its path is cheap to find out.
Whether it is the same file, Linux tells by the name of the descriptor; that is slower, and is asked now and then.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sqlite import _file_locks
from aaow_storage_sqlite._location import Location

_DESCRIPTORS = "/proc/self/fd"
_PATH_ONLY = getattr(os, "O_PATH", None)
"""Opens a file only to name it: closing such a descriptor drops no lock."""


class StoreFiles:
    """The database of a store, its write-ahead log and its shared memory, once a connection has opened them.

    Attributes:
        log: a descriptor of the write-ahead log.
    """

    def __init__(self, location: Location, check_interval_s: float) -> None:
        self._path = str(location.path)
        self._check_interval_s = check_interval_s
        resolved = os.path.realpath(self._path)
        self._log_path, self._memory_path = f"{resolved}-wal", f"{resolved}-shm"
        self._memory = -1
        self._problem: str | None = None
        self._checked_at = 0.0
        self.log = _open(self._log_path, os.O_RDONLY)
        try:
            if _PATH_ONLY is not None:
                self._memory = _open(self._memory_path, _PATH_ONLY)
            self._store = _file_locks.inode_of(self._path)
            self._has_names = self._memory >= 0 and Path(_DESCRIPTORS, str(self.log)).is_symlink()
            self._initial_identities = self._identify_log_and_memory()
        except BaseException as error:
            self._close_descriptors()
            if isinstance(error, OSError):
                raise StorageUnavailableError(f"{self._path} cannot be examined: {error}; try again") from error
            raise
        _file_locks.hold(resolved)

    def check(self) -> None:
        """Check that the files are at their paths.

        Raises:
            StorageError: one of them was removed, moved or replaced, now or earlier.
        """
        if self._problem is None and (self._is_another_store() or not os.access(self._log_path, os.F_OK)):
            self._find_problem()
        if time.monotonic() - self._checked_at > self._check_interval_s:
            self._check_identities()
        self._raise_problem()

    def check_if_due(self) -> None:
        """Do what `check` does, unless the last full check was less than the check interval ago."""
        if time.monotonic() - self._checked_at > self._check_interval_s:
            self.check()
        elif self._problem is not None:
            self._raise_problem()

    def close(self, close_connection: Callable[[], None]) -> None:
        """Close the last connection and the descriptors.

        If the files are at their paths, SQLite copies the log into the database and removes the log. If only the log
        was removed, and no other was created since, its content is saved like that too. Otherwise the files belong to
        another store, and nothing is written into them.
        """
        is_ours = not self._is_another_store()
        if is_ours and self._problem is not None:
            is_ours = not os.path.lexists(self._log_path)
        try:
            if is_ours:
                _file_locks.release(self._store)
            close_connection()
        finally:
            if not is_ours:
                _file_locks.release(self._store)
            self._close_descriptors()
            _file_locks.close_unlocked()

    def _check_identities(self) -> None:
        self._checked_at = time.monotonic()
        if self._problem is None and (
            self._is_another_store() or self._identify_log_and_memory() != self._initial_identities
        ):
            self._find_problem()

    def _is_another_store(self) -> bool:
        try:
            return _file_locks.inode_of(self._path) != self._store
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # such as a folder that may not be searched at the moment
            return False

    def _identify_log_and_memory(self) -> tuple[object, object]:
        """Return values that change if the log or the shared memory is removed or replaced."""
        if not self._has_names:
            return _inode_at(self._log_path), _inode_at(self._memory_path)
        try:
            return _name_of(self.log), _name_of(self._memory)
        except OSError:  # /proc is gone, and nothing can be found out
            return self._initial_identities

    def _find_problem(self) -> None:
        paths = [self._path, self._log_path, self._memory_path]
        before = (self._store, *self._initial_identities)
        now = (None if self._is_another_store() else self._store, *self._identify_log_and_memory())
        changed = [path for path, was, is_now in zip(paths, before, now, strict=True) if was != is_now]
        if changed or not os.path.lexists(self._log_path):
            self._problem = " and ".join(changed or [self._log_path])

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise StorageError(
                f"{self._problem}: removed, moved or replaced while the store was open; what was saved last may be "
                "lost with it, and nothing more is accepted: restore the files, close the adapter and open it again"
            )

    def _close_descriptors(self) -> None:
        for descriptor in (self.log, self._memory):
            if descriptor >= 0:
                os.close(descriptor)
        self.log = self._memory = -1


def _name_of(descriptor: int) -> str:
    """Return the path of an open file; the system marks it if the file was removed or replaced."""
    return os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115 - takes half of the time


def _inode_at(path: str) -> _file_locks.Inode | None:
    with suppress(OSError):
        return _file_locks.inode_of(path)
    return None


def _open(path: str, flags: int) -> int:
    """Open a file that SQLite created when the writer first read.

    Raises:
        StorageUnavailableError: it cannot be opened.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else flags)
    except OSError as error:
        raise StorageUnavailableError(f"{path} cannot be opened: {error}; try again") from error
