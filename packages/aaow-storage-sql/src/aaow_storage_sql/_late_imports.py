"""The repositories, as modules that are imported by the thread which opens the first store of a process.

They import SQLAlchemy and build statements, which takes 0.2 s. That is too long for the event loop on which an adapter
is made, so that the adapter's class comes without them.
"""

import os
import threading
from importlib import import_module
from typing import Any

_NAMES = ("approvals", "budgets", "execution_states", "llm_executions", "sessions", "stream_events", "workflows")
_MODULES = tuple(f"{__package__}._repositories.{name}" for name in _NAMES)

_importing = threading.Lock()
"""Held while a thread imports modules, and by a fork: the forked process would wait for ever for a module whose import
that thread had begun."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )


class LateModule:
    """A module that is imported when one of its names is first used; each name is looked up once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        self.__dict__[name] = value
        return value


approvals, budgets, execution_states, llm_executions, sessions, stream_events, workflows = map(LateModule, _MODULES)


def import_in_thread(*others: str) -> None:
    """Import the repositories and other modules by their names; it is for a thread, not for an event loop."""
    with _importing:
        for name in (*_MODULES, *others):
            import_module(name)
