"""Budget pools and approval requests."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._schema.families import AMOUNT, DOCUMENT, ID, INSTANT, TEXT, WORD

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0002"


def upgrade(op: "Operations") -> None:
    """Add the tables."""
    op.create_table(
        "budget_pools",
        sa.Column("id", ID, nullable=False),
        sa.Column("parent_pool_id", ID, nullable=True),
        sa.Column("total_budget", AMOUNT, nullable=False),
        sa.Column("used_budget", AMOUNT, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.CheckConstraint("status IN ('active', 'exhausted', 'suspended')", name=op.f("ck_budget_pools_status")),
        sa.ForeignKeyConstraint(
            ["parent_pool_id"],
            ["budget_pools.id"],
            name=op.f("fk_budget_pools_parent_pool_id_budget_pools"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_pools")),
    )
    op.create_index(op.f("ix_budget_pools_created_at_id"), "budget_pools", ["created_at", "id"])
    op.create_index(op.f("ix_budget_pools_parent_pool_id"), "budget_pools", ["parent_pool_id"])
    op.create_table(
        "approval_requests",
        sa.Column("id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("resolved_at", INSTANT, nullable=True),
        sa.Column("resolved_by", TEXT, nullable=True),
        sa.Column("resolution_notes", TEXT, nullable=True),
        sa.Column("context", DOCUMENT, nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'rejected', 'expired')", name=op.f("ck_approval_requests_status")
        ),
        sa.CheckConstraint(
            "type IN ('human_review', 'budget_increase', 'workflow_call')", name=op.f("ck_approval_requests_type")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_approval_requests_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
    )
    op.create_index(
        op.f("ix_approval_requests_session_id_created_at_id"), "approval_requests", ["session_id", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_approval_requests_status_created_at_id"), "approval_requests", ["status", "created_at", "id"]
    )


def downgrade(op: "Operations") -> None:
    """Drop the tables."""
    op.drop_table("approval_requests")
    op.drop_table("budget_pools")
