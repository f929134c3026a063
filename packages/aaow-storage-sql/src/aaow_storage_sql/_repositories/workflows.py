"""Workflow definitions."""

from typing import Any

import sqlalchemy as sa

from aaow_storage import QueryFilter, StoredWorkflow
from aaow_storage.authoring import QueryPlan, plan_query
from aaow_storage.errors import NotFoundError
from aaow_storage_sql._mapping.documents import Document
from aaow_storage_sql._mapping.record_rows import WORKFLOW_FIELDS, workflow_row
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import change_stored, hydrate
from aaow_storage_sql._operation import Lookup, operation
from aaow_storage_sql._repositories.documents import (
    decode_body,
    hydrate_list,
    release_document,
    store_document,
)
from aaow_storage_sql._repositories.recording import CREATED, DELETED, ids_before, record_sessions
from aaow_storage_sql._schema.tables import documents, sessions, workflows
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import save_row, try_insert
from aaow_storage_sql._statements.plan import plan_count, plan_rows
from aaow_storage_sql._statements.select import Source

_HYDRATED = (*WORKFLOW_FIELDS, "definition")
_ROWS = sa.select(workflows.c.definition_digest, *(workflows.c[name] for name in WORKFLOW_FIELDS))
_BODY = sa.select(documents.c.body).where(documents.c.digest == workflows.c.definition_digest).scalar_subquery()
_BY_ID = sa.select(_BODY.label("body"), *_ROWS.selected_columns).where(workflows.c.id == sa.bindparam("id"))
"""With its document in a subquery: FOR UPDATE locks what is joined too, in databases that cannot name what to lock, and
other records share the document."""
_DIGEST = sa.select(workflows.c.definition_digest).where(workflows.c.id == sa.bindparam("id"))
_DELETE = sa.delete(workflows).where(workflows.c.id == sa.bindparam("id"))
_SESSIONS = sa.select(sessions.c.id).where(sessions.c.workflow_id == sa.bindparam("id")).order_by(sessions.c.id)
_SOURCE = Source(_ROWS, {**workflows.c, "definition": _BODY})


@operation(writes=True, is_idempotent=True)
def save(connection: SQLConnection, row: InsertedRow, definition: Document) -> None:
    """Insert the workflow or replace it whole; delete a definition that no row uses any more."""
    previous = connection.row(connection.dialect.for_update(_DIGEST), {"id": row["id"]})
    digest = store_document(connection, definition)
    row = {**row, "definition_digest": digest}
    if previous is None:
        if try_insert(connection, workflows, row):
            connection.record("workflow", row["id"], None, CREATED)
            return
        previous = connection.row(connection.dialect.for_update(_DIGEST), {"id": row["id"]})
    connection.record("workflow", row["id"], None, save_row(connection, workflows, row))
    if previous is not None and previous[0] != digest:
        release_document(connection, previous[0])


def _workflow(row: Row) -> StoredWorkflow:
    body, digest, *values = row
    return hydrate(StoredWorkflow, _HYDRATED, [*values, decode_body(digest, body, StoredWorkflow, values[0])])


_LOOKUP = Lookup("workflow", _BY_ID, _workflow)
get = _LOOKUP.as_operation()


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[StoredWorkflow]:
    """Return the workflows that match the filter."""
    plan = plan_query(StoredWorkflow, filter, "created_at")
    return hydrate_list(connection, StoredWorkflow, _HYDRATED, plan_rows(connection, _SOURCE, plan), plan)


@operation(writes=False)
def count(connection: SQLConnection, filter: QueryFilter | None) -> int:
    """Count the workflows that match the filter."""
    return plan_count(connection, _SOURCE, plan_query(StoredWorkflow, filter, "created_at"))


@operation(writes=True)
def update(connection: SQLConnection, id: str, only_if: QueryPlan | None, changes: Any) -> StoredWorkflow:
    """Apply the changes to the stored workflow."""
    changed = change_stored(_LOOKUP.lock(connection, id), only_if, changes)
    save.run(connection, *workflow_row(changed))
    return changed


@operation(writes=True)
def delete(connection: SQLConnection, id: str) -> None:
    """Delete the workflow, and its definition unless another row uses it."""
    row = connection.row(connection.dialect.for_update(_DIGEST), {"id": id})
    if row is None:
        raise NotFoundError("workflow", id)
    unbound = ids_before(connection, _SESSIONS, {"id": id})
    connection.run(_DELETE, {"id": id})
    connection.record("workflow", id, None, DELETED)
    record_sessions(connection, unbound)
    release_document(connection, row[0])
