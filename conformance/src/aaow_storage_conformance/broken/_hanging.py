"""Calls that never return: the tests have to fail in time, and to name the stalled operation."""

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
AN_HOUR_S = 3600.0


async def _wait_forever():
    await asyncio.Event().wait()


@breaks("OPS-3", test_s=SHORT_S)
class GetsForEver(Delegating):
    """Never returns from `get_workflow` of a stored workflow."""

    async def get_workflow(self, id):
        if (found := await super().get_workflow(id)) is not None:
            await _wait_forever()
        return found


@breaks("OPS-5", test_s=SHORT_S)
class WaitsWhereItShouldRaise(Delegating):
    """Waits until there is something to delete, in place of raising."""

    async def delete_session(self, id):
        while True:
            try:
                return await super().delete_session(id)
            except NotFoundError:
                await asyncio.sleep(0)


@breaks("LIF-4", test_s=SHORT_S)
class NeverCloses(Delegating):
    """Never returns from `close`."""

    async def close(self):
        await super().close()
        await _wait_forever()


@breaks("LIF-2", test_s=SHORT_S)
class ClosesInAThreadThatNeverEnds(Delegating):
    """Closes in a thread of the loop's pool that never ends, however it is cancelled."""

    async def close(self):
        await super().close()
        await asyncio.to_thread(time.sleep, AN_HOUR_S)


@breaks("STA-1", test_s=SHORT_S)
class BlocksItsLoop(Delegating):
    """Sleeps in a coroutine, which blocks the event loop."""

    async def save_execution_state(self, state):
        time.sleep(AN_HOUR_S)  # noqa: ASYNC251 - the mistake
        await super().save_execution_state(state)


@breaks("WFL-1", test_s=SHORT_S)
class LocksItsLoopOut(Delegating):
    """Deadlocks on a thread lock in a coroutine, which blocks the event loop."""

    async def delete_workflow(self, id):
        lock = threading.Lock()
        with lock, lock:
            await super().delete_workflow(id)


@breaks("TXN-8", test_s=SHORT_S)
class DeadlocksAtTheSecondTransaction(MemoryAdapter):
    """Lets a second transaction wait for the first, which has already ended."""

    async def begin_transaction(self, timeout=30.0):
        if self._last_transaction is not None:
            await _wait_forever()
        return await super().begin_transaction(timeout)


@breaks("TXN-1", test_s=SHORT_S)
class KeepsTheLineAfterItsEnd(BeginsBrokenInMemory):
    """Keeps the write lock after a transaction was rolled back."""

    class Broken(MemoryTransaction):
        async def rollback(self):
            await super().rollback()
            await self._write_lock.acquire(self)


@breaks("OPS-4", test_s=SHORT_S)
class GoesOnWaitingWhenCancelled(Delegating):
    """Ignores the cancellation of a task and goes on waiting."""

    async def update_workflow(self, id, /, **changes):
        while True:
            try:
                await _wait_forever()
            except asyncio.CancelledError:
                continue


@breaks("TXN-4", test_s=SHORT_S)
class StandsStillWhereSavepointsNest(BeginsBroken):
    """Never returns from a write in a nested savepoint."""

    class Broken(DelegatingTransaction):
        depth = 0

        def savepoint(self):
            return _Counted(self, super().savepoint())

        async def save_workflow(self, workflow):
            if self.depth > 1:
                await _wait_forever()
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
    """Never returns from a list in a process that another started."""

    async def list_workflows(self, filter=None):
        if multiprocessing.parent_process() is not None:
            await _wait_forever()
        return await super().list_workflows(filter)
