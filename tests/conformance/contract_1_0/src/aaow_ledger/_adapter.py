"""The adapter and its transaction."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aaow_ledger._decisions import LedgerOperations
from aaow_ledger._rows import Rows
from aaow_storage import (
    AdapterClosedError,
    Capability,
    StorageAdapter,
    Transaction,
    TransactionError,
    TransactionOutcome,
)
from aaow_storage.authoring import (
    INHERITED,
    OpenTransactions,
    bind_transaction,
    check_event_loop,
    check_timeout,
    given_up_after_fork,
    released_when_dropped,
)


class Ledger:
    """Rows and a lock that all adapters on one ledger share; their event loops may run in different threads."""

    def __init__(self) -> None:
        self.after_fork_in_child()
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        self.rows = Rows()
        self.lock = threading.Lock()

    async def acquire(self) -> None:
        while not self.lock.acquire(blocking=False):
            await asyncio.sleep(0.001)


class LedgerTransaction(LedgerOperations, Transaction):
    """Holds the lock and a copy of the rows until it ends."""

    def __init__(self, ledger: Ledger, timeout: float) -> None:
        self._ledger = ledger
        self._rows = Rows(ledger.rows)
        self._outcome: TransactionOutcome | None = None
        self._clock = asyncio.get_running_loop().call_later(timeout, self.end, TransactionOutcome.TIMED_OUT)
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._outcome = self._outcome or TransactionOutcome.ABORTED

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._outcome

    async def commit(self) -> None:
        self._ledger.rows = self._reading()
        self.end(TransactionOutcome.COMMITTED)

    async def rollback(self) -> None:
        self._reading()
        self.end(TransactionOutcome.ROLLED_BACK)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        before = Rows(self._reading())
        try:
            yield
        except BaseException:
            self._rows = before
            raise
        self._reading()

    def end(self, outcome: TransactionOutcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._clock.cancel()
            self._ledger.lock.release()

    def _reading(self) -> Rows:
        bind_transaction(self)
        if self._outcome is not None:
            raise TransactionError(f"the transaction is over: {self._outcome.replace('_', ' ')}")
        return self._rows

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Rows]:
        yield self._reading()


class LedgerAdapter(LedgerOperations, StorageAdapter):
    """Serves the tasks of one event loop from a ledger in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._is_open = False
        self._transactions = OpenTransactions()
        self._last: LedgerTransaction | None = None
        self._keep_when_dropped: Callable[[], object] = lambda: None
        self._remedy = "call initialize(), or use it in `async with`"
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._keep_when_dropped()
        if self._is_open:
            self._is_open, self._remedy = False, INHERITED

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.STREAM_EVENTS})

    async def initialize(self, *, migrate: bool = True) -> None:
        check_event_loop()
        if self._remedy == INHERITED:
            raise AdapterClosedError(self._remedy)
        if not self._is_open:
            self._keep_when_dropped = released_when_dropped(self, "a ledger")
        self._is_open = True

    async def close(self) -> None:
        check_event_loop()
        self._keep_when_dropped()
        self._is_open = False
        if self._last is not None:
            self._last.end(TransactionOutcome.ABORTED)

    async def begin_transaction(self, timeout: float = 30.0) -> LedgerTransaction:
        timeout = check_timeout("begin_transaction", timeout)
        self._reading()
        await self._ledger.acquire()
        if not self._is_open:  # closed meanwhile
            self._ledger.lock.release()
            self._reading()
        self._last = LedgerTransaction(self._ledger, timeout)
        self._transactions.add(self._last)
        return self._last

    def _reading(self) -> Rows:
        if not self._is_open:
            raise AdapterClosedError(self._remedy)
        self._transactions.check()
        return self._ledger.rows

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Rows]:
        self._reading()
        await self._ledger.acquire()
        try:
            rows = Rows(self._ledger.rows)  # a copy, because another thread may be reading the rows
            yield rows
            self._ledger.rows = rows
        finally:
            self._ledger.lock.release()
