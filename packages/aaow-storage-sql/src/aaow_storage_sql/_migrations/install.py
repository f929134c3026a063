"""The steps that make a store from the metadata, for databases that commit each statement that changes the schema.

Until the last step, the version of the store says that it is being installed, by which release, and the name of its
change feed: so two processes that install at the same time write the same. No store of such a database has been at a
revision before the one that it was installed at.
"""

import functools
from collections.abc import Sequence

import sqlalchemy as sa

from aaow_storage_sql._migrations.steps import Stage, Step, set_version
from aaow_storage_sql._migrations.table_steps import creating_table
from aaow_storage_sql._migrations.versions.v0010_change_feed import first_row
from aaow_storage_sql._schema import revisions
from aaow_storage_sql._schema.revisions import VERSION_TABLE, generation_of
from aaow_storage_sql._schema.tables import metadata, schema_version

_HAS_VERSION = f"SELECT 1 FROM {VERSION_TABLE}"  # noqa: S608 - a name of ours


def beginning(dialect: sa.Dialect, found: str | None, begun: str) -> Stage:
    """Return the steps to a version which says that this release makes the store.

    What another release began to make is dropped: it has never been opened.
    """
    if found is None:
        insert = f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{begun}')"  # noqa: S608 - names of ours
        return Stage(
            "the version of the store, until it has all tables",
            (*creating_table(schema_version, dialect), Step(insert, _HAS_VERSION)),
        )
    dropped = [Step(f"DROP TABLE IF EXISTS {table.name}") for table in reversed(metadata.sorted_tables)]
    return Stage("what another release began to make", (*dropped, set_version(found, begun)))


def creating(dialect: sa.Dialect, tables: Sequence[sa.Table], begun: str) -> Stage:
    """Return the steps from that version to the latest revision.

    Args:
        dialect: the SQLAlchemy dialect of the database.
        tables: what the store of this backend has beside the tables of every store.
        begun: a version which says that this release makes the store.
    """
    created = _all_created(dialect, tuple(tables))
    feed = Step(first_row(generation_of(begun)), "SELECT 1 FROM change_feed")
    head = revisions.HEAD
    return Stage(f"{head}: all tables, as this release has them", (*created, feed, set_version(begun, head)))


@functools.lru_cache(maxsize=10)
def _all_created(dialect: sa.Dialect, tables: tuple[sa.Table, ...]) -> tuple[Step, ...]:
    """Return the steps that create the tables of every store, and those; to compile them takes long."""
    return tuple(step for table in (*metadata.sorted_tables, *tables) for step in creating_table(table, dialect))
