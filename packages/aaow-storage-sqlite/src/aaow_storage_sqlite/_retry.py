"""Retrying a statement while another connection holds the lock."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from aaow_storage.errors import StorageError, StoreBusyError
from aaow_storage_sql import Opening
from aaow_storage_sqlite._dialect import is_locked

T = TypeVar("T")

_MIN_PAUSE_S = 0.0001
_MAX_PAUSE_S = 0.001


def retry_while_locked(
    action: Callable[[], T],
    timeout_s: float,
    opening: Opening | None = None,
    *,
    on_locked: Callable[[], object] | None = None,
) -> T:
    """Repeat the action, with short random pauses, while another connection's lock forbids it.

    SQLite's own busy handler sleeps up to 100 ms at a time, in which a busy process takes the lock again and again.

    Args:
        action: what to run; it fails at once if the lock is taken.
        timeout_s: how long to wait for the lock, in seconds.
        opening: the attempt to open the store that this belongs to; cancelling it ends the wait.
        on_locked: called each time that the lock is found taken.

    Raises:
        StoreBusyError: the lock was not free within `timeout_s`.
        asyncio.CancelledError: the opening was cancelled.
    """
    pause = time.sleep if opening is None else opening.sleep
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return action()
        except StorageError as error:
            if not is_locked(error):
                raise
            if on_locked is not None:
                on_locked()
            if time.monotonic() >= deadline:
                problem = f"{error}; waited {timeout_s:g} s for another connection's lock; try again later"
                raise StoreBusyError(problem) from error.__cause__
        pause(random.uniform(_MIN_PAUSE_S, _MAX_PAUSE_S))  # noqa: S311 - not a secret
