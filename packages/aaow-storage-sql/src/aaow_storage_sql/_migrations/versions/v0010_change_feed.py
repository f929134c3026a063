"""The change feed."""

import secrets
from typing import TYPE_CHECKING

import sqlalchemy as sa

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import is_postgresql
from aaow_storage_sql._schema.change_triggers import FIRST_TRIGGERS, FUNCTIONS
from aaow_storage_sql._schema.families import COUNT, DOCUMENT, INSTANT, NAME, POSITION, TRUTH
from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0010"


def upgrade(op: "Operations") -> None:
    """Create the feed, which records from now on: on PostgreSQL, by triggers."""
    connection = connection_of(op)
    op.create_table(
        "change_feed",
        sa.Column("generation", NAME, nullable=False),
        sa.Column("is_recording", TRUTH, nullable=False),
        sa.Column("pruned", DOCUMENT),
    )
    begin_feed(connection)
    if not is_postgresql(connection):
        op.create_table(
            "changes",
            sa.Column("transaction_id", COUNT),
            sa.Column("position", POSITION, nullable=False),
            sa.Column("at", INSTANT, nullable=False),
            sa.Column("changes", DOCUMENT, nullable=False),
            sa.PrimaryKeyConstraint("position", name=op.f("pk_changes")),
        )
        return
    op.create_table(
        "changes",
        sa.Column("transaction_id", COUNT),
        sa.Column("position", POSITION, sa.Identity(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("changes", DOCUMENT, nullable=False),
    )
    op.create_index(op.f("ix_changes_transaction_id_position"), "changes", ["transaction_id", "position"], unique=True)
    for function in FUNCTIONS.values():
        connection.command(function)
    for triggers in FIRST_TRIGGERS.values():
        for name, definition in triggers.items():
            connection.command(f"CREATE TRIGGER {name} {definition}")


def begin_feed(connection: SQLConnection) -> None:
    """Store the settings of a feed that records, and whose positions are unlike those of any other."""
    connection.command(first_row(secrets.token_hex(4)))


def first_row(generation: str) -> str:
    """Return the statement that stores the settings of a feed of that name."""
    return f"INSERT INTO change_feed (generation, is_recording) VALUES ('{generation}', true)"  # noqa: S608 - a number


def downgrade(op: "Operations") -> None:
    """Drop it, with all changes."""
    connection = connection_of(op)
    if is_postgresql(connection):
        for table, triggers in FIRST_TRIGGERS.items():
            for name in triggers:
                connection.command(f"DROP TRIGGER {name} ON {table}")
        for name in FUNCTIONS:
            connection.command(f"DROP FUNCTION {name}()")
    op.drop_table("changes")
    op.drop_table("change_feed")
