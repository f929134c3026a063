"""Mistakes with transactions: how they end, what they undo, and what others see of them."""

import asyncio
from contextlib import asynccontextmanager

from aaow_storage import ToolCallLog, TransactionOutcome
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction


class BeginsBroken(Delegating):
    """Begins transactions of the class `Broken`."""

    Broken: type[DelegatingTransaction]

    async def begin_transaction(self, timeout=30.0):
        return self.Broken(await super().begin_transaction(timeout))


class BeginsBrokenInMemory(MemoryAdapter):
    """Begins transactions of the class `Broken`, a memory transaction."""

    Broken: type[MemoryTransaction]

    async def begin_transaction(self, timeout=30.0):
        transaction = await super().begin_transaction(timeout)
        transaction.__class__ = self.Broken
        return transaction


@breaks("TXN-1")
class CommitsWhateverHappens(BeginsBroken):
    """Commits at the end of a block even if it raised."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            await super().__aexit__(None, None, None)


@breaks("TXN-1")
class CommitsWhatWasCancelled(BeginsBroken):
    """Rolls back only for `Exception`, which a cancellation is not."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            is_error = kind is not None and issubclass(kind, Exception)
            await super().__aexit__(*((kind, error, traceback) if is_error else (None, None, None)))


@breaks("TXN-1")
class SwallowsTheErrorOfABlock(BeginsBroken):
    """Returns True from `__aexit__`, which suppresses the error of the block."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            await super().__aexit__(kind, error, traceback)
            return True


@breaks("TXN-1")
class HidesTheErrorOfABlockBehindThatOfItsRollback(BeginsBroken):
    """Raises the error of the rollback in place of that of the block."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            if kind is None:
                await super().__aexit__(None, None, None)
            elif self.outcome is None:
                await self.rollback()


@breaks("TXN-1")
class ForgetsToCommitByHand(BeginsBroken):
    """Rolls back in `commit`, and reports a commit."""

    class Broken(DelegatingTransaction):
        async def commit(self):
            await self.reference.rollback()


@breaks("TXN-1")
class EndsABlockTwice(BeginsBroken):
    """Commits at the end of a block that has already ended its transaction."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            await (self.commit() if kind is None else self.rollback())


@breaks("TXN-1")
class RollbackForgetsToolCalls(BeginsBrokenInMemory):
    """Rolls back every table but one."""

    class Broken(MemoryTransaction):
        async def rollback(self):
            layer = self._layers[0] if self._layers else None
            await super().rollback()
            kept = {} if layer is None else layer._changes.get(ToolCallLog, {})
            self.committed._changes[ToolCallLog].update({key: call for key, call in kept.items() if call is not None})

    async def begin_transaction(self, timeout=30.0):
        transaction = await super().begin_transaction(timeout)
        transaction.committed = self._store.tables
        return transaction


@breaks("TXN-1", "TXN-2")
class WritesStraightThrough(Delegating):
    """Returns the adapter itself as a transaction."""

    async def begin_transaction(self, timeout=30.0):
        await (await super().begin_transaction(timeout)).rollback()
        return _ByAnotherName(self.reference)


class _ByAnotherName(DelegatingTransaction):
    _outcome: TransactionOutcome | None = None

    @property
    def outcome(self):
        return self._outcome

    async def commit(self):
        self._outcome = TransactionOutcome.COMMITTED

    async def rollback(self):
        self._outcome = TransactionOutcome.ROLLED_BACK

    @asynccontextmanager
    async def savepoint(self):
        yield


@breaks("TXN-2")
class ListsWhatIsCommitted(BeginsBrokenInMemory):
    """Lists in a transaction only what is committed, not its own writes."""

    class Broken(MemoryTransaction):
        async def list_sessions(self, filter=None):
            layers, self._layers = self._layers, [self._layers[0].__class__(*self._layers[0]._layers[:-1])]
            try:
                return await super().list_sessions(filter)
            finally:
                self._layers = layers


@breaks("TXN-2")
class CountsWhatIsCommitted(BeginsBroken):
    """Counts in a transaction what there was when it began."""

    class Broken(DelegatingTransaction):
        counted = None

        async def save_workflow(self, workflow):
            if self.counted is None:
                self.counted = await self.reference.count_workflows()
            await self.reference.save_workflow(workflow)

        async def count_workflows(self, filter=None):
            return await self.reference.count_workflows(filter) if self.counted is None else self.counted


class ReadsFromTheOpenTransaction(MemoryAdapter):
    """Knows the transaction that was begun last, while it is open."""

    def reader(self):
        """Return the open transaction, or None."""
        self._check()
        last = self._last_transaction
        return last if last is not None and last.outcome is None else None


@breaks("TXN-2")
class CountsWhatIsNotCommitted(ReadsFromTheOpenTransaction):
    """Counts the uncommitted writes of a transaction, as READ UNCOMMITTED does."""

    async def count_workflows(self, filter=None):
        reader = self.reader()
        return await (super().count_workflows(filter) if reader is None else reader.count_workflows(filter))


@breaks("TXN-2")
class GetsWhatIsNotCommitted(ReadsFromTheOpenTransaction):
    """Returns the uncommitted writes of a transaction, as READ UNCOMMITTED does."""

    async def get_workflow(self, id):
        reader = self.reader()
        return await (super().get_workflow(id) if reader is None else reader.get_workflow(id))


@breaks("TXN-2")
class CommitsTableByTable(BeginsBrokenInMemory):
    """Commits one record after the other, with time for readers in between."""

    class Broken(MemoryTransaction):
        async def commit(self):
            while len(self._layers) == 1 and (changes := self._layers[0]._changes):
                kind = next(iter(changes))
                key = next(iter(changes[kind]), None)
                if key is None:
                    del changes[kind]
                    continue
                self._layers[0]._layers[-2][kind][key] = changes[kind].pop(key)
                await asyncio.sleep(0)
            await super().commit()


@breaks("TXN-3")
class CommitsTwice(BeginsBroken):
    """Accepts a second commit."""

    class Broken(DelegatingTransaction):
        async def commit(self):
            if self.outcome is not TransactionOutcome.COMMITTED:
                await super().commit()


@breaks("TXN-3")
class RollsBackWhatHasEnded(BeginsBroken):
    """Accepts a rollback after the end."""

    class Broken(DelegatingTransaction):
        async def rollback(self):
            if self.outcome is None:
                await super().rollback()


@breaks("TXN-3")
class ReadsAfterTheEnd(BeginsBroken):
    """Returns nothing, and no error, from a read after the end."""

    class Broken(DelegatingTransaction):
        async def get_session(self, id):
            return None if self.outcome is not None else await self.reference.get_session(id)


@breaks("TXN-3")
class WritesNothingAfterTheEnd(BeginsBroken):
    """Ignores a write after the end, without an error."""

    class Broken(DelegatingTransaction):
        async def save_workflow(self, workflow):
            if self.outcome is None:
                await self.reference.save_workflow(workflow)


@breaks("TXN-3")
class OpensSavepointsAfterTheEnd(BeginsBroken):
    """Opens a savepoint after the end, without an error."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            if self.outcome is not None:
                yield
                return
            async with self.reference.savepoint():
                yield
