"""How a thread gets the attention of an event loop.

asyncio's own way, `call_soon_threadsafe`, takes a write, two reads and an exception each time, and most of that while
somebody waits. A descriptor that counts, which Linux has, takes a write and a read.
"""

import asyncio
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue


class LoopWaker:
    """Has a loop call what threads hand in.

    The descriptor is closed when the loop and whoever rings have forgotten the doorbell.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._handed_in: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._descriptor = self._heard_by(loop)

    def ring(self, callback: Callable[[], None]) -> None:
        """Have it called by the loop, from any thread; a loop that is closed, or gone, calls nothing."""
        self._handed_in.put(callback)
        if self._descriptor is not None:
            try:
                os.eventfd_write(self._descriptor, 1)
            except OSError:  # the program has closed descriptors that are not its own
                self._descriptor = None
            else:
                return
        loop = self._loop()
        if loop is not None:
            with suppress(RuntimeError):  # the loop is closed, so nothing waits there
                loop.call_soon_threadsafe(self.answer)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left to call."""
        return self._handed_in.empty()

    def answer(self) -> None:
        """Call what was handed in; called on the loop. Those behind a call that raises are called in the next turn."""
        try:
            while not self._handed_in.empty():
                self._handed_in.get()()
        finally:
            if not self._handed_in.empty() and (loop := self._loop()) is not None:
                loop.call_soon(self.answer)

    def _heard_by(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """Return a descriptor that the loop watches, or None where there is no such thing, or none to be had now."""
        if not hasattr(os, "eventfd"):
            return None
        try:
            descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:  # the process has as many descriptors open as it may
            return None
        try:
            loop.add_reader(descriptor, self._hear, descriptor)
        except (NotImplementedError, OSError):
            os.close(descriptor)
            return None
        weakref.finalize(self, os.close, descriptor).atexit = False
        return descriptor

    def _hear(self, descriptor: int) -> None:
        with suppress(BlockingIOError):  # a forked process shares the descriptor, and has read it
            os.eventfd_read(descriptor)
        self.answer()
