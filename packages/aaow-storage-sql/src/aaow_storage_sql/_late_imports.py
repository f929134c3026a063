"""Modules that are imported when they are first used, by a thread of a store and not by an event loop.

SQLAlchemy, the tables and the statements of the repositories take 0.15 s to import. An adapter is made, and a store
that is up to date is opened, without them. The thread that runs the first operation of a repository imports it.
"""

import os
import threading
from collections.abc import Collection
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from aaow_storage_sql._migrations.quiet import without_alembics_log
from aaow_storage_sql._operation import Operation

if TYPE_CHECKING:
    from aaow_storage_sql._statements.connection import SQLConnection

_importing = threading.Lock()
"""Held while a thread imports modules, and by a fork: the forked process would wait for ever for a module whose import
that thread had begun."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )


def import_late(name: str) -> ModuleType:
    """Import a module and return it; it is for a thread, not for an event loop, nor while a module is imported."""
    with _importing:
        return import_module(name)


def wait_for_imports() -> None:
    """Wait until no thread imports a module by `import_late`."""
    with _importing:
        pass


class LateModule:
    """A module that is imported when one of its names is first used; each name is looked up once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_late(self._name), name)
        self.__dict__[name] = value
        return value


class LateRepository:
    """The operations of a repository, under the same names.

    Until its module is imported, an operation is one that imports it, and claims nothing that only the module knows: no
    fast path, no lookup, no idempotence. So a thread of the store runs it, never the event loop.

    Args:
        name: the module.
        writing: which operations write.
    """

    def __init__(self, name: str, *, writing: Collection[str]) -> None:
        self._module = f"{__package__}._repositories.{name}"
        self._writing = writing

    def __getattr__(self, name: str) -> Operation[*tuple[Any, ...], Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return Operation(partial(self._import_and_run, name), writes=name in self._writing)

    def load(self) -> None:
        """Import the module, and replace the operations by those of the module."""
        module = import_late(self._module)
        self.__dict__.update({name: each for name, each in vars(module).items() if isinstance(each, Operation)})

    def _import_and_run(self, name: str, connection: "SQLConnection", *args: Any) -> Any:
        self.load()
        return self.__dict__[name].run(connection, *args)


approvals = LateRepository("approvals", writing={"create", "update", "resolve", "expire"})
changes = LateRepository("changes", writing={"number", "prune"})
budgets = LateRepository("budgets", writing={"create", "update", "delete", "consume", "increase"})
execution_states = LateRepository("execution_states", writing={"save", "update_node"})
llm_executions = LateRepository("llm_executions", writing={"save", "save_with_messages", "log_call", "log_call_of"})
sessions = LateRepository("sessions", writing={"create", "update", "delete"})
stream_events = LateRepository("stream_events", writing={"save", "save_all", "delete"})
usage = LateRepository("usage", writing=frozenset())
workflows = LateRepository("workflows", writing={"save", "update", "delete"})

REPOSITORIES = (
    approvals,
    budgets,
    changes,
    execution_states,
    llm_executions,
    sessions,
    stream_events,
    usage,
    workflows,
)


def import_repositories() -> None:
    """Import all repositories; like `import_late`, it is for a thread."""
    for each in REPOSITORIES:
        each.load()


def import_writing() -> None:
    """Import what every operation that writes needs; like `import_late`, it is for a thread."""
    import_late(f"{__package__}._statements.insert")
    changes.load()


def import_migrations() -> None:
    """Import what a migration needs; like `import_late`, it is for a thread."""
    with without_alembics_log():
        import_late(f"{__package__}._migrations.migrate")
