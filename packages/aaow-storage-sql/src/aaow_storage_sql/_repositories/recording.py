"""Noting what an operation changed, for the change feed, if the connection records changes itself."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from aaow_storage import Session
from aaow_storage.authoring import KINDS, same_record
from aaow_storage_sql._statements.connection import SQLConnection

CREATED, UPDATED, DELETED = "created", "updated", "deleted"


def record_update(connection: SQLConnection, stored: Any, changed: Any) -> None:
    """Note that a record was replaced, unless the new one is the same."""
    if connection.recorder is not None and not same_record(stored, changed):
        session_id = changed.id if isinstance(changed, Session) else getattr(changed, "session_id", None)
        connection.record(KINDS[type(changed)], changed.id, session_id, UPDATED)


def ids_before(connection: SQLConnection, statement: sa.Select[Any], parameters: dict[str, Any]) -> list[Any]:
    """Return the rows of a SELECT of what an operation is about to change; none if nothing is recorded here."""
    return [] if connection.recorder is None else connection.rows(statement, parameters)


def record_sessions(connection: SQLConnection, rows: Iterable[Any]) -> None:
    """Note that sessions were updated, whose ids are in the rows."""
    for (session_id,) in rows:
        connection.record("session", session_id, session_id, UPDATED)
