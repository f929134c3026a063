"""`upgrade_store`: the schema of a store brought up to date, after a copy was made."""

from typing import Any

from attrs import frozen

from aaow_storage import SchemaVersionError, StorageAdapter
from aaow_storage.authoring import StoreMaintenance


@frozen(kw_only=True)
class UpgradeReport:
    """An upgrade that was done.

    Attributes:
        store: the store, without a password.
        before: the version of the schema before, None for a store without one.
        after: the version now.
        steps: what was done, a line each; empty if nothing was due.
        copy: where the copy of the store is as it was before; None if none was made.
    """

    store: str
    before: str | None
    after: str
    steps: tuple[str, ...]
    copy: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "store": self.store,
            "before": self.before,
            "after": self.after,
            "steps": list(self.steps),
            "copy": self.copy,
        }


async def upgrade_store(
    storage: StorageAdapter, maintenance: StoreMaintenance, *, makes_copy: bool = True
) -> UpgradeReport:
    """Upgrade the schema of a store, after a copy was made if the backend has a place for one, as SQLite has.

    The upgrade is one transaction. If it is cancelled or killed, the store has the old schema or the new one, and the
    copy stays.

    Args:
        storage: an adapter of the store that is not open; it is closed afterwards.
        maintenance: that of the same store.
        makes_copy: whether the copy is made.

    Raises:
        SchemaVersionError: a later release made the store.
        StorageError: the copy or the upgrade failed; the store is as it was.
    """
    status = await maintenance.schema_status()
    if status.is_newer:
        remedy = "it was made by a newer release; install that release or a later one"
        raise SchemaVersionError(status.found, status.expected, remedy)
    if status.is_current:
        return UpgradeReport(store=maintenance.place, before=status.found, after=status.expected, steps=(), copy=None)
    copy = await maintenance.copy_before_upgrade() if makes_copy else None
    try:
        await storage.initialize(migrate=True)
    finally:
        await storage.close()
    return UpgradeReport(
        store=maintenance.place, before=status.found, after=status.expected, steps=status.pending, copy=copy
    )
