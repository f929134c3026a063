"""The errors for what is stored and cannot be read."""

from collections.abc import Sequence
from typing import Any

from aaow_storage.authoring import unforeseen
from aaow_storage.errors import CorruptDataError, StorageError

_KEYS = ("id", "session_id", "node_id", "tool_call_id")


def named(names: Sequence[str], row: Sequence[Any]) -> str:
    """Return what tells a row of those columns from others, for an error; nothing where no column does."""
    keys = [f"{name} {row[names.index(name)]!a:.100}" for name in _KEYS if name in names]
    return keys[0] if keys else ""


def unreadable(what: str, of: str, error: Exception) -> StorageError:
    """Return the error for what is stored and cannot be read, unless it is that the machine lacks memory."""
    if isinstance(error, MemoryError):
        return unforeseen(error)
    where = f" of the row with the {of}" if of else ""
    return CorruptDataError(f"{what}{where} cannot be what was saved: {described(error)}")


def described(error: Exception) -> str:
    """Return what an exception says, behind its kind where that is no error of storage."""
    return str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"
