"""An executor that opens and closes its store on a thread, since both may block for long."""

import asyncio
import functools
import threading
from abc import abstractmethod
from collections.abc import Callable

from aaow_storage.authoring import INHERITED, cleaning_up_after, given_up_after_fork, released_when_dropped
from aaow_storage.errors import AdapterClosedError, StorageUnavailableError
from aaow_storage_sql._threads.executor import Executor
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.run_in_thread import run_in_thread, wait_despite_cancellation
from aaow_storage_sql._threads.thread import start_thread
from aaow_storage_sql._tuning import DEFAULT, Tuning


class ThreadedExecutor(Executor):
    """An executor whose `start` and `stop` run `open` and `shut` on a thread.

    A cancelled `start` leaves the store closed: its thread is interrupted, and what it opens all the same is closed,
    unless another `start` has found the store open. After `undo_timeout_s` the task no longer waits for a thread that
    cannot be interrupted; that thread closes what it opened.

    An executor that is garbage while it is open emits a ResourceWarning and is released. In a process that was forked
    while it was open, or while it was opened or closed, all methods but `stop` raise `AdapterClosedError`.
    """

    def __init__(self, tuning: Tuning = DEFAULT) -> None:
        self._tuning = tuning
        self._lifecycle = threading.Lock()
        self._opened_by: Opening | None = None
        """The attempt that opened the store, while no other attempt has found it open."""
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
                    await wait_despite_cancellation(undone, self._tuning.undo_timeout_s)
            raise
        except (GeneratorExit, KeyboardInterrupt, SystemExit):  # the task does not run any more
            opening.cancel()
            start_thread("aaow-closing", self._undo, opening)
            raise

    async def stop(self) -> None:
        if self._is_inherited:
            return
        await run_in_thread(self._stop, "aaow-closing")

    def _start(self, opening: Opening, *, migrate: bool) -> None:
        try:
            while not self._lifecycle.acquire(timeout=self._tuning.poll_interval_s):
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
        """Refuse everything from now on if it was open: its threads, connections and locks are the parent's."""
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
        """The name of the store for messages, without a password."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether operations are accepted."""

    @abstractmethod
    def open(self, opening: Opening, *, migrate: bool) -> None:
        """Open all of the store, or nothing. It is called while the store is closed, never by two threads at once.

        Raises:
            asyncio.CancelledError: the attempt was cancelled.
        """

    @abstractmethod
    def shut(self) -> None:
        """Finish the operations that were accepted, and close everything; called while the store is open."""

    @abstractmethod
    def releasing(self) -> Callable[[], None]:
        """Return a function that does what `shut` does once this executor is garbage, and does not refer to it.

        It runs on any thread, perhaps in the middle of other code: it takes no lock, starts no thread and waits for
        nothing. The threads of the store do the work.
        """

    @abstractmethod
    def give_up(self) -> None:
        """Forget everything, in a forked process, without closing it: it is the parent's."""
