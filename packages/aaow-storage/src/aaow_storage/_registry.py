"""The choice of a backend by name or URL, and the plugins of the process."""

import os
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from aaow_storage._adapter import StorageAdapter
from aaow_storage._backend import Backend
from aaow_storage._urls import space_problem, url_scheme
from aaow_storage.errors import BackendNotFoundError, NotOfferedError, ValidationError

if TYPE_CHECKING:
    from aaow_storage._maintenance import StoreMaintenance
    from aaow_storage._plugins import PluginHost
    from aaow_storage.sync import SyncAdapter

DEFAULT_BACKEND = "sqlite"
_SCHEMES = {"file": DEFAULT_BACKEND, "postgres": "postgresql"}
"""URL schemes that are not the name of their backend."""

_host: "PluginHost | None" = None
_making_host = threading.Lock()


def register_plugin(plugin: object) -> None:
    """Register an object with hook implementations, for this process.

    A backend that it provides can be chosen by its name, like an installed one. Nothing is registered if it raises.

    Raises:
        ValidationError: it is registered already, implements no known hook, or provides a backend whose name is taken.
    """
    _plugins().register(plugin)


def unregister_plugin(plugin: object) -> None:
    """Remove a plugin that was registered with `register_plugin`; adapters that exist stay as they are.

    Raises:
        ValidationError: it is not registered.
    """
    _plugins().unregister(plugin)


def available_backends() -> dict[str, Backend]:
    """Return all installed and registered backends by name; loads every plugin.

    A backend that cannot be loaded, or whose name two distributions provide, has a `problem` that says why, and its
    `create` raises `BackendNotFoundError`.
    """
    return {name: _backend_or_problem(name) for name in _plugins().names()}


def create_adapter(name_or_url: str, url: str | None = None, **options: Any) -> StorageAdapter:
    """Return a new adapter of the backend with a name, or with the scheme of a URL; it is not initialized yet.

        create_adapter("sqlite", "file:./my-workflow.db", synchronous="NORMAL")
        create_adapter("memory")
        create_adapter("postgresql://app@db/agents")

    Args:
        name_or_url: the name of a backend, or a URL with the name as its scheme; `file:` URLs are SQLite's.
        url: after a name, the URL or path for the backend; None for its default.
        options: the backend's own options, which `Backend.options` describes.

    Raises:
        BackendNotFoundError: no usable backend has that name.
        ValidationError: the URL or an option is wrong.
    """
    backend, url = _resolve("create_adapter", name_or_url, url, options)
    plugins = _plugins()
    adapter = backend.create(url, **options)
    if not isinstance(adapter, StorageAdapter):
        raise plugins.unusable(backend.name, f"its plugin made {type(adapter).__name__}, which is not a StorageAdapter")
    return plugins.wrap(adapter)


def open_adapter(name_or_url: str | None = None, url: str | None = None, **options: Any) -> StorageAdapter:
    """Return a new adapter for `async with`, which initializes it, and closes it at the end of the block.

        async with open_adapter("postgresql://app@db/agents") as adapter: ...

    Arguments are those of `create_adapter`. Without a name or URL, the URL is that of the environment variable
    `DATABASE_URL`; if that is not set or empty, the adapter is SQLite's on `file:./aaow.db`.

    Raises:
        BackendNotFoundError: no usable backend has that name.
        ValidationError: the URL or an option is wrong.
    """
    if name_or_url is not None:
        return create_adapter(name_or_url, url, **options)
    if url is None:
        url = os.environ.get("DATABASE_URL")
        if not url:
            return create_adapter(DEFAULT_BACKEND, **options)
        if (problem := space_problem(url)) is not None:
            raise ValidationError("open_adapter", "DATABASE_URL", f"the environment variable {problem}")
        return create_adapter(url, **options)
    if isinstance(url, str) and url_scheme(url) is not None:
        return create_adapter(url, **options)
    return create_adapter(DEFAULT_BACKEND, url, **options)


def open_sync(name_or_url: str | None = None, url: str | None = None, **options: Any) -> "SyncAdapter":
    """Open a store for synchronous code; the adapter's operations are ordinary calls. Close it, or use `with`.

        with open_sync("sqlite", "file:./my-workflow.db") as storage:
            print(storage.list_sessions())

    Arguments are those of `open_adapter`. An adapter that is to be opened otherwise, such as with `migrate=False`, is
    made by `SyncAdapter(create_adapter(...))`.

    Raises:
        BackendNotFoundError: no usable backend has that name.
        ValidationError: the URL or an option is wrong.
        SchemaVersionError: the store is newer than this code.
        StorageUnavailableError: the store cannot be reached.
    """
    from aaow_storage.sync import SyncAdapter  # noqa: PLC0415 - it imports asyncio, which is slow

    adapter = SyncAdapter(open_adapter(name_or_url, url, **options))
    adapter.initialize()
    return adapter


def maintenance_of(name_or_url: str, url: str | None = None, **options: Any) -> "StoreMaintenance":
    """Return the maintenance of a store: its sizes, durability, schema, backups, integrity and space.

        print(await maintenance_of("file:./my-workflow.db").sizes())

    Arguments are those of `create_adapter`. Nothing is opened or created by this call.

    Raises:
        BackendNotFoundError: no usable backend has that name.
        NotOfferedError: the backend offers no maintenance.
        ValidationError: the URL or an option is wrong.
    """
    backend, url = _resolve("maintenance_of", name_or_url, url, options)
    if backend.maintenance is None:
        raise NotOfferedError("maintenance", f"the backend {backend.name!r}", "use the tools of its own database")
    from aaow_storage._maintenance import StoreMaintenance  # noqa: PLC0415 - for tools alone

    maintenance = backend.maintenance(url, **options)
    if not isinstance(maintenance, StoreMaintenance):
        problem = f"its plugin made {type(maintenance).__name__}, which is not a StoreMaintenance"
        raise _plugins().unusable(backend.name, problem)
    return maintenance


def _resolve(operation: str, name_or_url: str, url: str | None, options: Collection[str]) -> tuple[Backend, str | None]:
    """Return the backend that is named, or that the URL is for, and the URL; check the names of options."""
    for argument, value in (("name_or_url", name_or_url), ("url", url if url is not None else "")):
        if not isinstance(value, str):
            raise ValidationError(operation, argument, f"must be str, not {type(value).__name__}")
        if (problem := space_problem(value)) is not None:
            raise ValidationError(operation, argument, problem)
    scheme = url_scheme(name_or_url)
    if scheme is None:
        name = name_or_url
    elif url is not None:
        raise ValidationError(operation, "url", "is given twice; pass a name and a URL, or one URL")
    else:
        name, url = _SCHEMES.get(scheme, scheme), name_or_url
    backend = _plugins().backend(name)
    for option in options:
        if option not in backend.options:
            known = ", ".join(sorted(backend.options)) or "none"
            problem = f"is not an option of the backend {name!r}; its options are {known}"
            raise ValidationError(operation, option, problem)
    return backend, url


def _plugins() -> "PluginHost":
    """Return the plugins of this process; the first call makes them."""
    global _host  # noqa: PLW0603 - the one of this process
    with _making_host:
        if _host is None:
            from aaow_storage._plugins import PluginHost  # noqa: PLC0415 - a fifth of the time to import this package

            _host = PluginHost()
        return _host


def _forget_parent() -> None:
    """Replace the locks in a forked process, because threads of the parent may have held them."""
    global _making_host  # noqa: PLW0603 - the one of this process
    _making_host = threading.Lock()
    if _host is not None:
        _host.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def _backend_or_problem(name: str) -> Backend:
    try:
        return _plugins().backend(name)
    except BackendNotFoundError as error:
        return Backend(name=name, summary="cannot be used", create=_raise(error), problem=error.remedy)


def _raise(error: BackendNotFoundError) -> Callable[..., StorageAdapter]:
    def create(url: str | None = None, **options: Any) -> StorageAdapter:
        del url, options
        raise error

    return create
