"""Mistakes with concurrency: check-then-act without a lock, and locks whose scope is too small."""

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import ClassVar

import attrs

from aaow_storage import (
    ApprovalStatus,
    Capability,
    ConflictError,
    Session,
    StorageUnavailableError,
    StoredWorkflow,
    now,
)
from aaow_storage.authoring import consumed, increased, positive_amount, resolved
from aaow_storage_conformance.broken._budgets import ReadsAncestors
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction
from aaow_storage_memory._stores import Store
from aaow_storage_memory._tables import Tables
from aaow_storage_memory._write_lock import FairLock

_lock_of_the_process = threading.Lock()


@breaks("BUD-3")
class ChecksThenConsumes(ReadsAncestors):
    """Reads what is left and then writes, without a lock between the two."""

    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is None:
            return await super().consume_budget(pool_id, amount)
        chain = consumed([pool, *await self.ancestors(pool_id)], positive_amount("consume_budget", amount))
        for each in chain:
            await self.update_budget_pool(each.id, used_budget=each.used_budget, status=each.status)
        return chain[0]


@breaks("BUD-3")
class LocksBudgetsInOneAdapter(ChecksThenConsumes):
    """Locks budgets within one adapter only."""

    def __init__(self, reference):
        super().__init__(reference)
        self.lock = asyncio.Lock()

    async def consume_budget(self, pool_id, amount):
        async with self.lock:
            return await super().consume_budget(pool_id, amount)


@breaks("BUD-3", needs=[Capability.DURABLE])
class LocksBudgetsInOneProcess(ChecksThenConsumes):
    """Locks budgets within one process only."""

    async def consume_budget(self, pool_id, amount):
        async with of_the_process():
            return await super().consume_budget(pool_id, amount)


@breaks("BUD-3")
class ReadsThenIncreases(Delegating):
    """Reads the total and then writes a higher one, without a lock between the two."""

    async def increase_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is None:
            return await super().increase_budget(pool_id, amount)
        pool = increased(pool, positive_amount("increase_budget", amount))
        return await self.update_budget_pool(pool_id, total_budget=pool.total_budget, status=pool.status)


@breaks("APR-2")
class ChecksThenDecides(MemoryAdapter):
    """Reads a request and then writes the decision, without a lock between the two."""

    async def _resolve(self, id, status, by, notes):
        request = await self.get_approval_request(id)
        if request is None:
            return await super()._resolve(id, status, by, notes)
        request = resolved(request, status, by=by, notes=notes, at=now())
        async with self._writing() as tables:
            tables.put(id, request)
        return request


@breaks("APR-2")
class LocksDecisionsInOneAdapter(ChecksThenDecides):
    """Locks decisions within one adapter only."""

    async def _resolve(self, id, status, by, notes):
        async with vars(self).setdefault("lock", asyncio.Lock()):
            return await super()._resolve(id, status, by, notes)


@breaks("APR-2")
class CallsEveryoneAWinner(Delegating):
    """Returns a rejection as made although another decision came first."""

    async def reject_request(self, id, rejected_by, reason=None):
        request = await self.get_approval_request(id)
        try:
            return await super().reject_request(id, rejected_by, reason)
        except ConflictError:
            if request.status is not ApprovalStatus.PENDING:
                raise
            return attrs.evolve(request, status="rejected", resolved_by=rejected_by, resolved_at=now())


@breaks("APR-2", needs=[Capability.DURABLE])
class LocksDecisionsInOneProcess(CallsEveryoneAWinner):
    """Locks decisions within one process only."""

    async def approve_request(self, id, approved_by, notes=None):
        async with of_the_process():
            return await super().approve_request(id, approved_by, notes)

    async def reject_request(self, id, rejected_by, reason=None):
        async with of_the_process():
            return await super().reject_request(id, rejected_by, reason)


@breaks("TXN-8")
class LocksItsOwnWritersOnly(MemoryAdapter):
    """Locks transactions against others of the same adapter only."""

    def __init__(self, store=None):
        super().__init__(store)
        private = Store()
        private.tables = self._store.tables
        private.write_lock = FairLock()
        private.write_lock.mutex = self._store.write_lock.mutex
        self._store = private


@breaks("TXN-8")
class ReadsAsBeforeItsTurn(MemoryAdapter):
    """Reads in a transaction what was stored before the transaction got the write lock."""

    class Broken(MemoryTransaction):
        async def get_workflow(self, id):
            return await self.as_before(StoredWorkflow, id) or await super().get_workflow(id)

        async def get_session(self, id):
            return await self.as_before(Session, id) or await super().get_session(id)

        async def as_before(self, kind, id):
            is_changed = any(id in layer._changes[kind] for layer in self._layers)
            return None if is_changed else self.before.get(kind, id)

    async def begin_transaction(self, timeout=30.0):
        before = Tables()
        for kind, records in self._store.tables._changes.items():
            before._changes[kind] |= records
        transaction = await super().begin_transaction(timeout)
        transaction.__class__ = self.Broken
        transaction.before = before
        return transaction


@breaks("CON-1", caught_by=["test_event_loops_of_four_threads_write_and_read"])
class RemembersItsArgumentsOnItself(Delegating):
    """Keeps the arguments of a call on the adapter, where a concurrent call overwrites them."""

    async def save_llm_execution(self, session_id, node_id, result):
        self.place = session_id, node_id
        await self.reference.count_sessions()
        await super().save_llm_execution(*self.place, result)


@breaks("CON-1", caught_by=["test_sixty_four_tasks_write_and_read_on_one_adapter"])
class RunsOutOfConnections(Delegating):
    """Refuses a call while twenty others run."""

    under_way = 0

    async def create_session(self, session):
        if self.under_way >= 20:
            raise StorageUnavailableError("QueuePool limit of size 20 reached")
        self.under_way += 1
        try:
            await self.reference.count_sessions()
            await super().create_session(session)
        finally:
            self.under_way -= 1


@breaks("CON-1")
class UpdatesNodesInWhatItRead(Delegating):
    """Writes the whole state to change one node, with the other nodes as it read them before."""

    async def update_node_state(self, session_id, node_id, state):
        whole = await self.get_execution_state(session_id)
        await super().update_node_state(session_id, node_id, state)
        if whole is not None:
            nodes = {**whole.node_states, node_id: state}
            await super().save_execution_state(attrs.evolve(whole, node_states=nodes))


@breaks("CON-1", caught_by=["test_event_loops_of_four_threads_write_and_read"])
class BelongsToOneEventLoop(MemoryAdapter):
    """Uses an asyncio lock of the first event loop for the writers of all loops."""

    async def create_session(self, session):
        async with vars(self._store).setdefault("lock", asyncio.Lock()):
            await asyncio.sleep(0)
            await super().create_session(session)


@breaks(
    "CON-1",
    options={"busy_timeout": 0.1},
    caught_by=["test_a_session_is_deleted_beside_a_transaction_that_stores_an_equal_snapshot"],
)
class GivesUpOnLocks(Delegating):
    """Waits only a tenth of a second for another adapter's lock, whatever `busy_timeout` is."""


@breaks(
    "CON-1",
    options={"busy_timeout": 5.0},
    caught_by=["test_a_transaction_that_takes_long_fails_nobody_who_waits_for_it"],
)
class WaitsAsTheDriverDoes(Delegating):
    """Waits five seconds for another adapter's lock, the default of sqlite3, whatever `busy_timeout` is."""


@breaks(
    "CON-1",
    "OPS-7",
    needs=[Capability.DURABLE],
    caught_by=["test_every_read_shows_the_changes_that_another_process_made"],
)
class CachesForTheProcess(Delegating):
    """Empties its cache on writes of this process, but not of others."""

    cache: ClassVar[dict[str, object]] = {}

    async def get_workflow(self, id):
        if id not in self.cache:
            self.cache[id] = await super().get_workflow(id)
        return self.cache[id]

    async def save_workflow(self, workflow):
        await super().save_workflow(workflow)
        self.cache.pop(workflow.id, None)

    async def update_workflow(self, id, /, **changes):
        updated = await super().update_workflow(id, **changes)
        self.cache.pop(id, None)
        return updated

    async def delete_workflow(self, id):
        await super().delete_workflow(id)
        self.cache.pop(id, None)

    async def close(self):
        self.cache.clear()
        await super().close()


@asynccontextmanager
async def of_the_process():
    """Hold a lock that all event loops of this process share."""
    while not _lock_of_the_process.acquire(blocking=False):  # noqa: ASYNC110 - an Event is of one loop
        await asyncio.sleep(0.0005)
    try:
        yield
    finally:
        _lock_of_the_process.release()
