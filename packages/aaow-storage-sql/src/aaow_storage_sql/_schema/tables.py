"""The tables. No other module declares a column, except the migrations."""

from enum import StrEnum
from typing import Any, cast

import sqlalchemy as sa

from aaow_storage import (
    ApprovalRequest,
    ApprovalStatus,
    ApprovalType,
    BudgetPool,
    BudgetPoolStatus,
    LLMExecution,
    NodeExecutionStatus,
    NodeState,
    Session,
    SessionStatus,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import KINDS
from aaow_storage_sql._schema.families import (
    COUNT,
    DIGEST,
    DOCUMENT,
    ID,
    MARIADB,
    MESSAGE_DIGEST,
    NAME,
    NUMBER,
    POSITION,
    POSTGRESQL,
    SERVERS,
    SQLITE,
    TEXT,
    WORD,
    only_of,
)
from aaow_storage_sql._schema.revisions import VERSION_TABLE
from aaow_storage_sql._schema.types import AMOUNT_WIDTH, Amount, CompressedText, Instant, JSONText, Truth

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str, *constraints: Any, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, ID, *constraints, **options)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Instant(), nullable=nullable)


def _one_of(name: str, enum: type[StrEnum], *, nullable: bool = False) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    words = [str(word) for word in enum]
    return (
        sa.Column(name, WORD, nullable=nullable),
        sa.CheckConstraint(sa.column(name, sa.String).in_(words), name=name),
    )


def _amount(name: str) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    """Return the column; text of another width would not compare by value."""
    is_wide = sa.CheckConstraint(f"length({name}) = {AMOUNT_WIDTH}", name=name)
    return sa.Column(name, Amount(), nullable=False), only_of(SQLITE, is_wide)


def _session_id(table: str) -> sa.Column[Any]:
    """Return the column of the session that a row may belong to, and goes with."""
    name = f"fk_{table}_session_id_sessions"
    return _id("session_id", sa.ForeignKey("sessions.id", name=name, ondelete="CASCADE"), nullable=True)


def _index_if_set(*columns: str) -> sa.Index:
    """Return an index of the rows that have the first column.

    In PostgreSQL too, by its migrations: to be told here, SQLAlchemy would import that dialect wherever SQLite is used.
    MariaDB has none of this kind, and indexes all rows.
    """
    return sa.Index(None, *columns, sqlite_where=sa.column(columns[0]).is_not(None))


def _digest(name: str) -> sa.Column[Any]:
    return sa.Column(name, DIGEST, sa.ForeignKey("documents.digest"), nullable=False)


documents = sa.Table(
    "documents",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("body", DOCUMENT, nullable=False),
)

workflows = sa.Table(
    "workflows",
    metadata,
    _id("id", primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("version", TEXT, nullable=False),
    _digest("definition_digest"),
    _instant("created_at"),
    _instant("updated_at"),
    sa.Column("metadata", JSONText("StoredWorkflow", "metadata")),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "definition_digest"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    _id("id", primary_key=True),
    _id("workflow_id", sa.ForeignKey("workflows.id", ondelete="SET NULL"), nullable=True),
    _digest("snapshot_digest"),
    *_one_of("status", SessionStatus),
    _id("parent_session_id", sa.ForeignKey("sessions.id", ondelete="SET NULL"), nullable=True),
    _instant("created_at"),
    _instant("updated_at"),
    sa.Column("metadata", JSONText("Session", "metadata")),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "status", "created_at", "id"),
    sa.Index(None, "workflow_id", "created_at", "id"),
    sa.Index(None, "parent_session_id"),
    sa.Index(None, "snapshot_digest"),
)

execution_states = sa.Table(
    "execution_states",
    metadata,
    _id("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    *_one_of("status", SessionStatus, nullable=True),  # neither written nor read: the session has the status
    _id("budget_pool_id", nullable=True),
    _id("current_node_id", nullable=True),
    _instant("started_at", nullable=True),
    _instant("completed_at", nullable=True),
    sa.Column("metadata", JSONText("WorkflowExecutionState", "metadata")),
)

node_execution_states = sa.Table(
    "node_execution_states",
    metadata,
    _id("session_id", sa.ForeignKey("execution_states.session_id", ondelete="CASCADE"), primary_key=True),
    _id("node_id", primary_key=True),
    *_one_of("status", NodeExecutionStatus),
    sa.Column("error", TEXT),
    _instant("started_at", nullable=True),
    _instant("completed_at", nullable=True),
    sa.Column("retry_count", COUNT, nullable=False),
    sa.CheckConstraint("retry_count >= 0", name="retry_count"),
    _id("pending_approval_id", nullable=True),
    sa.Column("input", JSONText("NodeExecutionState", "input")),
    sa.Column("output", JSONText("NodeExecutionState", "output")),
    sa.Column("metadata", JSONText("NodeExecutionState", "metadata")),
    sa.Column("attempts", JSONText("NodeExecutionState", "attempts")),
)

llm_executions = sa.Table(
    "llm_executions",
    metadata,
    _id("id", primary_key=True),
    _id("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE")),
    _id("node_id"),
    _instant("timestamp"),
    sa.Column("success", Truth),
    sa.Column("prompt_tokens", COUNT),
    sa.Column("completion_tokens", COUNT),
    sa.Column("total_tokens", COUNT),
    sa.Column("error", TEXT),
    sa.Column("text", TEXT),
    sa.Column("tool_calls", JSONText("LLMExecutionResult", "tool_calls")),
    sa.Column("metadata", JSONText("LLMExecutionResult", "metadata")),
    sa.Column("provider", TEXT),
    sa.Column("model", TEXT),
    sa.Column("input", JSONText("LLMExecutionResult", "input")),
    sa.Column("output", JSONText("LLMExecutionResult", "output")),
    _instant("completed_at", nullable=True),
    sa.Column("finish_reason", TEXT),
    sa.Column("cost", Amount()),
    sa.Column("currency", TEXT),
    sa.Column("attempt", COUNT, nullable=False, server_default="0"),
    sa.Column("cache_read_tokens", COUNT),
    sa.Column("cache_write_tokens", COUNT),
    sa.Column("reasoning_tokens", COUNT),
    sa.Column("input_digest", MESSAGE_DIGEST),
    only_of(SERVERS, sa.Index(None, "session_id", "timestamp", "id")),
    only_of(SERVERS, sa.Index(None, "session_id", "node_id", "timestamp", "id")),
    only_of(SERVERS, sa.Index(None, "timestamp", "id")),
    # In SQLite, each index that a save changes is one more page in its log. So lists of a node have no index of their
    # own: they skip the entries of the session's other nodes.
    only_of(SQLITE, sa.Index(None, "session_id", "timestamp", "id", "node_id")),
    only_of(
        SQLITE,
        sa.Index(
            "ix_llm_executions_usage",
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
    ),  # an index of PostgreSQL refuses long texts, and a scan skips long columns
)

messages = sa.Table(
    "messages",
    metadata,
    _id("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("digest", MESSAGE_DIGEST, primary_key=True),
    sa.Column("previous", MESSAGE_DIGEST),
    sa.Column("body", CompressedText(), nullable=False),
)
"""The messages of long inputs, once a session: each row has some that follow those of the row `previous`.

An execution names the row that its input ends with by `input_digest`. It has no foreign key: rows of a session go with
the session alone, and the transaction that saves an execution makes sure that the row is there.
"""

tool_call_logs = sa.Table(
    "tool_call_logs",
    metadata,
    _id("id", primary_key=True),
    _id("execution_id", sa.ForeignKey("llm_executions.id", ondelete="CASCADE"), nullable=True),
    _id("tool_call_id"),
    sa.Column("tool_name", TEXT, nullable=False),
    _instant("timestamp"),
    sa.Column("duration_ms", NUMBER),
    sa.Column("error", TEXT),
    sa.Column("args", JSONText("ToolCallLog", "args"), nullable=False),
    sa.Column("result", JSONText("ToolCallLog", "result")),
    _id("node_id", nullable=True),
    _session_id("tool_call_logs"),
    sa.Index(None, "execution_id", "timestamp", "id"),
    _index_if_set("session_id", "timestamp", "id"),
)

budget_pools = sa.Table(
    "budget_pools",
    metadata,
    _id("id", primary_key=True),
    _id("parent_pool_id", sa.ForeignKey("budget_pools.id", ondelete="RESTRICT"), nullable=True),
    *_amount("total_budget"),
    *_amount("used_budget"),
    *_one_of("status", BudgetPoolStatus),
    _instant("created_at"),
    sa.Column("metadata", JSONText("BudgetPool", "metadata")),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "parent_pool_id"),
)

approval_requests = sa.Table(
    "approval_requests",
    metadata,
    _id("id", primary_key=True),
    _id("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE")),
    _id("node_id"),
    *_one_of("type", ApprovalType),
    *_one_of("status", ApprovalStatus),
    _instant("created_at"),
    _instant("expires_at", nullable=True),
    _instant("resolved_at", nullable=True),
    sa.Column("resolved_by", TEXT),
    sa.Column("resolution_notes", TEXT),
    sa.Column("context", JSONText("ApprovalRequest", "context"), nullable=False),
    sa.Index(None, "status", "created_at", "id"),
    sa.Index(None, "session_id", "created_at", "id"),
)

streams = sa.Table(
    "streams",
    metadata,
    _id("stream_id", primary_key=True),
    sa.Column("last_sequence", COUNT, nullable=False),
)
"""The last sequence of each stream. In a database with several writers, each locks the row until its commit. In one
with one writer, the events tell the last one, and the row is written when events go, so that none is given twice.
"""

stream_events = sa.Table(
    "stream_events",
    metadata,
    _id("id", primary_key=True),
    _id("stream_id"),
    _id("node_id"),
    _instant("timestamp"),
    sa.Column("data", JSONText("StreamEvent", "data")),
    _session_id("stream_events"),
    sa.Column("sequence", COUNT, nullable=False),
    sa.Index(None, "stream_id", "timestamp", "id"),
    sa.Index(None, "stream_id", "sequence", unique=True),
    _index_if_set("session_id"),
)


change_feed = sa.Table(
    "change_feed",
    metadata,
    sa.Column("generation", NAME, nullable=False),
    sa.Column("is_recording", Truth, nullable=False),
    sa.Column("pruned", DOCUMENT),
    only_of(MARIADB, sa.PrimaryKeyConstraint("generation")),  # Galera replicates no table without one
)
"""One row: the name of the feed, which is new whenever recording begins or ends; whether changes are recorded; and the
position of the last change that was pruned."""

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("transaction_id", COUNT),
    sa.Column("position", POSITION, sa.Identity(), nullable=False),
    _instant("at"),
    sa.Column("changes", DOCUMENT, nullable=False),
    only_of((*SQLITE, *MARIADB), sa.PrimaryKeyConstraint("position")),
    only_of(POSTGRESQL, sa.Index("ix_changes_transaction_id_position", "transaction_id", "position", unique=True)),
    only_of(MARIADB, sa.Index(None, "transaction_id", unique=True)),
)
"""The change feed. In a database with one writer, a row has what was committed together, and its position, the id of
the row, is in the order of commits. In PostgreSQL, a row has the changes of one statement or trigger, and rows are
ordered by the transaction, then the position. In MariaDB, a row has what was committed together, and `transaction_id`
is its number in the feed, which a reader gives it after the commit; until then, it is NULL.
"""


schema_version = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),  # not one of the tables of a revision
    sa.Column("version_num", NAME, nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""The version of the store, in the form of alembic."""

_TABLES = {
    StoredWorkflow: workflows,
    Session: sessions,
    LLMExecution: llm_executions,
    ToolCallLog: tool_call_logs,
    BudgetPool: budget_pools,
    ApprovalRequest: approval_requests,
    StreamEvent: stream_events,
    WorkflowExecutionState: execution_states,
    NodeState: node_execution_states,
}


def table_of(record: type) -> sa.Table:
    """Return the table of a kind of records that can be hydrate_list."""
    return _TABLES[record]


_KINDS = {table: KINDS[record] for record, table in _TABLES.items() if record in KINDS} | {
    node_execution_states: "node_state",
    documents: "document",
    messages: "message",
    streams: "stream",
    change_feed: "change_feed",
    changes: "change",
}


def kind_of(table: sa.FromClause) -> str:
    """Return what errors call a row of the table."""
    return _KINDS[cast("sa.Table", table)]
