"""`SyncTransaction` and `SyncAdapter`: made by `nox -s generate` from `aaow_storage._adapter`, so change that."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar

from aaow_storage._adapter import Transaction
from aaow_storage._change_feed import Change
from aaow_storage._enums import Capability, TransactionOutcome
from aaow_storage._records import ApprovalRequest, StreamEvent
from aaow_storage.sync._adapter_calls import AdapterCalls
from aaow_storage.sync._calls import SyncIterator
from aaow_storage.sync._operations import SyncOperations
from aaow_storage.sync._transaction_calls import SavepointBlock, TransactionBlock, TransactionCalls

T = TypeVar("T")


class SyncTransaction(SyncOperations, TransactionCalls):
    """Several operations that are stored together, or not at all.

    Operations of the transaction see its own writes; others see them only after the commit. An operation that raises
    leaves the transaction as it was before that operation, and usable, unless the transaction is over.

    Another transaction may abort it before its time: one that it waits for and that waits for it, or, in a store
    without the capability `writers_wait`, any that is in its way and is committed first. One call, an operation or the
    commit, then raises `ContentionError`, and all of it was rolled back; `transact` runs it again.

    After the end, every call raises `TransactionError`.
    """

    @property
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""
        return self.wrapped.outcome

    def commit(self) -> None:
        """Store all writes of the transaction, and end it.

        Raises:
            TransactionError: it has ended already, or timed out.
            ContentionError: another transaction was in the way; all of it was rolled back, and may be run again.
            OutcomeUnknownError: the connection was lost, and nobody can say whether it is stored.
        """
        self._run(self.wrapped.commit)

    def rollback(self) -> None:
        """Undo all writes of the transaction, and end it.

        Raises:
            TransactionError: it has ended already, or timed out.
        """
        self._run(self.wrapped.rollback)

    def savepoint(self) -> AbstractContextManager[None]:
        """Return a context manager that undoes the writes of its block, if the block raises; savepoints nest."""
        return SavepointBlock(self, self.wrapped.savepoint)

    def __enter__(self) -> Self:
        """Return the transaction, which is open already, and bind it to the current thread."""
        self._enter_block()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit, or roll back if the block raised; do nothing if the block ended the transaction itself.

        The exception of the block is raised on; if the rollback raises too, that becomes a note of it.

        Raises:
            TransactionError: the block did not raise, but the transaction was already rolled back, because it timed
                out, its adapter was closed, or its connection failed; or whether it was is not known.
        """
        self._leave_block(kind, error, traceback)


class SyncAdapter(SyncOperations, AdapterCalls):
    """A connection to a store, opened by `initialize` and closed by `close`, or by `with adapter:`.

    One adapter serves any number of threads. A call waits for what it returns; it may be made in a script, in a
    notebook, and inside a running event loop, which then waits too. Operations before `initialize` and after `close`
    raise `AdapterClosedError`.

    While a transaction of the adapter is open, operations on the adapter itself raise `TransactionError` in every
    thread that began the transaction or uses it. They would write outside of the transaction, or wait for its locks
    until it times out.

    An adapter cannot be copied or pickled, because its connections, threads and locks belong to one process. After a
    fork, open another one in the child.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do beyond what every backend must."""
        return self.wrapped.capabilities

    def initialize(self, *, migrate: bool = True) -> None:
        """Open the store, and create its schema or upgrade it; does nothing if the adapter is open.

        Any number of processes may do this at once. After `close` it opens the store again. If it is interrupted, it
        ends soon, and the adapter is closed. A store that is refused is not changed.

        Args:
            migrate: whether to create or upgrade the schema; if False, a store that is not up to date is refused.

        Raises:
            SchemaVersionError: the store is newer than this code, or `migrate` is False and it is not up to date.
            StorageUnavailableError: the store cannot be reached.
        """
        self._open(migrate=migrate)

    def close(self) -> None:
        """Finish the operations that were accepted, roll back open transactions, and release all resources.

        Does nothing if the adapter is closed.
        """
        self._close()

    def begin_transaction(self, timeout: float = 30.0) -> SyncTransaction:
        """Begin a transaction, which `commit` or `rollback` ends.

        A transaction that is open for longer than `timeout` seconds is rolled back, so that others can go on, and its
        next call raises `TransactionError`. If two transactions read and then write the same record, neither write is
        lost: one transaction waits, or raises `ContentionError`.
        """
        begun = self._run(lambda: self.wrapped.begin_transaction(timeout), lambda begun, _: begun.rollback())
        return self._transaction(begun)

    def watch_stream(self, stream_id: str, after: int = 0) -> SyncIterator[StreamEvent]:
        """Iterate over the events of a stream whose sequence is above `after`: the stored ones, then those that come.

        It misses none, and yields none twice. A commit of this process wakes it at once, one of another process within
        a second. While it waits it holds no connection, and all readers of an adapter together cost one poll. It ends
        when the adapter is closed; end it sooner by its `close` in any thread, or by `contextlib.closing`.

            for event in storage.watch_stream("session 7/answer", after=last_seen):
                print(event.sequence, event.data)

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        return self._iterate(lambda: self.wrapped.watch_stream(stream_id, after))

    def wait_for_approval(self, id: str, timeout: float | None = None) -> ApprovalRequest:
        """Wait until the request is approved, rejected or expired; return it as it is then, or at once if it is.

        A decision by this process is noticed at once, one by another process within a second. A request expires when
        its `expires_at` comes, even if nobody calls `expire_approvals`; it is then returned as expired, and stored as
        it was. While it waits it holds no connection, and all waits of an adapter together cost one poll. Ctrl-C ends
        it.

        The adapter has it, a transaction has not: while a transaction is open in the thread it raises
        `TransactionError`.

        Args:
            id: the request.
            timeout: how long to wait, in seconds; None for ever. The request is read at least once, so 0 only asks.

        Raises:
            NotFoundError: there is no such request, or it was deleted while it was waited for.
            TimeoutError: it could still be decided after `timeout` seconds.
            AdapterClosedError: the adapter was closed.
        """
        return self._run(lambda: self.wrapped.wait_for_approval(id, timeout))

    def changes(
        self, after: str | None = None, kinds: Collection[str] | None = None, session_id: str | None = None
    ) -> SyncIterator[Change]:
        """Iterate over the change feed: the changes after a position, as `get_changes` returns them, and what comes.

        It misses none, and yields none twice. A commit of this process wakes it at once, one of another process within
        a second. While it waits it holds no connection, and all readers of an adapter together cost one poll. It ends
        when the adapter is closed; end it sooner by its `close` in any thread, or by `contextlib.closing`.

            for change in storage.changes(after=last_seen):
                print(change.kind, change.id, change.action)

        Raises:
            ChangesLostError: a change after that position was pruned, or the position is of another feed.
            UnsupportedOperationError: the backend lacks the capability `changes`, or it is switched off for the store.
        """
        return self._iterate(lambda: self.wrapped.changes(after, kinds, session_id))

    def transaction(self, timeout: float = 30.0) -> AbstractContextManager[SyncTransaction]:
        """Begin a transaction for `with`: committed at the end of the block, rolled back if it raises."""
        return TransactionBlock(self, lambda: self.wrapped.transaction(timeout), self._transaction)

    def transact(
        self, work: Callable[[SyncTransaction], T], attempts: int = 5, outage: float = 0.0, timeout: float = 30.0
    ) -> T:
        """Run `work(transaction)` in a transaction, and commit; return what the work returned.

        If all of it was rolled back because of contention (`ContentionError`, `StoreBusyError`), it is run again in a
        new transaction after a random pause of at most a second. If the store cannot be reached (any other
        `StorageUnavailableError`), it is run again too, until `outage` seconds have passed since that began.
        So the work may run several times: what it does outside of the transaction has to be repeatable.

        It is never run again after a commit whose outcome is not known (`OutcomeUnknownError`), after any other error,
        or after an interruption.

        Args:
            work: a function that takes the transaction, run in this thread. It need not, and should not, commit.
            attempts: how often the work is run at most if it meets contention, the first time included.
            outage: how long to try to reach the store, in seconds; 0 raises the first such error.
            timeout: how long each transaction may stay open, in seconds, as in `begin_transaction`.

        Raises:
            ContentionError: the last attempt met contention; a note says how often the work was run.
            StorageUnavailableError: the store is busy, or could not be reached for longer than `outage`.
            OutcomeUnknownError: whether the transaction is stored is not known; read the records to find out.
        """
        return self._transact(self._transaction, work, attempts, outage, timeout)

    def __enter__(self) -> Self:
        """Initialize the adapter, unless it is; the end of the block closes it.

        Raises:
            StorageError: the adapter is in another `with` block, which still needs it after this one.
        """
        self._enter_block()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the adapter; if the block raised, an exception of `close` becomes a note of the block's."""
        self._leave_block(kind, error, traceback)

    def _transaction(self, begun: Transaction) -> SyncTransaction:
        return SyncTransaction(begun, self)
