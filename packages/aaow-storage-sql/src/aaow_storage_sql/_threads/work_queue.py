"""The queue that the threads of a store take their work from."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, StorageError

T = TypeVar("T")


class WorkQueue(Generic[T]):
    """A queue that can be closed: it then accepts nothing, and each reader finds the end after what was accepted."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        """The items; None is the end, one for each reader."""
        self._lock = threading.Lock()
        self._is_closed = False
        self._refusal: Callable[[], StorageError] = _closed

    def put(self, item: T) -> None:
        """Accept an item.

        Raises:
            AdapterClosedError: the queue is closed.
            StorageError: its thread has ended; see `abort`.
        """
        with self._lock:
            if self._is_closed:
                raise self._refusal()
            self._queue.put(item)

    def close(self, readers: int = 1) -> None:
        """Accept nothing more, and send the end to each of the reading threads."""
        with self._lock:
            self._is_closed = True
            for _ in range(readers):
                self._queue.put(None)

    def close_without_lock(self, readers: int = 1) -> None:
        """Do the same once `put` cannot be called any more. It takes no lock, so a finalizer may call it."""
        self._is_closed = True
        for _ in range(readers):
            self._queue.put(None)

    def abort(self, refusal: Callable[[], StorageError], readers: int = 0) -> list[T]:
        """Accept nothing more because a reading thread died; send the others the end, and return what waits.

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

    def get(self, max_items: int = 1) -> list[T]:
        """Wait for an item; return it and those after it, up to so many. Return an empty list at the end."""
        item = self._queue.get()
        if item is None:
            return []
        return [item] if self._queue.empty() else [item, *self.get_nowait(max_items - 1)]

    def get_nowait(self, max_items: int) -> list[T]:
        """Return what waits, up to so many; leave the end in the queue."""
        items: list[T] = []
        try:
            # Looking first is cheaper than an exception.
            while len(items) < max_items and not self._queue.empty():
                item = self._queue.get_nowait()
                if item is None:
                    self._queue.put(None)
                    break
                items.append(item)
        except Empty:  # another reader was quicker
            pass
        return items


def _closed() -> StorageError:
    return AdapterClosedError(CLOSED)
