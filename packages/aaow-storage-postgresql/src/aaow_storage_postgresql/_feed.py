"""Whether a store records changes: a setting of the store, which an adapter may change when it opens the store.

Triggers record the changes, and are disabled while the store records none. A server that was restored from a dump may
count its transactions anew, so that recorded changes seem to come from the future; then another feed begins.
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_postgresql._catalog import quote_in_command
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import set_timeouts
from aaow_storage_sql import TRIGGERS, LateModule, roll_back

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import changes
else:
    changes = LateModule("aaow_storage_sql._repositories.changes")

_feed = sa.table("change_feed", sa.column("is_recording", sa.Boolean))
_changes = sa.table("changes", sa.column("transaction_id"))
_last = sa.select(_changes.c.transaction_id).order_by(_changes.c.transaction_id.desc()).limit(sa.literal_column("1"))
_next = sa.func.pg_snapshot_xmax(sa.func.pg_current_snapshot())
_STATE = sa.select(
    _feed.c.is_recording,
    sa.func.coalesce(_last.scalar_subquery() >= sa.cast(sa.cast(_next, sa.Text), sa.BigInteger), sa.false()),
)


def set_recording(connection: PostgreSQLConnection, settings: Settings) -> bool:
    """Begin or end to record changes, if the settings ask for that and it is not so; return whether the store does.

    Raises:
        StorageUnavailableError: something held a lock on a table for longer than `acquire_timeout`.
    """
    records, is_restored = connection.row(_STATE) or (False, False)
    wanted = records if settings.changes is None else settings.changes
    if wanted == records and not is_restored:
        return wanted
    try:
        connection.begin_writing()
        set_timeouts(connection, settings)
        schema = "" if settings.schema is None else f"{quote_in_command(settings.schema)}."
        connection.command(f"LOCK TABLE {schema}change_feed IN ACCESS EXCLUSIVE MODE")
        records, is_restored = connection.row(_STATE) or (False, False)
        if wanted != records or is_restored:
            if wanted != records:
                _set_triggers(connection, schema, is_enabled=wanted)
            changes.restart(connection, records=wanted)
        connection.command("COMMIT")
    except BaseException as error:
        roll_back(connection, error)
        raise
    return wanted


def _set_triggers(connection: PostgreSQLConnection, schema: str, *, is_enabled: bool) -> None:
    """Enable or disable the triggers that record; this waits for transactions that write to the tables."""
    action = "ENABLE" if is_enabled else "DISABLE"
    for table, triggers in TRIGGERS.items():
        for name in triggers:
            connection.command(f"ALTER TABLE {schema}{table} {action} TRIGGER {name}")
