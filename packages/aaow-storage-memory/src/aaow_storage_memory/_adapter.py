"""The adapter and its transactions.

An operation of the adapter is a transaction of its own. An operation of a transaction is undone alone if it fails.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from aaow_storage import ApprovalRequest, Capability, StorageAdapter, Transaction, TransactionOutcome, now
from aaow_storage.authoring import (
    CLOSED_IN_TRANSACTION,
    INHERITED,
    Decision,
    OpenTransactions,
    Watcher,
    announce_commit,
    bind_transaction,
    check_event_loop,
    check_timeout,
    decision_on,
    given_up_after_fork,
    is_decidable,
    released_when_dropped,
)
from aaow_storage.errors import AdapterClosedError, TransactionError
from aaow_storage_memory._change_feed import changes_of
from aaow_storage_memory._copies import copy_record_yielding
from aaow_storage_memory._operations import MemoryOperations
from aaow_storage_memory._stores import Store
from aaow_storage_memory._streams import LastSequence
from aaow_storage_memory._tables import Tables
from aaow_storage_memory._write_lock import FairLock, Ticket


class MemoryTransaction(MemoryOperations, Transaction):
    """Holds the write lock. Its changes are layers over the tables: one of its own, and one for each open savepoint."""

    def __init__(self, store: Store, ticket: Ticket, timeout: float, capabilities: frozenset[Capability]) -> None:
        self._store = store
        self._write_lock = store.write_lock
        self._ticket = ticket
        self._timeout = timeout
        self._capabilities = capabilities
        self._layers = [store.tables.on_top()]
        self._outcome: TransactionOutcome | None = None
        self._reason = ""
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        """End, in a forked process: the store is the parent's."""
        self._write_lock = FairLock()
        if self._outcome is None:
            self._outcome, self._reason = TransactionOutcome.ABORTED, INHERITED
            self._layers.clear()

    @property
    def outcome(self) -> TransactionOutcome | None:
        with self._write_lock.mutex:
            if self._outcome is None and self._ticket.is_expired:
                self._end(
                    TransactionOutcome.TIMED_OUT,
                    f"it was open for longer than {self._timeout:g} s; end it sooner, or pass a longer timeout",
                )
            return self._outcome

    async def commit(self) -> None:
        with self._write_lock.mutex:
            self._check()
            while self._layers:
                self._apply_last()
            self._end(TransactionOutcome.COMMITTED, "it was committed; begin another one")
        announce_commit(self._store)

    async def rollback(self) -> None:
        with self._write_lock.mutex:
            self._check()
            self._end(TransactionOutcome.ROLLED_BACK, "it was rolled back; begin another one")

    def end_with_adapter(self) -> None:
        """Roll back when the adapter closes, unless the transaction has ended."""
        with self._write_lock.mutex:
            if self.outcome is None:
                self._end(TransactionOutcome.ABORTED, CLOSED_IN_TRANSACTION)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        bind_transaction(self)
        with self._write_lock.mutex:
            self._check()
            layer = self._layers[-1].on_top()
            self._layers.append(layer)
        try:
            yield
        except BaseException:
            with self._write_lock.mutex:
                if layer in self._layers:
                    del self._layers[self._layers.index(layer) :]
            raise
        with self._write_lock.mutex:
            self._check()
            if layer not in self._layers:
                raise TransactionError(
                    "the savepoint has ended, with one that was opened before it: end the inner one first"
                )
            while layer in self._layers:
                self._apply_last()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Tables]:
        bind_transaction(self)
        with self._write_lock.mutex:
            self._check()
            changes = self._layers[-1].on_top()
            yield changes
            if self._store.feed is not None:
                self._layers[-1].log += changes_of(changes)
            changes.apply()
        await _let_others_run()

    _reading = _writing

    def _apply_last(self) -> None:
        """Apply the innermost layer to the one below, or to the store, with what it changed."""
        layer = self._layers.pop()
        layer.apply()
        if self._layers:
            self._layers[-1].log += layer.log
        elif self._store.feed is not None:
            self._store.feed.add(layer.log)

    def _check(self) -> None:
        check_event_loop()
        if self.outcome is not None:
            raise TransactionError(f"the transaction is over: {self._reason}")

    def _end(self, outcome: TransactionOutcome, reason: str) -> None:
        self._outcome, self._reason = outcome, reason
        self._layers.clear()
        self._write_lock.release(self._ticket)


class MemoryAdapter(MemoryOperations, StorageAdapter):
    """A store in the memory of this process."""

    def __init__(
        self,
        store: Store | None = None,
        capabilities: Iterable[Capability] = (Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT),
        *,
        changes: bool | None = None,
    ) -> None:
        self._store = store if store is not None else Store()
        self._sets_recording = changes
        self._capabilities = frozenset(capabilities)
        self._transactions = OpenTransactions()
        self._last_transaction: MemoryTransaction | None = None
        self._is_open = False
        self._is_inherited = False
        self._keep_when_dropped: Callable[[], object] | None = None
        given_up_after_fork(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on memory://{self._store.name}>"

    def after_fork_in_child(self) -> None:
        """Refuse operations in a forked process, if it was open: the store is the parent's."""
        self._is_inherited = self._is_inherited or self._is_open
        self._set_open(is_open=False)

    @property
    def capabilities(self) -> frozenset[Capability]:
        records = self._sets_recording if self._sets_recording is not None else self._store.feed is not None
        return self._capabilities if records else self._capabilities - {Capability.CHANGES}

    async def initialize(self, *, migrate: bool = True) -> None:
        del migrate  # there is no schema
        check_event_loop()
        if self._is_inherited:
            raise self._closed()
        if not self._is_open and self._sets_recording is not None:
            self._store.set_recording(wanted=self._sets_recording)
        self._set_open(is_open=True)

    async def close(self) -> None:
        check_event_loop()
        with self._store.write_lock.mutex:
            self._set_open(is_open=False)
            self._stop_watching()
            if self._last_transaction is not None:
                self._last_transaction.end_with_adapter()
        await self._store.write_lock.wait_until_released(self)

    async def begin_transaction(self, timeout: float = 30.0) -> MemoryTransaction:  # noqa: ASYNC109 - how long it may stay open
        self._check()
        timeout = check_timeout("begin_transaction", timeout)
        ticket = await self._store.write_lock.acquire(self, timeout)
        with self._store.write_lock.mutex:
            if not self._is_open:
                self._store.write_lock.release(ticket)
                raise self._closed()
            transaction = MemoryTransaction(self._store, ticket, timeout, self._capabilities)
            self._last_transaction = transaction
        self._transactions.add(transaction)
        return transaction

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Tables]:
        self._check()
        with self._store.write_lock.mutex:
            yield self._store.tables
        await _let_others_run()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Tables]:
        self._check()
        ticket = await self._store.write_lock.acquire(self)
        try:
            with self._store.write_lock.mutex:
                changes = self._store.tables.on_top()
                yield changes
                if self._store.feed is not None:
                    self._store.feed.add(changes_of(changes))
                changes.apply()
        finally:
            self._store.write_lock.release(ticket)
        announce_commit(self._store)
        await _let_others_run()

    async def _last_sequences(self, stream_ids: Collection[str]) -> Mapping[str, int]:
        self._check_streams("watch_stream")
        async with self._reading() as tables:
            found = [tables.get(LastSequence, stream_id) for stream_id in stream_ids]
        return {each.stream_id: each.sequence for each in found if each is not None}

    async def _decisions(self, request_ids: Collection[str]) -> Mapping[str, Decision]:
        at = now()
        async with self._reading() as tables:
            found = {each: tables.get(ApprovalRequest, each) for each in request_ids}
        decisions: dict[str, Decision] = {}
        for request_id, request in found.items():
            if request is not None and not is_decidable(request, at):
                request = await copy_record_yielding(ApprovalRequest, request, is_stored=True)  # noqa: PLW2901 - its copy
            decisions[request_id] = decision_on(request, at)
        return decisions

    def _make_watcher(self) -> Watcher:
        return Watcher(self._store, interval_s=None)

    def _check(self) -> None:
        check_event_loop()
        if not self._is_open:
            raise self._closed()
        self._transactions.check()

    def _set_open(self, *, is_open: bool) -> None:
        self._is_open = is_open
        if self._keep_when_dropped is not None:
            self._keep_when_dropped()
            self._keep_when_dropped = None
        if is_open:
            self._keep_when_dropped = released_when_dropped(self, "memory")

    def _closed(self) -> AdapterClosedError:
        return AdapterClosedError(INHERITED) if self._is_inherited else AdapterClosedError()


async def _let_others_run() -> None:
    """Yield to the event loop, as a database operation does, so that a task that calls in a loop starves no other."""
    await asyncio.sleep(0)
