"""Making and upgrading a store in a database that commits each statement that changes the schema.

Nothing of a migration is rolled back there. It is a list of steps, each one statement that may run again; the version
of the store says where it is. Whatever ends a process between two steps, the next `initialize` goes on.

There is no way back to an earlier revision, since half of a downgrade would be a store that no release can open:
`migrate_to` refuses it.
"""

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aaow_storage.authoring import loads
from aaow_storage.errors import StorageError
from aaow_storage_sql._late_imports import LateModule, import_migrations
from aaow_storage_sql._schema import revisions
from aaow_storage_sql._schema.revisions import VERSION_TABLE, installed_revision
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._tuning import DEFAULT
from aaow_storage_sql._upgrade import needs_upgrade, refuse_foreign_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from aaow_storage_sql._migrations import history, install, migration_lock
    from aaow_storage_sql._migrations.migration_lock import MigrationLock
    from aaow_storage_sql._migrations.steps import Stage, Step
else:
    history = LateModule(f"{__package__}._migrations.history")
    install = LateModule(f"{__package__}._migrations.install")
    migration_lock = LateModule(f"{__package__}._migrations.migration_lock")

_VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a name of ours


def stored_version(connection: SQLConnection) -> str | None:
    """Return the version of the store, None for one without a schema.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
    """
    found = _names(connection)
    # The version is there before every other table. So tables that were seen without one, which another process is
    # making, have one by now; those of another application have none.
    row = (
        connection.command(_VERSION) if VERSION_TABLE in (found or ()) or VERSION_TABLE in _names(connection) else None
    )
    if row is None:
        refuse_foreign_tables(found)
    return None if row is None else str(row[0])


def _names(connection: SQLConnection) -> list[str]:
    (text,) = connection.command(connection.dialect.list_tables) or (None,)
    names: Any = loads(text or "[]")
    return [*names]


def upgrade_in_steps(
    connection: SQLConnection,
    opening: Opening,
    *,
    migrate: bool,
    tables: "Sequence[sa.Table]" = (),
    lock: "MigrationLock | None" = None,
) -> None:
    """Make the store, or upgrade it, if that is due. Waits for another process that does the same.

    Args:
        connection: one that has no open transaction, and commits each statement by itself.
        opening: may be cancelled, which ends it between two steps.
        migrate: whether anything may be changed.
        tables: what a store of this backend has beside the tables of every store.
        lock: keeps other processes from doing the same; without one, a row of the store.

    Raises:
        SchemaVersionError: the store is another application's, or newer than this code, or due and `migrate` is False.
        StorageError: a step failed; the next call goes on with it.
        asyncio.CancelledError: the opening was cancelled.
    """
    if needs_upgrade(stored_version(connection), migrate=migrate):
        import_migrations()
        held = lock or migration_lock.RowLease(connection)
        while not _upgrade_alone(connection, opening, tables, held):
            opening.sleep(DEFAULT.lease_interval_s)


def _upgrade_alone(
    connection: SQLConnection, opening: Opening, tables: "Sequence[sa.Table]", lock: "MigrationLock"
) -> bool:
    """Upgrade the store under the lock; return whether it is up to date: if not, another process has the lock."""
    if not lock.take():
        return not needs_upgrade(stored_version(connection), migrate=True)
    try:
        while needs_upgrade(found := stored_version(connection), migrate=True):
            stage, *_ = _stages(connection, found, tables)
            for step in stage.steps:
                opening.check()
                lock.renew()
                step.run(connection)
    except migration_lock.LostLockError:
        return False
    finally:
        with suppress(StorageError):  # a lease runs out
            lock.release()
    return True


def plan_steps(connection: SQLConnection, tables: "Sequence[sa.Table]" = ()) -> str:
    """Return the statements that `upgrade_in_steps` would run, with a heading for each stage; empty if none is due.

    Raises:
        SchemaVersionError: the store is another application's, or a later release made it.
    """
    found = stored_version(connection)
    parts: list[str] = []
    if needs_upgrade(found, migrate=True):
        for stage in _stages(connection, found, tables):
            due = [f"{step.statement};" for step in stage.steps if not _is_done(connection, step)]
            parts += [f"-- {stage.title}", *due, ""]
    return "\n".join(parts)


def _is_done(connection: SQLConnection, step: "Step") -> bool:
    try:
        return step.is_done(connection)
    except StorageError:  # what it asks about is made by a step before
        return False


def _stages(connection: SQLConnection, found: str | None, tables: "Sequence[sa.Table]") -> "list[Stage]":
    """Return what leads from a version of the store to the latest one.

    Raises:
        SchemaVersionError: a store in a database of this kind never was at that revision.
    """
    import_migrations()
    dialect = connection.dialect.sqlalchemy_dialect
    unfinished = installed_revision(found)
    if found is None or unfinished is not None:
        stages = []
        if found is None or unfinished != revisions.HEAD:
            begun = revisions.installing(secrets.token_hex(4))
            stages.append(install.beginning(dialect, found, begun))
            found = begun
        return [*stages, install.creating(dialect, tables, found)]
    return history.stages_after(dialect, found)
