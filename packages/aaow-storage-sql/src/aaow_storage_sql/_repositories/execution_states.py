"""Execution states, and the states of their nodes."""

from collections.abc import Sequence
from typing import TypeVar

import sqlalchemy as sa

from aaow_storage import NodeAttempt, NodeExecutionState, NodeState, QueryFilter, SessionStatus, WorkflowExecutionState
from aaow_storage.authoring import plan_query
from aaow_storage.errors import ValidationError
from aaow_storage_sql._corrupt_data import describe_row, unreadable
from aaow_storage_sql._mapping.record_rows import NODE_FIELDS, STATE_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow, InsertedRows
from aaow_storage_sql._mapping.rows import hydrate, hydrate_all, hydrate_fields
from aaow_storage_sql._operation import operation
from aaow_storage_sql._repositories.recording import UPDATED
from aaow_storage_sql._repositories.session_status import change_status
from aaow_storage_sql._schema.tables import execution_states, node_execution_states, sessions
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import save_row, save_rows
from aaow_storage_sql._statements.plan import plan_rows
from aaow_storage_sql._statements.select import Source

_COLUMNS = {**execution_states.c, "status": sessions.c.status}
"""Where the fields of a state are: its status is that of its session, so that there is only one."""
_STATES = sa.select(*(_COLUMNS[name] for name in STATE_FIELDS)).join_from(
    sessions, execution_states, execution_states.c.session_id == sessions.c.id
)
_STATE = _STATES.where(execution_states.c.session_id == sa.bindparam("session_id"))
_NODE_ROWS = sa.select(*(node_execution_states.c[name] for name in NODE_FIELDS))
_OF_SESSION = node_execution_states.c.session_id == sa.bindparam("session_id")
_NODES = _NODE_ROWS.where(_OF_SESSION).order_by(node_execution_states.c.node_id)
_NODE = _NODE_ROWS.where(_OF_SESSION, node_execution_states.c.node_id == sa.bindparam("node_id"))
_ALL_STATES = Source(_STATES, _COLUMNS)
_ALL_NODES = Source(
    sa.select(node_execution_states.c.session_id, *(node_execution_states.c[name] for name in NODE_FIELDS)),
    dict(node_execution_states.c),
)

StateT = TypeVar("StateT", bound=NodeExecutionState)


@operation(writes=True, is_idempotent=True)
def save(connection: SQLConnection, row: InsertedRow, status: SessionStatus, nodes: InsertedRows | None) -> None:
    """Insert or replace the row of the state, and insert or replace its node states; other node states stay.

    The session comes first, because a deletion locks it first.
    """
    has_new_status = change_status(connection, row["session_id"], status)
    done = save_row(connection, execution_states, row)
    has_new_nodes = nodes is not None and save_rows(connection, node_execution_states, nodes) > 0
    if has_new_status or has_new_nodes:
        done = done or UPDATED
    connection.record("execution_state", row["session_id"], row["session_id"], done)


@operation(writes=False, is_point_read=True)
def get(connection: SQLConnection, session_id: str) -> WorkflowExecutionState | None:
    """Return the state with all its node states."""
    row = connection.row(connection.lock_if_interactive(_STATE), {"session_id": session_id})
    return None if row is None else _state(connection, row)


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[WorkflowExecutionState]:
    """Return the states of all sessions that match the filter, each with all its node states."""
    plan = plan_query(WorkflowExecutionState, filter, "session_id")
    return [_state(connection, row) for row in plan_rows(connection, _ALL_STATES, plan)]


@operation(writes=False, is_point_read=True)
def get_node(connection: SQLConnection, session_id: str, node_id: str) -> NodeExecutionState | None:
    """Return the state of one node."""
    key = {"session_id": session_id, "node_id": node_id}
    row = connection.row(connection.lock_if_interactive(_NODE), key)
    return None if row is None else hydrate(NodeExecutionState, NODE_FIELDS, (*row[:-1], _attempts(NODE_FIELDS, row)))


@operation(writes=False)
def list_nodes(connection: SQLConnection, filter: QueryFilter | None) -> list[NodeState]:
    """Return the node states of all sessions that match the filter."""
    rows = plan_rows(connection, _ALL_NODES, plan_query(NodeState, filter, "session_id"))
    return _nodes(NodeState, ("session_id", *NODE_FIELDS), rows)


def _state(connection: SQLConnection, row: Row) -> WorkflowExecutionState:
    """Return the state of a row, with all its node states."""
    connection.check_not_cancelled()
    session_id = row[STATE_FIELDS.index("session_id")]
    nodes = _nodes(NodeExecutionState, NODE_FIELDS, connection.rows(_NODES, {"session_id": session_id}))
    fields = dict(zip(STATE_FIELDS, row, strict=True))
    return hydrate_fields(WorkflowExecutionState, {**fields, "node_states": {node.node_id: node for node in nodes}})


def _nodes(record: type[StateT], names: Sequence[str], rows: Sequence[Row]) -> list[StateT]:
    """Return the node states of rows, whose last column has the attempts.

    Raises:
        CorruptDataError: a row has a value that was never stored.
    """
    if not rows:
        return []
    *columns, _ = zip(*rows, strict=True)
    return hydrate_all(record, names, zip(*columns, [_attempts(names, row) for row in rows], strict=True))


def _attempts(names: Sequence[str], row: Row) -> tuple[NodeAttempt, ...]:
    """Return the attempts in the row of a node as records.

    Raises:
        CorruptDataError: they are not what `record_rows` writes.
    """
    attempts = row[-1]
    if attempts is None:
        return ()
    try:
        return tuple(map(NodeAttempt.from_dict, attempts))
    except (ValidationError, TypeError) as error:
        key = describe_row(names, row)
        raise unreadable(f"a stored NodeExecutionState{key and f' with the {key}'}", "attempts", error) from error


@operation(writes=True, is_single_statement=True, is_idempotent=True)
def update_node(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert or replace one node's state."""
    if save_row(connection, node_execution_states, row) is not None:
        connection.record("execution_state", row["session_id"], row["session_id"], UPDATED)
