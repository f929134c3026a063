"""Stream events."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._schema.families import DOCUMENT, ID, INSTANT

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0003"


def upgrade(op: "Operations") -> None:
    """Add the tables."""
    op.create_table(
        "stream_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("stream_id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("data", DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_events")),
    )
    op.create_index(op.f("ix_stream_events_stream_id_timestamp_id"), "stream_events", ["stream_id", "timestamp", "id"])


def downgrade(op: "Operations") -> None:
    """Drop the tables."""
    op.drop_table("stream_events")
