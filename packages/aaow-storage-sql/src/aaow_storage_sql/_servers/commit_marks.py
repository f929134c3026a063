"""Commit marks: whether a COMMIT succeeded whose connection was lost, for servers that have no means to tell.

Each connection has a token, and numbers its transactions. Just before COMMIT, a transaction stores its number in the
row of the token. If the connection is then lost, another connection asks, by writing to the same row: if it has the
number, the transaction is committed. If not, it stores that the transaction must not be, and commits that. From then on
the transaction is sure to fail, even if its COMMIT is still on its way: the server has rolled it back, since it held
the lock of the row; or, where each node of a cluster has its own locks, it conflicts with what is committed now. A
question that only reads does not have this effect.

It holds where a server that takes over has every commit that was acknowledged and every write that comes afterwards: on
one server, and on a cluster that certifies transactions. An asynchronous replica that is promoted has not.
"""

import functools
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage import now
from aaow_storage.errors import ContentionError
from aaow_storage_sql._schema.commit_marks import commit_marks
from aaow_storage_sql._servers.in_doubt import CommitQuestion
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect

KEPT = timedelta(days=7)
"""How long a row is kept after its last commit. A question is asked within `acquire_timeout`, much sooner."""
_REMOVED_AT_ONCE = 1000

_ROW = {column.name: sa.bindparam(column.name, type_=column.type) for column in commit_marks.columns}
_token = commit_marks.c.token == sa.bindparam("token", type_=commit_marks.c.token.type)
_STORED = sa.select(commit_marks.c.number).where(_token)
_before = commit_marks.c.at < sa.bindparam("before", type_=commit_marks.c.at.type)
_OLD = sa.select(commit_marks.c.token).where(_before).limit(sa.literal_column(str(_REMOVED_AT_ONCE)))
_REMOVE = sa.delete(commit_marks).where(_token, _before)


@frozen
class CommitMark(CommitQuestion):
    """A transaction that has stored its number in the row of its connection."""

    token: str
    number: int

    def resolve(self, connection: SQLConnection) -> bool | None:
        """Return whether the transaction is committed, and if not, see to it that it never will be.

        None if it is still open, or the answer conflicts with it.
        """
        try:
            connection.run_at_once(
                _fence(connection.dialect),
                {"token": self.token, "number": -self.number, "unless": self.number, "at": now()},
            )
        except ContentionError:
            return None
        row = connection.row(_STORED, {"token": self.token})
        return None if row is None else {self.number: True, -self.number: False}.get(row[0])


class CommitMarks:
    """The marks of one connection."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(16)
        self._number = 0

    def mark(self, connection: SQLConnection) -> CommitMark:
        """Store the number of the open transaction, just before its COMMIT.

        Raises:
            StorageError: it cannot be stored, so the transaction cannot be committed.
        """
        self._number += 1
        mark = CommitMark(self._token, self._number)
        connection.run(_store(connection.dialect), {"token": mark.token, "number": mark.number, "at": now()})
        return mark


def remove_old_marks(connection: SQLConnection) -> None:
    """Remove the rows of connections that are gone; it is for opening a store, outside of a transaction.

    They are removed one by one, so that no lock of an open transaction is waited for.
    """
    before = now() - KEPT
    for (token,) in connection.rows(_OLD, {"before": before}):
        connection.run_at_once(_REMOVE, {"token": token, "before": before})


@functools.cache
def _store(dialect: Dialect) -> Any:
    """Return the upsert of a row. It fails if the row says that the transaction must not be committed.

    So the mark may be sent together with COMMIT: if both arrive late, the database stops at the mark.
    """
    insert = dialect.insert(commit_marks).values(_ROW)
    number = sa.case((commit_marks.c.number > sa.literal_column("0"), insert.excluded.number))  # NULL is refused
    replaced = {"number": number, "at": insert.excluded.at}
    return insert.on_conflict_do_update(index_elements=["token"], set_=replaced)


@functools.cache
def _fence(dialect: Dialect) -> Any:
    """Return the upsert that replaces the number, unless it is the one of the parameter `unless`."""
    insert = dialect.insert(commit_marks).values(_ROW)
    is_committed = commit_marks.c.number == sa.bindparam("unless", type_=commit_marks.c.number.type)
    number = sa.case((is_committed, commit_marks.c.number), else_=insert.excluded.number)
    return insert.on_conflict_do_update(index_elements=["token"], set_={"number": number, "at": insert.excluded.at})
