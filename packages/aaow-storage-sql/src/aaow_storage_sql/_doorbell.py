"""How a thread gets the attention of an event loop.

asyncio's own way, `call_soon_threadsafe`, takes a write, two reads and an exception each time, and most of that while
somebody waits. A descriptor that counts, which Linux has, takes a write and a read.
"""

import asyncio
import os
import weakref
from collections.abc import Callable


class Doorbell:
    """Has a loop call a function when a thread has rung; once, perhaps, where it was rung several times.

    The descriptor is closed when the loop and whoever rings have forgotten the doorbell.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Callable[[], None]) -> None:
        self._answer = answer
        self._descriptor = self._heard_by(loop)

    def ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ring, from any thread, at the loop that the doorbell was made for; on a closed one nobody answers."""
        if self._descriptor is not None:
            os.eventfd_write(self._descriptor, 1)
            return
        try:
            loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            # The loop is closed: whoever waited there is gone.
            return

    def _heard_by(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """Return a descriptor that the loop watches, or None where there is no such thing."""
        if not hasattr(os, "eventfd"):
            return None
        descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            loop.add_reader(descriptor, self._hear, descriptor)
        except NotImplementedError:
            os.close(descriptor)
            return None
        weakref.finalize(self, os.close, descriptor).atexit = False
        return descriptor

    def _hear(self, descriptor: int) -> None:
        os.eventfd_read(descriptor)
        self._answer()
