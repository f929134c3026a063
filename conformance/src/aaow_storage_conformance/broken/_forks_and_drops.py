"""Mistakes with adapters that are dropped without being closed, or used after a fork."""

from aaow_storage import StorageAdapter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._transactions import BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction

_kept: list[StorageAdapter] = []


@breaks("LIF-2")
class IsKeptByItsThreads(Delegating):
    """Is never released when it is dropped, because something of its own refers to it."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        _kept.append(self)

    async def close(self):
        _kept[:] = [kept for kept in _kept if kept is not self]
        await super().close()


@breaks("LIF-2")
class IsDroppedInSilence(MemoryAdapter):
    """Gives no warning if it is dropped while it is open."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self._keep_when_dropped()


@breaks("LIF-2")
class WarnsOfClosedAdapters(MemoryAdapter):
    """Warns of a dropped adapter even if it was closed."""

    async def close(self):
        await super().close()
        self._set_open(is_open=True)
        self._is_open = False


@breaks("CON-1")
class IsUsedAfterAFork(MemoryAdapter):
    """Goes on in a forked process, on a copy of the store."""

    def after_fork_in_child(self):
        pass


@breaks("CON-1")
class IsOpenedAgainAfterAFork(MemoryAdapter):
    """Can be initialized again in a forked process."""

    def after_fork_in_child(self):
        self._set_open(is_open=False)


@breaks("CON-1")
class SharesItsTransactionsWithForkedProcesses(BeginsBrokenInMemory):
    """Lets a forked process use a transaction of its parent."""

    class Broken(MemoryTransaction):
        def after_fork_in_child(self):
            pass
