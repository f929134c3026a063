"""The status of sessions, as operations on other records set it."""

from collections.abc import Iterable

import sqlalchemy as sa

from aaow_storage import SessionStatus, now
from aaow_storage_sql._repositories.recording import UPDATED, ids_before
from aaow_storage_sql._schema.tables import approval_requests, execution_states, sessions
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection

_STATUS = sa.bindparam("status", type_=sessions.c.status.type)
_SET = (
    sa.update(sessions)
    .where(sessions.c.id == sa.bindparam("session_id", type_=sessions.c.id.type))
    .values(status=_STATUS, updated_at=sa.bindparam("at", type_=sessions.c.updated_at.type))
)
_CHANGE = _SET.where(sessions.c.status != _STATUS)
_OF_REQUEST = (
    sa.select(sessions.c.id)
    .join_from(sessions, approval_requests, approval_requests.c.session_id == sessions.c.id)
    .where(approval_requests.c.id == sa.bindparam("id"))
)
_BY_ID = sa.select(sessions.c.id).where(sessions.c.id == sa.bindparam("id"))
_STATE_WITH_ANOTHER = (
    sa.select(execution_states.c.session_id)
    .join_from(sessions, execution_states, execution_states.c.session_id == sessions.c.id)
    .where(sessions.c.id == sa.bindparam("session_id"), sessions.c.status != _STATUS)
)
"""Selects the execution state of a session, if there is one, and it has another status."""


def set_status(connection: SQLConnection, session_ids: Iterable[str], status: SessionStatus | None) -> None:
    """Set the status of sessions, as an update does; None sets none."""
    if status is not None:
        at = now()
        for session_id in sorted({*session_ids}):
            states = states_to_change(connection, session_id, status)
            connection.run(_SET, {"session_id": session_id, "status": status, "at": at})
            connection.record("session", session_id, session_id, UPDATED)
            record_states(connection, states)


def change_status(connection: SQLConnection, session_id: str, status: SessionStatus) -> bool:
    """Set the status of a session, unless it has that status; then its `updated_at` stays as well.

    Return whether it had another one.
    """
    if not connection.run(_CHANGE, {"session_id": session_id, "status": status, "at": now()}):
        return False
    connection.record("session", session_id, session_id, UPDATED)
    return True


def states_to_change(connection: SQLConnection, session_id: str, status: SessionStatus) -> list[Row]:
    """Return the ids of the execution states that a status of a session is about to change, for `record_states`."""
    return ids_before(connection, _STATE_WITH_ANOTHER, {"session_id": session_id, "status": status})


def record_states(connection: SQLConnection, rows: Iterable[Row]) -> None:
    """Note that execution states were updated, whose ids are in the rows."""
    for (session_id,) in rows:
        connection.record("execution_state", session_id, session_id, UPDATED)


def lock_session_of(connection: SQLConnection, request_id: str) -> None:
    """Lock the session of an approval request before the request, as a deletion of the session does.

    So the two never wait for each other.
    """
    if not connection.dialect.has_one_writer:
        connection.row(connection.dialect.for_update(_OF_REQUEST), {"id": request_id})


def lock_sessions(connection: SQLConnection, session_ids: Iterable[str]) -> None:
    """Lock sessions in one order before their approval requests, for the same reason."""
    if not connection.dialect.has_one_writer:
        for session_id in sorted({*session_ids}):
            connection.row(connection.dialect.for_update(_BY_ID), {"id": session_id})
