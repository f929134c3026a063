"""The hooks that a plugin may implement.

A backend's plugin module, named by an entry point of the group `aaow_storage`, implements `aaow_storage_backend`. The
other hooks are for plugins registered in code with `register_plugin`, such as one that adds metrics.

    from aaow_storage import Backend
    from aaow_storage.hookspecs import hookimpl

    @hookimpl
    def aaow_storage_backend() -> Backend: ...
"""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from aaow_storage._adapter import StorageAdapter
    from aaow_storage._backend import Backend

__all__ = [
    "PROJECT",
    "aaow_storage_adapter_created",
    "aaow_storage_backend",
    "aaow_storage_wrap_adapter",
    "hookimpl",
    "hookspec",
]

PROJECT = "aaow_storage"
"""The name of the hooks' project, and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def aaow_storage_backend() -> "Backend":  # type: ignore[empty-body]  # a specification
    """Describe the backend that this plugin provides. Called once, when its name is first asked for."""


@hookspec
def aaow_storage_wrap_adapter(adapter: "StorageAdapter") -> "StorageAdapter | None":
    """Return an adapter that stands in front of this one, or None to leave it.

    Called for every adapter that `create_adapter` makes, plugin after plugin in the order of registration; each sees
    what the one before it returned.
    """


@hookspec
def aaow_storage_adapter_created(adapter: "StorageAdapter") -> None:
    """Learn of an adapter that `create_adapter` has made and wrapped; it is not initialized yet.

    Called plugin after plugin in the order of registration.
    """
