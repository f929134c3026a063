"""Mistakes with opening and closing."""

import asyncio
from contextlib import suppress
from weakref import WeakSet

from aaow_storage import (
    AdapterClosedError,
    Capability,
    SchemaVersionError,
    StorageUnavailableError,
    Transaction,
    TransactionError,
    TransactionOutcome,
)
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_memory import MemoryAdapter


@breaks("LIF-1")
class RefusesToBeInitializedAgain(Delegating):
    """Raises if it is initialized a second time."""

    is_open = False

    async def initialize(self, *, migrate=True):
        if self.is_open:
            raise TransactionError("the adapter is initialized already")
        await super().initialize(migrate=migrate)
        self.is_open = True

    async def close(self):
        self.is_open = False
        await super().close()


@breaks("LIF-1", "LIF-3")
class DropsTablesBeforeItCreatesThem(Delegating):
    """Drops all tables whenever it is initialized."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        for workflow in await self.reference.list_workflows():
            await self.reference.delete_workflow(workflow.id)


@breaks("LIF-1")
class ChecksThenCreatesTables(MemoryAdapter):
    """Fails if another adapter creates the schema between its check and its own creation."""

    async def initialize(self, *, migrate=True):
        schemas = vars(self._store)
        if "has_schema" not in schemas:
            await asyncio.sleep(0)
            if "has_schema" in schemas:
                raise StorageUnavailableError("table workflows already exists")
            schemas["has_schema"] = True
        await super().initialize(migrate=migrate)


@breaks("LIF-1")
class TakesOpeningForOpen(Delegating):
    """Returns at once from a second `initialize` while the first is not done."""

    has_begun = False

    async def initialize(self, *, migrate=True):
        if not self.has_begun:
            self.has_begun = True
            await asyncio.sleep(0)
            await super().initialize(migrate=migrate)

    async def close(self):
        self.has_begun = False
        await super().close()


@breaks("LIF-1", "CON-2")
class OpensThoughItWasCancelled(Delegating):
    """Opens the store after `initialize` was cancelled."""

    async def initialize(self, *, migrate=True):
        await asyncio.shield(asyncio.ensure_future(super().initialize(migrate=migrate)))


@breaks("LIF-1", "CON-2")
class StaysOpenWhenItIsCancelledAgain(Delegating):
    """Stays open if a cancelled `initialize` is cancelled a second time."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await super().close()
            raise


@breaks("LIF-1", "CON-2")
class DropsItsCancellation(Delegating):
    """Returns from a cancelled `initialize` as if it had not been cancelled."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)


@breaks("LIF-1", needs=[Capability.DURABLE])
class MigratesWhateverItIsTold(Delegating):
    """Migrates even with `migrate=False`."""

    async def initialize(self, *, migrate=True):
        del migrate
        await super().initialize()


@breaks("LIF-1", needs=[Capability.DURABLE])
class MigratesBeforeItRefuses(Delegating):
    """Refuses an empty store with `migrate=False`, but creates its schema first."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError:
            await super().initialize()
            await super().close()
            raise


@breaks("LIF-1", needs=[Capability.DURABLE])
class RefusesWithoutSayingWhatToDo(Delegating):
    """Refuses an empty store without saying what to run."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            raise SchemaVersionError(error.found, error.expected, "wrong version") from error


@breaks("LIF-1", "LIF-2")
class CountsItsUsers(Delegating):
    """Stays open until it was closed as often as it was initialized."""

    users = 0

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.users += 1

    async def close(self):
        self.users = max(self.users - 1, 0)
        if self.users == 0:
            await super().close()


@breaks("LIF-2")
class RefusesToCloseAgain(Delegating):
    """Raises if it is closed while it is not open."""

    async def close(self):
        await self.count_workflows()
        await super().close()


@breaks("LIF-2")
class DropsWritesThatWait(Delegating):
    """Drops waiting writes when it is closed, and reports them as done."""

    is_closing = False

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.is_closing = False

    async def save_workflow(self, workflow):
        await self.reference.count_workflows()
        if not self.is_closing:
            await super().save_workflow(workflow)

    async def close(self):
        self.is_closing = True
        await super().close()


@breaks("LIF-2")
class RefusesWhatItHasStored(Delegating):
    """Raises AdapterClosedError for writes that were stored while it closed."""

    is_closed = True

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.is_closed = False

    async def save_workflow(self, workflow):
        await super().save_workflow(workflow)
        if self.is_closed:
            raise AdapterClosedError("the adapter was closed")

    async def close(self):
        self.is_closed = True
        await super().close()


@breaks("LIF-2")
class CommitsWhatIsOpen(Delegating):
    """Commits the open transactions when it is closed."""

    begun: Transaction | None = None

    async def begin_transaction(self, timeout=30.0):
        self.begun = await super().begin_transaction(timeout)
        return self.begun

    async def close(self):
        if self.begun is not None and self.begun.outcome is None:
            await self.begun.commit()
        await super().close()


@breaks("LIF-2")
class LeavesTransactionsOpen(MemoryAdapter):
    """Leaves transactions usable after it is closed."""

    async def close(self):
        self._is_open = False


@breaks("LIF-2")
class CallsItARollback(Delegating):
    """Reports a transaction that closing ended as rolled back by its caller."""

    class Ended(DelegatingTransaction):
        @property
        def outcome(self):
            outcome = super().outcome
            return TransactionOutcome.ROLLED_BACK if outcome is TransactionOutcome.ABORTED else outcome

    async def begin_transaction(self, timeout=30.0):
        return self.Ended(await super().begin_transaction(timeout))


@breaks("LIF-2")
class AnswersWhenClosed(Delegating):
    """Returns nothing in place of raising AdapterClosedError."""

    async def list_pending_approvals(self, filter=None):
        try:
            return await super().list_pending_approvals(filter)
        except AdapterClosedError:
            return []


@breaks("LIF-2")
class OpensItself(Delegating):
    """Opens the store on the first write, even if it was not initialized."""

    async def create_session(self, session):
        try:
            await super().create_session(session)
        except AdapterClosedError:
            await self.reference.initialize()
            await super().create_session(session)


@breaks("LIF-2", "LIF-3")
class OpensOnlyOnce(Delegating):
    """Cannot be opened again after it was closed."""

    was_closed = False

    async def initialize(self, *, migrate=True):
        if not self.was_closed:
            await super().initialize(migrate=migrate)

    async def close(self):
        self.was_closed = True
        await super().close()


@breaks("LIF-2")
class ClosesEveryAdapter(MemoryAdapter):
    """Closes all adapters on the store, not only itself."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        vars(self._store).setdefault("adapters", WeakSet()).add(self)

    async def close(self):
        for adapter in vars(self._store).get("adapters", ()):
            adapter._is_open = False
        await super().close()


@breaks("LIF-3", "OPS-7")
class KeepsStreamEventsToItself(Delegating):
    """Holds stream events in the adapter, so they are lost when it is closed."""

    def __init__(self, reference):
        super().__init__(reference)
        self.events = {}

    async def save_stream_event(self, event):
        await self.count_workflows()
        self.events[event.id] = event

    async def get_stream_events(self, stream_id, filter=None):
        found = await super().get_stream_events(stream_id, filter)
        return found + [event for event in self.events.values() if event.stream_id == stream_id]

    async def close(self):
        self.events.clear()
        await super().close()


@breaks("LIF-3")
class KeepsItsCacheWhenItCloses(Delegating):
    """Answers from its cache after it was closed."""

    def __init__(self, reference):
        super().__init__(reference)
        self.before = {}
        self.read = {}

    async def get_workflow(self, id):
        self.read[id] = await super().get_workflow(id)
        return self.before.get(id, self.read[id])

    async def close(self):
        self.before |= self.read
        await super().close()


@breaks("LIF-3")
class CompactsOnClosing(Delegating):
    """Rewrites documents with sorted keys when it is closed."""

    is_open = False

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.is_open = True

    async def close(self):
        await super().close()
        if self.is_open:
            self.is_open = False
            await super().initialize()
            for pool in await self.reference.list_budget_pools():
                if pool.metadata is not None:
                    await self.reference.update_budget_pool(pool.id, metadata=dict(sorted(pool.metadata.items())))
            await super().close()


@breaks("LIF-4")
class EntersAsAnother(Delegating):
    """Passes another adapter than itself to its `async with` block."""

    async def __aenter__(self):
        await self.initialize()
        return self.reference


@breaks("LIF-4")
class EntersClosed(Delegating):
    """Does not initialize when it enters `async with`."""

    async def __aenter__(self):
        return self


@breaks("LIF-4")
class SwallowsErrors(Delegating):
    """Suppresses the error of its `async with` block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()
        return isinstance(error, Exception)


@breaks("LIF-4")
class ClosesOnlyAfterSuccess(Delegating):
    """Stays open if its block raises."""

    async def __aexit__(self, kind, error, traceback):
        if kind is None:
            await self.close()


@breaks("LIF-4")
class ReplacesErrors(Delegating):
    """Raises an error of its own in place of that of its block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()
        if isinstance(error, Exception):
            raise StorageUnavailableError(str(error)) from error


@breaks("LIF-4", "LIF-2")
class CommitsOnLeaving(CommitsWhatIsOpen):
    """Commits the transaction that its block left open."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()


@breaks("LIF-4")
class HidesTheErrorOfABlockBehindThatOfClosing(Delegating):
    """Raises the error of closing in place of that of the block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()
