"""Sessions, each with the snapshot of its workflow."""

from typing import Any, Literal

import sqlalchemy as sa

from aaow_storage import QueryFilter, Session
from aaow_storage.authoring import QueryPlan, plan_query
from aaow_storage.errors import NotFoundError
from aaow_storage_sql._mapping.documents import Document
from aaow_storage_sql._mapping.record_rows import SESSION_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import (
    change_stored,
    hydrate,
    update_by_id,
    update_parameters,
)
from aaow_storage_sql._operation import FALL_BACK, FallBack, Lookup, operation
from aaow_storage_sql._repositories.documents import (
    decode_body,
    hydrate_list,
    is_free,
    release_document,
    store_document,
)
from aaow_storage_sql._repositories.recording import CREATED, DELETED, ids_before, record_sessions, record_update
from aaow_storage_sql._repositories.session_status import record_states, states_to_change
from aaow_storage_sql._repositories.stream_events import keep_sequences_of_session
from aaow_storage_sql._schema.tables import documents, sessions
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import insert_row, try_insert
from aaow_storage_sql._statements.plan import plan_count, plan_rows
from aaow_storage_sql._statements.select import Source

_HYDRATED = (*SESSION_FIELDS, "workflow_snapshot")
_ROWS = sa.select(sessions.c.snapshot_digest, *(sessions.c[name] for name in SESSION_FIELDS))
_BODY = sa.select(documents.c.body).where(documents.c.digest == sessions.c.snapshot_digest).scalar_subquery()
_BY_ID = sa.select(_BODY.label("body"), *_ROWS.selected_columns).where(sessions.c.id == sa.bindparam("id"))
"""With its document in a subquery: FOR UPDATE locks what is joined too, in databases that cannot name what to lock, and
other records share the document."""
_DIGEST = sa.select(sessions.c.snapshot_digest).where(sessions.c.id == sa.bindparam("id"))
_DELETE = sa.delete(sessions).where(sessions.c.id == sa.bindparam("id"))
_CHILDREN = sa.select(sessions.c.id).where(sessions.c.parent_session_id == sa.bindparam("id")).order_by(sessions.c.id)
_CHANGING = ("status", "updated_at", "metadata")
_UPDATE = update_by_id(sessions, _CHANGING)
_SOURCE = Source(_ROWS, {**sessions.c, "workflow_snapshot": _BODY})


def _create_with_known_snapshot(
    connection: SQLConnection, row: InsertedRow, snapshot: Document
) -> Literal[FallBack.FALL_BACK] | None:
    """Insert the session if its snapshot is stored already and nothing else is in the way."""
    if not is_free(connection, snapshot.digest) or not try_insert(connection, sessions, row):
        return FALL_BACK
    connection.record("session", row["id"], row["id"], CREATED)
    return None


@operation(writes=True, fast_path=_create_with_known_snapshot)
def create(connection: SQLConnection, row: InsertedRow, snapshot: Document) -> None:
    """Insert the session, and its snapshot unless that is stored already."""
    digest = store_document(connection, snapshot)
    insert_row(connection, sessions, {**row, "snapshot_digest": digest})
    connection.record("session", row["id"], row["id"], CREATED)


def _session(row: Row) -> Session:
    body, digest, *values = row
    return hydrate(Session, _HYDRATED, [*values, decode_body(digest, body, Session, values[0])])


_LOOKUP = Lookup("session", _BY_ID, _session)
get = _LOOKUP.as_operation()


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[Session]:
    """Return the sessions that match the filter."""
    plan = plan_query(Session, filter, "created_at")
    return hydrate_list(connection, Session, _HYDRATED, plan_rows(connection, _SOURCE, plan), plan)


@operation(writes=False)
def count(connection: SQLConnection, filter: QueryFilter | None) -> int:
    """Count the sessions that match the filter."""
    return plan_count(connection, _SOURCE, plan_query(Session, filter, "created_at"))


@operation(writes=True)
def update(connection: SQLConnection, id: str, only_if: QueryPlan | None, changes: Any) -> Session:
    """Apply the changes to the stored session."""
    stored = _LOOKUP.lock(connection, id)
    changed = change_stored(stored, only_if, changes)
    states = [] if changed.status is stored.status else states_to_change(connection, id, changed.status)
    connection.run(_UPDATE, update_parameters(_CHANGING, changed))
    record_update(connection, stored, changed)
    record_states(connection, states)
    return changed


@operation(writes=True)
def delete(connection: SQLConnection, id: str) -> None:
    """Delete the session; its foreign keys delete what belongs to it."""
    row = connection.row(connection.dialect.for_update(_DIGEST), {"id": id})
    if row is None:
        raise NotFoundError("session", id)
    keep_sequences_of_session(connection, id)
    children = ids_before(connection, _CHILDREN, {"id": id})
    connection.run(_DELETE, {"id": id})
    connection.record("session", id, id, DELETED)
    record_sessions(connection, children)
    release_document(connection, row[0])
