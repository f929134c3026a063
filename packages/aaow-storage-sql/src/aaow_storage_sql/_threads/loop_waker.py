"""Waking an event loop from another thread, by an eventfd if the system has one.

`call_soon_threadsafe` costs a write to a socket, two reads and an exception each time. An eventfd costs one write and
one read.
"""

import asyncio
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue


class LoopWaker:
    """Has one event loop run callbacks that other threads hand in.

    The descriptor is closed when the waker is garbage: when neither the loop nor any thread refers to it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._pending: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._descriptor = self._register(loop)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have the loop run the callback; called from any thread. Nothing happens if the loop is closed or gone."""
        self._pending.put(callback)
        if self._descriptor is not None:
            try:
                os.eventfd_write(self._descriptor, 1)
            except OSError:  # the program has closed descriptors that it did not open
                self._descriptor = None
            else:
                return
        loop = self._loop()
        if loop is not None:
            with suppress(RuntimeError):  # the loop is closed, so no task waits on it
                loop.call_soon_threadsafe(self.run_pending)

    @property
    def has_pending(self) -> bool:
        """Whether a callback has not run yet."""
        return not self._pending.empty()

    def run_pending(self) -> None:
        """Run the callbacks; called on the loop. If one raises, those after it run in the next iteration."""
        try:
            while not self._pending.empty():
                self._pending.get()()
        finally:
            if not self._pending.empty() and (loop := self._loop()) is not None:
                loop.call_soon(self.run_pending)

    def _register(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """Return a descriptor that the loop polls; None if the system has no eventfd, or the process no free one."""
        if not hasattr(os, "eventfd"):
            return None
        try:
            descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:  # the process has as many descriptors open as it may
            return None
        try:
            loop.add_reader(descriptor, self._drain, descriptor)
        except (NotImplementedError, OSError):
            os.close(descriptor)
            return None
        weakref.finalize(self, os.close, descriptor).atexit = False
        return descriptor

    def _drain(self, descriptor: int) -> None:
        with suppress(BlockingIOError):  # a forked process shares the descriptor, and has read it
            os.eventfd_read(descriptor)
        self.run_pending()
