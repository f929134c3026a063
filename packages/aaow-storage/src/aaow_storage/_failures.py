"""What comes out where something fails: an error of storage, and the first error rather than that of the clean-up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aaow_storage.errors import StorageError, StorageUnavailableError


@contextmanager
def cleaning_up_after(error: BaseException) -> Iterator[None]:
    """Run a clean-up that an error made necessary: an exception of the clean-up becomes a note of that error.

    A cancellation, and what ends the interpreter, goes through.
    """
    try:
        yield
    except Exception as failure:  # noqa: BLE001 - whatever it is, the error that came first tells more
        note_failure(error, failure)


def run_all(*steps: Callable[[], object]) -> None:
    """Run every step of a clean-up, whatever those before it raise.

    Raises:
        BaseException: the first exception of a step; those of later ones are notes of it.
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
    """Let an error say that the clean-up after it failed too, and how."""
    error.add_note(f"The clean-up after it failed too: {type(failure).__name__}: {failure}")


@contextmanager
def storage_errors_alone(meant_by: Callable[[Exception], StorageError] | None = None) -> Iterator[None]:
    """Let nothing out of the block but errors of storage, cancellations, and what ends the interpreter.

    Any other exception is the `__cause__` of the error of storage that `meant_by` (if None, `unforeseen`) makes of it,
    unless that has a cause already.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - raised as an error of storage
        made = (meant_by or unforeseen)(error)
        raise made from made.__cause__ or error


def unforeseen(error: Exception) -> StorageError:
    """Return the error of storage for an exception that no rule of the backend foresees.

    Where the machine lacks descriptors, memory, threads or room, trying again may help. Anything else is a fault of the
    code, to be reported with the traceback of the cause.
    """
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError | MemoryError) or "can't start new thread" in str(error):
        return StorageUnavailableError(f"the machine refused what the operation needs: {what}")
    return StorageError(f"unforeseen {what}; please report it, with the traceback of this error's cause")
