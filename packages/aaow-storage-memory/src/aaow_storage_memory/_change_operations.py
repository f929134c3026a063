"""The operations on the change feed, for the adapter and for transactions."""

from abc import abstractmethod
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from aaow_storage import Capability, Change, StorageOperations
from aaow_storage.authoring import check_prune, plan_changes
from aaow_storage.errors import UnsupportedOperationError
from aaow_storage_memory._change_feed import ChangeFeed
from aaow_storage_memory._stores import Store
from aaow_storage_memory._tables import Tables


class MemoryChangeOperations(StorageOperations):
    """The operations on the change feed."""

    _store: Store

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[Tables]:
        """Hold the mutex of the store, and yield its tables. The block must not await."""

    async def get_changes(
        self,
        after: str | None = None,
        limit: int = 1000,
        kinds: Collection[str] | None = None,
        session_id: str | None = None,
    ) -> list[Change]:
        query = plan_changes("get_changes", after, limit, kinds, session_id)
        async with self._reading():
            return self._feed("get_changes").read(query)

    async def last_change(self) -> Change | None:
        async with self._reading():
            return self._feed("last_change").last()

    async def prune_changes(self, before: str | datetime) -> int:
        checked = check_prune("prune_changes", before)
        async with self._reading():
            return self._feed("prune_changes").prune(checked)

    def _feed(self, operation: str) -> ChangeFeed:
        if self._store.feed is None:
            raise UnsupportedOperationError(operation, Capability.CHANGES)
        return self._store.feed
