"""Approval requests."""

import functools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import sqlalchemy as sa

from aaow_storage import ApprovalRequest, ApprovalStatus, QueryFilter, SessionStatus, now
from aaow_storage.authoring import QueryPlan, check_pending, plan_query, resolved
from aaow_storage_sql._mapping.record_rows import APPROVAL_REQUEST_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import (
    change_stored,
    hydrate,
    hydrate_all,
    update_by_id,
    update_parameters,
)
from aaow_storage_sql._operation import Lookup, operation
from aaow_storage_sql._repositories.recording import CREATED, record_update
from aaow_storage_sql._repositories.session_status import lock_session_of, lock_sessions, set_status
from aaow_storage_sql._schema.tables import approval_requests
from aaow_storage_sql._schema.types import Instant
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.insert import insert_row
from aaow_storage_sql._statements.plan import plan_count, plan_rows
from aaow_storage_sql._statements.select import Source

_ROWS = sa.select(*(approval_requests.c[name] for name in APPROVAL_REQUEST_FIELDS))
_BY_ID = _ROWS.where(approval_requests.c.id == sa.bindparam("id"))
_CHANGING = ("status", "context", "expires_at", "resolved_at", "resolved_by", "resolution_notes")
_UPDATE = update_by_id(approval_requests, _CHANGING)
_ALL = Source(_ROWS, dict(approval_requests.c))
_OF_SESSION = Source(
    _ROWS.where(approval_requests.c.session_id == sa.bindparam("in_session")), dict(approval_requests.c)
)
_IS_PENDING = approval_requests.c.status == ApprovalStatus.PENDING.value
_IS_DUE = approval_requests.c.expires_at <= sa.bindparam("at", type_=Instant())
_IS_DECIDABLE = (_IS_PENDING, sa.or_(approval_requests.c.expires_at.is_(None), sa.not_(_IS_DUE)))
_PENDING = Source(_ROWS.where(*_IS_DECIDABLE), dict(approval_requests.c))
_DUE = _ROWS.where(_IS_PENDING, _IS_DUE).order_by(approval_requests.c.created_at, approval_requests.c.id)
_SESSIONS_OF_DUE = sa.select(approval_requests.c.session_id).where(_IS_PENDING, _IS_DUE)


@operation(writes=True, is_single_statement=True)
def create(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the request."""
    insert_row(connection, approval_requests, row)
    connection.record("approval_request", row["id"], row["session_id"], CREATED)


_LOOKUP = Lookup("approval_request", _BY_ID, lambda row: hydrate(ApprovalRequest, APPROVAL_REQUEST_FIELDS, row))
get = _LOOKUP.as_operation()


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[ApprovalRequest]:
    """Return the requests of all sessions that match the filter."""
    return _requests(connection, _ALL, filter, {})


@operation(writes=False)
def count(connection: SQLConnection, filter: QueryFilter | None) -> int:
    """Count the requests that match the filter."""
    return plan_count(connection, _ALL, plan_query(ApprovalRequest, filter, "created_at"))


@operation(writes=False)
def of_session(connection: SQLConnection, session_id: str, filter: QueryFilter | None) -> list[ApprovalRequest]:
    """Return the requests of a session that match the filter."""
    return _requests(connection, _OF_SESSION, filter, {"in_session": session_id})


@operation(writes=False)
def pending(connection: SQLConnection, filter: QueryFilter | None, at: datetime) -> list[ApprovalRequest]:
    """Return the requests that are pending and not expired at that instant, and match the filter."""
    return _requests(connection, _PENDING, filter, {"at": at})


@operation(writes=True)
def update(connection: SQLConnection, id: str, only_if: QueryPlan | None, changes: Any) -> ApprovalRequest:
    """Apply the changes to a pending request."""
    stored = _LOOKUP.lock(connection, id)
    check_pending(stored)
    return _update_row(connection, stored, change_stored(stored, only_if, changes))


@operation(writes=True)
def resolve(
    connection: SQLConnection, id: str, resolution: Mapping[str, Any], session_status: SessionStatus | None
) -> ApprovalRequest:
    """Approve or reject a pending request, and set the status of its session, if there is one to set."""
    if session_status is not None:
        lock_session_of(connection, id)
    stored = _LOOKUP.lock(connection, id)
    request = _update_row(connection, stored, resolved(stored, **resolution, at=now()))
    set_status(connection, [request.session_id], session_status)
    return request


@operation(writes=True)
def expire(connection: SQLConnection, at: datetime, session_status: SessionStatus | None) -> list[ApprovalRequest]:
    """Expire the pending requests whose `expires_at` has come at that instant, and set the status of their sessions."""
    if session_status is not None:
        lock_sessions(connection, (session_id for (session_id,) in connection.rows(_SESSIONS_OF_DUE, {"at": at})))
    due = [
        hydrate(ApprovalRequest, APPROVAL_REQUEST_FIELDS, row)
        for row in connection.rows(connection.dialect.for_update(_DUE), {"at": at})
    ]
    set_status(connection, (request.session_id for request in due), session_status)
    return [_update_row(connection, request, attrs.evolve(request, status=ApprovalStatus.EXPIRED)) for request in due]


@operation(writes=False)
def decisions(
    connection: SQLConnection, ids: Collection[str], at: datetime
) -> tuple[Mapping[str, datetime | None], Sequence[ApprovalRequest]]:
    """Return until when each of the requests can be decided that can be, and those that cannot be decided any more."""
    rows = connection.rows(_decidable(connection.dialect), {"ids": [*ids], "at": at})
    decidable = {request_id: expires_at for request_id, expires_at, can_be in rows if can_be}
    others = [each for each in ids if each not in decidable]
    rows = connection.rows(_listed(connection.dialect), {"ids": others}) if others else []
    return decidable, hydrate_all(ApprovalRequest, APPROVAL_REQUEST_FIELDS, rows)


@functools.cache
def _decidable(dialect: Dialect) -> Any:
    """Return the SELECT of the id and `expires_at` of many requests, and of whether each can be decided.

    That is no condition of the SELECT, because PostgreSQL guesses how many rows meet it, and may then read all of them.
    """
    columns = (approval_requests.c.id, approval_requests.c.expires_at)
    return _of_listed(dialect, sa.select(*columns, sa.and_(*_IS_DECIDABLE).label("can_be")))


@functools.cache
def _listed(dialect: Dialect) -> Any:
    """Return the SELECT of many requests."""
    return _of_listed(dialect, _ROWS)


def _of_listed(dialect: Dialect, rows: sa.Select[Any]) -> Any:
    listed = dialect.listed("ids")
    return rows.join_from(listed, approval_requests, approval_requests.c.id == listed.c.value)


def _requests(
    connection: SQLConnection, source: Source, filter: QueryFilter | None, scope: dict[str, Any]
) -> list[ApprovalRequest]:
    plan = plan_query(ApprovalRequest, filter, "created_at")
    return hydrate_all(ApprovalRequest, APPROVAL_REQUEST_FIELDS, plan_rows(connection, source, plan, scope))


def _update_row(connection: SQLConnection, stored: ApprovalRequest, request: ApprovalRequest) -> ApprovalRequest:
    connection.run(_UPDATE, update_parameters(_CHANGING, request))
    record_update(connection, stored, request)
    return request
