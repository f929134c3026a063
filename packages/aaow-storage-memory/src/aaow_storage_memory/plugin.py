"""The plugin of the memory backend, loaded by the entry point `memory`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaow_storage import Backend, Capability, new_id
from aaow_storage.authoring import shown
from aaow_storage.errors import ValidationError
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory._adapter import MemoryAdapter
from aaow_storage_memory._stores import forget_store, store_at

if TYPE_CHECKING:
    from aaow_storage.authoring import StoreMaintenance


@hookimpl
def aaow_storage_backend() -> Backend:
    """Describe the memory backend."""
    return Backend(
        name="memory",
        summary="dicts, gone when the process ends; for tests",
        create=create,
        options={
            "changes": "whether the store records its changes; None leaves it as it is, and a new one does (None)",
            "stream_events": "whether the adapter has the capability of that name (True)",
        },
        capabilities={Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT},
        contract="1.1",
        temporary_store=temporary_store,
        maintenance=maintenance,
    )


def create(url: str | None = None, *, stream_events: bool = True, changes: bool | None = None) -> MemoryAdapter:
    """Make an adapter of `memory://NAME`, a store that the process shares, or of `memory://`, a store of its own.

    Raises:
        ValidationError: the URL or an option is wrong.
    """
    if not isinstance(stream_events, bool):
        raise ValidationError("memory", "stream_events", f"must be True or False, not {shown(stream_events)}")
    if changes is not None and not isinstance(changes, bool):
        raise ValidationError("memory", "changes", f"must be True, False or None, not {shown(changes)}")
    capabilities = {Capability.CHANGES, Capability.WRITERS_WAIT, *([Capability.STREAM_EVENTS] if stream_events else [])}
    return MemoryAdapter(store_at(url), capabilities, changes=changes)


def maintenance(url: str | None = None, **options: Any) -> "StoreMaintenance":
    """Return the maintenance of the store at a URL.

    Raises:
        ValidationError: the URL is wrong.
    """
    from aaow_storage_memory._maintenance import MemoryMaintenance  # noqa: PLC0415 - for tools alone

    del options
    return MemoryMaintenance(store_at(url))


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty store; it is dropped after the block."""
    del folder
    url = f"memory://{new_id()}"
    try:
        yield url
    finally:
        forget_store(url)
