"""Bringing a store's schema to the version of this code, and telling which version it has."""

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
    """Return the revision of the store that has those tables, or None for one without a schema.

    Raises:
        SchemaVersionError: tables of another application have the names of ours.
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
    """Say whether the store has to be migrated before it can be used.

    Raises:
        SchemaVersionError: it is newer than this code, or it is older and `migrate` is False.
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
    """Run the migrations, either way, from the store's revision to another ("base" for none), in the open transaction.

    Raises:
        StorageError: one of them fails; the transaction has to be rolled back.
    """
    # Imported here, since opening a store that is up to date does not need it. alembic's proxies `context` and `op`
    # belong to the whole process: a program's own migrations may use them at this moment, so these do without.
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
