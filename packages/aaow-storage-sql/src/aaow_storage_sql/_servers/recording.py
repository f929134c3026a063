"""Whether a store records changes, where its connections do that: a setting of the store, which adapters may change."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._late_imports import LateModule
from aaow_storage_sql._servers.connection import ServerConnection
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._threads.interactive_transaction import roll_back

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import changes
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

_STATE = sa.select(sa.column("is_recording", sa.Boolean)).select_from(sa.table("change_feed"))


def set_recording(connection: ServerConnection, settings: ServerSettings) -> bool:
    """Begin or end to record changes, if the settings ask for that and it is not so; return whether the store does.

    Raises:
        StorageUnavailableError: something held a lock for longer than `statement_timeout`.
    """
    records = _records(connection)
    wanted = records if settings.changes is None else settings.changes
    if wanted == records:
        return wanted
    try:
        connection.begin_writing()
        if wanted != _records(connection):
            changes.restart(connection, records=wanted)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
    return wanted


def _records(connection: ServerConnection) -> bool:
    row = connection.row(_STATE)
    return row is not None and bool(row[0])
