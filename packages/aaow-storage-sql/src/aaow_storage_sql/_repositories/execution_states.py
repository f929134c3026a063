"""Execution states, and the states of their nodes."""

import sqlalchemy as sa

from aaow_storage import NodeExecutionState, WorkflowExecutionState
from aaow_storage_sql._mapping.rows import InsertedRow, InsertedRows, RowEncoder, hydrate_all, hydrate_fields
from aaow_storage_sql._operation import operation
from aaow_storage_sql._schema.tables import execution_states, node_execution_states
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import save_row, save_rows

_FIELDS = ("session_id", "status", "budget_pool_id", "current_node_id", "started_at", "completed_at", "metadata")
_NODE_FIELDS = (
    "node_id",
    "status",
    "input",
    "output",
    "error",
    "started_at",
    "completed_at",
    "retry_count",
    "pending_approval_id",
    "metadata",
)
_STATE = sa.select(*(execution_states.c[name] for name in _FIELDS)).where(
    execution_states.c.session_id == sa.bindparam("session_id")
)
_NODES = (
    sa.select(*(node_execution_states.c[name] for name in _NODE_FIELDS))
    .where(node_execution_states.c.session_id == sa.bindparam("session_id"))
    .order_by(node_execution_states.c.node_id)
)


_row = RowEncoder(execution_states, _FIELDS)
_node_row = RowEncoder(node_execution_states, _NODE_FIELDS)


def rows_of(state: WorkflowExecutionState) -> tuple[InsertedRow, InsertedRows | None]:
    """Return the row of a state, and the rows of its node states; None if it has none."""
    nodes = state.node_states.values()
    return _row(state), _node_row.all(nodes, session_id=state.session_id) if nodes else None


def node_row_of(session_id: str, state: NodeExecutionState) -> InsertedRow:
    """Return the row of a node's state."""
    return _node_row(state, session_id=session_id)


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
    nodes = hydrate_all(NodeExecutionState, _NODE_FIELDS, connection.rows(_NODES, {"session_id": session_id}))
    fields = dict(zip(_FIELDS, row, strict=True))
    return hydrate_fields(WorkflowExecutionState, {**fields, "node_states": {node.node_id: node for node in nodes}})


@operation(writes=True, is_single_statement=True, is_idempotent=True)
def update_node(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert or replace one node's state."""
    save_row(connection, node_execution_states, row)
