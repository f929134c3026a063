"""The queue of a thread."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, StorageError

T = TypeVar("T")


class WorkQueue(Generic[T]):
    """The queue of a thread. After `close` nothing gets in, and each reader finds the end behind what was accepted."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._refusal: Callable[[], StorageError] = _closed

    def put(self, item: T) -> None:
        """Accept an item.

        Raises:
            AdapterClosedError: the inbox is closed.
            StorageError: its thread has ended; see `abort`.
        """
        with self._lock:
            if self._is_closed:
                raise self._refusal()
            self._queue.put(item)

    def close(self, readers: int = 1) -> None:
        """Accept nothing more, and let each of the reading threads know."""
        with self._lock:
            self._is_closed = True
            for _ in range(readers):
                self._queue.put(None)

    def close_without_lock(self, readers: int = 1) -> None:
        """Do what `close` does where nothing can be put any more; it takes no lock, so a finalizer may call it."""
        self._is_closed = True
        for _ in range(readers):
            self._queue.put(None)

    def abort(self, refusal: Callable[[], StorageError], readers: int = 0) -> list[T]:
        """Accept nothing more, since a reading thread has ended; let the others know, and return what waits.

        From now on `put` raises what `refusal` returns.
        """
        with self._lock:
            self._is_closed = True
            self._refusal = refusal
            waiting = []
            while not self._queue.empty():
                with suppress(Empty):  # another reader was quicker
                    item = self._queue.get_nowait()
                    if item is not None:
                        waiting.append(item)
            for _ in range(readers):
                self._queue.put(None)
        return waiting

    def get(self, most: int = 1) -> list[T]:
        """Wait for the next item; return it and what waits behind it, up to so many, and nothing at the end."""
        item = self._queue.get()
        if item is None:
            return []
        return [item] if self._queue.empty() else [item, *self.get_nowait(most - 1)]

    def get_nowait(self, most: int) -> list[T]:
        """Return what waits, up to so many; leave the end where it is."""
        taken: list[T] = []
        try:
            # To look first takes less than an exception does.
            while len(taken) < most and not self._queue.empty():
                item = self._queue.get_nowait()
                if item is None:
                    self._queue.put(None)
                    break
                taken.append(item)
        except Empty:  # another reader was quicker
            pass
        return taken


def _closed() -> StorageError:
    return AdapterClosedError(CLOSED)
