"""Running migrations, up or down.

They do not use alembic's proxies `context` and `op`: those belong to the process, and the program's own migrations may
use them at the same time.
"""

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


def migrate_to(connection: SQLConnection, current: str | None, revision: str) -> None:
    """Run the migrations from the store's revision to another ("base" for none), in the open transaction."""
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
