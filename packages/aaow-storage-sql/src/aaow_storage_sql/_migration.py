"""Bringing a store's schema to the version of this code, and telling which version it has."""

from pathlib import Path

import sqlalchemy as sa

from aaow_storage.errors import SchemaVersionError
from aaow_storage_sql._connection import SQLConnection
from aaow_storage_sql._schema import REVISIONS, VERSION_TABLE, metadata

LATEST = REVISIONS[-1]

_version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String))
_VERSIONS = sa.select(_version.c.version_num)


def stored_version(connection: SQLConnection, tables: set[str]) -> str | None:
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
        raise SchemaVersionError(None, LATEST, remedy)
    return None


def migration_is_due(version: str | None, *, migrate: bool) -> bool:
    """Say whether the store has to be migrated before it can be used.

    Raises:
        SchemaVersionError: it is newer than this code, or it is older and `migrate` is False.
    """
    if version == LATEST:
        return False
    if version is not None and version not in REVISIONS:
        raise SchemaVersionError(version, LATEST, "it was made by a newer release; install that release or a later one")
    if not migrate:
        remedy = "call initialize() with migrate=True to bring it up to date"
        raise SchemaVersionError(version, LATEST, remedy)
    return True


def migrate_to(connection: sa.Connection, revision: str) -> None:
    """Run the migrations, either way, to a revision ("base" for none), inside the transaction that is open."""
    # Imported here, since opening a store that is up to date does not need it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "_migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    current = connection.scalar(_VERSIONS) if sa.inspect(connection).has_table(VERSION_TABLE) else None
    order = ("base", *REVISIONS)
    if order.index(revision) >= order.index(current or "base"):
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)
