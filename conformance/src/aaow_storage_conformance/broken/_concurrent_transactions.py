"""Mistakes with transactions that are open at the same time."""

import abc
import asyncio
from contextlib import asynccontextmanager
from typing import Any

from aaow_storage import StorageOperations, Transaction
from aaow_storage.authoring import dumps
from aaow_storage.errors import ContentionError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._certifying import (
    CertifyingAdapter,
    CertifyingTransaction,
    NotedTables,
    open_transactions,
)
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


@breaks("TXN-8", "TXN-3", caught_by=["test_of_transactions_that_write_crosswise_each_is_stored_whole_or_not_at_all"])
class WritesOnAfterADeadlock(CertifyingAdapter):
    """Takes a transaction that the database has rolled back for open, and stores its later writes one by one."""

    class Transaction(CertifyingTransaction):
        is_gone = False

        def _check(self):
            if self.is_lost:
                self.is_lost, self.is_gone = False, True
                self._layers = [NotedTables(self.noted, *self._store.tables._layers)]
                raise ContentionError("deadlock found")
            super()._check()

        @asynccontextmanager
        async def _writing(self):
            async with super()._writing() as tables:
                yield tables
            if self.is_gone:
                self._layers[0].apply()
                self._layers = [NotedTables(self.noted, *self._store.tables._layers)]


@breaks("CON-1", caught_by=["test_what_a_transaction_has_read_keeps_none_waiting_that_has_an_equal_document"])
class LocksTheDocumentsThatItReads(CertifyingAdapter):
    """Locks what a transaction reads together with its document, which other records share."""

    class Transaction(CertifyingTransaction):
        locked: frozenset[str] = frozenset()

        async def get_session(self, id):
            found = await super().get_session(id)
            await self.lock(found.workflow_snapshot)
            return found

        async def get_workflow(self, id):
            found = await super().get_workflow(id)
            await self.lock(found.definition)
            return found

        async def create_session(self, session):
            await self.lock(session.workflow_snapshot)
            await super().create_session(session)

        async def lock(self, document):
            text = dumps(document)
            while any(  # noqa: ASYNC110 - no event tells that a transaction has ended
                text in each.locked and each.outcome is None for each in open_transactions(self._store) - {self}
            ):
                await asyncio.sleep(0.001)
            self.locked |= {text}
