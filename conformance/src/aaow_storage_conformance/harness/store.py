"""The store of a test, and the ways to open it: adapters, subprocesses, a newer schema."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from aaow_storage import Backend, Capability, StorageAdapter, available_backends, create_adapter, maintenance_of
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_conformance.harness.subprocesses import Report, Subprocess, run_subprocess
from aaow_storage_conformance.harness.watchdog import watch_running_loop

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """A new empty store for one test, and the adapters that the test makes on it.

    `plugins` are registered in subprocesses before they make an adapter, for backends that are not installed.
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
        """Make another adapter on this store, not initialized; it is closed when the test ends."""
        watch_running_loop()
        adapter = create_adapter(self.backend.name, self.url, **{**self.options, **options})
        self._adapters.append(adapter)
        return adapter

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[StorageAdapter]:
        """Open another adapter on this store for the block."""
        async with self.adapter(**options) as adapter:
            yield adapter

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """The capabilities that adapters of this store claim."""
        return self.adapter().capabilities

    def newer_schema(self) -> AbstractContextManager[None]:
        """Give the store the schema of a later release for the block."""
        assert self.backend.newer_schema is not None
        return self.backend.newer_schema(self.url, **self.options)

    def maintenance(self) -> StoreMaintenance:
        """Return the maintenance of this store."""
        return maintenance_of(self.backend.name, self.url, **self.options)

    def process(
        self, function: Callable[Concatenate["Store", Report, P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> AbstractAsyncContextManager[Subprocess]:
        """Run a module-level coroutine function in another process, which is killed at the end of the block.

        The function gets a `Store` to open adapters on, and a function that sends a report to this process. Only a
        store with the capability `durable` can be opened by another process.

            async with store.process(write_for_ever) as process:
                first = await process.next_report()
                others = await process.kill()
        """
        place = (self.backend.name, self.url, self.options, self.plugins)
        return run_subprocess(self.plugins, self.backend, _run_on_store, place, function, args, kwargs)

    async def run_in_subprocess(
        self, function: Callable[Concatenate[StorageAdapter, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a module-level coroutine function in another process, on an open adapter, and return its result.

        Raises:
            RuntimeError: the subprocess failed; the message holds its traceback.
        """
        async with self.process(_run_on_adapter, function, args, kwargs) as process:
            result: T = await process.result()
        return result

    async def close(self) -> None:
        """Close all adapters."""
        while self._adapters:
            await self._adapters.pop().close()


async def _run_on_store(
    report: Report, place: tuple[Any, ...], function: Callable[..., Awaitable[Any]], args: Any, kwargs: Any
) -> Any:
    name, url, options, plugins = place
    store = Store(available_backends()[name], url, options, plugins)
    try:
        return await function(store, report, *args, **kwargs)
    finally:
        await store.close()


async def _run_on_adapter(
    store: Store, report: Report, function: Callable[..., Awaitable[Any]], args: Any, kwargs: Any
) -> Any:
    del report  # the result is enough
    async with store.open() as adapter:
        return await function(adapter, *args, **kwargs)
