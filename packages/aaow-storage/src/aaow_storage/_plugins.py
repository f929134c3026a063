"""Finding and loading plugins: entry points by name, one at a time, and plugins registered in code."""

import difflib
import functools
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import pluggy

from aaow_storage import hookspecs
from aaow_storage.errors import BackendNotFoundError

if TYPE_CHECKING:
    from aaow_storage._adapter import StorageAdapter
    from aaow_storage._backends import Backend

DISTRIBUTIONS = {
    "memory": "aaow-storage-memory",
    "postgresql": "aaow-storage-postgresql",
    "sqlite": "aaow-storage-sqlite",
}
"""The distributions of the backends that this project knows of, for the advice in an error."""


class PluginHost:
    """Holds the plugins of a process. A plugin that is broken is a fact about its name, and disturbs no other."""

    def __init__(self) -> None:
        self._plugins = pluggy.PluginManager(hookspecs.PROJECT)
        self._plugins.add_hookspecs(hookspecs)
        self._backends: dict[str, Backend] = {}
        self._registered: dict[str, object] = {}

    def register(self, plugin: object) -> None:
        """Register a plugin in code; a backend it provides is found by its name, like an installed one."""
        self._plugins.register(plugin)
        try:
            self._plugins.check_pending()
            backend = self._backend_of(plugin)
            if backend is not None and backend.name in self.names():
                raise ValueError(f"a storage backend {backend.name!r} is there already")
        except BaseException:
            self._plugins.unregister(plugin)
            raise
        if backend is not None:
            self._backends[backend.name] = backend
            self._registered[backend.name] = plugin

    def unregister(self, plugin: object) -> None:
        """Forget a plugin that was registered in code."""
        self._plugins.unregister(plugin)
        for name in [name for name, registered in self._registered.items() if registered is plugin]:
            del self._registered[name], self._backends[name]

    def names(self) -> list[str]:
        """Return the names of all backends that are there, loadable or not, sorted."""
        return sorted({point.name for point in _entry_points()} | set(self._registered))

    def backend(self, name: str) -> "Backend":
        """Return the backend of that name, loading its plugin on the first call.

        Raises:
            BackendNotFoundError: the name is not installed, is claimed twice, or its plugin does not load.
        """
        if name not in self._backends:
            self._backends[name] = self._load(name)
        return self._backends[name]

    def wrapped(self, adapter: "StorageAdapter") -> "StorageAdapter":
        """Pass a new adapter through the hooks for adapters."""
        for _, plugin in self._plugins.list_name_plugin():
            for wrapper in self._caller("aaow_storage_wrap_adapter", plugin)(adapter=adapter):
                adapter = wrapper
        self._plugins.hook.aaow_storage_adapter_created(adapter=adapter)
        return adapter

    def _load(self, name: str) -> "Backend":
        found = {_distribution(point): point for point in _entry_points() if point.name == name}
        refuse = functools.partial(BackendNotFoundError, name, self.names())
        if not found:
            raise refuse(_advice(name, self.names()))
        if len(found) > 1:
            raise refuse(f"the distributions {' and '.join(sorted(found))} both provide it: uninstall one of them")
        ((distribution, point),) = found.items()
        where = f"its plugin {point.value!r} of the distribution {distribution}"
        try:
            plugin = point.load()
        except Exception as error:
            raise refuse(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
        try:
            self._plugins.register(plugin, name=f"{distribution}:{name}")
            self._plugins.check_pending()
            backend = self._backend_of(plugin)
        except Exception as error:
            self._plugins.unregister(plugin)
            raise refuse(f"{where} is not valid: {error}") from error
        if backend is None or backend.name != name:
            self._plugins.unregister(plugin)
            said = "no backend" if backend is None else f"a backend named {backend.name!r}"
            raise refuse(f"{where} provides {said}; its hook aaow_storage_backend() must return {name!r}")
        return backend

    def _backend_of(self, plugin: object) -> "Backend | None":
        backends: list[Backend] = self._caller("aaow_storage_backend", plugin)()
        return backends[0] if backends else None

    def _caller(self, hook: str, plugin: object) -> pluggy.HookCaller:
        """Return the hook, restricted to one plugin."""
        others = [other for other in self._plugins.get_plugins() if other is not plugin]
        return self._plugins.subset_hook_caller(hook, others)


def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=hookspecs.PROJECT))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _advice(name: str, installed: list[str]) -> str:
    if name in DISTRIBUTIONS:
        return f"it is not installed; run: pip install {DISTRIBUTIONS[name]}"
    close = difflib.get_close_matches(name, [*installed, *DISTRIBUTIONS], n=1)
    return f"did you mean {close[0]!r}?" if close else "no installed distribution provides it"
