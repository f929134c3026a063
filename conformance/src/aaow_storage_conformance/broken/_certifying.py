"""A sound backend whose writers do not wait: a transaction is aborted when a commit elsewhere is in its way.

So do clusters that certify a transaction at its commit, and databases with optimistic transactions. Broken backends
that make mistakes with that are made of it.
"""

from contextlib import asynccontextmanager
from weakref import WeakSet

from aaow_storage import Capability, TransactionOutcome
from aaow_storage.authoring import announce_commit, check_timeout
from aaow_storage.errors import ContentionError
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction, _let_others_run
from aaow_storage_memory._change_feed import changes_of
from aaow_storage_memory._tables import Tables
from aaow_storage_memory._write_lock import Ticket


class NotedTables(Tables):
    """Tables that note the kinds and ids of the records that are looked at."""

    def __init__(self, noted, *below):
        super().__init__(*below)
        self.noted = noted

    def on_top(self):
        return NotedTables(self.noted, *self._layers)

    def get(self, kind, id):
        self.noted.add((kind, id))
        return super().get(kind, id)

    def _everything(self, kind):
        self.noted.update((kind, key) for layer in self._layers for key in layer.records[kind])
        return super()._everything(kind)

    @property
    def written(self):
        """The kinds and ids of the records that these tables change."""
        return {(kind, key) for kind, records in self._changes.records.items() for key in records}


class CertifyingTransaction(MemoryTransaction):
    """Holds no lock. It is aborted by the first commit that wrote what it looked at, or looked at what it wrote."""

    is_lost = False
    """Whether another transaction is to blame that the next call on this one aborts it."""

    def __init__(self, store, ticket, timeout, capabilities):
        super().__init__(store, ticket, timeout, capabilities)
        self.noted = set()
        self._layers = [NotedTables(self.noted, *store.tables._layers)]

    @property
    def written(self):
        """The kinds and ids of the records that it changes."""
        return set().union(*(layer.written for layer in self._layers))

    async def commit(self):
        with self._write_lock.mutex:
            self._check()
            written = self.written
            await super().commit()
            lose_others(self._store, written, self.noted)

    async def rollback(self):
        self.is_lost = False
        await super().rollback()

    def _check(self):
        if self.outcome is None and self.is_lost:
            reason = "another transaction changed the same records first; run it again"
            self._end(TransactionOutcome.ABORTED, reason)
            raise ContentionError(f"the transaction is over: {reason}")
        super()._check()


class CertifyingAdapter(MemoryAdapter):
    """Lets any number of transactions be open at once, each until it ends, or a commit is in its way."""

    Transaction = CertifyingTransaction

    @property
    def capabilities(self):
        return super().capabilities - {Capability.WRITERS_WAIT}

    async def begin_transaction(self, timeout=30.0):
        self._check()
        ticket = Ticket(self, check_timeout("begin_transaction", timeout))
        with self._store.write_lock.mutex:
            ticket.grant()
            transaction = self.Transaction(self._store, ticket, timeout, self._capabilities)
            open_transactions(self._store).add(transaction)
        vars(self).setdefault("begun", WeakSet()).add(transaction)
        self._transactions.add(transaction)
        return transaction

    async def close(self):
        with self._store.write_lock.mutex:
            for transaction in list(vars(self).get("begun", ())):
                transaction.end_with_adapter()
        await super().close()

    @asynccontextmanager
    async def _writing(self):
        self._check()
        with self._store.write_lock.mutex:
            changes = NotedTables(set(), *self._store.tables._layers)
            yield changes
            if self._store.feed is not None:
                self._store.feed.add(changes_of(changes))
            written = changes.written
            changes.apply()
            lose_others(self._store, written, changes.noted)
        announce_commit(self._store)
        await _let_others_run()


def lose_others(store, written, noted):
    """Mark the open transactions that a commit is in the way of, by what it wrote, and what it looked at."""
    for transaction in list(open_transactions(store)) if written else ():
        own = transaction.written
        if transaction.outcome is None and (written & (transaction.noted | own) or noted & own):
            transaction.is_lost = True


def open_transactions(store):
    """Return the transactions of a store that have not ended, and perhaps others."""
    return vars(store).setdefault("open_transactions", WeakSet())
