"""Mistakes with adapter objects: copied, in two blocks at once, or called from outside of asyncio."""

import asyncio

from aaow_storage import StorageError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction


@breaks("LIF-4")
class ClosesUnderAnotherBlock(Delegating):
    """Allows several `async with` blocks at once, and the end of the first closes the adapter for all."""

    async def __aenter__(self):
        await self.initialize()
        return self

    async def __aexit__(self, kind, error, traceback):
        await self.close()


@breaks("LIF-4")
class EntersOnlyOnce(Delegating):
    """Refuses a second `async with` block even after the first has ended."""

    was_entered = False

    async def __aenter__(self):
        if self.was_entered:
            raise StorageError("it is in an `async with` block already")
        self.was_entered = True
        return await super().__aenter__()


@breaks("ERR-1")
class CopiesItself(Delegating):
    """Can be copied, and the copy shares the connections."""

    def __reduce__(self):
        return Delegating, (self.reference,)


@breaks("ERR-1")
class SharesTransactions(Delegating):
    """Begins transactions that can be copied and so can end twice."""

    class Shared(DelegatingTransaction):
        def __reduce__(self):
            return DelegatingTransaction, (self.reference,)

    async def begin_transaction(self, timeout=30.0):
        return self.Shared(await super().begin_transaction(timeout))


@breaks("ERR-1")
class AssumesAnEventLoop(Delegating):
    """Raises the RuntimeError of asyncio if no event loop runs."""

    async def list_workflows(self, filter=None):
        asyncio.get_running_loop()
        return await super().list_workflows(filter)
