"""Starting a thread, and the errors of threads that cannot be started or have ended."""

import threading
from collections.abc import Callable
from typing import Any

from aaow_storage.errors import StorageError, StorageUnavailableError


def start_thread(name: str, target: Callable[..., object], *args: Any, **options: Any) -> threading.Thread:
    """Start a thread that does not keep the interpreter from exiting, and return it.

    Raises:
        StorageUnavailableError: the system has no room for another thread.
    """
    try:
        thread = threading.Thread(target=target, args=args, kwargs=options, name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError) as error:
        problem = f"the thread {name!r} cannot be started: {error}"
        raise StorageUnavailableError(f"{problem}; end other threads, or raise the limit of the system") from error
    return thread


def thread_ended_error(what: str, cause: BaseException) -> StorageError:
    """Return the error for whatever waits for a thread that has ended unexpectedly, or comes later.

    `what` says which thread it was. Each call returns an error of its own, since each is raised in another task.
    """
    error = StorageError(
        f"{what} has ended because of an unexpected {type(cause).__name__}: {cause}; whether what it had begun was "
        "stored is not known, and nothing after that is taken: close the adapter and open it again"
    )
    error.__cause__ = cause
    return error
