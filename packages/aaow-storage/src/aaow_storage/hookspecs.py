"""The hooks that a plugin may implement.

The plugin of a backend is a module with an entry point in the group `aaow_storage`; it implements
`aaow_storage_backend`. The other hooks are for plugins registered in code with `register_plugin`, such as one that adds
metrics, or one that knows prices.

    from aaow_storage import Backend
    from aaow_storage.hookspecs import hookimpl

    @hookimpl
    def aaow_storage_backend() -> Backend: ...
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from aaow_storage._adapter import StorageAdapter
    from aaow_storage._backend import Backend
    from aaow_storage._records import TokenUsage

__all__ = [
    "PROJECT",
    "aaow_storage_adapter_created",
    "aaow_storage_backend",
    "aaow_storage_price",
    "aaow_storage_wrap_adapter",
    "hookimpl",
    "hookspec",
]

PROJECT = "aaow_storage"
"""The name of the pluggy project, and of the group of entry points."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def aaow_storage_backend() -> "Backend":  # type: ignore[empty-body]  # a specification
    """Return the description of the backend that this plugin provides.

    Called once, when the name of the backend is first used.
    """


@hookspec
def aaow_storage_wrap_adapter(adapter: "StorageAdapter") -> "StorageAdapter | None":
    """Return an adapter that wraps this one, or None to leave it as it is.

    Called for every adapter that `create_adapter` makes, plugin after plugin in the order of registration; each gets
    what the one before it returned.
    """


@hookspec
def aaow_storage_adapter_created(adapter: "StorageAdapter") -> None:
    """Be notified of a new adapter, after all plugins have wrapped it; it is not initialized yet.

    Called for every adapter that `create_adapter` makes, plugin after plugin in the order of registration.
    """


@hookspec(firstresult=True)
def aaow_storage_price(
    provider: str | None, model: str | None, usage: "TokenUsage | None"
) -> tuple[Decimal, str] | None:
    """Return what a model call costs and its currency, or None if that is not known.

    Called whenever an LLM execution is saved that has neither `cost` nor `currency`, but a provider, a model or a
    usage; each of the three may be None. The answer is saved with the execution. A cost that the caller gave is never
    replaced. The plugin that was registered last is asked first, and the first answer that is not None counts.

    It is a plain function that must not wait for anything, because it is called on the event loop. If it raises, or
    returns something else, saving raises a `ValidationError` that names the plugin, and nothing is stored.

    Adapters ask the plugins that were registered when `create_adapter` made them.
    """
