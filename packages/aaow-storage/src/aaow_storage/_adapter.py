"""What holds the operations: an adapter, and a transaction of it."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from aaow_storage._enums import Capability
from aaow_storage._event_loop import check_event_loop
from aaow_storage._failures import cleaning_up_after
from aaow_storage._open_transactions import bind_transaction
from aaow_storage._operations import StorageOperations
from aaow_storage.errors import StorageError


class TransactionOutcome(StrEnum):
    """How a transaction ended: as its holder said, or open for too long, or with its adapter or its connection."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"

    @property
    def is_forced(self) -> bool:
        """Whether everything was undone without the holder's saying so."""
        return self in {TransactionOutcome.TIMED_OUT, TransactionOutcome.ABORTED}


class _Unique(StorageOperations):
    """Holds what there is once, in one process: connections, threads, locks."""

    _instead = ""
    """What to do rather than to copy it."""

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled.

        Raises:
            StorageError: always; it says what to do instead. A subclass that can be made again may override this.
        """
        raise StorageError(f"{type(self).__name__} cannot be copied or pickled: {self._instead}")


class Transaction(_Unique):
    """Several operations that are stored together, or not at all.

    Operations see the transaction's own writes, and nobody else sees them before the commit. One that fails leaves the
    transaction as it was before that operation, and usable. After the end every call raises `TransactionError`.
    """

    _instead = "it is open on one connection; pass it on itself, to code that runs in the same task"

    @property
    @abstractmethod
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""

    @abstractmethod
    async def commit(self) -> None:
        """Store everything, and end.

        Raises:
            TransactionError: it has ended already, or ran out of time.
        """

    @abstractmethod
    async def rollback(self) -> None:
        """Undo everything, and end.

        Raises:
            TransactionError: it has ended already, or ran out of time.
        """

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Open a part that is undone alone when its block raises or is cancelled; savepoints nest."""

    async def __aenter__(self) -> Self:
        """Return the transaction, which is open already, and bind it to the current context."""
        bind_transaction(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit, or roll back when the block raised; a transaction that the block ended itself is left alone.

        The block's own error comes out, whatever the rollback does; what the rollback raises becomes a note of it.

        Raises:
            TransactionError: the block went through, but the transaction had been undone: it ran out of time, or the
                adapter was closed, or the store failed.
        """
        if kind is None and (self.outcome is None or self.outcome.is_forced):
            await self.commit()
        elif error is not None and self.outcome is None:
            with cleaning_up_after(error):
                await self.rollback()


class StorageAdapter(_Unique):
    """A store, opened by `initialize` and closed by `close`, or by `async with adapter:`.

    One adapter serves any number of concurrent tasks. Calls before `initialize` and after `close` raise
    `AdapterClosedError`. While a transaction of an adapter is open, calls on the adapter itself raise
    `TransactionError` in every task that began it, uses it, or was started by such a task since: they would write
    outside of the transaction, or wait for its locks until it runs out of time.

    An adapter cannot be copied or pickled: its connections, threads and locks are there once.
    """

    _instead = (
        "its connections and threads are there once; share this one, which serves any number of tasks, and in another "
        "process make one of the same URL with create_adapter()"
    )

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do beyond what every backend must."""

    @abstractmethod
    async def initialize(self, *, migrate: bool = True) -> None:
        """Open the store, and create or upgrade its schema; a second call does nothing.

        Any number of processes may do so at once. After `close` it opens the store again. Cancelled, it ends soon and
        leaves the adapter closed; a store that is refused is left as it is.

        Raises:
            SchemaVersionError: the store is newer than this code, or `migrate` is False and it is not up to date.
            StorageUnavailableError: the store cannot be reached.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted, roll back open transactions, and release everything; a second call does nothing."""

    @abstractmethod
    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - how long it may stay open
        """Begin a transaction, to be ended by `commit` or `rollback`.

        Open for longer than `timeout` seconds it is rolled back, so that others can go on, and its next call raises
        `TransactionError`. Two transactions that read and then write the same record never lose a write: one waits, or
        raises `ConflictError`.
        """

    @asynccontextmanager
    async def transaction(self, timeout: float = 30.0) -> AsyncIterator[Transaction]:  # noqa: ASYNC109 - as above
        """Hold a transaction that commits at the end of the block, and rolls back when it raises or is cancelled."""
        async with await self.begin_transaction(timeout) as transaction:
            yield transaction

    async def __aenter__(self) -> Self:
        """Initialize the adapter, which may be initialized already; the end of the block closes it.

        Raises:
            StorageError: it is in another `async with` block, which the end of this one would close it under.
        """
        check_event_loop()
        if vars(self).get(_BLOCK):
            raise StorageError(
                f"this {type(self).__name__} is in an `async with` block already, whose end closes it: "
                "use it as it is, without a block of your own, or make another adapter"
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
        """Close the adapter; the block's own error comes out, and what `close` raises then becomes a note of it."""
        try:
            if error is None:
                await self.close()
                return
            with cleaning_up_after(error):
                await self.close()
        finally:
            vars(self)[_BLOCK] = False


_BLOCK = "_is_in_block"
"""The attribute of an adapter that tells whether an `async with` block holds it."""
