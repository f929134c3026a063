"""Mistakes with open transactions: what their task may call meanwhile, and their timeout."""

import asyncio
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar

from aaow_storage import TransactionError, TransactionOutcome, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction


@breaks("TXN-6")
class ReadsPastItsTransaction(MemoryAdapter):
    """Allows reads on the adapter in a task that holds a transaction."""

    async def get_workflow(self, id):
        held, self._transactions = self._transactions, self._transactions.__class__()
        try:
            return await super().get_workflow(id)
        finally:
            self._transactions = held


@breaks("TXN-6")
class JoinsTheOpenTransaction(MemoryAdapter):
    """Returns the open transaction if its task begins another."""

    async def begin_transaction(self, timeout=30.0):
        try:
            return await super().begin_transaction(timeout)
        except TransactionError:
            return self._last_transaction


@breaks("TXN-6")
class WritesPastItsTransaction(MemoryAdapter):
    """Allows writes on the adapter in a task that holds a transaction."""

    async def save_workflow(self, workflow):
        try:
            await super().save_workflow(workflow)
        except TransactionError:
            self._store.tables.put(workflow.id, workflow)


@breaks("TXN-6")
class GuardsTheAdapterForAll(MemoryAdapter):
    """Refuses calls of every task while one of them holds a transaction."""

    async def list_workflows(self, filter=None):
        if self._last_transaction is not None and self._last_transaction.outcome is None:
            raise TransactionError("a transaction is open")
        return await super().list_workflows(filter)


@breaks("TXN-6")
class GuardsATaskForEver(MemoryAdapter):
    """Refuses calls of a task that held a transaction, even after its end."""

    async def delete_workflow(self, id):
        self._refuse()
        await super().delete_workflow(id)

    async def save_workflow(self, workflow):
        self._refuse()
        await super().save_workflow(workflow)

    def _refuse(self):
        if asyncio.current_task() in vars(self).get("holders", ()):
            raise TransactionError("this task holds a transaction")

    async def begin_transaction(self, timeout=30.0):
        transaction = await super().begin_transaction(timeout)
        vars(self).setdefault("holders", set()).add(asyncio.current_task())
        return transaction


class _ByTask:
    """Knows which task began a transaction, but not the tasks that it started."""

    def __init__(self):
        self.held = {}

    def add(self, transaction):
        self.held[asyncio.current_task()] = transaction

    def check(self):
        held = self.held.get(asyncio.current_task())
        if held is not None and held.outcome is None:
            raise TransactionError("this task holds a transaction")


@breaks("TXN-6")
class BindsATransactionToOneTask(MemoryAdapter):
    """Allows calls on the adapter in tasks that were started inside a transaction."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._transactions = _ByTask()


@breaks("TXN-6")
class BindsATransactionToItsBeginningAlone(BeginsBrokenInMemory):
    """Allows calls on the adapter in a task that uses a transaction which another task began."""

    class Broken(MemoryTransaction):
        async def __aenter__(self):
            return self

        @asynccontextmanager
        async def _writing(self):
            with self._write_lock.mutex:
                self._check()
                changes = self._layers[-1].on_top()
                yield changes
                changes.apply()

        _reading = _writing


class _ForEver(_ByTask):
    """Refuses calls that inherited a transaction, even after its end."""

    inherited = ContextVar("inherited", default=None)

    def add(self, transaction):
        super().add(transaction)
        self.inherited.set((asyncio.current_task(), self))

    def check(self):
        super().check()
        began = self.inherited.get()
        if began is not None and began[1] is self and began[0] is not asyncio.current_task():
            raise TransactionError("this task was started inside a transaction")


@breaks("TXN-6")
class RefusesInheritorsForEver(MemoryAdapter):
    """Refuses calls of tasks that were started inside a transaction, even after its end."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._transactions = _ForEver()


@breaks("TXN-7")
class IgnoresTimeouts(Delegating):
    """Ignores the timeout of a transaction and uses half a minute."""

    async def begin_transaction(self, timeout=30.0):
        await (await super().begin_transaction(timeout)).rollback()
        return await super().begin_transaction()


@breaks("TXN-7")
class TakesAnyTimeout(Delegating):
    """Uses the default if a timeout is not a positive number."""

    async def begin_transaction(self, timeout=30.0):
        try:
            return await super().begin_transaction(timeout)
        except ValidationError:
            return await super().begin_transaction()


@breaks("TXN-7")
class CommitsWhatIsLate(BeginsBrokenInMemory):
    """Commits a transaction after its timeout."""

    class Broken(MemoryTransaction):
        def _end(self, outcome, reason):
            if outcome is TransactionOutcome.TIMED_OUT:
                while self._layers:
                    self._layers.pop().apply()
            super()._end(outcome, reason)


@breaks("TXN-7")
class EndsLateBlocksInSilence(BeginsBroken):
    """Raises no error at the end of a block whose transaction timed out."""

    class Broken(DelegatingTransaction):
        async def __aexit__(self, kind, error, traceback):
            if self.outcome is None:
                await super().__aexit__(kind, error, traceback)


@breaks("TXN-7")
class RollsLateOnesBackInSilence(BeginsBroken):
    """Returns from a late commit as if it had succeeded."""

    class Broken(DelegatingTransaction):
        async def commit(self):
            with suppress(TransactionError):
                await super().commit()


@breaks("TXN-7")
class SaysRolledBackForTimedOut(BeginsBroken):
    """Reports a timed out transaction as rolled back."""

    class Broken(DelegatingTransaction):
        @property
        def outcome(self):
            is_late = self.reference.outcome is TransactionOutcome.TIMED_OUT
            return TransactionOutcome.ROLLED_BACK if is_late else self.reference.outcome


@breaks("TXN-7")
class RunsOutOfTimeAfterTheEnd(BeginsBroken):
    """Reports a transaction as timed out although it ended before its timeout."""

    class Broken(DelegatingTransaction):
        is_late = False

        def __init__(self, reference):
            super().__init__(reference)
            asyncio.get_running_loop().call_later(0.9, setattr, self, "is_late", True)

        @property
        def outcome(self):
            return TransactionOutcome.TIMED_OUT if self.is_late else self.reference.outcome
