"""Execution states, and the states of their nodes."""

import sqlalchemy as sa

from aaow_storage import NodeAttempt, NodeExecutionState, WorkflowExecutionState
from aaow_storage.errors import ValidationError
from aaow_storage_sql._corrupt_data import describe_row, unreadable
from aaow_storage_sql._mapping.record_rows import NODE_FIELDS, STATE_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow, InsertedRows
from aaow_storage_sql._mapping.rows import hydrate_all, hydrate_fields
from aaow_storage_sql._operation import operation
from aaow_storage_sql._schema.tables import execution_states, node_execution_states
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import save_row, save_rows

_STATE = sa.select(*(execution_states.c[name] for name in STATE_FIELDS)).where(
    execution_states.c.session_id == sa.bindparam("session_id")
)
_NODES = (
    sa.select(*(node_execution_states.c[name] for name in NODE_FIELDS))
    .where(node_execution_states.c.session_id == sa.bindparam("session_id"))
    .order_by(node_execution_states.c.node_id)
)


@operation(writes=True, is_idempotent=True)
def save(connection: SQLConnection, row: InsertedRow, nodes: InsertedRows | None) -> None:
    """Insert or replace the row of the state, and insert or replace its node states; other node states stay."""
    save_row(connection, execution_states, row)
    if nodes is not None:
        save_rows(connection, node_execution_states, nodes)


@operation(writes=False, is_point_read=True)
def get(connection: SQLConnection, session_id: str) -> WorkflowExecutionState | None:
    """Return the state with all its node states."""
    row = connection.row(connection.lock_if_interactive(_STATE), {"session_id": session_id})
    if row is None:
        return None
    rows = [_with_attempts(row) for row in connection.rows(_NODES, {"session_id": session_id})]
    nodes = hydrate_all(NodeExecutionState, NODE_FIELDS, rows)
    fields = dict(zip(STATE_FIELDS, row, strict=True))
    return hydrate_fields(WorkflowExecutionState, {**fields, "node_states": {node.node_id: node for node in nodes}})


def _with_attempts(row: Row) -> Row:
    """Return the row of a node with its attempts as records; they are the last column.

    Raises:
        CorruptDataError: they are not what `record_rows` writes.
    """
    *others, attempts = row
    if attempts is None:
        return (*others, ())
    try:
        return (*others, tuple(map(NodeAttempt.from_dict, attempts)))
    except (ValidationError, TypeError) as error:
        key = describe_row(NODE_FIELDS, row)
        raise unreadable(f"a stored NodeExecutionState{key and f' with the {key}'}", "attempts", error) from error


@operation(writes=True, is_single_statement=True, is_idempotent=True)
def update_node(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert or replace one node's state."""
    save_row(connection, node_execution_states, row)
