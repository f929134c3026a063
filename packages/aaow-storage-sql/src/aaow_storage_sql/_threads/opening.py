"""One attempt to open a store: a thread opens it, and a task that may be cancelled waits for the thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TypeVar

from aaow_storage_sql._threads.thread import start_thread

T = TypeVar("T")

_INTERRUPT_INTERVAL_S = 0.05


class Opening:
    """Lets a task cancel the thread that opens a store, and interrupt what that thread waits for.

    On the thread a cancellation is an `asyncio.CancelledError`, raised at the next check, sleep or interrupted wait.
    """

    def __init__(self) -> None:
        self._is_cancelled = threading.Event()
        self._has_ended = threading.Event()
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether the thread has to stop."""
        return self._is_cancelled.is_set()

    def cancel(self) -> None:
        """Tell the thread to stop, and return at once. A blocked thread needs `interrupt_until_ended` too."""
        self._is_cancelled.set()

    def end(self) -> None:
        """Mark the attempt as ended: the thread opens nothing more."""
        self._has_ended.set()

    def check(self) -> None:
        """Do nothing, unless the attempt was cancelled.

        Raises:
            asyncio.CancelledError: it was.
        """
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        """Block for that many seconds.

        Raises:
            asyncio.CancelledError: the attempt was cancelled, before or meanwhile.
        """
        if self._is_cancelled.wait(seconds):
            raise asyncio.CancelledError

    @contextmanager
    def interrupt_with(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call a function from another thread, repeatedly, once the attempt is cancelled inside the block.

        The function makes the wait inside the block fail, and returns soon. It does not run after the block.
        """
        self.check()
        with self._lock:
            self._interrupts.append(interrupt)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)

    def interrupt_until_ended(self) -> None:
        """Interrupt what the thread waits for, again and again, and block until the attempt has ended."""
        while True:
            with self._lock:
                for interrupt in self._interrupts:
                    interrupt()
            if self._has_ended.wait(_INTERRUPT_INTERVAL_S):
                return

    def run_in_thread(self, function: Callable[[], T], discard: Callable[[T], object], name: str) -> T:
        """Run a function that nothing can interrupt on a thread of its own, and return its result.

        If the attempt is cancelled meanwhile, the thread goes on alone, and passes its result to `discard`.

        Raises:
            asyncio.CancelledError: the attempt was cancelled.
            StorageUnavailableError: no thread can be started.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                value = function()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                with suppress(InvalidStateError):
                    future.set_exception(error)
                return
            try:
                future.set_result(value)
            except InvalidStateError:
                discard(value)

        start_thread(name, run)
        try:
            with self.interrupt_with(future.cancel):
                return future.result()
        except (CancelledError, asyncio.CancelledError):
            if not future.cancel() and future.exception() is None:  # the result came just before
                discard(future.result())
            raise asyncio.CancelledError from None
