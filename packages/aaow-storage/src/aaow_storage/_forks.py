"""Adapters and stores after a fork.

A forked process has copies of the parent's connections and locks, but none of its threads. So in the child, an adapter
that was open gives up what it holds without closing it, and raises `AdapterClosedError` from then on.
"""

import os
from typing import Any, Protocol, TypeVar
from weakref import WeakSet


class Inheritable(Protocol):
    """An object that a forked process must not go on using."""

    def after_fork_in_child(self) -> None:
        """Give up what belongs to the parent; called in a forked process before anything else runs there.

        Must take no lock, because a thread of the parent may have held it at the fork, and close nothing.
        """


T = TypeVar("T", bound=Inheritable)

INHERITED = (
    "it was opened by the process that this one was forked from, and cannot be used here; make another adapter with "
    "create_adapter() in this process"
)
_inheritable: "WeakSet[Any]" = WeakSet()


def given_up_after_fork(thing: T) -> T:
    """Call `after_fork_in_child` on the object in every forked process, as long as the object lives; return it."""
    _inheritable.add(thing)
    return thing


def _give_up() -> None:
    for thing in list(_inheritable):
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up)
