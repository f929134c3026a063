"""Forking a process while threads of it use SQLite.

A fork copies what SQLite has in memory as it is at that moment: its locks, held by threads that the forked process does
not have. So a fork waits until no thread is inside of SQLite, for a moment at most.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from aaow_storage_sqlite import _file_locks

LONGEST_WAIT_S = 1.0


_gates: "WeakSet[Gate]" = WeakSet()
_closed: "dict[int, list[Gate]]" = {}
"""For each thread that is about to fork, the gates that it has closed."""
_are_open = threading.Event()
_are_open.set()


class Gate:
    """Belongs to one connection: the block of a thread that uses the connection is `with gate`.

    Attributes:
        lock: held inside of such a block.
        is_in_transaction: whether the connection is in a transaction while no thread uses it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.is_in_transaction = False
        _gates.add(self)

    def __enter__(self) -> None:
        if _closed:  # otherwise a thread that is busy would have the lock again before the fork gets it
            _are_open.wait(LONGEST_WAIT_S)
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    @contextmanager
    def open_in_transaction(self) -> Iterator[None]:
        """Leave the block of this gate, with a transaction open on its connection, and enter it again."""
        self.is_in_transaction = True
        self.lock.release()
        try:
            yield
        finally:
            self.__enter__()
            self.is_in_transaction = False


def _close_gates() -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    _are_open.clear()
    closed = _closed[threading.get_ident()] = []
    for gate in list(_gates):
        if gate.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            closed.append(gate)  # noqa: PERF401 - noted at once, so that it is opened again whatever comes between


def _open_gates() -> None:
    for gate in _closed.pop(threading.get_ident(), ()):
        gate.lock.release()
    if not _closed:
        _are_open.set()


def _give_up_gates() -> None:
    global _are_open  # noqa: PLW0603 - a thread of the parent may have held its lock
    closed = set(_closed.pop(threading.get_ident(), ()))
    _closed.clear()
    _are_open = threading.Event()
    _are_open.set()
    in_use = {gate.path for gate in list(_gates) if gate not in closed or gate.is_in_transaction}
    _gates.clear()
    _file_locks.after_fork_in_child(in_use)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_gates, after_in_parent=_open_gates, after_in_child=_give_up_gates)
