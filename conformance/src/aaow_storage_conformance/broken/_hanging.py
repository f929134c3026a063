"""Mistakes by which something never ends: the tests have to fail in time, and to name what stands still."""

import asyncio
import multiprocessing
import threading
import time

from aaow_storage import Capability, NotFoundError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction

SHORT_S = 6.0
FOR_EVER_S = 3600.0


async def _for_ever():
    await asyncio.Event().wait()


@breaks("OPS-3", test_s=SHORT_S)
class GetsForEver(Delegating):
    """Waits for ever for a workflow that is there."""

    async def get_workflow(self, id):
        if (found := await super().get_workflow(id)) is not None:
            await _for_ever()
        return found


@breaks("OPS-5", test_s=SHORT_S)
class WaitsWhereItShouldRaise(Delegating):
    """Waits until there is something to delete."""

    async def delete_session(self, id):
        while True:
            try:
                return await super().delete_session(id)
            except NotFoundError:
                await asyncio.sleep(0)


@breaks("LIF-4", test_s=SHORT_S)
class NeverCloses(Delegating):
    """Never returns from close."""

    async def close(self):
        await super().close()
        await _for_ever()


@breaks("LIF-2", test_s=SHORT_S)
class ClosesInAThreadThatNeverEnds(Delegating):
    """Closes in a thread of the loop's pool that never ends, however it is cancelled."""

    async def close(self):
        await super().close()
        await asyncio.to_thread(time.sleep, FOR_EVER_S)


@breaks("STA-1", test_s=SHORT_S)
class BlocksItsLoop(Delegating):
    """Sleeps in a coroutine, and with it the event loop."""

    async def save_execution_state(self, state):
        time.sleep(FOR_EVER_S)  # noqa: ASYNC251 - the mistake
        await super().save_execution_state(state)


@breaks("WFL-1", test_s=SHORT_S)
class LocksItsLoopOut(Delegating):
    """Takes a lock of threads twice in one coroutine."""

    async def delete_workflow(self, id):
        lock = threading.Lock()
        with lock, lock:
            await super().delete_workflow(id)


@breaks("TXN-8", test_s=SHORT_S)
class DeadlocksAtTheSecondTransaction(MemoryAdapter):
    """Lets a transaction wait for the end of another that has ended already."""

    async def begin_transaction(self, timeout=30.0):
        if self._last_transaction is not None:
            await _for_ever()
        return await super().begin_transaction(timeout)


@breaks("TXN-1", test_s=SHORT_S)
class KeepsTheLineAfterItsEnd(BeginsBrokenInMemory):
    """Lets nobody else write after a transaction that was rolled back."""

    class Broken(MemoryTransaction):
        async def rollback(self):
            await super().rollback()
            await self._write_lock.acquire(self)


@breaks("OPS-4", test_s=SHORT_S)
class GoesOnWaitingWhenCancelled(Delegating):
    """Goes on waiting when its task is cancelled."""

    async def update_workflow(self, id, /, **changes):
        while True:
            try:
                await _for_ever()
            except asyncio.CancelledError:
                continue


@breaks("TXN-4", test_s=SHORT_S)
class StandsStillWhereSavepointsNest(BeginsBroken):
    """Waits for ever for a write in a savepoint within another."""

    class Broken(DelegatingTransaction):
        depth = 0

        def savepoint(self):
            return _Counted(self, super().savepoint())

        async def save_workflow(self, workflow):
            if self.depth > 1:
                await _for_ever()
            await super().save_workflow(workflow)


class _Counted:
    def __init__(self, transaction, savepoint):
        self.transaction, self.savepoint = transaction, savepoint

    async def __aenter__(self):
        self.transaction.depth += 1
        return await self.savepoint.__aenter__()

    async def __aexit__(self, *error):
        self.transaction.depth -= 1
        return await self.savepoint.__aexit__(*error)


@breaks("OPS-7", needs=[Capability.DURABLE], test_s=SHORT_S)
class GetsForEverInOtherProcesses(Delegating):
    """Waits for ever for a list where it runs in a process that another started."""

    async def list_workflows(self, filter=None):
        if multiprocessing.parent_process() is not None:
            await _for_ever()
        return await super().list_workflows(filter)
