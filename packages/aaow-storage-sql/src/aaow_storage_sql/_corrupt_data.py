"""Errors for stored values that cannot be read."""

from collections.abc import Sequence
from typing import Any

from aaow_storage.authoring import unforeseen
from aaow_storage.errors import CorruptDataError, StorageError

_KEYS = ("id", "session_id", "node_id", "tool_call_id")


def describe_row(names: Sequence[str], row: Sequence[Any]) -> str:
    """Return the key of a row, as "id 'x'", for an error; an empty text if no column is a key."""
    keys = [f"{name} {row[names.index(name)]!a:.100}" for name in _KEYS if name in names]
    return keys[0] if keys else ""


def unreadable(what: str, row: str, error: Exception) -> StorageError:
    """Return the error for a stored value that cannot be read; if memory ran out, that is the error instead.

    Args:
        what: the record, column or value.
        row: the key of its row, see `describe_row`; empty if it is not known.
        error: what was raised.
    """
    if isinstance(error, MemoryError):
        return unforeseen(error)
    where = f" of the row with the {row}" if row else ""
    return CorruptDataError(f"{what}{where} cannot be what was saved: {describe_error(error)}")


def describe_error(error: Exception) -> str:
    """Return the message of an error, after its type if it is no StorageError."""
    return str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"
