"""Running migrations, up or down.

They do not use alembic's proxies `context` and `op`: those belong to the process, and the program's own migrations may
use them at the same time.
"""

from collections.abc import Callable
from typing import cast

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from aaow_storage_sql._migrations.connection import OperationsConnection
from aaow_storage_sql._migrations.history import HISTORY
from aaow_storage_sql._schema.revisions import REVISIONS, VERSION_TABLE
from aaow_storage_sql._statements.connection import SQLConnection

_version = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


_delete_version = sa.delete(_version)
_insert_version = sa.insert(_version)
_texts: dict[tuple[Callable[[Operations], None], str], tuple[str, ...]] = {}
"""The statements of the changes that have run in this process, for each dialect: alembic takes 10 ms to make them.

A change whose statements depend on the store is not in it.
"""


def migrate_to(connection: SQLConnection, current: str | None, revision: str) -> None:
    """Run the migrations from the store's revision to another ("base" for none), in the open transaction."""
    order = ("base", *REVISIONS)
    before, after = order.index(current or "base"), order.index(revision)
    _run(connection, _create_version_table)
    for each in HISTORY[before:after]:
        _run(connection, each.upgrade)
    for each in reversed(HISTORY[after:before]):
        _run(connection, each.downgrade)
    connection.run(_delete_version)
    if after:
        connection.run(_insert_version, {"version_num": revision})


def _create_version_table(op: Operations) -> None:
    op.get_bind().execute(sa.schema.CreateTable(_version, if_not_exists=True))


def _run(connection: SQLConnection, change: Callable[[Operations], None]) -> None:
    key = change, connection.dialect.sqlalchemy_dialect.name
    if (texts := _texts.get(key)) is not None:
        for text in texts:
            connection.command(text)
        return
    handed = OperationsConnection(connection)
    change(Operations(MigrationContext.configure(cast("sa.Connection", handed))))
    if handed.is_all:
        _texts[key] = tuple(handed.texts)
