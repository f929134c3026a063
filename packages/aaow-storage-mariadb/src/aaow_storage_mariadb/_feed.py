"""Whether a store records changes: a setting of the store, which an adapter may change when it opens the store."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import LateModule, roll_back

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import changes
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

_feed = sa.table("change_feed", sa.column("is_recording", sa.Boolean))
_STATE = sa.select(_feed.c.is_recording)


def set_recording(connection: MariaDBConnection, settings: Settings) -> bool:
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


def _records(connection: MariaDBConnection) -> bool:
    row = connection.row(_STATE)
    return row is not None and bool(row[0])
