"""Forking a process while threads of it use SQLite.

A fork copies what SQLite has in memory as it is at that moment: its locks, held by threads that the forked process does
not have. So a fork waits until no thread is inside of SQLite, for a moment at most.
"""

import os
import threading
import time
from weakref import WeakSet

from aaow_storage_sqlite import _locks

LONGEST_WAIT_S = 1.0


class Gate:
    """Belongs to one connection: whatever uses the connection holds the lock meanwhile.

    Attributes:
        lock: held while the connection is used.
        is_in_transaction: whether it is in a transaction while the lock is not held.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.is_in_transaction = False
        _gates.add(self)


_gates: "WeakSet[Gate]" = WeakSet()
_closed: dict[int, list[Gate]] = {}
"""For each thread that is about to fork, the gates whose locks it holds."""


def _close_gates() -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    closed = _closed[threading.get_ident()] = []
    for gate in list(_gates):
        if gate.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            closed.append(gate)


def _open_gates() -> None:
    for gate in _closed.pop(threading.get_ident(), ()):
        gate.lock.release()


def _give_up_gates() -> None:
    closed = set(_closed.pop(threading.get_ident(), ()))
    _closed.clear()
    in_use = {gate.path for gate in list(_gates) if gate not in closed or gate.is_in_transaction}
    _gates.clear()
    _locks.after_fork_in_child(in_use)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_gates, after_in_parent=_open_gates, after_in_child=_give_up_gates)
