"""Mistakes with `close`: what still runs, open transactions, and calls after it."""

from weakref import WeakSet

from aaow_storage import AdapterClosedError, Transaction, TransactionOutcome
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_memory import MemoryAdapter


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
            raise AdapterClosedError

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
