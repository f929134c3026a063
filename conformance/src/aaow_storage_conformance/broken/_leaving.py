"""Mistakes with adapters that are left without being closed."""

from aaow_storage import StorageAdapter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._transactions import BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction

_kept: list[StorageAdapter] = []


@breaks("LIF-2")
class IsKeptByItsThreads(Delegating):
    """Is never released where it is dropped, since something of its own refers to it."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        _kept.append(self)

    async def close(self):
        _kept[:] = [kept for kept in _kept if kept is not self]
        await super().close()


@breaks("LIF-2")
class IsDroppedInSilence(MemoryAdapter):
    """Says nothing where it is dropped while it is open."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self._keep_when_dropped()


@breaks("LIF-2")
class WarnsOfClosedAdapters(MemoryAdapter):
    """Warns of an adapter that was closed too."""

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
    """Refuses in a forked process, until it is initialized again."""

    def after_fork_in_child(self):
        self._set_open(is_open=False)


@breaks("CON-1")
class SharesItsTransactionsWithForkedProcesses(BeginsBrokenInMemory):
    """Lets a forked process go on with a transaction of its parent."""

    class Broken(MemoryTransaction):
        def after_fork_in_child(self):
            pass
