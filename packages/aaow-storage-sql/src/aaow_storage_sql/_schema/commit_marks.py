"""The table of commit marks, which only stores on servers without means of their own have; `_servers.commit_marks`."""

import sqlalchemy as sa

from aaow_storage_sql._schema.families import COUNT, NAME
from aaow_storage_sql._schema.types import Instant

commit_marks = sa.Table(
    "aaow_commit_marks",
    sa.MetaData(),
    sa.Column("token", NAME, primary_key=True),
    sa.Column("number", COUNT, nullable=False),
    sa.Column("at", Instant(), nullable=False),
)
"""A row for each connection that has committed.

`number` is that of its last transaction, or, negative, that of one which was kept from being committed. `at` is when
that was.
"""
