"""`open_sync`, by which programs without asyncio begin."""

from typing import TYPE_CHECKING, Any

from aaow_storage._registry import open_adapter

if TYPE_CHECKING:
    from aaow_storage.sync import SyncAdapter


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
