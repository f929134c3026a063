"""Indexes for lists over all sessions, and in SQLite one that sums of usage read in place of the executions."""

from typing import TYPE_CHECKING

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import is_postgresql

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0009"

INDEXES = {
    "ix_tool_call_logs_timestamp_id": ("tool_call_logs", ("timestamp", "id")),
    "ix_approval_requests_created_at_id": ("approval_requests", ("created_at", "id")),
}
OF_POSTGRESQL = {"ix_llm_executions_timestamp_id": ("llm_executions", ("timestamp", "id"))}
OF_SQLITE = {
    "ix_llm_executions_usage": (
        "llm_executions",
        (
            "timestamp",
            "id",
            "provider",
            "model",
            "success",
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "cost",
            "currency",
            "completed_at",
        ),
    )
}


def upgrade(op: "Operations") -> None:
    """Create the indexes; on PostgreSQL, those of filled tables are built without blocking writes, afterwards."""
    connection = connection_of(op)
    for name, (table, columns) in {**INDEXES, **(OF_POSTGRESQL if is_postgresql(connection) else OF_SQLITE)}.items():
        is_later = is_postgresql(connection) and connection.command(f"SELECT 1 FROM {table} LIMIT 1") is not None  # noqa: S608 - a name of ours
        if not is_later:
            op.create_index(op.f(name), table, columns)


def downgrade(op: "Operations") -> None:
    """Drop the indexes."""
    connection = connection_of(op)
    for name, (table, _) in {**INDEXES, **(OF_POSTGRESQL if is_postgresql(connection) else OF_SQLITE)}.items():
        op.drop_index(name, table, if_exists=True)
