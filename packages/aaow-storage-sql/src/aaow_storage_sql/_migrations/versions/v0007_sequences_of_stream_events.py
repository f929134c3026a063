"""The sequences of stream events, and the last one of each stream."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import edit_table, is_postgresql
from aaow_storage_sql._schema.families import COUNT, ID

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0007"

_NUMBER = """
    UPDATE stream_events SET sequence = numbers.number FROM (
        SELECT {row} AS place, row_number() OVER (PARTITION BY stream_id ORDER BY timestamp, id) AS number
        FROM stream_events
    ) AS numbers WHERE numbers.place = stream_events.{row}
"""
_LAST = "INSERT INTO streams SELECT stream_id, max(sequence) FROM stream_events GROUP BY stream_id"
_INDEX = "ix_stream_events_stream_id_sequence"


def upgrade(op: "Operations") -> None:
    """Number the events of each stream by time, then id."""
    connection = connection_of(op)
    op.create_table(
        "streams",
        sa.Column("stream_id", ID, nullable=False),
        sa.Column("last_sequence", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", name=op.f("pk_streams")),
    )
    op.add_column("stream_events", sa.Column("sequence", COUNT))
    if is_postgresql(connection):
        connection.command(_NUMBER.format(row="ctid"))
        connection.command(_LAST)
        op.alter_column("stream_events", "sequence", nullable=False)
        if connection.command("SELECT 1 FROM stream_events LIMIT 1") is not None:
            return  # the index is built without blocking writes, after the migration
    else:
        connection.command(_NUMBER.format(row="rowid"))
        edit_table(connection, "stream_events", "sequence BIGINT", "sequence BIGINT NOT NULL")
    op.create_index(op.f(_INDEX), "stream_events", ["stream_id", "sequence"], unique=True)


def downgrade(op: "Operations") -> None:
    """Drop the sequences."""
    op.drop_index(_INDEX, "stream_events", if_exists=True)
    op.drop_column("stream_events", "sequence")
    op.drop_table("streams")
