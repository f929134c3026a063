"""Ctrl-C as a wish to end well, for a command that follows a store."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def set_by_signal(event: asyncio.Event) -> Iterator[None]:
    """Set an event at the first Ctrl-C or SIGTERM of the block; a second one interrupts, as without the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        restore()
        loop.call_soon_threadsafe(event.set)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
