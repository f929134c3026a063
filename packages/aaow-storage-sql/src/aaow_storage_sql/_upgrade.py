"""Upgrading the schema of a store, and reading which version it has."""

from typing import cast

import sqlalchemy as sa

from aaow_storage.errors import SchemaVersionError
from aaow_storage_sql._schema.tables import REVISIONS, VERSION_TABLE, metadata
from aaow_storage_sql._statements.connection import SQLConnection

HEAD = REVISIONS[-1]

_version = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
_VERSIONS = sa.select(_version.c.version_num)


def read_version(connection: SQLConnection, tables: set[str]) -> str | None:
    """Return the revision of the store that has those tables; None if it has no schema.

    Raises:
        SchemaVersionError: another application has tables with the names of ours.
    """
    versions = connection.rows(_VERSIONS) if VERSION_TABLE in tables else []
    if versions:
        return str(versions[0][0])
    foreign = sorted(tables & set(metadata.tables))
    if foreign:
        remedy = f"the tables {', '.join(foreign)} are another application's; use another store"
        raise SchemaVersionError(None, HEAD, remedy)
    return None


def needs_upgrade(version: str | None, *, migrate: bool) -> bool:
    """Say whether the store has to be upgraded before use.

    Raises:
        SchemaVersionError: it is newer than this code, or older while `migrate` is False.
    """
    if version == HEAD:
        return False
    if version is not None and version not in REVISIONS:
        raise SchemaVersionError(version, HEAD, "it was made by a newer release; install that release or a later one")
    if not migrate:
        remedy = "call initialize() with migrate=True to bring it up to date"
        raise SchemaVersionError(version, HEAD, remedy)
    return True


def migrate_to(connection: SQLConnection, current: str | None, revision: str) -> None:
    """Run the migrations, up or down, from the store's revision to another ("base" for none), in the open transaction.

    Raises:
        StorageError: a migration failed; the transaction has to be rolled back.
    """
    # Imported here, because opening a store that is up to date does not need it. The migrations do not use alembic's
    # proxies `context` and `op`: those belong to the process, and the program's own migrations may use them now.
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415

    from aaow_storage_sql._migrations.connection import OperationsConnection  # noqa: PLC0415
    from aaow_storage_sql._migrations.history import HISTORY  # noqa: PLC0415

    handed = cast("sa.Connection", OperationsConnection(connection))
    op = Operations(MigrationContext.configure(handed))
    order = ("base", *REVISIONS)
    before, after = order.index(current or "base"), order.index(revision)
    handed.execute(sa.schema.CreateTable(_version, if_not_exists=True))
    for each in HISTORY[before:after]:
        each.upgrade(op)
    for each in reversed(HISTORY[after:before]):
        each.downgrade(op)
    connection.run(sa.delete(_version))
    if after:
        connection.run(sa.insert(_version), {"version_num": revision})
