"""What became of a transaction whose commit was under way when its connection was lost.

A server tells by the id of a transaction whether it committed, unless it has given the id a second time: one that
crashed before it wrote anything of the transaction down, or a standby that never received any of it, knows nothing of
the first. So the place in the log behind all that the transaction wrote is noted before the commit. Where the server
is another one than before, or was started again, it says up to which place it has recovered the log: what is behind
that is gone, and an id before it was given once.
"""

from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_sql import SQLConnection


class InDoubtError(StorageUnavailableError):
    """The connection was lost during a commit, and no server can say what became of it."""


class _TransactionId(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        return "xid8"


class _Position(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        return "pg_lsn"


def _text(expression: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.cast(expression, sa.Text)


_STARTED = _text(sa.extract("epoch", sa.func.pg_postmaster_start_time()))  # the same in every time zone
_TIMELINE = sa.func.left(sa.func.pg_walfile_name(sa.func.pg_current_wal_lsn()), 8)
_PENDING = sa.select(
    _text(sa.func.pg_current_xact_id_if_assigned()),
    _text(sa.func.pg_current_wal_insert_lsn()),
    _STARTED,
    _TIMELINE,
)
_IN_RECOVERY = sa.select(sa.func.pg_is_in_recovery())
_position = sa.cast(sa.bindparam("position", type_=sa.Text), _Position())
_NOW = sa.select(
    _STARTED,
    _TIMELINE,
    sa.func.pg_last_wal_replay_lsn().is_(None),
    sa.func.coalesce(sa.func.pg_last_wal_replay_lsn() >= _position, sa.false()),
)
_STATUS = sa.select(sa.func.pg_xact_status(sa.cast(sa.bindparam("id", type_=sa.Text), _TransactionId())))


@frozen
class InDoubtTransaction:
    """A transaction that is about to be committed, as its server knows it."""

    id: str
    position: str
    """Behind all that it wrote into the log."""
    started: str
    timeline: str


def identify(connection: SQLConnection) -> InDoubtTransaction | None:
    """Return what is to be known of the transaction that is open; None for one that wrote nothing."""
    row = connection.row(_PENDING)
    return None if row is None or row[0] is None else InDoubtTransaction(*row)


def resolve(transaction: InDoubtTransaction, connection: SQLConnection) -> bool | None:
    """Say whether a transaction was committed, on another connection; None where that is not decided yet.

    Raises:
        InDoubtError: the server cannot know.
        StorageError: it could not be asked.
    """
    row = connection.row(_IN_RECOVERY)
    if row is None or row[0]:
        return None
    row = connection.row(_NOW, {"position": transaction.position})
    if row is None:
        return None
    started, timeline, recovered_nothing, has_it = row
    if (started, timeline) != (transaction.started, transaction.timeline):
        if recovered_nothing and timeline != transaction.timeline:
            raise InDoubtError("a server that has taken over, and was started again since, does not know of the commit")
        if not recovered_nothing and not has_it:
            return False
    status = connection.row(_STATUS, {"id": transaction.id})
    return None if status is None or status[0] == "in progress" else status[0] == "committed"
