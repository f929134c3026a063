"""The revisions in order. They are imported, not found as files, so that they also work from a zip archive."""

from typing import TYPE_CHECKING, Protocol

from aaow_storage_sql._migrations.versions import (
    v0001_workflows_sessions_and_executions,
    v0002_budget_pools_and_approvals,
    v0003_stream_events,
    v0004_json_in_postgresql,
    v0005_calls_and_attempts,
    v0006_amounts,
    v0007_sequences_of_stream_events,
    v0008_messages_of_inputs,
    v0009_lists_over_all_sessions,
    v0010_change_feed,
    v0011_one_status,
)

if TYPE_CHECKING:
    from alembic.operations import Operations


class Revision(Protocol):
    """One step of the schema and its inverse, inside the open transaction."""

    revision: str

    def upgrade(self, op: "Operations") -> None:
        """Go from the revision before to this one."""

    def downgrade(self, op: "Operations") -> None:
        """Go from this revision to the one before."""


HISTORY: tuple[Revision, ...] = (
    v0001_workflows_sessions_and_executions,
    v0002_budget_pools_and_approvals,
    v0003_stream_events,
    v0004_json_in_postgresql,
    v0005_calls_and_attempts,
    v0006_amounts,
    v0007_sequences_of_stream_events,
    v0008_messages_of_inputs,
    v0009_lists_over_all_sessions,
    v0010_change_feed,
    v0011_one_status,
)
