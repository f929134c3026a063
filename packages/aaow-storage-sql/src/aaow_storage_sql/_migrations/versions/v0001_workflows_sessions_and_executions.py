"""Workflows, sessions and their executions."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._schema.families import COUNT, DIGEST, DOCUMENT, ID, INSTANT, NUMBER, TEXT, TRUTH, WORD

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0001"


def upgrade(op: "Operations") -> None:
    """Add the tables."""
    op.create_table(
        "documents",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_documents")),
    )
    op.create_table(
        "workflows",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("definition_digest", DIGEST, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["definition_digest"], ["documents.digest"], name=op.f("fk_workflows_definition_digest_documents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflows")),
    )
    op.create_index(op.f("ix_workflows_created_at_id"), "workflows", ["created_at", "id"])
    op.create_index(op.f("ix_workflows_definition_digest"), "workflows", ["definition_digest"])
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("workflow_id", ID, nullable=True),
        sa.Column("snapshot_digest", DIGEST, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("parent_session_id", ID, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'paused', 'completed', "
            "'failed', 'waiting_for_human_review', 'waiting_for_budget_approval', 'waiting_for_workflow_approval')",
            name=op.f("ck_sessions_status"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_session_id"],
            ["sessions.id"],
            name=op.f("fk_sessions_parent_session_id_sessions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_digest"], ["documents.digest"], name=op.f("fk_sessions_snapshot_digest_documents")
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("fk_sessions_workflow_id_workflows"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_created_at_id"), "sessions", ["created_at", "id"])
    op.create_index(op.f("ix_sessions_parent_session_id"), "sessions", ["parent_session_id"])
    op.create_index(op.f("ix_sessions_snapshot_digest"), "sessions", ["snapshot_digest"])
    op.create_index(op.f("ix_sessions_status_created_at_id"), "sessions", ["status", "created_at", "id"])
    op.create_index(op.f("ix_sessions_workflow_id_created_at_id"), "sessions", ["workflow_id", "created_at", "id"])
    op.create_table(
        "execution_states",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("budget_pool_id", ID, nullable=True),
        sa.Column("current_node_id", ID, nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'paused', 'completed', "
            "'failed', 'waiting_for_human_review', 'waiting_for_budget_approval', 'waiting_for_workflow_approval')",
            name=op.f("ck_execution_states_status"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_execution_states_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_execution_states")),
    )
    op.create_table(
        "node_execution_states",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.Column("retry_count", COUNT, nullable=False),
        sa.Column("pending_approval_id", ID, nullable=True),
        sa.Column("input", DOCUMENT, nullable=True),
        sa.Column("output", DOCUMENT, nullable=True),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.CheckConstraint("retry_count >= 0", name=op.f("ck_node_execution_states_retry_count")),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', "
            "'failed', 'skipped', 'waiting_for_approval', 'waiting_for_review')",
            name=op.f("ck_node_execution_states_status"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["execution_states.session_id"],
            name=op.f("fk_node_execution_states_session_id_execution_states"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "node_id", name=op.f("pk_node_execution_states")),
    )
    op.create_table(
        "llm_executions",
        sa.Column("id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("success", TRUTH, nullable=True),
        sa.Column("prompt_tokens", COUNT, nullable=True),
        sa.Column("completion_tokens", COUNT, nullable=True),
        sa.Column("total_tokens", COUNT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("text", TEXT, nullable=True),
        sa.Column("tool_calls", DOCUMENT, nullable=True),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_llm_executions_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_llm_executions")),
    )
    op.create_index(
        op.f("ix_llm_executions_session_id_node_id_timestamp_id"),
        "llm_executions",
        ["session_id", "node_id", "timestamp", "id"],
    )
    op.create_index(
        op.f("ix_llm_executions_session_id_timestamp_id"), "llm_executions", ["session_id", "timestamp", "id"]
    )
    op.create_table(
        "tool_call_logs",
        sa.Column("id", ID, nullable=False),
        sa.Column("execution_id", ID, nullable=False),
        sa.Column("tool_call_id", ID, nullable=False),
        sa.Column("tool_name", TEXT, nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("duration_ms", NUMBER, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("args", DOCUMENT, nullable=False),
        sa.Column("result", DOCUMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["llm_executions.id"],
            name=op.f("fk_tool_call_logs_execution_id_llm_executions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_call_logs")),
    )
    op.create_index(
        op.f("ix_tool_call_logs_execution_id_timestamp_id"), "tool_call_logs", ["execution_id", "timestamp", "id"]
    )


def downgrade(op: "Operations") -> None:
    """Drop the tables."""
    op.drop_table("tool_call_logs")
    op.drop_table("llm_executions")
    op.drop_table("node_execution_states")
    op.drop_table("execution_states")
    op.drop_table("sessions")
    op.drop_table("workflows")
    op.drop_table("documents")
