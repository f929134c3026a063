"""Starting a thread, and the errors for a thread that cannot be started or has died."""

import threading
from collections.abc import Callable
from typing import Any

from aaow_storage.errors import StorageError, StorageUnavailableError


def start_thread(name: str, target: Callable[..., object], *args: Any, **options: Any) -> threading.Thread:
    """Start a daemon thread and return it.

    Raises:
        StorageUnavailableError: the system has no room for another thread.
    """
    try:
        thread = threading.Thread(target=target, args=args, kwargs=options, name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError) as error:
        problem = f"the thread {name!r} cannot be started: {error}"
        remedy = "end other threads, or raise the system's limit of threads or memory"
        raise StorageUnavailableError(f"{problem}; {remedy}") from error
    return thread


def thread_ended_error(what: str, cause: BaseException) -> StorageError:
    """Return the error for a caller that waits for a thread which died of an unexpected error, or calls later.

    `what` names the store and the thread. Each call makes a new error, since each is raised in another task.
    """
    error = StorageError(
        f"{what} has ended because of an unexpected {type(cause).__name__}: {cause}; "
        "the operation may or may not be stored, and no more are accepted: close the adapter and open it again"
    )
    error.__cause__ = cause
    return error
