"""The synchronous adapter: every operation as an ordinary call, for programs that do not use asyncio."""

from aaow_storage.sync._adapter import (
    SyncAdapter,
    SyncTransaction,
)
from aaow_storage.sync._calls import SyncIterator
from aaow_storage.sync._operations import SyncOperations

__all__ = [
    "SyncAdapter",
    "SyncIterator",
    "SyncOperations",
    "SyncTransaction",
]
