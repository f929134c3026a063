"""Mistakes with durability, which only a killed process shows."""

import asyncio
import time
from pathlib import Path

import attrs

from aaow_storage import Capability, StorageUnavailableError, TransactionOutcome, available_backends
from aaow_storage_conformance.broken._budgets import ReadsAncestors
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken

DURABLE = [Capability.DURABLE]
WRITES_WITHOUT_RESULT = (
    "save_workflow",
    "create_session",
    "delete_session",
    "save_execution_state",
    "update_node_state",
    "save_llm_execution",
    "log_tool_call",
    "create_approval_request",
)


class WritesLater(Delegating):
    """Holds writes in memory, and makes them later in order."""

    MAX_HELD: int

    def __init__(self, reference):
        super().__init__(reference)
        self.held = []
        self.flushing = asyncio.Lock()

    async def hold(self, name, arguments):
        """Hold a write, and make all that are held if there are many."""
        self.held.append((name, arguments))
        if len(self.held) > self.MAX_HELD:
            await self.flush()

    async def flush(self):
        """Make the writes that are held."""
        async with self.flushing:
            while self.held:
                name, arguments = self.held.pop(0)
                await getattr(self.reference, name)(*arguments)

    async def close(self):
        await self.flush()
        await super().close()


def _holding(name):
    async def operation(self, *arguments):
        await self.hold(name, arguments)

    return operation


def _flushing(name):
    async def operation(self, *arguments, **changes):
        await self.flush()
        return await getattr(self.reference, name)(*arguments, **changes)

    return operation


for _name in WRITES_WITHOUT_RESULT:
    setattr(WritesLater, _name, _holding(_name))
for _name in ("update_workflow", "consume_budget"):
    setattr(WritesLater, _name, _flushing(_name))


@breaks("DUR-1", "OPS-7", needs=DURABLE)
class AcknowledgesBeforeItWrites(WritesLater):
    """Returns from a write before it is made, by a task of its own."""

    MAX_HELD = 10**9

    async def hold(self, name, arguments):
        await super().hold(name, arguments)
        self.writing = asyncio.create_task(self.flush())


@breaks("DUR-1", "OPS-7", needs=DURABLE)
class CommitsEveryTenth(WritesLater):
    """Commits only every tenth write, with those before it."""

    MAX_HELD = 9


@breaks("DUR-1", "OPS-7", needs=DURABLE)
class WritesWhenItCloses(WritesLater):
    """Writes only when it is closed, which a killed process never does."""

    MAX_HELD = 10**9


@breaks("DUR-1", needs=DURABLE)
class AcknowledgesTransactionsBeforeTheyAreCommitted(BeginsBroken):
    """Returns from a commit before it is done."""

    begun = None

    class Broken(DelegatingTransaction):
        committing = None

        @property
        def outcome(self):
            return self.reference.outcome if self.committing is None else TransactionOutcome.COMMITTED

        async def commit(self):
            self.committing = asyncio.create_task(super().commit())

    async def begin_transaction(self, timeout=30.0):
        await self.settle()
        self.begun = await super().begin_transaction(timeout)
        return self.begun

    async def settle(self):
        """Wait for the last commit."""
        if self.begun is not None and self.begun.committing is not None:
            await self.begun.committing

    async def close(self):
        await self.settle()
        await super().close()


@breaks("DUR-1", needs=DURABLE)
class CommitsCallByCall(Delegating):
    """Commits each call of a transaction on its own."""

    class Broken(DelegatingTransaction):
        async def commit(self):
            await super().rollback()
            for name, arguments, changes in self.calls:
                await getattr(self.adapter.reference, name)(*arguments, **changes)

    async def begin_transaction(self, timeout=30.0):
        transaction = self.Broken(await super().begin_transaction(timeout))
        transaction.adapter = self
        transaction.calls = []
        return transaction


def _recording(name):
    async def operation(self, *arguments, **changes):
        self.calls.append((name, arguments, changes))
        return await getattr(self.reference, name)(*arguments, **changes)

    return operation


for _name in (*WRITES_WITHOUT_RESULT, "update_workflow", "consume_budget"):
    setattr(CommitsCallByCall.Broken, _name, _recording(_name))


@breaks("DUR-1", "OPS-6", needs=DURABLE)
class CommitsNodeByNode(Delegating):
    """Commits the fields of a state, and then each of its nodes."""

    async def save_execution_state(self, state):
        await super().save_execution_state(attrs.evolve(state, node_states={}))
        for node_id, node in state.node_states.items():
            await super().update_node_state(state.session_id, node_id, node)


@breaks("DUR-1", "OPS-6", needs=DURABLE)
class CommitsPoolByPool(ReadsAncestors):
    """Commits the use of a pool, and some time later that of its ancestors."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        consumed = await super().consume_budget(pool_id, amount)
        for pool in above:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget)
        for _ in range(50):
            await self.reference.count_sessions()
        for pool in above:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget + amount)
        return consumed


class LeavesItsLockFile(Delegating):
    """Guards the opening of the store with a lock file."""

    lock: Path

    async def initialize(self, *, migrate=True):
        patience_ends = time.monotonic() + 1
        while not self._has_made_the_file():
            if time.monotonic() > patience_ends:
                raise StorageUnavailableError(f"{self.lock} is there: another process opens the store")
            await asyncio.sleep(0.001)
        try:
            await super().initialize(migrate=migrate)
        finally:
            self.lock.unlink()

    def _has_made_the_file(self):
        try:
            self.lock.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@breaks("DUR-1", on="sqlite")
def opens_behind_a_lock_file(url=None, **options):
    """Waits at opening for a lock file that a killed process left."""
    adapter = LeavesItsLockFile(available_backends()["sqlite"].create(url, **options))
    adapter.lock = Path(f"{(url or '').removeprefix('sqlite:///')}.opening")
    return adapter
