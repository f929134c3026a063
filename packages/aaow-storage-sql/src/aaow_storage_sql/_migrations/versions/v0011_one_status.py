"""The status of an execution state is that of its session; its own column is not used any more, but stays.

To drop a column SQLite would rewrite the table. Where the two differed, the session's status is the one that counts.
"""

from typing import TYPE_CHECKING

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import edit_table, is_postgresql
from aaow_storage_sql._schema.change_triggers import (
    FUNCTIONS,
    STATUS_FUNCTIONS,
    STATUS_TRIGGER,
    STATUS_TRIGGER_DEFINITION,
)
from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0011"

STATUS = "status VARCHAR(32)"
SYNCHRONIZE = (
    "UPDATE execution_states SET status = (SELECT sessions.status FROM sessions "
    "WHERE sessions.id = execution_states.session_id)"
)


def upgrade(op: "Operations") -> None:
    """Let the column be NULL, which changes no row; from now on, the feed has a change of the status of both."""
    connection = connection_of(op)
    if not is_postgresql(connection):
        edit_table(connection, "execution_states", f"{STATUS} NOT NULL", STATUS)
        return
    op.alter_column("execution_states", "status", nullable=True)
    for function in STATUS_FUNCTIONS.values():
        connection.command(function)
    connection.command(f"CREATE TRIGGER {STATUS_TRIGGER} {STATUS_TRIGGER_DEFINITION}")
    if not _is_recording(connection):
        connection.command(f"ALTER TABLE sessions DISABLE TRIGGER {STATUS_TRIGGER}")


def downgrade(op: "Operations") -> None:
    """Give each execution state the status of its session, which is no change for the feed."""
    connection = connection_of(op)
    if not is_postgresql(connection):
        connection.command(SYNCHRONIZE)
        edit_table(connection, "execution_states", STATUS, f"{STATUS} NOT NULL")
        return
    connection.command(f"DROP TRIGGER {STATUS_TRIGGER} ON sessions")
    connection.command("DROP FUNCTION aaow_record_status()")
    connection.command(FUNCTIONS["aaow_record_execution_states"])
    connection.command("ALTER TABLE execution_states DISABLE TRIGGER aaow_updated")
    connection.command(SYNCHRONIZE)
    if _is_recording(connection):
        connection.command("ALTER TABLE execution_states ENABLE TRIGGER aaow_updated")
    op.alter_column("execution_states", "status", nullable=False)


def _is_recording(connection: SQLConnection) -> bool:
    row = connection.command("SELECT is_recording FROM change_feed")
    return row is not None and bool(row[0])
