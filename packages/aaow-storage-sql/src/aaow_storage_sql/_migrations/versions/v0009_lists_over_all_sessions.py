"""Model calls over all sessions: an index for their lists, which in SQLite has what is summed too.

In SQLite, each index that a save changes is one more page in its log. So that a save costs what it did, the index of
the session and the node is dropped, and that of the session gets the node.
"""

from typing import TYPE_CHECKING

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import is_postgresql

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0009"

Indexes = dict[str, tuple[str, ...]]
"""The columns of each index by its name."""

TABLE = "llm_executions"
OF_POSTGRESQL: Indexes = {"ix_llm_executions_timestamp_id": ("timestamp", "id")}
OF_SQLITE: Indexes = {
    "ix_llm_executions_session_id_timestamp_id_node_id": ("session_id", "timestamp", "id", "node_id"),
    "ix_llm_executions_usage": (
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
}
BEFORE_OF_SQLITE: Indexes = {
    "ix_llm_executions_session_id_timestamp_id": ("session_id", "timestamp", "id"),
    "ix_llm_executions_session_id_node_id_timestamp_id": ("session_id", "node_id", "timestamp", "id"),
}


def upgrade(op: "Operations") -> None:
    """Replace the indexes; on PostgreSQL, those of filled tables are built without blocking writes, afterwards."""
    connection = connection_of(op)
    if not is_postgresql(connection):
        _replace(op, BEFORE_OF_SQLITE, OF_SQLITE)
    elif connection.command(f"SELECT 1 FROM {TABLE} LIMIT 1") is None:  # noqa: S608 - a name of ours
        _replace(op, {}, OF_POSTGRESQL)


def downgrade(op: "Operations") -> None:
    """Put the former indexes back."""
    if is_postgresql(connection_of(op)):
        _replace(op, OF_POSTGRESQL, {})
    else:
        _replace(op, OF_SQLITE, BEFORE_OF_SQLITE)


def _replace(op: "Operations", dropped: Indexes, created: Indexes) -> None:
    for name in dropped:
        op.drop_index(name, TABLE, if_exists=True)
    for name, columns in created.items():
        op.create_index(op.f(name), TABLE, columns)
