"""What becomes of adapters and stores in a process that was forked from the one that has them.

The threads, connections and locks of an adapter are the parent's: a forked process has copies of them that no thread
serves. So what an adapter holds is given up there, without being closed, and the adapter refuses.
"""

import os
from typing import Any, Protocol, TypeVar
from weakref import WeakSet


class Inheritable(Protocol):
    """What a forked process must not go on using."""

    def after_fork_in_child(self) -> None:
        """Give up what is the parent's; called in a forked process before anything else runs there.

        It takes no lock, since a thread of the parent may have held it, and closes nothing.
        """


T = TypeVar("T", bound=Inheritable)

INHERITED = (
    "it was opened by the process that this one was forked from, and cannot be used here; make an adapter with "
    "create_adapter() in this process"
)
_inheritable: "WeakSet[Any]" = WeakSet()


def given_up_after_fork(thing: T) -> T:
    """Have `after_fork_in_child` called on it in each forked process, for as long as it is there; return it."""
    _inheritable.add(thing)
    return thing


def _give_up() -> None:
    for thing in list(_inheritable):
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up)
