"""Mistakes with transactions that are open at the same time."""

import abc
from contextlib import asynccontextmanager
from typing import Any

from aaow_storage import StorageOperations, Transaction
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


class LateTransaction(Transaction):
    """Begins at its first call, on a store that has one transaction open at a time."""

    def __init__(self, begin):
        self.begin = begin
        self.begun = None

    @property
    def outcome(self):
        return None if self.begun is None else self.begun.outcome

    async def reference(self):
        if self.begun is None:
            self.begun = await self.begin()
        return self.begun

    async def commit(self):
        await (await self.reference()).commit()

    async def rollback(self):
        await (await self.reference()).rollback()

    @asynccontextmanager
    async def savepoint(self):
        async with (await self.reference()).savepoint():
            yield


def _late(name):
    async def operation(self, *args, **kwargs):
        return await getattr(await self.reference(), name)(*args, **kwargs)

    return operation


_kind: Any = LateTransaction
for _name in StorageOperations.__abstractmethods__:
    setattr(_kind, _name, _late(_name))
abc.update_abstractmethods(_kind)


@breaks("CON-1")
class OpensTransactionsThatWait(Delegating):
    """Opens several transactions at once, and lets the first write of each wait for the one before it."""

    async def begin_transaction(self, timeout=30.0):
        return LateTransaction(lambda: self.reference.begin_transaction(timeout))
