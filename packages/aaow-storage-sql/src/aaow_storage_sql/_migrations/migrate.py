"""Running migrations, up or down.

They do not use alembic's proxies `context` and `op`: those belong to the process, and the program's own migrations may
use them at the same time.
"""

from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from aaow_storage.authoring import loads
from aaow_storage_sql._migrations.connection import OperationsConnection
from aaow_storage_sql._migrations.history import HISTORY
from aaow_storage_sql._migrations.versions.v0010_change_feed import begin_feed
from aaow_storage_sql._schema.revisions import REVISIONS
from aaow_storage_sql._schema.tables import schema_version
from aaow_storage_sql._statements.connection import SQLConnection

_delete_version = sa.delete(schema_version)
_insert_version = sa.insert(schema_version)
_new_schemas: dict[str, tuple[str, ...]] = {}
"""The statements that make a new store, for each dialect that lists them: alembic takes 20 ms to make one."""


def migrate_to(connection: SQLConnection, current: str | None, revision: str) -> None:
    """Run the migrations from the store's revision to another ("base" for none), in the open transaction."""
    order = ("base", *REVISIONS)
    before, after = order.index(current or "base"), order.index(revision)
    is_new = after == len(REVISIONS) and connection.dialect.list_schema is not None and not schema_of(connection)
    if is_new and (made := _new_schemas.get(connection.dialect.sqlalchemy_dialect.name)):
        for text in made:
            connection.command(text)
        begin_feed(connection)
        connection.run(_insert_version, {"version_num": revision})
        return
    _run(connection, _create_version_table)
    for each in HISTORY[before:after]:
        _run(connection, each.upgrade)
    for each in reversed(HISTORY[after:before]):
        _run(connection, each.downgrade)
    connection.run(_delete_version)
    if after:
        connection.run(_insert_version, {"version_num": revision})
    if is_new:
        _new_schemas[connection.dialect.sqlalchemy_dialect.name] = schema_of(connection)


def schema_of(connection: SQLConnection) -> tuple[str, ...]:
    """Return the statements that make the tables and indexes of the store, if its dialect has a way to ask."""
    listed = connection.dialect.list_schema
    row = None if listed is None else connection.command(listed)
    made: Any = () if row is None else loads(row[0])
    return tuple(made)


def _create_version_table(op: Operations) -> None:
    op.get_bind().execute(sa.schema.CreateTable(schema_version, if_not_exists=True))


def _run(connection: SQLConnection, change: Callable[[Operations], None]) -> None:
    handed = OperationsConnection(connection)
    change(Operations(MigrationContext.configure(cast("sa.Connection", handed))))
