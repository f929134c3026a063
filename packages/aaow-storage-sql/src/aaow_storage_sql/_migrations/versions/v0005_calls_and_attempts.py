"""Models, inputs, outputs and costs of executions; tool calls without an execution; attempts at nodes; more words."""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aaow_storage.errors import StorageError
from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import (
    add_constraint,
    allow_words,
    drop_constraint,
    edit_table,
    is_postgresql,
)
from aaow_storage_sql._schema.families import AMOUNT, COUNT, DOCUMENT, ID, INSTANT, TEXT

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0005"

SESSION_STATUS = (
    "running",
    "paused",
    "completed",
    "failed",
    "waiting_for_human_review",
    "waiting_for_budget_approval",
    "waiting_for_workflow_approval",
)
MORE_SESSION_STATUS = ("queued", "running", "paused", "completed", "failed", "cancelled", *SESSION_STATUS[4:])
NODE_STATUS = ("pending", "running", "completed", "failed", "skipped", "waiting_for_approval", "waiting_for_review")
MORE_NODE_STATUS = (*NODE_STATUS[:5], "cancelled", *NODE_STATUS[5:])
APPROVAL_TYPE = ("human_review", "budget_increase", "workflow_call")
MORE_APPROVAL_TYPE = (*APPROVAL_TYPE, "tool_call")
WORDS = (
    ("sessions", "status", SESSION_STATUS, MORE_SESSION_STATUS),
    ("execution_states", "status", SESSION_STATUS, MORE_SESSION_STATUS),
    ("node_execution_states", "status", NODE_STATUS, MORE_NODE_STATUS),
    ("approval_requests", "type", APPROVAL_TYPE, MORE_APPROVAL_TYPE),
)
COLUMNS: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "llm_executions": {
        "provider": TEXT,
        "model": TEXT,
        "input": DOCUMENT,
        "output": DOCUMENT,
        "completed_at": INSTANT,
        "finish_reason": TEXT,
        "cost": AMOUNT,
        "currency": TEXT,
        "cache_read_tokens": COUNT,
        "cache_write_tokens": COUNT,
        "reasoning_tokens": COUNT,
    },
    "node_execution_states": {"attempts": DOCUMENT},
    "tool_call_logs": {"node_id": ID},
}
OF_SESSION = ("tool_call_logs", "stream_events")
"""Tables whose rows may belong to a session, and then go with it."""


def upgrade(op: "Operations") -> None:
    """Add columns, which changes no row, and widen what columns may hold."""
    connection = connection_of(op)
    for table, column, before, after in WORDS:
        allow_words(connection, table, column, before, after)
    for table, columns in COLUMNS.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind))
    op.add_column("llm_executions", sa.Column("attempt", COUNT, nullable=False, server_default="0"))
    for table in OF_SESSION:
        op.add_column(table, sa.Column("session_id", ID))
        add_constraint(connection, table, _reference(table))
    _index_if_set(op, "tool_call_logs", "session_id", "timestamp", "id")
    _index_if_set(op, "stream_events", "session_id")
    if is_postgresql(connection):
        op.alter_column("tool_call_logs", "execution_id", nullable=True)
    else:
        edit_table(connection, "tool_call_logs", "execution_id VARCHAR(255) NOT NULL", "execution_id VARCHAR(255)")


def downgrade(op: "Operations") -> None:
    """Drop the columns, with what they hold.

    Raises:
        StorageError: a record cannot be kept without them; the error says which.
    """
    connection = connection_of(op)
    found = connection.command("SELECT id FROM tool_call_logs WHERE execution_id IS NULL LIMIT 1")
    if found is not None:
        problem = f"the tool call '{found[0]}' belongs to no LLM execution, which the other version does not know"
        raise StorageError(f"{problem}: delete such calls first; nothing was migrated")
    for table, column, before, after in WORDS:
        allow_words(connection, table, column, after, before)
    op.drop_index("ix_tool_call_logs_session_id_timestamp_id", "tool_call_logs", if_exists=True)
    op.drop_index("ix_stream_events_session_id", "stream_events", if_exists=True)
    for table in OF_SESSION:
        drop_constraint(connection, table, _reference(table))
        op.drop_column(table, "session_id")
    for table, columns in COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
    op.drop_column("llm_executions", "attempt")
    if is_postgresql(connection):
        op.alter_column("tool_call_logs", "execution_id", nullable=False)
    else:
        edit_table(connection, "tool_call_logs", "execution_id VARCHAR(255)", "execution_id VARCHAR(255) NOT NULL")


def _reference(table: str) -> str:
    name = f"fk_{table}_session_id_sessions"
    return f"CONSTRAINT {name} FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE"


def _index_if_set(op: "Operations", table: str, *columns: str) -> None:
    """Index the rows alone that have the first column, which most have not.

    On PostgreSQL, one on a table that holds records is built without blocking writes, after the migration.
    """
    connection = connection_of(op)
    if is_postgresql(connection) and connection.command(f"SELECT 1 FROM {table} LIMIT 1") is not None:  # noqa: S608 - a name of ours
        return
    condition = sa.text(f"{columns[0]} IS NOT NULL")
    name = op.f(f"ix_{table}_{'_'.join(columns)}")
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
