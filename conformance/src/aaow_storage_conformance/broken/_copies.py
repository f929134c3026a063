"""Mistakes with copies of adapters and transactions, and with calls from outside of asyncio."""

import asyncio

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction


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
