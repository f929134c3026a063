"""What a command's exit code says, and which error has which."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaow_storage import StorageError


class ExitCode(IntEnum):
    """What the exit code of a command says to the script that ran it."""

    DONE = 0
    """It did what was asked."""
    FAILED = 1
    """It found something wrong, or failed for a reason that has no code of its own."""
    USAGE = 2
    """The command, an option or an argument is wrong; nothing was done."""
    RESUMABLE = 3
    """It is partly done; the same command goes on where it ended."""
    NOT_THERE = 10
    """The store is not there, or cannot be reached."""
    BUSY = 11
    """Others hold the store's locks or connections; try again."""
    SCHEMA_DIFFERS = 12
    """The schema of the store is older or newer than this program."""
    REFUSED = 13
    """It would have overwritten something, or somebody else was first; nothing was changed."""
    INTERRUPTED = 130
    """Ctrl-C ended it."""


def exit_code_of(error: "StorageError") -> ExitCode:
    """Return the exit code of an error: its own `exit_code`, or that of the first class in the table that it is."""
    own = getattr(error, "exit_code", None)
    if own is not None:
        return ExitCode(own)
    return next((code for kind, code in _codes() if isinstance(error, kind)), ExitCode.FAILED)


def _codes() -> "Iterator[tuple[type[StorageError], ExitCode]]":
    from aaow_storage import errors
    from aaow_storage_tools import _errors

    yield _errors.ResumableError, ExitCode.RESUMABLE
    yield _errors.AlreadyRunningError, ExitCode.BUSY
    yield _errors.NotEmptyError, ExitCode.REFUSED
    yield _errors.AlreadyThereError, ExitCode.REFUSED
    yield errors.StoreBusyError, ExitCode.BUSY
    yield errors.ContentionError, ExitCode.BUSY
    yield errors.OutcomeUnknownError, ExitCode.FAILED
    yield errors.StorageUnavailableError, ExitCode.NOT_THERE
    yield errors.SchemaVersionError, ExitCode.SCHEMA_DIFFERS
    yield errors.ConflictError, ExitCode.REFUSED
    yield errors.AlreadyExistsError, ExitCode.REFUSED
    yield errors.BackendNotFoundError, ExitCode.USAGE
    yield errors.ValidationError, ExitCode.USAGE
