"""Locks on the files of a store that survive when the program closes a descriptor of its own on them.

POSIX drops all locks of a process on a file when the process closes any descriptor of that file: copying the database,
or computing its checksum, is enough. SQLite in another process then believes that it is the last one, and deletes the
write-ahead log that this process goes on writing. So each process that has a store open also holds two of Linux's open
file description (OFD) locks, which belong to a descriptor. Both are shared: one on the byte that SQLite locks
exclusively before it deletes the log, one on the byte that shows whether the shared memory is in use. They are released
before the last connection is closed.

A descriptor that held such a lock is closed only if the process has no other on that file, because closing it would
drop the locks of those. A forked process takes its own locks at once. SQLite's own record of open files and their locks
is copied by a fork and is then wrong; see `check_inherited`.
"""

import os
import struct
import sys
import threading
from contextlib import suppress

from aaow_storage.errors import StorageError

if sys.platform == "linux":
    import fcntl
else:
    fcntl = None

SHARED_BYTE = 0x40000002
"""The first byte of the database that every connection locks shared, and the last connection exclusively."""
IN_USE_BYTE = 128
"""The byte of the shared memory on which each process holds a lock."""
_FLOCK = struct.Struct("hhqqi4x")

Inode = tuple[int, int]


class _HeldLocks:
    """The locked descriptors of one store, and how many adapters of this process need them."""

    def __init__(self, database: int, shared_memory: int) -> None:
        self.database = database
        self.shared_memory = shared_memory
        self.users = 0


_lock = threading.Lock()
_held: dict[Inode, _HeldLocks] = {}
_unlocked: dict[Inode, int] = {}
"""Descriptors to close as soon as that drops no other lock."""
_inherited: dict[Inode, Inode | None] = {}
"""The stores that were open when this process was forked, each with the inode of its shared memory; None if the store
was in use at that moment."""


def inode_of(path: str | int) -> Inode:
    """Return the device and inode numbers of a file.

    Raises:
        OSError: there is none at the path.
    """
    status = os.stat(path)  # noqa: PTH116 - done for each commit, and takes half of the time
    return status.st_dev, status.st_ino


def hold(path: str) -> None:
    """Lock the files of an open store until `release`; do nothing if the system has no OFD locks."""
    if fcntl is None:
        return
    with _lock, suppress(OSError):  # such as a file system without them
        store = inode_of(path)
        held = _held.get(store)
        if held is None:
            held = _lock_files(path, f"{path}-shm")
            _held[store] = held
        held.users += 1


def release(store: Inode) -> None:
    """Unlock the files if no other adapter of this process has the store open."""
    with _lock:
        held = _held.get(store)
        if held is None:
            return
        held.users -= 1
        if not held.users:
            del _held[store]
            for descriptor, byte in ((held.database, SHARED_BYTE), (held.shared_memory, IN_USE_BYTE)):
                with suppress(OSError):
                    _set_lock(descriptor, byte, is_locked=False)
                _unlocked[inode_of(descriptor)] = descriptor


def close_unlocked() -> None:
    """Close the descriptors that are not needed any more, if that drops no lock of this process."""
    with _lock:
        if not _unlocked:
            return
        counts: dict[Inode, int] = {}
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the names are numbers
            with suppress(OSError):  # the descriptor of the listing itself
                inode = inode_of(int(name))
                counts[inode] = counts.get(inode, 0) + 1
        for inode in list(_unlocked):
            if counts.get(inode) == 1:
                os.close(_unlocked.pop(inode))


def check_inherited(path: str) -> None:
    """Check that this process may open a store: what SQLite remembers of it must not be the parent's.

    Raises:
        StorageError: the process was forked while the parent used the store, and cannot open it safely.
    """
    try:
        store = inode_of(path)
    except OSError:
        return
    if store not in _inherited:
        return
    with suppress(OSError):
        if store in _held and _inherited[store] == inode_of(f"{path}-shm"):
            return
    raise StorageError(
        f"{path} cannot be opened here: this process was forked while its parent was reading, writing or opening the "
        "store, or the parent has closed it since, and SQLite does not work across that; fork before the store is "
        "opened, or start processes by the method 'spawn' or 'forkserver'"
    )


def after_fork_in_child(in_use: set[str]) -> None:
    """Lock, in a forked process, what the parent had locked; `in_use` are the stores in use at that moment."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()
    unusable = set()
    for path in in_use:
        with suppress(OSError):
            unusable.add(inode_of(path))
    parents = dict(_held)
    _held.clear()
    for store, held in parents.items():
        _inherited[store] = None
        with suppress(OSError):
            shared_memory = inode_of(held.shared_memory)
            own = _lock_files(f"/proc/self/fd/{held.database}", f"/proc/self/fd/{held.shared_memory}")
            own.users = 1  # never released, because SQLite remembers the store as long as this process lives
            _held[store] = own
            if store not in unusable:
                _inherited[store] = shared_memory
        for descriptor in (held.database, held.shared_memory):
            os.close(descriptor)  # this process has no lock yet that this could drop
    for store in unusable:
        _inherited[store] = None


def _lock_files(database: str, shared_memory: str) -> _HeldLocks:
    held = _HeldLocks(-1, -1)
    try:
        held.database = _open(database)
        held.shared_memory = _open(shared_memory)
        _set_lock(held.database, SHARED_BYTE, is_locked=True)
        _set_lock(held.shared_memory, IN_USE_BYTE, is_locked=True)
    except OSError:
        for descriptor in (held.database, held.shared_memory):
            if descriptor >= 0:
                _unlocked[inode_of(descriptor)] = descriptor
        raise
    return held


def _open(path: str) -> int:
    if path.startswith("/proc/"):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    unlocked = _unlocked.pop(inode_of(path), None)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if unlocked is None else unlocked


def _set_lock(descriptor: int, byte: int, *, is_locked: bool) -> None:
    if fcntl is not None:
        kind = fcntl.F_RDLCK if is_locked else fcntl.F_UNLCK
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
