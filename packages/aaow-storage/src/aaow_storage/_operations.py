"""`StorageOperations`: all operations on data."""

from aaow_storage._change_operations import ChangeOperations
from aaow_storage._store_wide_operations import StoreWideOperations


class StorageOperations(StoreWideOperations, ChangeOperations):
    """All operations on data; an adapter and a transaction both have them.

    Each operation is atomic, even if it fails or is cancelled. On an adapter, its effect is committed when it returns.

    If nothing is stored, a `get` of one record returns None, and a list is empty. Lists are ordered by time, then id,
    unless the filter has another order. Records are values: changing one later, or the JSON in it, does not change what
    is stored.

    A backend implements the abstract operations. The others have defaults that are built on those, and correct, but
    slow: they read page by page what a backend of its own finds at once.

    Any operation may raise `ValidationError` for a wrong argument, and `StorageUnavailableError` if the store cannot be
    reached. The docstrings list only other errors.
    """
