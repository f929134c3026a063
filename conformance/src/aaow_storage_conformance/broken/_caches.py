"""Mistakes with caches, which only the writes of their own adapter empty."""

from aaow_storage import StorageOperations
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction

CHANGING = ("save_", "create_", "update_", "delete_", "log_", "consume_", "increase_", "approve_", "reject_", "expire_")


def emptied_by_writes(kind):
    """Make every operation that changes something empty the `cache` afterwards."""

    def emptying(name):
        async def operation(self, *args, **kwargs):
            try:
                return await getattr(self.reference, name)(*args, **kwargs)
            finally:
                self.cache.clear()

        return operation

    for name in StorageOperations.__abstractmethods__:
        if name.startswith(CHANGING):
            setattr(kind, name, emptying(name))
    return kind


@emptied_by_writes
class Caching(Delegating):
    """Has a cache that each of its own writes empties."""

    def __init__(self, reference):
        super().__init__(reference)
        self.cache = {}

    async def cached(self, key, read):
        """Return what is in the cache, or what the read returns."""
        if key not in self.cache:
            self.cache[key] = await read
        else:
            read.close()
        return self.cache[key]


@breaks(
    "OPS-7",
    "CON-1",
    caught_by=[
        "test_an_adapter_that_is_opened_again_reads_what_was_changed_meanwhile",
        "test_every_read_shows_each_change_that_another_handle_made",
    ],
)
class CachesCountsUntilItWrites(Caching):
    """Caches a count until its own next write, so it misses the writes of others."""

    async def count_sessions(self, filter=None):
        if filter is not None:
            return await super().count_sessions(filter)
        return await self.cached("sessions", super().count_sessions())


@breaks(
    "OPS-7",
    "CON-1",
    caught_by=[
        "test_an_adapter_that_is_opened_again_reads_what_was_changed_meanwhile",
        "test_every_read_shows_each_change_that_another_handle_made",
    ],
)
class CachesChildrenUntilItWrites(Caching):
    """Caches the children of a pool until its own next write, so it misses the writes of others."""

    async def get_child_budget_pools(self, parent_id, filter=None):
        children = super().get_child_budget_pools(parent_id, filter)
        return [*await (children if filter is not None else self.cached(parent_id, children))]


@breaks(
    "OPS-7",
    "CON-1",
    caught_by=[
        "test_an_adapter_that_is_opened_again_reads_what_was_changed_meanwhile",
        "test_every_read_shows_each_change_that_another_handle_made",
    ],
)
class RemembersThatThereWasNothing(Caching):
    """Caches that a request is missing until its own next write."""

    async def get_approval_request(self, id):
        if not isinstance(id, str) or self.cache.get(id, 0) is not None:
            self.cache[f"{id}"] = found = await super().get_approval_request(id)
            return found
        return None


@breaks("TXN-2")
class CachesWhatATransactionWrote(Caching):
    """Empties its cache at a write in a transaction, not at the commit."""

    async def get_budget_pool(self, id):
        return await (
            self.cached(id, super().get_budget_pool(id)) if isinstance(id, str) else super().get_budget_pool(id)
        )

    async def begin_transaction(self, timeout=30.0):
        transaction = EmptyingAtWrites(await self.reference.begin_transaction(timeout))
        transaction.cache = self.cache
        return transaction


@emptied_by_writes
class EmptyingAtWrites(DelegatingTransaction):
    """Empties the cache of its adapter when it writes."""


@breaks("TXN-1")
class KeepsWhatWasRolledBack(Caching):
    """Caches what a transaction read, even if it was rolled back."""

    async def get_workflow(self, id):
        return await (self.cached(id, super().get_workflow(id)) if isinstance(id, str) else super().get_workflow(id))

    async def begin_transaction(self, timeout=30.0):
        self.cache.clear()
        transaction = FillingTheCache(await self.reference.begin_transaction(timeout))
        transaction.cache = self.cache
        return transaction


class FillingTheCache(DelegatingTransaction):
    """Puts what it reads into the cache of its adapter."""

    async def get_workflow(self, id):
        found = await super().get_workflow(id)
        self.cache[f"{id}"] = found
        return found


@breaks("LIF-3")
class CachesWhatWasReadBeforeItClosed(Caching):
    """Keeps its cache when it is closed and opened again."""

    async def list_approval_requests(self, session_id, filter=None):
        found = super().list_approval_requests(session_id, filter)
        return [*await (found if filter is not None else self.cached(f"{session_id}", found))]
