"""What the adapter asks of the threads of a store.

A method that runs an operation returns a coroutine that has to be awaited at once: the operation may have begun before.
"""

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

from aaow_storage import TransactionOutcome
from aaow_storage.authoring import POLL_INTERVAL_S, unforeseen
from aaow_storage.errors import StorageError
from aaow_storage_sql._operation import Call, Operation

T = TypeVar("T")


class ExecutorTransaction(ABC):
    """One caller's open transaction, on a connection that serves nothing else until it ends."""

    @property
    @abstractmethod
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended; None while it is open."""

    @abstractmethod
    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run an operation; if it raises, only its own effect is undone.

        Raises:
            TransactionError: the transaction has ended, or was open for too long.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Commit, and release the connection."""

    @abstractmethod
    async def rollback(self) -> None:
        """Roll back, and release the connection."""

    @abstractmethod
    async def open_savepoint(self) -> int:
        """Open a savepoint inside those that are open; return its number."""

    @abstractmethod
    async def close_savepoint(self, number: int, *, undo: bool) -> None:
        """Close the savepoint and those inside it; keep, or undo, all changes since it was opened."""


class Executor(ABC):
    """Runs operations on connections of its own, off the event loop.

    Attributes:
        version: the operation that reads a value which differs whenever something was committed since the last time;
            None if there is no such value.
        records_changes: whether the store records changes, as far as is known.
        numbers_changes: whether committed changes get their numbers before somebody reads them; see `FeedOrder`.
        poll_interval_s: how often to look for the commits of other processes while a task waits for them, in seconds.
    """

    version: Operation[object] | None = None
    records_changes: bool = True
    numbers_changes: bool = False
    poll_interval_s: float = POLL_INTERVAL_S

    @property
    def writers_wait(self) -> bool:
        """Whether a writer waits for an open transaction that is in its way, as far as is known."""
        return True

    @property
    def place(self) -> str:
        """The name of the store for messages, without secrets."""
        return "a SQL store"

    def to_storage_error(self, error: Exception) -> StorageError:
        """Return the storage error for any exception."""
        return unforeseen(error)

    @abstractmethod
    async def start(self, *, migrate: bool) -> None:
        """Open the store, and upgrade its schema if `migrate` is True."""

    @abstractmethod
    async def stop(self) -> None:
        """Finish the operations that were accepted, roll back open transactions, and close every connection."""

    @abstractmethod
    def submit(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run an operation in a transaction of its own, and return what it returns.

        An operation that writes is committed by then. One that reads sees one consistent state of the store.
        """

    @abstractmethod
    async def begin(self, timeout: float) -> ExecutorTransaction:  # noqa: ASYNC109 - how long it may stay open
        """Begin a transaction that is rolled back if it is open for longer than that many seconds."""
