"""Locks on the files of a store that stay when the program closes a descriptor of its own on them.

POSIX drops all locks that a process has on a file when the process closes any descriptor of that file: a download or a
checksum of the database is enough. SQLite of another process then takes itself for the last one, and deletes the log
that this process goes on writing. So each process that has a store open also holds two locks of the other kind that
Linux has, which belong to a descriptor. They are shared, on a byte that SQLite locks alone before it deletes the log,
and on the byte by which it finds out whether the shared memory is in use. They are given up before the last connection
is closed.

A descriptor that held one is closed only where the process has no other on that file, since to close it would drop the
locks of those. A forked process takes locks of its own at once. SQLite remembers in each process which files it has
open and with which locks, so what it remembers there is the parent's: see `check_inherited`.
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
"""The first of the bytes of a database that each connection has locked, and that the last one locks alone."""
IN_USE_BYTE = 128
"""The byte of the shared memory that each process has locked."""
_FLOCK = struct.Struct("hhqqi4x")

Inode = tuple[int, int]


class _Held:
    """The descriptors of one store, and how many adapters of this process want their locks."""

    def __init__(self, database: int, memory: int) -> None:
        self.database = database
        self.memory = memory
        self.users = 0


_lock = threading.Lock()
_held: dict[Inode, _Held] = {}
_unlocked: dict[Inode, int] = {}
"""Descriptors that are to be closed as soon as that drops no other lock."""
_inherited: dict[Inode, Inode | None] = {}
"""The stores that SQLite had open when this process was forked, each with its shared memory; None where that was in
use at that moment."""


def inode_of(path: str | int) -> Inode:
    """Return what tells a file from all others that there are now.

    Raises:
        OSError: there is none at the path.
    """
    found = os.stat(path)  # noqa: PTH116 - done for each commit, and takes half of the time
    return found.st_dev, found.st_ino


def hold(path: str) -> None:
    """Lock the files of an open store, until `give_up`; where the system has no such locks, do nothing."""
    if fcntl is None:
        return
    with _lock, suppress(OSError):  # such as a file system without them
        store = inode_of(path)
        held = _held.get(store)
        if held is None:
            held = _locked(path, f"{path}-shm")
            _held[store] = held
        held.users += 1


def give_up(store: Inode) -> None:
    """Unlock the files, when the last adapter of this process gives them up."""
    with _lock:
        held = _held.get(store)
        if held is None:
            return
        held.users -= 1
        if not held.users:
            del _held[store]
            for descriptor, byte in ((held.database, SHARED_BYTE), (held.memory, IN_USE_BYTE)):
                with suppress(OSError):
                    _set(descriptor, byte, is_locked=False)
                _unlocked[inode_of(descriptor)] = descriptor


def close_unlocked() -> None:
    """Close the descriptors that are not needed any more, where that drops no lock of this process."""
    with _lock:
        if not _unlocked:
            return
        number_of: dict[Inode, int] = {}
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the names are numbers
            with suppress(OSError):  # the descriptor of the listing itself
                found = inode_of(int(name))
                number_of[found] = number_of.get(found, 0) + 1
        for inode in list(_unlocked):
            if number_of.get(inode) == 1:
                os.close(_unlocked.pop(inode))


def check_inherited(path: str) -> None:
    """Let a store be opened by this process, unless what SQLite remembers of it is the parent's and of no use.

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
        f"{path} cannot be opened here: this process was forked from one that was reading, writing or opening it at "
        "that moment, or has closed it since, and SQLite does not work across that; fork before the store is opened, "
        "or start processes by the method 'spawn' or 'forkserver'"
    )


def after_fork_in_child(in_use: set[str]) -> None:
    """Take over, in a forked process, what the parent had locked; `in_use` are the stores in use at that moment."""
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
            memory = inode_of(held.memory)
            mine = _locked(f"/proc/self/fd/{held.database}", f"/proc/self/fd/{held.memory}")
            mine.users = 1  # for as long as the process is there: SQLite does not forget the store before
            _held[store] = mine
            if store not in unusable:
                _inherited[store] = memory
        for descriptor in (held.database, held.memory):
            os.close(descriptor)  # this process has no lock yet that this could drop
    for store in unusable:
        _inherited[store] = None


def _locked(database: str, memory: str) -> _Held:
    held = _Held(-1, -1)
    try:
        held.database = _opened(database)
        held.memory = _opened(memory)
        _set(held.database, SHARED_BYTE, is_locked=True)
        _set(held.memory, IN_USE_BYTE, is_locked=True)
    except OSError:
        for descriptor in (held.database, held.memory):
            if descriptor >= 0:
                _unlocked[inode_of(descriptor)] = descriptor
        raise
    return held


def _opened(path: str) -> int:
    if path.startswith("/proc/"):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    unlocked = _unlocked.pop(inode_of(path), None)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if unlocked is None else unlocked


def _set(descriptor: int, byte: int, *, is_locked: bool) -> None:
    if fcntl is not None:
        kind = fcntl.F_RDLCK if is_locked else fcntl.F_UNLCK
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
