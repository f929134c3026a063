"""One attempt at opening a store: a thread is at it, and a task waits, which may be cancelled."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TypeVar

from aaow_storage_sql._threads.thread import start_thread

T = TypeVar("T")

_BETWEEN_INTERRUPTS_S = 0.05


class Opening:
    """Tells the thread that opens a store when it has to give up, and makes what it waits for fail.

    On that thread a cancellation is an `asyncio.CancelledError`, raised where the thread would wait or go on.
    """

    def __init__(self) -> None:
        self._is_cancelled = threading.Event()
        self._has_ended = threading.Event()
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether the thread is to give up."""
        return self._is_cancelled.is_set()

    def cancel(self) -> None:
        """Make the thread give up; returns at once. What it waits for needs `interrupt_until_ended` too."""
        self._is_cancelled.set()

    def end(self) -> None:
        """Say that the thread opens nothing more."""
        self._has_ended.set()

    def check(self) -> None:
        """Go on, unless the attempt was cancelled.

        Raises:
            asyncio.CancelledError: it was.
        """
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        """Wait for that long.

        Raises:
            asyncio.CancelledError: the attempt was cancelled, before or meanwhile.
        """
        if self._is_cancelled.wait(seconds):
            raise asyncio.CancelledError

    @contextmanager
    def interrupt_with(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call a function of another thread, again and again, when the attempt is cancelled inside the block.

        It makes what the block waits for fail, and returns soon; it is not running any more when the block has ended.
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
        """Make whatever the thread waits for fail, until it has ended. Blocks until then."""
        while True:
            with self._lock:
                for interrupt in self._interrupts:
                    interrupt()
            if self._has_ended.wait(_BETWEEN_INTERRUPTS_S):
                return

    def run_in_thread(self, function: Callable[[], T], discard: Callable[[T], object], name: str) -> T:
        """Return what a function returns that nothing can interrupt: it runs on a thread of its own.

        Where the attempt is cancelled meanwhile, that thread is left to itself, and discards what comes.

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
            if not future.cancel() and future.exception() is None:  # it came just before
                discard(future.result())
            raise asyncio.CancelledError from None
