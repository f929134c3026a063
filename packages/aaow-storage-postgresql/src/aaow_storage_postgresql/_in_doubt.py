"""In-doubt transactions: whether a COMMIT succeeded whose connection was lost before the answer.

`pg_xact_status()` tells by the transaction id, unless the id was assigned twice: a server that crashed before it
flushed the transaction's WAL, or a standby that never received it, assigns the id again. So the WAL position is read
before COMMIT. A server that has restarted or taken over since says up to which position it recovered the WAL: a
transaction after that position is lost, and before it the id is unique.
"""

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import OutcomeUnknownError, StorageError, StorageUnavailableError
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import SQLConnection

_LOST = "the connection was lost during COMMIT"
_CHECK = "read the records to see whether it is stored"


class InDoubtError(OutcomeUnknownError):
    """The connection was lost during COMMIT, and no server can say whether it succeeded."""


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


def identify(connection: SQLConnection) -> InDoubtTransaction | None:
    """Return what identifies the open transaction; None if it has written nothing."""
    row = connection.row(_IDENTITY)
    return None if row is None or row[0] is None else InDoubtTransaction(*row)


def resolve(transaction: InDoubtTransaction, connection: SQLConnection) -> bool | None:
    """Ask on another connection whether a transaction was committed; None if that is not decided yet.

    Raises:
        InDoubtError: the server cannot know.
        StorageError: the question failed.
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
            raise InDoubtError(
                f"{_LOST}, and the standby that has taken over cannot know whether it succeeded; {_CHECK}"
            )
        if not recovered_nothing and not has_it:
            return False
    status = connection.row(_STATUS, {"id": transaction.id})
    return None if status is None or status[0] == "in progress" else status[0] == "committed"


def was_committed(
    transaction: InDoubtTransaction,
    settings: Settings,
    connect: Callable[[], SQLConnection],
    *,
    gives_up: Callable[[], bool],
) -> bool:
    """Ask on new connections whether a transaction was committed, until the answer is known.

    Raises:
        InDoubtError: the server cannot know; or none could be asked within `acquire_timeout`, or before `gives_up`
            returned True.
    """
    deadline = time.monotonic() + settings.acquire_timeout
    problem = "its task was cancelled"
    while not gives_up():
        problem = "it has not ended yet"
        outcome = None
        try:
            connection = connect()
            try:
                outcome = resolve(transaction, connection)
            finally:
                connection.close()
        except InDoubtError:
            raise
        except StorageUnavailableError as error:
            problem = str(error)
        except StorageError as error:  # not the transaction's own, so it does not mean a rollback
            raise InDoubtError(f"{_LOST}, and its outcome cannot be asked for: {error}; {_CHECK}") from error.__cause__
        if outcome is not None:
            return outcome
        if time.monotonic() > deadline:
            break
        time.sleep(settings.tuning.poll_pause_s())
    raise InDoubtError(f"{_LOST}, and no server could say whether it succeeded: {problem}; {_CHECK}")
