"""A backend of somebody else: it offers no maintenance, no change feed and no streams."""

from collections.abc import AsyncIterator
from typing import Any

from aaow_storage import (
    Backend,
    Capability,
    Change,
    DelegatingAdapter,
    StorageAdapter,
    UnsupportedOperationError,
    create_adapter,
)
from aaow_storage.hookspecs import hookimpl

STREAMS = {"get_stream_events", "list_stream_events", "list_streams", "save_stream_event", "save_stream_events"}
FEED = {"get_changes", "last_change", "prune_changes"}


class Plain(DelegatingAdapter):
    """Does what every backend must, and nothing more."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        if operation in STREAMS:
            raise UnsupportedOperationError(operation, Capability.STREAM_EVENTS)
        if operation in FEED:
            raise UnsupportedOperationError(operation, Capability.CHANGES)
        return await super().pass_on(operation, *arguments, **options)

    def changes(self, *_: object, **__: object) -> AsyncIterator[Change]:
        raise UnsupportedOperationError("changes", Capability.CHANGES)


class Plugin:
    """Provides the backend `plain`, whose stores are files of SQLite."""

    @hookimpl
    def aaow_storage_backend(self) -> Backend:
        def create(url: str | None = None) -> StorageAdapter:
            return Plain(create_adapter("sqlite", (url or "").removeprefix("plain:")))

        return Backend(name="plain", summary="somebody else's", create=create)
