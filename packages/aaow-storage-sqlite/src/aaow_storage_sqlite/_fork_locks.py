"""Locks that keep a process from forking while one of its threads is inside SQLite.

A fork copies SQLite's memory as it is at that moment, with mutexes held by threads that the forked process does not
have. So a fork waits until no thread is inside SQLite, but for a limited time.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from aaow_storage_sql import wait_for_imports
from aaow_storage_sqlite import _file_locks

_fork_locks: "WeakSet[ForkLock]" = WeakSet()
_held_by_forks: "dict[int, list[ForkLock]]" = {}
"""For each thread that is about to fork, by its id, the locks that it has taken."""
_no_fork_waits = threading.Event()
_no_fork_waits.set()


class ForkLock:
    """The lock of one connection: a thread uses the connection inside `with fork_lock:` only.

    Attributes:
        lock: held by the thread that uses the connection.
        is_in_transaction: whether the connection is in a transaction while no thread uses it.
    """

    def __init__(self, path: str, max_wait_s: float) -> None:
        self.path = path
        self.max_wait_s = max_wait_s
        self.lock = threading.Lock()
        self.is_in_transaction = False
        _fork_locks.add(self)

    def __enter__(self) -> None:
        if _held_by_forks:  # otherwise a busy thread would take the lock again before the fork gets it
            _no_fork_waits.wait(self.max_wait_s)
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    @contextmanager
    def release_in_transaction(self) -> Iterator[None]:
        """Release the lock for a block, with a transaction open on the connection, and take it again."""
        self.is_in_transaction = True
        self.lock.release()
        try:
            yield
        finally:
            self.__enter__()
            self.is_in_transaction = False


def _before_fork() -> None:
    wait_for_imports()  # which the thread of a first operation does while it holds its lock, and may take longer
    began = time.monotonic()
    _no_fork_waits.clear()
    taken = _held_by_forks[threading.get_ident()] = []
    for each in list(_fork_locks):
        if each.lock.acquire(timeout=max(0.0, began + each.max_wait_s - time.monotonic())):
            taken.append(each)  # noqa: PERF401 - noted at once, so that it is released if an exception follows


def _after_fork_in_parent() -> None:
    for each in _held_by_forks.pop(threading.get_ident(), ()):
        each.lock.release()
    if not _held_by_forks:
        _no_fork_waits.set()


def _after_fork_in_child() -> None:
    global _no_fork_waits  # noqa: PLW0603 - a thread of the parent may have held its lock
    taken = set(_held_by_forks.pop(threading.get_ident(), ()))
    _held_by_forks.clear()
    _no_fork_waits = threading.Event()
    _no_fork_waits.set()
    in_use = {each.path for each in list(_fork_locks) if each not in taken or each.is_in_transaction}
    _fork_locks.clear()
    _file_locks.after_fork_in_child(in_use)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
