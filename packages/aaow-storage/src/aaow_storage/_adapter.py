"""`StorageAdapter` and `Transaction`, which have the operations, and how they open and end."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aaow_storage._arguments import check_events, check_id, check_sequence, check_wait
from aaow_storage._change_feed import Change, plan_changes
from aaow_storage._enums import Capability, TransactionOutcome
from aaow_storage._event_loop import check_event_loop
from aaow_storage._failures import cleaning_up_after
from aaow_storage._following import follow_stream, last_sequences_of, save_each
from aaow_storage._following_changes import follow_changes, last_position_of
from aaow_storage._open_transactions import bind_transaction
from aaow_storage._operations import StorageOperations
from aaow_storage._records import ApprovalRequest, StreamEvent
from aaow_storage._transact import run_transaction
from aaow_storage._watching import Watcher
from aaow_storage.errors import StorageError

if TYPE_CHECKING:
    from aaow_storage._decisions import Decision

T = TypeVar("T")


class _Unique(StorageOperations):
    """Has connections, threads or locks of one process, so it cannot be copied or pickled."""

    _instead = ""
    """What to do instead of copying it."""

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled.

        Raises:
            StorageError: always; it says what to do instead. A subclass that can be made again may override this.
        """
        raise StorageError(f"{type(self).__name__} cannot be copied or pickled: {self._instead}")


class Transaction(_Unique):
    """Several operations that are stored together, or not at all.

    Operations of the transaction see its own writes; others see them only after the commit. An operation that raises
    leaves the transaction as it was before that operation, and usable, unless the transaction is over.

    Another transaction may abort it before its time: one that it waits for and that waits for it, or, in a store
    without the capability `writers_wait`, any that is in its way and is committed first. One call, an operation or the
    commit, then raises `ContentionError`, and all of it was rolled back; `transact` runs it again.

    After the end, every call raises `TransactionError`.
    """

    _instead = "it is open on one connection; pass the transaction itself to the code that needs it"

    @property
    @abstractmethod
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""

    @abstractmethod
    async def commit(self) -> None:
        """Store all writes of the transaction, and end it.

        Raises:
            TransactionError: it has ended already, or timed out.
            ContentionError: another transaction was in the way; all of it was rolled back, and may be run again.
            OutcomeUnknownError: the connection was lost, and nobody can say whether it is stored.
        """

    @abstractmethod
    async def rollback(self) -> None:
        """Undo all writes of the transaction, and end it.

        Raises:
            TransactionError: it has ended already, or timed out.
        """

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Return a context manager that undoes the writes of its block, if the block raises; savepoints nest."""

    async def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """Save all of the events, or none; by default, one by one in a savepoint."""
        checked = check_events("save_stream_events", events)
        async with self.savepoint():
            return await save_each(self, checked)

    @asynccontextmanager
    async def _in_one_step(self) -> AsyncIterator["Transaction"]:
        """Return the transaction for `async with`: the block happens whole or not at all, and is a part of it."""
        async with self.savepoint():
            yield self

    async def __aenter__(self) -> Self:
        """Return the transaction, which is open already, and bind it to the current context."""
        bind_transaction(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit, or roll back if the block raised; do nothing if the block ended the transaction itself.

        The exception of the block is raised on; if the rollback raises too, that becomes a note of it.

        Raises:
            TransactionError: the block did not raise, but the transaction was already rolled back, because it timed
                out, its adapter was closed, or its connection failed; or whether it was is not known.
        """
        if kind is None and self.outcome not in {TransactionOutcome.COMMITTED, TransactionOutcome.ROLLED_BACK}:
            await self.commit()
        elif error is not None and self.outcome is None:
            with cleaning_up_after(error):
                await self.rollback()


class StorageAdapter(_Unique):
    """A connection to a store, opened by `initialize` and closed by `close`, or by `async with adapter:`.

    One adapter serves any number of concurrent tasks. Operations before `initialize` and after `close` raise
    `AdapterClosedError`.

    While a transaction of the adapter is open, operations on the adapter itself raise `TransactionError` in every task
    that began the transaction, uses it, or was started by such a task since. They would write outside of the
    transaction, or wait for its locks until it times out.

    An adapter cannot be copied or pickled, because its connections, threads and locks belong to one process.
    """

    _instead = (
        "its connections and threads belong to it alone; share it, since it serves any number of tasks, or in another "
        "process make one for the same URL with create_adapter()"
    )

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do beyond what every backend must."""

    @abstractmethod
    async def initialize(self, *, migrate: bool = True) -> None:
        """Open the store, and create its schema or upgrade it; does nothing if the adapter is open.

        Any number of processes may do this at once. After `close` it opens the store again. If it is cancelled, it ends
        soon, and the adapter is closed. A store that is refused is not changed.

        Args:
            migrate: whether to create or upgrade the schema; if False, a store that is not up to date is refused.

        Raises:
            SchemaVersionError: the store is newer than this code, or `migrate` is False and it is not up to date.
            StorageUnavailableError: the store cannot be reached.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish the operations that were accepted, roll back open transactions, and release all resources.

        Does nothing if the adapter is closed.
        """

    @abstractmethod
    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - how long it may stay open
        """Begin a transaction, which `commit` or `rollback` ends.

        A transaction that is open for longer than `timeout` seconds is rolled back, so that others can go on, and its
        next call raises `TransactionError`. If two transactions read and then write the same record, neither write is
        lost: one transaction waits, or raises `ContentionError`.
        """

    async def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """Save all of the events, or none; by default, one by one in a transaction."""
        checked = check_events("save_stream_events", events)
        async with self.transaction() as transaction:
            return await save_each(transaction, checked)

    def watch_stream(self, stream_id: str, after: int = 0) -> AsyncGenerator[StreamEvent, None]:
        """Iterate over the events of a stream whose sequence is above `after`: the stored ones, then those that come.

        It misses none, and yields none twice. A commit of this process wakes it at once, one of another process within
        a second. While it waits it holds no connection, and all readers of an adapter together cost one poll. It ends
        when the adapter is closed; end it sooner by cancelling the task, or by `contextlib.aclosing`.

            async for event in storage.watch_stream("session 7/answer", after=last_seen):
                print(event.sequence, event.data)

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        stream_id = check_id("watch_stream", "stream_id", stream_id)
        after = check_sequence("watch_stream", "after", after)
        return follow_stream(self, self._watcher, self._last_sequences, stream_id, after)

    async def wait_for_approval(
        self,
        id: str,
        timeout: float | None = None,  # noqa: ASYNC109 - it waits for a person, and names the request when it gives up
    ) -> ApprovalRequest:
        """Wait until the request is approved, rejected or expired; return it as it is then, or at once if it is.

        A decision by this process is noticed at once, one by another process within a second. A request expires when
        its `expires_at` comes, even if nobody calls `expire_approvals`; it is then returned as expired, and stored as
        it was. While it waits it holds no connection, and all waits of an adapter together cost one poll. It ends with
        the task that is cancelled.

        The adapter has it, a transaction has not: while a transaction is open in the task it raises `TransactionError`.

        Args:
            id: the request.
            timeout: how long to wait, in seconds; None for ever. The request is read at least once, so 0 only asks.

        Raises:
            NotFoundError: there is no such request, or it was deleted while it was waited for.
            TimeoutError: it could still be decided after `timeout` seconds.
            AdapterClosedError: the adapter was closed.
        """
        from aaow_storage._decisions import wait_for_decision  # noqa: PLC0415 - backends import it, or few need it

        request_id = check_id("wait_for_approval", "id", id)
        seconds = check_wait("wait_for_approval", timeout)
        return await wait_for_decision(self, self._watcher, self._decisions, request_id, seconds)

    async def _decisions(self, request_ids: Collection[str]) -> Mapping[str, "Decision"]:
        """Return what has become of each of those approval requests."""
        from aaow_storage._decisions import decisions_on  # noqa: PLC0415 - as above

        return await decisions_on(self, request_ids)

    @asynccontextmanager
    async def _in_one_step(self) -> AsyncIterator[Transaction]:
        """Begin a transaction for `async with`: the block happens whole or not at all."""
        async with self.transaction() as transaction:
            yield transaction

    async def _last_sequences(self, stream_ids: Collection[str]) -> Mapping[str, int]:
        """Return the sequence of the last event of each of those streams that has events."""
        return await last_sequences_of(self, stream_ids)

    def changes(
        self, after: str | None = None, kinds: Collection[str] | None = None, session_id: str | None = None
    ) -> AsyncGenerator[Change, None]:
        """Iterate over the change feed: the changes after a position, as `get_changes` returns them, and what comes.

        It misses none, and yields none twice. A commit of this process wakes it at once, one of another process within
        a second. While it waits it holds no connection, and all readers of an adapter together cost one poll. It ends
        when the adapter is closed; end it sooner by cancelling the task, or by `contextlib.aclosing`.

            async for change in storage.changes(after=last_seen):
                print(change.kind, change.id, change.action)

        Raises:
            ChangesLostError: a change after that position was pruned, or the position is of another feed.
            UnsupportedOperationError: the backend lacks the capability `changes`, or it is switched off for the store.
        """
        query = plan_changes("changes", after, 1, kinds, session_id)
        return follow_changes(self, self._watcher, self._last_position, query)

    async def _last_position(self, keys: Collection[str]) -> Mapping[str, str]:
        """Return the position of the last change of the feed, for each key; nothing if there is none."""
        return await last_position_of(self, keys)

    @property
    def _watcher(self) -> Watcher:
        """What tasks wait for news of the store by; made when it is first used."""
        if _WATCHER not in vars(self):
            vars(self)[_WATCHER] = self._make_watcher()
        made: Watcher = vars(self)[_WATCHER]
        return made

    def _make_watcher(self) -> Watcher:
        """Make the adapter's watcher; without a better way, it polls by ordinary reads.

        A backend with a better way overrides this, calls `announce_commit` after each commit, and `_stop_watching` in
        `close`.
        """
        return Watcher(object())

    def _stop_watching(self) -> None:
        """End the waits of all tasks, because the adapter closes."""
        if _WATCHER in vars(self):
            self._watcher.stop()

    @asynccontextmanager
    async def transaction(self, timeout: float = 30.0) -> AsyncIterator[Transaction]:  # noqa: ASYNC109 - as above
        """Begin a transaction for `async with`: committed at the end of the block, rolled back if it raises."""
        async with await self.begin_transaction(timeout) as transaction:
            yield transaction

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        attempts: int = 5,
        outage: float = 0.0,
        timeout: float = 30.0,  # noqa: ASYNC109 - as above
    ) -> T:
        """Run `work(transaction)` in a transaction, and commit; return what the work returned.

        If all of it was rolled back because of contention (`ContentionError`, `StoreBusyError`), it is run again in a
        new transaction after a random pause of at most a second. If the store cannot be reached (any other
        `StorageUnavailableError`), it is run again too, until `outage` seconds have passed since that began.
        So the work may run several times: what it does outside of the transaction has to be repeatable.

        It is never run again after a commit whose outcome is not known (`OutcomeUnknownError`), after any other error,
        or after a cancellation.

        Args:
            work: a coroutine function that takes the transaction. It need not, and should not, commit.
            attempts: how often the work is run at most if it meets contention, the first time included.
            outage: how long to try to reach the store, in seconds; 0 raises the first such error.
            timeout: how long each transaction may stay open, in seconds, as in `begin_transaction`.

        Raises:
            ContentionError: the last attempt met contention; a note says how often the work was run.
            StorageUnavailableError: the store is busy, or could not be reached for longer than `outage`.
            OutcomeUnknownError: whether the transaction is stored is not known; read the records to find out.
        """
        return await run_transaction(lambda: self.begin_transaction(timeout), work, attempts, outage)

    async def __aenter__(self) -> Self:
        """Initialize the adapter, unless it is; the end of the block closes it.

        Raises:
            StorageError: the adapter is in another `async with` block, which still needs it after this one.
        """
        check_event_loop()
        if vars(self).get(_BLOCK):
            raise StorageError(
                f"this {type(self).__name__} is already in an `async with` block, whose end closes it: "
                "use it without a second block, or make another adapter"
            )
        vars(self)[_BLOCK] = True
        try:
            await self.initialize()
        except BaseException:
            vars(self)[_BLOCK] = False
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the adapter; if the block raised, an exception of `close` becomes a note of the block's."""
        try:
            if error is None:
                await self.close()
                return
            with cleaning_up_after(error):
                await self.close()
        finally:
            vars(self)[_BLOCK] = False


_BLOCK = "_is_in_block"
"""The attribute of an adapter that is true inside an `async with` block."""

_WATCHER = "_own_watcher"
"""The attribute of an adapter that has its watcher; of the instance, because a subclass may make its own `__init__`."""
