"""Which exception comes out of a failure: a storage error, and the first one rather than that of the clean-up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aaow_storage.errors import StorageError, StorageUnavailableError


@contextmanager
def cleaning_up_after(error: BaseException) -> Iterator[None]:
    """Run a clean-up after an error; an exception of the clean-up becomes a note of the error.

    A cancellation, or an exception that ends the interpreter, is not caught.
    """
    try:
        yield
    except Exception as failure:  # noqa: BLE001 - the error that came first says more than any other
        note_failure(error, failure)


def run_all(*steps: Callable[[], object]) -> None:
    """Run every step of a clean-up, even if one raises.

    Raises:
        BaseException: the first exception of a step; those of later steps are notes of it.
    """
    first: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as failure:  # noqa: BLE001 - raised below
            if first is None:
                first = failure
            else:
                note_failure(first, failure)
    if first is not None:
        raise first


def note_failure(error: BaseException, failure: BaseException) -> None:
    """Add a note to an error: the clean-up after it failed too, and how."""
    error.add_note(f"The clean-up after it failed too: {type(failure).__name__}: {failure}")


@contextmanager
def storage_errors_alone(meant_by: Callable[[Exception], StorageError] | None = None) -> Iterator[None]:
    """Turn every exception of the block, except a cancellation and the like, into a storage error.

    `meant_by` (by default `unforeseen`) makes the storage error. The exception becomes its `__cause__`, unless it has
    one already. A storage error is raised as it is.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - raised as a storage error
        made = (meant_by or unforeseen)(error)
        raise made from made.__cause__ or error


def unforeseen(error: Exception) -> StorageError:
    """Return the storage error for an exception that the backend has no rule for.

    If the machine lacks descriptors, memory, threads or disk space, it is a `StorageUnavailableError`, because another
    attempt may succeed. Anything else is a bug, to be reported with the traceback of the cause.
    """
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError | MemoryError) or "can't start new thread" in str(error):
        return StorageUnavailableError(f"the machine refused what the operation needs, so try again later: {what}")
    return StorageError(f"unforeseen {what}; this is a bug, please report it with the traceback of this error's cause")
