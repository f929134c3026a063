"""The baseline: the same statements with the same durability on the bare `sqlite3` module, one call after another.

It is the fastest a program can be that knows its one table: no adapter, no thread, no event loop, no rules. A write is
one transaction with the checks that the adapter needs; a read decodes the same JSON and builds the same record.
Each function takes a connection and returns the operation on it.
"""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    NodeExecutionState,
    Session,
    WorkflowExecutionState,
    new_id,
)
from aaow_storage.authoring import without_documents
from benchmarks import payloads
from benchmarks.measuring import BareOperation
from benchmarks.payloads import RECORDS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SESSION_EXISTS = "SELECT 1 FROM sessions WHERE id = ?"
STATE_EXISTS = "SELECT 1 FROM execution_states WHERE session_id = ?"
SAVE_LLM_EXECUTION = """
INSERT INTO llm_executions (id, session_id, node_id, timestamp, success, prompt_tokens, completion_tokens, total_tokens,
    error, text, tool_calls, metadata)
VALUES (?, ?, ?, ?, 1, ?, ?, ?, NULL, ?, NULL, ?)
ON CONFLICT (id) DO UPDATE SET node_id = excluded.node_id, timestamp = excluded.timestamp, success = excluded.success,
    prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
    total_tokens = excluded.total_tokens, error = excluded.error, text = excluded.text,
    tool_calls = excluded.tool_calls, metadata = excluded.metadata
    WHERE llm_executions.session_id = excluded.session_id
"""
SAVE_NODE = """
INSERT INTO node_execution_states (session_id, node_id, status, error, started_at, completed_at, retry_count,
    pending_approval_id, input, output, metadata)
VALUES (?, ?, ?, NULL, NULL, NULL, ?, NULL, ?, ?, NULL)
ON CONFLICT (session_id, node_id) DO UPDATE SET status = excluded.status, error = excluded.error,
    started_at = excluded.started_at, completed_at = excluded.completed_at, retry_count = excluded.retry_count,
    pending_approval_id = excluded.pending_approval_id, input = excluded.input, output = excluded.output,
    metadata = excluded.metadata
"""
SAVE_STATE = """
INSERT INTO execution_states (session_id) VALUES (?)
ON CONFLICT (session_id) DO UPDATE SET budget_pool_id = excluded.budget_pool_id,
    current_node_id = excluded.current_node_id, started_at = excluded.started_at,
    completed_at = excluded.completed_at, metadata = excluded.metadata
"""
SET_STATUS = "UPDATE sessions SET status = ? WHERE id = ? AND status <> ?"
SAVE_INLINE_SESSION = "INSERT INTO inline_sessions VALUES (?, ?, ?, NULL, ?, ?, NULL, ?)"
INLINE_SESSIONS = """
CREATE TABLE inline_sessions (id TEXT NOT NULL PRIMARY KEY, workflow_id TEXT, status TEXT NOT NULL,
    parent_session_id TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, metadata TEXT,
    workflow_snapshot TEXT NOT NULL);
CREATE INDEX inline_by_time ON inline_sessions (created_at, id);
CREATE INDEX inline_by_status ON inline_sessions (status, created_at, id);
CREATE INDEX inline_by_workflow ON inline_sessions (workflow_id, created_at, id);
CREATE INDEX inline_by_parent ON inline_sessions (parent_session_id);
"""

READ_SESSION = """
SELECT sessions.id, workflow_id, status, parent_session_id, created_at, updated_at, metadata, digest, body
FROM sessions JOIN documents ON digest = snapshot_digest WHERE sessions.id = ?
"""
LIST_SESSIONS = """
SELECT id, workflow_id, status, parent_session_id, created_at, updated_at, metadata, snapshot_digest
FROM sessions ORDER BY created_at, id LIMIT 100
"""
READ_BODY = "SELECT body FROM documents WHERE digest = ?"
READ_POOL = """
SELECT id, parent_pool_id, total_budget, used_budget, status, created_at, metadata FROM budget_pools WHERE id = ?
"""
READ_APPROVAL = """
SELECT id, session_id, node_id, type, status, context, created_at, expires_at, resolved_at, resolved_by,
    resolution_notes
FROM approval_requests WHERE id = ?
"""
READ_STATE = """
SELECT sessions.status, budget_pool_id, current_node_id, started_at, completed_at, execution_states.metadata
FROM execution_states JOIN sessions ON sessions.id = session_id WHERE session_id = ?
"""
READ_NODES = """
SELECT node_id, status, input, output, error, started_at, completed_at, retry_count, pending_approval_id, metadata
FROM node_execution_states WHERE session_id = ? ORDER BY node_id
"""


def open_bare(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open a store as the adapter made it, with the durability of the adapter."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


# writes


def save_llm_execution(connection: sqlite3.Connection) -> BareOperation:
    """Save a model call of one session."""

    def save(number: int) -> None:
        usage = 900 + number % 100
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SESSION_EXISTS, ("session-0000000",)).fetchone()
        values = (new_id(), "session-0000000", "fetch", _microseconds(), usage, 80, usage + 80, payloads.SENTENCE)
        connection.execute(SAVE_LLM_EXECUTION, (*values, _json(payloads.MESSAGES)))
        connection.execute("COMMIT")

    return save


def update_node_state(connection: sqlite3.Connection) -> BareOperation:
    """Replace the state of one of twenty nodes."""

    def update(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(STATE_EXISTS, ("session-0000000",)).fetchone()
        connection.execute(SAVE_NODE, _node_row("session-0000000", f"node-{number % payloads.NODES}", number))
        connection.execute("COMMIT")

    return update


def save_execution_state(connection: sqlite3.Connection) -> BareOperation:
    """Save a state with twenty nodes."""

    def save(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SESSION_EXISTS, ("session-0000000",)).fetchone()
        connection.execute(SAVE_STATE, ("session-0000000",))
        connection.execute(SET_STATUS, ("running", "session-0000000", "running"))
        nodes = [_node_row("session-0000000", f"node-{each}", number) for each in range(payloads.NODES)]
        connection.executemany(SAVE_NODE, nodes)
        connection.execute("COMMIT")

    return save


def create_session_inline(connection: sqlite3.Connection) -> BareOperation:
    """Insert a session that carries its whole snapshot, as a table without shared documents has to."""
    connection.executescript(INLINE_SESSIONS)

    def create(number: int) -> None:
        del number
        now = _microseconds()
        values = (new_id(), "workflow", "running", now, now, _json(payloads.WORKFLOW.definition))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT 1 FROM workflows WHERE id = ?", ("workflow",)).fetchone()
        connection.execute(SAVE_INLINE_SESSION, values)
        connection.execute("COMMIT")

    return create


# reads


def get_session(connection: sqlite3.Connection) -> BareOperation:
    """Read one session and its snapshot."""

    def get(number: int) -> Session:
        row = connection.execute(READ_SESSION, (f"session-{number % RECORDS:07}",)).fetchone()
        return session_of(row, orjson.loads(row[-1]))

    return get


def get_budget_pool(connection: sqlite3.Connection) -> BareOperation:
    """Read one pool."""

    def get(number: int) -> BudgetPool:
        row = connection.execute(READ_POOL, (f"pool-{number % RECORDS:07}",)).fetchone()
        pool_id, parent, total, used, status, created, metadata = row
        return BudgetPool(
            id=pool_id,
            parent_pool_id=parent,
            total_budget=Decimal(total),
            used_budget=Decimal(used),
            status=status,
            created_at=_instant(created),
            metadata=_decoded(metadata),
        )

    return get


def get_approval_request(connection: sqlite3.Connection) -> BareOperation:
    """Read one request."""

    def get(number: int) -> ApprovalRequest:
        row = connection.execute(READ_APPROVAL, (f"approval-{number % RECORDS:07}",)).fetchone()
        request_id, session_id, node_id, kind, status, context, created, expires, resolved, by, notes = row
        return ApprovalRequest(
            id=request_id,
            session_id=session_id,
            node_id=node_id,
            type=kind,
            status=status,
            context=orjson.loads(context),
            created_at=_instant(created),
            expires_at=_optional_instant(expires),
            resolved_at=_optional_instant(resolved),
            resolved_by=by,
            resolution_notes=notes,
        )

    return get


def get_execution_state(connection: sqlite3.Connection) -> BareOperation:
    """Read a state with its twenty nodes."""

    def get(number: int) -> WorkflowExecutionState:
        del number
        row = connection.execute(READ_STATE, ("session-0000000",)).fetchone()
        nodes = {each[0]: _node(each) for each in connection.execute(READ_NODES, ("session-0000000",))}
        status, pool, current, started, completed, metadata = row
        return WorkflowExecutionState(
            session_id="session-0000000",
            status=status,
            budget_pool_id=pool,
            current_node_id=current,
            started_at=_optional_instant(started),
            completed_at=_optional_instant(completed),
            node_states=nodes,
            metadata=_decoded(metadata),
        )

    return get


def list_sessions(connection: sqlite3.Connection) -> BareOperation:
    """Read the first hundred sessions, each document once; sessions with equal snapshots share one object."""

    def list_all(number: int) -> list[Session]:
        del number
        rows = connection.execute(LIST_SESSIONS).fetchall()
        digests = {row[7] for row in rows}
        bodies = {digest: connection.execute(READ_BODY, (digest,)).fetchone()[0] for digest in digests}
        snapshots = {digest: orjson.loads(body) for digest, body in bodies.items()}
        return [session_of(row, snapshots[row[7]]) for row in rows]

    return list_all


def list_sessions_without_documents(connection: sqlite3.Connection) -> BareOperation:
    """Read the first hundred sessions, and no document."""
    return lambda number: [without_documents(session_of(row, {})) for row in connection.execute(LIST_SESSIONS)]


# rows and values


def _node_row(session_id: str, node_id: str, number: int) -> tuple[Any, ...]:
    node_input = _json({"topic": "storage", "attempt": number})
    return session_id, node_id, "completed", number % 3, node_input, _json({"text": payloads.SENTENCE * 3})


def session_of(row: tuple[Any, ...], snapshot: dict[str, Any]) -> Session:
    """Make a session of a row."""
    return Session(
        id=row[0],
        workflow_id=row[1],
        workflow_snapshot=snapshot,
        status=row[2],
        parent_session_id=row[3],
        created_at=_instant(row[4]),
        updated_at=_instant(row[5]),
        metadata=_decoded(row[6]),
    )


def _node(row: tuple[Any, ...]) -> NodeExecutionState:
    node_id, status, node_input, output, error, started, completed, retries, approval, metadata = row
    return NodeExecutionState(
        node_id=node_id,
        status=status,
        input=_decoded(node_input),
        output=_decoded(output),
        error=error,
        started_at=_optional_instant(started),
        completed_at=_optional_instant(completed),
        retry_count=retries,
        pending_approval_id=approval,
        metadata=_decoded(metadata),
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _decoded(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _microseconds() -> int:
    return time.time_ns() // 1000


def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _optional_instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)
