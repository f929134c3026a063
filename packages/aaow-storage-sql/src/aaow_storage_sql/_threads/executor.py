"""Where and how an operation runs: what an adapter asks of its database's threads.

What runs an operation returns a coroutine, to be awaited at once; it may have begun before.
"""

import asyncio
import functools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aaow_storage import TransactionOutcome
from aaow_storage.authoring import (
    INHERITED,
    cleaning_up_after,
    given_up_after_fork,
    released_when_dropped,
    unforeseen,
)
from aaow_storage.errors import AdapterClosedError, StorageError, StorageUnavailableError
from aaow_storage_sql._operation import Call
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.run_in_thread import run_in_thread, wait_despite_cancellation
from aaow_storage_sql._threads.thread import start_thread

T = TypeVar("T")


class ExecutorTransaction(ABC):
    """A connection lent to one caller, in an open transaction."""

    @property
    @abstractmethod
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""

    @abstractmethod
    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run an operation; if it raises, only its own effect is undone.

        Raises:
            TransactionError: the transaction has ended, or ran out of time.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Commit, and give the connection back."""

    @abstractmethod
    async def rollback(self) -> None:
        """Roll back, and give the connection back."""

    @abstractmethod
    async def open_savepoint(self) -> int:
        """Open a savepoint inside those that are open; return its number."""

    @abstractmethod
    async def close_savepoint(self, number: int, *, undo: bool) -> None:
        """Close the savepoint and those inside it, keeping or undoing what was done since it was opened."""


class Executor(ABC):
    """Runs work on connections of its own, off the event loop."""

    def to_storage_error(self, error: Exception) -> StorageError:
        """Return the error of storage that an exception means."""
        return unforeseen(error)

    @abstractmethod
    async def start(self, *, migrate: bool) -> None:
        """Open the store and bring its schema up to date."""

    @abstractmethod
    async def stop(self) -> None:
        """Finish accepted work, roll back open transactions, and close every connection."""

    @abstractmethod
    def submit(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run an operation off the event loop, in a transaction of its own, and return what it returns.

        An operation that writes is committed when this returns. One that reads sees one consistent state of the store.
        """

    @abstractmethod
    async def begin(self, timeout: float) -> ExecutorTransaction:  # noqa: ASYNC109 - how long it may stay open
        """Begin a transaction that is rolled back when it is open for longer."""


_UNDONE_WITHIN_S = 5.0
_POLL_S = 0.02


class ThreadedExecutor(Executor):
    """An executor that opens and closes its connections on a thread, since both may take a while.

    A `start` that is cancelled, however often, leaves it closed: what its thread waits for is interrupted, and what it
    opened all the same is closed, unless another `start` has found it open. A thread that nothing can interrupt is left
    to itself after `_UNDONE_WITHIN_S`, and closes what it opened.

    One that is dropped while it is open says so by a ResourceWarning, and is released. In a process that was forked
    while it was open, or being opened or closed, everything but `stop` raises `AdapterClosedError`.
    """

    def __init__(self) -> None:
        self._lifecycle = threading.Lock()
        self._opened_by: Opening | None = None
        """The attempt that opened it, while no other has found it open."""
        self._is_inherited = False
        self._keep_when_dropped: Callable[[], object] | None = None
        given_up_after_fork(self)

    async def start(self, *, migrate: bool) -> None:
        if self._is_inherited:
            raise self._not_open()
        opening = Opening()
        try:
            await run_in_thread(functools.partial(self._start, opening, migrate=migrate), "aaow-opening")
        except asyncio.CancelledError as error:
            opening.cancel()
            with cleaning_up_after(error):
                try:
                    undone = run_in_thread(functools.partial(self._undo, opening), "aaow-closing")
                except StorageUnavailableError:  # no thread can be started
                    self._undo(opening)
                else:
                    await wait_despite_cancellation(undone, _UNDONE_WITHIN_S)
            raise
        except (GeneratorExit, KeyboardInterrupt, SystemExit):  # the task is not run any more
            opening.cancel()
            start_thread("aaow-closing", self._undo, opening)
            raise

    async def stop(self) -> None:
        if self._is_inherited:
            return
        await run_in_thread(self._stop, "aaow-closing")

    def _start(self, opening: Opening, *, migrate: bool) -> None:
        try:
            while not self._lifecycle.acquire(timeout=_POLL_S):
                opening.check()
            try:
                opening.check()
                if self.is_open:
                    self._opened_by = None
                    return
                self.open(opening, migrate=migrate)
                self._keep_when_dropped = released_when_dropped(self, self.place, self.releasing())
                self._opened_by = opening
                if opening.is_cancelled:
                    self._shut()
            finally:
                self._lifecycle.release()
        finally:
            opening.end()

    def _undo(self, opening: Opening) -> None:
        opening.interrupt_until_ended()
        if self._opened_by is opening:
            with self._lifecycle:
                if self._opened_by is opening:
                    self._shut()

    def _stop(self) -> None:
        with self._lifecycle:
            self._shut()

    def _shut(self) -> None:
        self._opened_by = None
        self._keep()
        if self.is_open:
            self.shut()

    def _keep(self) -> None:
        if self._keep_when_dropped is not None:
            self._keep_when_dropped()

    def after_fork_in_child(self) -> None:
        """Refuse from now on, unless it was closed: threads, connections and locks are the parent's."""
        if self.is_open or self._lifecycle.locked():
            self._is_inherited = True
            self._keep()
            self.give_up()
        self._lifecycle = threading.Lock()

    def _not_open(self) -> AdapterClosedError:
        return AdapterClosedError(INHERITED) if self._is_inherited else AdapterClosedError()

    @property
    @abstractmethod
    def place(self) -> str:
        """The name of the store, for messages; without a password."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether work is taken."""

    @abstractmethod
    def open(self, opening: Opening, *, migrate: bool) -> None:
        """Open the store, all of it or nothing; called while it is not open, never by two threads at once.

        Raises:
            asyncio.CancelledError: the attempt was cancelled.
        """

    @abstractmethod
    def shut(self) -> None:
        """Finish accepted work, and close everything; called while it is open."""

    @abstractmethod
    def releasing(self) -> Callable[[], None]:
        """Return what does the same as `shut`, once this executor is gone, to which it does not refer.

        It is called on any thread, perhaps in the middle of anything: it takes no lock, starts no thread and waits for
        nothing. The threads of the store do what is left.
        """

    @abstractmethod
    def give_up(self) -> None:
        """Be closed, in a forked process, without closing anything: all of it is the parent's."""
