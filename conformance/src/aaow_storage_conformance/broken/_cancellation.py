"""Mistakes with cancellation: half done work, late writes, and locks that are never released."""

import asyncio
from contextlib import suppress

import attrs

from aaow_storage import TransactionError, TransactionOutcome
from aaow_storage.authoring import consumed, positive_amount
from aaow_storage_conformance.broken._budgets import ReadsAncestors
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction
from aaow_storage_memory._tables import Tables


@breaks("CON-2", caught_by=["test_cancelled_tasks_leave_no_task_and_no_thread_behind"])
class GoesOnWhenCancelled(Delegating):
    """Writes after its task was cancelled."""

    async def save_workflow(self, workflow):
        await asyncio.shield(super().save_workflow(workflow))


@breaks("CON-2", "OPS-6")
class SavesStatesInTwoSteps(Delegating):
    """Saves the fields of a state, then its nodes, and stops between the two if its task is cancelled."""

    async def save_execution_state(self, state):
        await super().save_execution_state(attrs.evolve(state, node_states={}))
        await super().save_execution_state(state)


@breaks("CON-2", "OPS-6")
class ConsumesPoolByPool(ReadsAncestors):
    """Consumes from a pool, then from its parent, and stops between the two if its task is cancelled."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        consumed_from = await super().consume_budget(pool_id, amount)
        for pool in above:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget)
        if above:
            for pool in consumed(above, positive_amount("consume_budget", amount)):
                await self.update_budget_pool(pool.id, used_budget=pool.used_budget)
        return consumed_from


@breaks("CON-2", caught_by=["test_tasks_cancelled_in_the_line_behind_a_transaction_never_write"])
class SwallowsCancellation(Delegating):
    """Returns from a cancelled call as if it had succeeded."""

    async def save_workflow(self, workflow):
        with suppress(asyncio.CancelledError):
            await super().save_workflow(workflow)


@breaks("CON-2")
class CommitsInTwoParts(BeginsBrokenInMemory):
    """Yields to the event loop in the middle of a commit, where its task can be cancelled."""

    class Broken(MemoryTransaction):
        async def commit(self):
            self._check()
            first, changes = Tables(self._layers[0]._layers[0]), self._layers[0]._changes
            for kind in list(changes)[:2]:
                first._changes[kind] |= changes.pop(kind)
            first.apply()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await super().rollback()
                raise
            await super().commit()


@breaks("CON-2")
class LeavesATransactionNobodyHolds(Delegating):
    """Leaves a transaction open if the task that begins it is cancelled."""

    async def begin_transaction(self, timeout=30.0):
        return await asyncio.shield(super().begin_transaction(timeout))


@breaks("CON-2", "TXN-1")
class LeavesCancelledBlocksOpen(BeginsBroken):
    """Rolls a block back only for `Exception`, which a cancellation is not."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            if kind is None or issubclass(kind, Exception):
                await super().__aexit__(kind, error, traceback)


@breaks("CON-2", caught_by=["test_an_operation_cancelled_wherever_it_waits_happens_whole_or_not_at_all"])
class KeepsItsPlaceInTheLine(MemoryAdapter):
    """Keeps the write lock if a task is cancelled between getting the lock and its write."""

    async def save_workflow(self, workflow):
        self._check()
        ticket = await self._store.write_lock.acquire(self)
        await asyncio.sleep(0)
        self._store.write_lock.release(ticket)
        await super().save_workflow(workflow)

    async def close(self):
        self._is_open = False


@breaks("CON-2")
class HoldsWhatItNeverGot(Delegating):
    """Binds a task to a transaction although the task was cancelled while it began."""

    def __init__(self, reference):
        super().__init__(reference)
        self.holders = set()

    async def begin_transaction(self, timeout=30.0):
        task = asyncio.current_task()
        self.holders.add(task)
        await self.reference.count_workflows()
        transaction = await super().begin_transaction(timeout)
        self.holders.discard(task)
        return transaction

    async def save_workflow(self, workflow):
        if asyncio.current_task() in self.holders:
            raise TransactionError("this task holds a transaction")
        await super().save_workflow(workflow)


@breaks("CON-2", caught_by=["test_cancelled_tasks_leave_no_task_and_no_thread_behind"])
class WatchesForEver(Delegating):
    """Starts a task for every read, and does not end it when the read is cancelled."""

    async def list_workflows(self, filter=None):
        watcher = asyncio.create_task(asyncio.Event().wait())
        found = await super().list_workflows(filter)
        watcher.cancel()
        return found


@breaks("CON-2")
class TakesALateCommitForNone(BeginsBroken):
    """Reports a cancelled commit as rolled back, whatever became of it."""

    class Broken(DelegatingTransaction):
        was_cancelled = False

        @property
        def outcome(self):
            return TransactionOutcome.ROLLED_BACK if self.was_cancelled else self.reference.outcome

        async def commit(self):
            try:
                await super().commit()
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self.was_cancelled = True
                raise
