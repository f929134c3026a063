"""Mistakes with savepoints, and broken rollback of an operation that fails."""

import asyncio
from contextlib import asynccontextmanager, suppress

from aaow_storage import ConflictError, StorageError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory._adapter import MemoryTransaction


@breaks("TXN-4", "TXN-5")
class SavepointsUndoNothing(BeginsBroken):
    """Opens savepoints that have no effect."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            yield


@breaks("TXN-4")
class SavepointsUndoEverything(BeginsBroken):
    """Rolls the whole transaction back if a savepoint fails."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            try:
                async with self.reference.savepoint():
                    yield
            except BaseException:
                await self.rollback()
                raise


@breaks("TXN-4")
class SavepointsDoNotNest(BeginsBrokenInMemory):
    """Gives all savepoints one name, so that the outer one rolls back to the inner one."""

    class Broken(MemoryTransaction):
        @asynccontextmanager
        async def savepoint(self):
            self._check()
            if len(self._layers) > 1:
                self._layers.pop().apply()
            async with super().savepoint():
                yield


@breaks("TXN-4")
class InnerSavepointsUndoTheOuter(BeginsBrokenInMemory):
    """Opens one savepoint for all nested ones, and rolls it back as a whole."""

    class Broken(MemoryTransaction):
        @asynccontextmanager
        async def savepoint(self):
            self._check()
            if len(self._layers) == 1:
                async with super().savepoint():
                    yield
                return
            try:
                yield
            except BaseException:
                del self._layers[1:]
                self._layers.append(self._layers[0].on_top())
                raise


@breaks("TXN-4")
class SavepointsKeepWhatWasCancelled(BeginsBroken):
    """Rolls a savepoint back only for `Exception`, which a cancellation is not."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            cancelled = None
            async with self.reference.savepoint():
                try:
                    yield
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                raise cancelled


@breaks("TXN-4")
class SavepointsSwallowErrors(BeginsBroken):
    """Suppresses the error of a savepoint's block."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            with suppress(Exception):
                async with self.reference.savepoint():
                    yield


@breaks("TXN-4")
class HidesTheErrorOfASavepoint(BeginsBroken):
    """Raises the error of the rollback in place of that of the savepoint's block."""

    class Broken(DelegatingTransaction):
        @asynccontextmanager
        async def savepoint(self):
            try:
                async with self.reference.savepoint():
                    yield
            except BaseException as error:
                if self.outcome is not None and not isinstance(error, StorageError):
                    raise ConflictError("there is no such savepoint") from error
                raise


@breaks("TXN-4")
class LosesASavepointThatSucceeds(BeginsBrokenInMemory):
    """Rolls back a savepoint that succeeded."""

    class Broken(MemoryTransaction):
        @asynccontextmanager
        async def savepoint(self):
            depth = len(self._layers)
            async with super().savepoint():
                yield
                self._layers[depth]._changes.clear()


def _ending_with_an_error(name):
    async def operation(self, *args, **kwargs):
        try:
            return await getattr(self.reference, name)(*args, **kwargs)
        except StorageError:
            if self.outcome is None:
                await self.reference.rollback()
            raise

    return operation


@breaks("TXN-5")
class EndsWithTheFirstError(BeginsBroken):
    """Rolls a transaction back when an operation in it fails."""

    class Broken(DelegatingTransaction):
        create_session = _ending_with_an_error("create_session")
        delete_session = _ending_with_an_error("delete_session")


@breaks("TXN-5")
class IsAbortedByTheFirstError(BeginsBroken):
    """Refuses every operation after one that failed, as PostgreSQL does without a savepoint."""

    class Broken(DelegatingTransaction):
        has_failed = False

        async def consume_budget(self, pool_id, amount):
            try:
                return await self.reference.consume_budget(pool_id, amount)
            except StorageError:
                self.has_failed = True
                raise

        async def save_workflow(self, workflow):
            if self.has_failed:
                raise ConflictError("current transaction is aborted, commands ignored until end of block")
            await self.reference.save_workflow(workflow)


@breaks("TXN-5")
class KeepsHalfOfWhatFailed(BeginsBroken):
    """Keeps the use of a pool in a transaction although an ancestor has too little left."""

    class Broken(DelegatingTransaction):
        async def consume_budget(self, pool_id, amount):
            pool = await self.reference.get_budget_pool(pool_id)
            try:
                return await self.reference.consume_budget(pool_id, amount)
            except ConflictError:
                if pool is not None:
                    await self.reference.update_budget_pool(pool_id, used_budget=pool.total_budget)
                raise


@breaks("TXN-5")
class UndoesTheOperationBefore(BeginsBrokenInMemory):
    """Rolls back the operation before the one that failed, too."""

    class Broken(MemoryTransaction):
        async def create_session(self, session):
            try:
                await super().create_session(session)
            except StorageError:
                self._layers[-1]._changes.clear()
                raise


@breaks("TXN-4")
class CommitsNoOpenSavepoint(BeginsBrokenInMemory):
    """Drops the writes of an open savepoint when the transaction commits."""

    class Broken(MemoryTransaction):
        async def commit(self):
            self._check()
            del self._layers[1:]
            await super().commit()


@breaks("TXN-4")
class DeepSavepointsUndoMoreThanTheirs(BeginsBrokenInMemory):
    """Rolls back to the second savepoint if a deeper one fails."""

    class Broken(MemoryTransaction):
        @asynccontextmanager
        async def savepoint(self):
            try:
                async with super().savepoint():
                    yield
            except BaseException:
                del self._layers[3:]
                if len(self._layers) > 2:
                    self._layers[2] = self._layers[1].on_top()
                raise
