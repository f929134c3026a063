"""`SyncOperations`: made by `nox -s generate` from `aaow_storage._operations`, so change that."""

from aaow_storage.sync._change_operations import SyncChangeOperations
from aaow_storage.sync._store_wide_operations import SyncStoreWideOperations


class SyncOperations(SyncStoreWideOperations, SyncChangeOperations):
    """All operations on data; an adapter and a transaction both have them.

    Each operation is atomic, even if it fails or is interrupted. On an adapter, its effect is committed when it
    returns. An exception that interrupts a call, such as that of Ctrl-C, cancels the operation, and is raised when that
    has ended.

    If nothing is stored, a `get` of one record returns None, and a list is empty. Lists are ordered by time, then id,
    unless the filter has another order. Records are values: changing one later, or the JSON in it, does not change what
    is stored.

    Any operation may raise `ValidationError` for a wrong argument, and `StorageUnavailableError` if the store cannot be
    reached. The docstrings list only other errors.
    """
