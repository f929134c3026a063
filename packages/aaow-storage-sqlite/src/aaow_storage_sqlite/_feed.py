"""Whether a store records changes: a setting of the store, which an adapter may change when it opens the store."""

from typing import TYPE_CHECKING

from aaow_storage_sql import LateModule, Opening, SQLConnection, roll_back
from aaow_storage_sqlite._retry import retry_while_locked

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import changes
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

_IS_RECORDING = "SELECT is_recording FROM change_feed"
"""A text, because a store that is up to date is opened without SQLAlchemy."""


def is_recording(connection: SQLConnection) -> bool | None:
    """Say whether the store records changes; None if the setting is missing, or damaged."""
    row = connection.command(_IS_RECORDING)
    return None if row is None else {0: False, 1: True}.get(row[0])


def set_recording(
    connection: SQLConnection, timeout_s: float, opening: Opening | None = None, *, wanted: bool | None
) -> bool:
    """Begin or end to record changes, if that is wanted and not so already; return whether the store records them.

    If the setting is damaged and nothing is wanted, it stays so, and each operation on the feed will say so.

    Raises:
        StorageUnavailableError: another process held the lock for longer than `timeout_s` seconds.
    """
    found = retry_while_locked(lambda: is_recording(connection), timeout_s, opening)
    if wanted is None or wanted == found:
        return found is not False
    try:
        retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), timeout_s, opening)
        if is_recording(connection) != wanted:
            changes.restart(connection, records=wanted)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
    return wanted
