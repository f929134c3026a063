"""The store that a test works on, and the ways into it."""

import os
import pickle
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from aaow_storage import Backend, Capability, StorageAdapter, create_adapter

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """An empty store of a test's own, and the adapters that the test opened on it.

    `plugins` are what another process registers before it makes an adapter, where the backend is not installed.
    """

    def __init__(
        self,
        backend: Backend,
        url: str | None,
        options: Mapping[str, Any] | None = None,
        plugins: Sequence[object] = (),
    ) -> None:
        self.backend = backend
        self.url = url
        self.options = dict(options or {})
        self.plugins = tuple(plugins)
        self._adapters: list[StorageAdapter] = []

    def adapter(self, **options: Any) -> StorageAdapter:
        """Make another adapter on this store; it is not initialized, and is closed when the test ends."""
        adapter = create_adapter(self.backend.name, self.url, **{**self.options, **options})
        self._adapters.append(adapter)
        return adapter

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[StorageAdapter]:
        """Hold another initialized adapter on this store."""
        async with self.adapter(**options) as adapter:
            yield adapter

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """What the adapters of this store claim."""
        return self.adapter().capabilities

    async def elsewhere(
        self, function: Callable[Concatenate[StorageAdapter, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a coroutine function of a module in another process, on an adapter of this store, and return its result.

        Only a store with the capability `durable` can be reached from another process.

        Raises:
            RuntimeError: the other process failed; the message holds what it printed.
        """
        task = pickle.dumps((self.plugins, (self.backend.name, self.url, self.options), function, args, kwargs))
        process = await create_subprocess_exec(
            *(sys.executable, "-m", "aaow_storage_conformance._elsewhere"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        output, errors = await process.communicate(task)
        if process.returncode != 0:
            raise RuntimeError(f"the other process failed:\n{errors.decode(errors='replace')}")
        result: T = pickle.loads(output)  # noqa: S301 - written by the process just started
        return result

    async def close(self) -> None:
        """Close every adapter that was made."""
        while self._adapters:
            await self._adapters.pop().close()
