"""In-doubt transactions: whether a COMMIT succeeded whose connection was lost before the answer.

`pg_xact_status()` tells by the transaction id, unless the id was assigned twice: a server that crashed before it
flushed the transaction's WAL, or a standby that never received it, assigns the id again. So the WAL position is read
before COMMIT. A server that has restarted or taken over since says up to which position it recovered the WAL: a
transaction after that position is lost, and before it the id is unique.
"""

from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage_sql import LOST_IN_COMMIT, READ_THE_RECORDS, InDoubtError, SQLConnection


class _TransactionId(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        return "xid8"


class _WALPosition(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        return "pg_lsn"


def _text(expression: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.cast(expression, sa.Text)


_STARTED = _text(sa.extract("epoch", sa.func.pg_postmaster_start_time()))  # independent of the time zone
_TIMELINE = sa.func.left(sa.func.pg_walfile_name(sa.func.pg_current_wal_lsn()), 8)
_IDENTITY = sa.select(
    _text(sa.func.pg_current_xact_id_if_assigned()),
    _text(sa.func.pg_current_wal_insert_lsn()),
    _STARTED,
    _TIMELINE,
)
_IN_RECOVERY = sa.select(sa.func.pg_is_in_recovery())
_position = sa.cast(sa.bindparam("position", type_=sa.Text), _WALPosition())
_NOW = sa.select(
    _STARTED,
    _TIMELINE,
    sa.func.pg_last_wal_replay_lsn().is_(None),
    sa.func.coalesce(sa.func.pg_last_wal_replay_lsn() >= _position, sa.false()),
)
_STATUS = sa.select(sa.func.pg_xact_status(sa.cast(sa.bindparam("id", type_=sa.Text), _TransactionId())))


@frozen
class InDoubtTransaction:
    """A transaction before its COMMIT, as the server identifies it."""

    id: str
    position: str
    """A WAL position after everything that it wrote."""
    started: str
    """When the server process started."""
    timeline: str
    """The WAL timeline; a standby that takes over begins a new one."""

    def resolve(self, connection: SQLConnection) -> bool | None:
        """Ask on another connection whether the transaction was committed; None if that is not decided yet.

        Raises:
            InDoubtError: the server cannot know.
            StorageError: the question failed.
        """
        row = connection.row(_IN_RECOVERY)
        if row is None or row[0]:
            return None
        row = connection.row(_NOW, {"position": self.position})
        if row is None:
            return None
        started, timeline, recovered_nothing, has_it = row
        if (started, timeline) != (self.started, self.timeline):
            if recovered_nothing and timeline != self.timeline:
                problem = "the standby that has taken over cannot know whether it succeeded"
                raise InDoubtError(f"{LOST_IN_COMMIT}, and {problem}; {READ_THE_RECORDS}")
            if not recovered_nothing and not has_it:
                return False
        status = connection.row(_STATUS, {"id": self.id})
        return None if status is None or status[0] == "in progress" else status[0] == "committed"


def identify(connection: SQLConnection) -> InDoubtTransaction | None:
    """Return what identifies the open transaction; None if it has written nothing."""
    row = connection.row(_IDENTITY)
    return None if row is None or row[0] is None else InDoubtTransaction(*row)
