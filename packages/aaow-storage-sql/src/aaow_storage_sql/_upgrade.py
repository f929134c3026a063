"""Upgrading the schema of a store, and judging which version it has. Only a migration needs SQLAlchemy and alembic."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from aaow_storage.errors import SchemaVersionError
from aaow_storage_sql._late_imports import LateModule
from aaow_storage_sql._migrations.quiet import without_alembics_log
from aaow_storage_sql._schema import revisions
from aaow_storage_sql._schema.revisions import installed_revision
from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from aaow_storage_sql._migrations import migrate
    from aaow_storage_sql._schema import tables as schema
else:
    migrate = LateModule(f"{__package__}._migrations.migrate")
    schema = LateModule(f"{__package__}._schema.tables")


def refuse_foreign_tables(names: Collection[str]) -> None:
    """Refuse a store that has no version, if one of the names in it is that of a table of ours.

    Raises:
        SchemaVersionError: one is; those tables are another application's.
    """
    foreign = sorted({*names} & {*schema.metadata.tables})
    if foreign:
        remedy = f"the tables {', '.join(foreign)} are another application's; use another store"
        raise SchemaVersionError(None, revisions.HEAD, remedy)


def needs_upgrade(version: str | None, *, migrate: bool) -> bool:
    """Say whether the store has to be upgraded before use.

    Raises:
        SchemaVersionError: it is newer than this code, or older while `migrate` is False.
    """
    head = revisions.HEAD
    if version == head:
        return False
    unfinished = installed_revision(version)
    if version is not None and (unfinished or version) not in revisions.REVISIONS:
        raise SchemaVersionError(version, head, "it was made by a newer release; install that release or a later one")
    if not migrate:
        if unfinished:  # so far it has no version
            remedy = "its tables are being made, or that was interrupted; call initialize() with migrate=True to go on"
            raise SchemaVersionError(None, head, remedy)
        raise SchemaVersionError(version, head, "call initialize() with migrate=True to bring it up to date")
    return True


def migrate_to(connection: SQLConnection, current: str | None, revision: str) -> None:
    """Run the migrations, up or down, from the store's revision to another ("base" for none), in the open transaction.

    Raises:
        SchemaVersionError: the database commits each statement that changes the schema, so that nothing leads back.
        StorageError: a migration failed; the transaction has to be rolled back.
    """
    if connection.dialect.ddl_commits:
        problem = "this database commits each change of the schema, so a store never goes back to an earlier version"
        remedy = "restore a backup, or export the store and import it into a new one of the other release"
        raise SchemaVersionError(current, revision, f"{problem}; {remedy}")
    with without_alembics_log():
        migrate.migrate_to(connection, current, revision)
