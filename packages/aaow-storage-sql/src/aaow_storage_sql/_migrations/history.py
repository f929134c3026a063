"""The revisions in order. They are imported, not found as files, so that they also work from a zip archive."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from aaow_storage.errors import SchemaVersionError
from aaow_storage_sql._migrations.steps import Stage, Step, set_version
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
    from collections.abc import Iterable

    import sqlalchemy as sa
    from alembic.operations import Operations


class Revision(Protocol):
    """One step of the schema and its inverse, inside the open transaction."""

    revision: str

    def upgrade(self, op: "Operations") -> None:
        """Go from the revision before to this one."""

    def downgrade(self, op: "Operations") -> None:
        """Go from this revision to the one before."""


@runtime_checkable
class SteppedRevision(Revision, Protocol):
    """A revision for databases that commit each statement that changes the schema, too: each one after 0011 is."""

    def steps(self, dialect: "sa.Dialect") -> "Iterable[Step]":
        """Return the steps from the revision before to this one, in order, whether they have run or not."""


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


def title_of(revision: Revision) -> str:
    """Return the first line of what a revision says of itself."""
    return f"{revision.revision}: {(revision.__doc__ or '').partition(chr(10))[0]}"


def stages_after(dialect: "sa.Dialect", found: str) -> list[Stage]:
    """Return the steps from a revision to the latest, in a database that commits each statement of them.

    Raises:
        SchemaVersionError: a store in a database of this kind never was at that revision.
    """
    order = [each.revision for each in HISTORY]
    later = HISTORY[order.index(found) + 1 :]
    return [_stage(dialect, before, each) for before, each in zip([found, *order[-len(later) :]], later, strict=False)]


def _stage(dialect: "sa.Dialect", before: str, revision: Revision) -> Stage:
    if not isinstance(revision, SteppedRevision):
        remedy = f"the step to {revision.revision} is not made for this database; copy the store to a new one"
        raise SchemaVersionError(before, revision.revision, remedy)
    return Stage(title_of(revision), (*revision.steps(dialect), set_version(before, revision.revision)))
