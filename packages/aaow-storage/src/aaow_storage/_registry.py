"""Choosing a backend by name or URL."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aaow_storage._adapter import StorageAdapter
from aaow_storage._backend import Backend
from aaow_storage._urls import space_problem, url_scheme
from aaow_storage.errors import BackendNotFoundError, ValidationError

if TYPE_CHECKING:
    from aaow_storage._plugins import PluginHost

DEFAULT_BACKEND = "sqlite"
_SCHEMES = {"file": DEFAULT_BACKEND, "postgres": "postgresql"}
"""Schemes that are not the name of their backend."""

_host: "PluginHost | None" = None
_making_host = threading.Lock()


def register_plugin(plugin: object) -> None:
    """Register an object with hook implementations, in this process, as if it were installed.

    Raises:
        ValidationError: it is registered already, is not a plugin, or provides a backend whose name is taken.
    """
    _plugins().register(plugin)


def unregister_plugin(plugin: object) -> None:
    """Forget a plugin that `register_plugin` took.

    Raises:
        ValidationError: it is not registered.
    """
    _plugins().unregister(plugin)


def available_backends() -> dict[str, Backend]:
    """Return every backend that is there, by name, loading each.

    One that cannot be loaded, or whose name two distributions claim, is listed with its `problem`.
    """
    return {name: _backend_or_problem(name) for name in _plugins().names()}


def create_adapter(name_or_url: str, url: str | None = None, **options: Any) -> StorageAdapter:
    """Make an adapter of a backend, chosen by its name or by the scheme of a URL; it is not initialized yet.

        create_adapter("sqlite", "file:./my-workflow.db", synchronous="NORMAL")
        create_adapter("memory")
        create_adapter("postgresql://app@db/agents")

    Args:
        name_or_url: a backend's name, or a URL whose scheme is one; `file:` URLs are SQLite's.
        url: where a name comes first, what the backend takes as its URL; None for its default.
        options: what the backend's `Backend.options` name.

    Raises:
        BackendNotFoundError: no usable backend has that name.
        ValidationError: the URL or an option is wrong.
    """
    for argument, value in (("name_or_url", name_or_url), ("url", url if url is not None else "")):
        if not isinstance(value, str):
            raise ValidationError("create_adapter", argument, f"must be str, not {type(value).__name__}")
        if (problem := space_problem(value)) is not None:
            raise ValidationError("create_adapter", argument, problem)
    scheme = url_scheme(name_or_url)
    if scheme is None:
        name = name_or_url
    elif url is not None:
        raise ValidationError("create_adapter", "url", "is given twice; pass a name and a URL, or one URL")
    else:
        name, url = _SCHEMES.get(scheme, scheme), name_or_url
    plugins = _plugins()
    backend = plugins.backend(name)
    for option in options:
        if option not in backend.options:
            known = ", ".join(sorted(backend.options)) or "none"
            problem = f"is not an option of the backend {name!r}; it has {known}"
            raise ValidationError("create_adapter", option, problem)
    adapter = backend.create(url, **options)
    if not isinstance(adapter, StorageAdapter):
        raise plugins.unusable(name, f"its plugin made {type(adapter).__name__}, which is not a StorageAdapter")
    return plugins.wrapped(adapter)


def open_adapter(name_or_url: str | None = None, url: str | None = None, **options: Any) -> StorageAdapter:
    """Make an adapter for `async with`, which initializes and closes it.

        async with open_adapter("postgresql://app@db/agents") as adapter: ...

    Without a name or URL the environment variable `DATABASE_URL` says which, and where that is not set or empty it is
    SQLite on `file:./aaow.db`.

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


def _plugins() -> "PluginHost":
    """Return the plugins of this process."""
    global _host  # noqa: PLW0603 - the one of this process
    with _making_host:
        if _host is None:
            from aaow_storage._plugins import PluginHost  # noqa: PLC0415 - a fifth of the time to import this package

            _host = PluginHost()
        return _host


def _forget_parent() -> None:
    """Share no held lock with the process that this one was forked from."""
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
        return Backend(name=name, summary="cannot be used", create=_refuse(error), problem=error.remedy)


def _refuse(error: BackendNotFoundError) -> Callable[..., StorageAdapter]:
    def create(url: str | None = None, **options: Any) -> StorageAdapter:
        del url, options
        raise error

    return create
