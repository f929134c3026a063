"""Finds and loads plugins: entry points by name, one at a time, and plugins registered in code."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from aaow_storage import hookspecs
from aaow_storage._adapter import StorageAdapter
from aaow_storage._backend import Backend
from aaow_storage._failures import cleaning_up_after
from aaow_storage._prices import HOOK, PricedAdapter, PriceHooks
from aaow_storage._urls import redacted_url
from aaow_storage.errors import BackendNotFoundError, ValidationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DISTRIBUTIONS = {
    "memory": "aaow-storage-memory",
    "postgresql": "aaow-storage-postgresql",
    "sqlite": "aaow-storage-sqlite",
}
"""The distributions of this project's backends, for the advice in an error."""


class PluginHost:
    """The plugins of a process. One that is broken raises when its name is used, and affects no other."""

    def __init__(self) -> None:
        self._plugins = pluggy.PluginManager(hookspecs.PROJECT)
        self._plugins.add_hookspecs(hookspecs)
        self._backends: dict[str, Backend] = {}
        self._registered: dict[str, object] = {}
        self._lock = threading.RLock()

    def after_fork_in_child(self) -> None:
        """Replace the lock in a forked process, because a thread of the parent may have held it."""
        self._lock = threading.RLock()

    def register(self, plugin: object) -> None:
        """Register a plugin in code; a backend that it provides is found by its name, like an installed one.

        Raises:
            ValidationError: it is registered already, is not a plugin, or provides a backend whose name is taken.
        """
        with self._lock:
            try:
                backend = self._introduce(plugin, None)
            except pluggy.PluginValidationError as error:
                hooks = ", ".join(name for name in hookspecs.__all__ if name.startswith(f"{hookspecs.PROJECT}_"))
                raise ValidationError("register_plugin", "plugin", f"{error}; the hooks are {hooks}") from error
            except (TypeError, ValueError) as error:
                raise ValidationError("register_plugin", "plugin", str(error)) from error
            if backend is None:
                return
            if backend.name in self.names():
                self._plugins.unregister(plugin)
                problem = f"a backend {backend.name!r} is there already; give this one another name"
                raise ValidationError("register_plugin", "plugin", problem)
            self._backends[backend.name] = backend
            self._registered[backend.name] = plugin

    def unregister(self, plugin: object) -> None:
        """Remove a plugin that was registered in code.

        Raises:
            ValidationError: it is not registered.
        """
        with self._lock:
            if not self._plugins.is_registered(plugin):
                raise ValidationError("unregister_plugin", "plugin", f"{plugin!r} is not registered")
            self._plugins.unregister(plugin)
            for name in [name for name, registered in self._registered.items() if registered is plugin]:
                del self._registered[name], self._backends[name]

    def names(self) -> list[str]:
        """Return the names of all installed and registered backends, sorted, whether or not they can be loaded."""
        return sorted({point.name for point in _entry_points()} | set(self._registered))

    def backend(self, name: str) -> Backend:
        """Return the backend with that name; the first call loads its plugin.

        Raises:
            BackendNotFoundError: no distribution provides the name, two do, or its plugin cannot be loaded.
        """
        with self._lock:
            if name not in self._backends:
                self._backends[name] = self._load(name)
            return self._backends[name]

    def unusable(self, name: str, problem: str) -> BackendNotFoundError:
        """Return the error that says why the backend with that name cannot be used."""
        return BackendNotFoundError(redacted_url(name), self.names(), problem)

    def wrap(self, adapter: StorageAdapter) -> StorageAdapter:
        """Call the hooks for a new adapter, plugin after plugin in the order of registration; return the outermost.

        If a plugin knows prices, the outermost adapter fills in costs, so that the adapters of plugins see them.

        Raises:
            ValidationError: a plugin returned neither an adapter nor None.
        """
        plugins = [plugin for _, plugin in self._plugins.list_name_plugin()]
        for plugin in plugins:
            for wrapper in self._caller("aaow_storage_wrap_adapter", plugin)(adapter=adapter):
                if not isinstance(wrapper, StorageAdapter):
                    problem = f"must return a StorageAdapter or None, not {type(wrapper).__name__}"
                    raise ValidationError(type(plugin).__name__, "aaow_storage_wrap_adapter", problem)
                adapter = wrapper
        adapter = self._priced(adapter)
        for plugin in plugins:
            self._caller("aaow_storage_adapter_created", plugin)(adapter=adapter)
        return adapter

    def _priced(self, adapter: StorageAdapter) -> StorageAdapter:
        """Put an adapter in front that asks the plugins which know prices, if there is one, in the order of pluggy."""
        plugins = [each.plugin for each in reversed(self._plugins.hook.aaow_storage_price.get_hookimpls())]
        if not plugins:
            return adapter
        return PricedAdapter(adapter, PriceHooks([(_name_of(plugin), _own_caller(HOOK, plugin)) for plugin in plugins]))

    def _load(self, name: str) -> Backend:
        found = {_distribution(point): point for point in _entry_points() if point.name == name}
        if not found:
            raise self.unusable(name, _advice(name, self.names()))
        if len(found) > 1:
            both = " and ".join(sorted(found))
            raise self.unusable(name, f"the distributions {both} both provide it; uninstall one of them")
        ((distribution, point),) = found.items()
        where = f"its plugin {point.value!r} of the distribution {distribution}"
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:
            raise self.unusable(name, f"{where} cannot be imported: {type(error).__name__}: {error}") from error
        try:
            backend = self._introduce(plugin, f"{distribution}:{name}")
        except Exception as error:
            raise self.unusable(name, f"{where} is not valid: {type(error).__name__}: {error}") from error
        if backend is None or backend.name != name:
            self._plugins.unregister(plugin)
            provided = "no backend" if backend is None else f"a backend named {backend.name!r}"
            problem = f"{where} provides {provided}; its hook aaow_storage_backend() must return one named {name!r}"
            raise self.unusable(name, problem)
        return backend

    def _introduce(self, plugin: object, name: str | None) -> Backend | None:
        """Register the plugin and return its backend, if it provides one; if it is not valid, register nothing."""
        if self._plugins.is_registered(plugin):
            raise ValueError("the plugin is registered already")
        try:
            self._plugins.register(plugin, name)
            self._plugins.check_pending()
            return self._backend_of(plugin)
        except BaseException as error:
            with cleaning_up_after(error):
                if self._plugins.is_registered(plugin):
                    self._plugins.unregister(plugin)
            raise

    def _backend_of(self, plugin: object) -> Backend | None:
        backends = self._caller("aaow_storage_backend", plugin)()
        if not backends:
            return None
        (backend,) = backends
        if not isinstance(backend, Backend):
            raise TypeError(f"its hook aaow_storage_backend() must return a Backend, not {type(backend).__name__}")
        return backend

    def _caller(self, hook: str, plugin: object) -> pluggy.HookCaller:
        """Return a hook that calls one plugin alone."""
        others = [other for other in self._plugins.get_plugins() if other is not plugin]
        return self._plugins.subset_hook_caller(hook, others)


_entry_points_of_path: "tuple[object, tuple[EntryPoint, ...]] | None" = None
"""The folders in which distributions are looked for, as they were, and the entry points found in them."""


def _entry_points() -> "tuple[EntryPoint, ...]":
    """Return the entry points of the installed plugins.

    They are read again only after a folder of `sys.path` has changed, as it does when a distribution is installed:
    reading the metadata of every distribution takes milliseconds.
    """
    global _entry_points_of_path  # noqa: PLW0603 - the one of this process
    from importlib.metadata import entry_points  # noqa: PLC0415 - a sixth of the time to import this package

    folders = tuple((folder, _changed_at_ns(folder)) for folder in sys.path), tuple(sys.meta_path)
    known = _entry_points_of_path
    if known is None or known[0] != folders:
        known = _entry_points_of_path = folders, tuple(entry_points(group=hookspecs.PROJECT))
    return known[1]


def _changed_at_ns(folder: str) -> int | None:
    try:
        return Path(folder).stat().st_mtime_ns  # the empty path is the current folder
    except OSError:
        return None


def _own_caller(hook: str, plugin: object) -> pluggy.HookCaller:
    """Return a hook that calls one plugin alone, even after it is unregistered."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    return caller


def _name_of(plugin: object) -> str:
    """Return the name of a plugin for errors: of the module or class, or the class of the object."""
    return str(getattr(plugin, "__name__", type(plugin).__name__))


def _distribution(point: "EntryPoint") -> str:
    return point.dist.name if point.dist is not None else point.value


def _is_like_a_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.endswith((".db", ".sqlite", ".sqlite3"))


_OTHER_NAMES = {
    "maria": "mariadb",
    "mysql": "mariadb",
    "pg": "postgresql",
    "pgsql": "postgresql",
    "postgis": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql",
    "sqlite3": "sqlite",
}
"""Names that other tools have for the databases of this project's backends."""


def _advice(name: str, installed: list[str]) -> str:
    if name in DISTRIBUTIONS:
        return f"it is not installed; run: pip install {DISTRIBUTIONS[name]}"
    if not name:
        return "the name is empty; pass the name of a backend, or a URL"
    database, plus, _ = name.partition("+")
    database = _OTHER_NAMES.get(database, database)
    if plus and (database in DISTRIBUTIONS or database in installed):
        return f"leave out the driver after the +; did you mean {database!r}, as in {database}://?"
    if name in _OTHER_NAMES:
        return f"did you mean {database!r}?"
    if name == "jdbc":
        return "leave out 'jdbc:'; a URL begins with the name of the backend"
    if _is_like_a_path(name):
        return "it looks like a path; did you mean create_adapter('sqlite', PATH), or the URL file:PATH?"
    import difflib  # noqa: PLC0415 - for errors alone

    close = difflib.get_close_matches(name.lower(), [*installed, *DISTRIBUTIONS], n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "no installed distribution provides it; use one of those installed, or install the one that provides it"
