"""How much belongs to sessions, and deleting it from a large one some rows at a time."""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import SessionSize
from aaow_storage_sql._repositories.stream_events import keep_sequences_of_session
from aaow_storage_sql._schema.tables import (
    approval_requests,
    execution_states,
    llm_executions,
    messages,
    node_execution_states,
    sessions,
    stream_events,
    tool_call_logs,
)
from aaow_storage_sql._schema.types import CompressedText, JSONText
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect

ROW_BYTES = 40
"""About what a row takes besides its texts: ids, instants and numbers are counted with it."""
IDS = 500
"""How many sessions one query measures."""
_KINDS: dict[sa.Table, str | None] = {
    sessions: "session",
    execution_states: "execution_state",
    node_execution_states: None,  # parts of the execution state
    llm_executions: "llm_execution",
    messages: None,  # parts of executions
    tool_call_logs: "tool_call",
    approval_requests: "approval_request",
    stream_events: "stream_event",
}


def measure(connection: SQLConnection, session_ids: Sequence[str]) -> dict[str, SessionSize]:
    """Return how much each of the sessions has; one that is not stored has nothing."""
    counts: dict[str, Counter[str]] = {each: Counter() for each in session_ids}
    rows: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for start in range(0, len(session_ids), IDS):
        some = [*session_ids[start : start + IDS]]
        for table, kind in _KINDS.items():
            for select in _selects(connection.dialect, table):
                for session_id, count, size in connection.rows(select, {"ids": some}):
                    rows[session_id] += count
                    sizes[session_id] += count * ROW_BYTES + (size or 0)
                    if kind is not None:
                        counts[session_id][kind] += count
    return {each: SessionSize(counts=counts[each], rows=rows[each], stored_bytes=sizes[each]) for each in session_ids}


@functools.cache
def _selects(dialect: Dialect, table: sa.Table) -> tuple[Any, ...]:
    """Return the statements that count and measure the rows of a table by session."""
    if table is not tool_call_logs:
        return (_select(dialect, table, table.c.id if table is sessions else table.c.session_id, table),)
    of_executions = tool_call_logs.join(llm_executions, llm_executions.c.id == tool_call_logs.c.execution_id)
    return (
        _select(dialect, table, llm_executions.c.session_id, of_executions),
        _select(dialect, table, table.c.session_id, table, table.c.execution_id.is_(None)),
    )


def _select(
    dialect: Dialect, table: sa.Table, owner: sa.ColumnElement[Any], source: Any, *conditions: sa.ColumnElement[bool]
) -> Any:
    listed = dialect.listed("ids")
    is_listed = owner.in_(sa.select(listed.c.value))
    total = sa.func.sum(functools.reduce(lambda one, other: one + other, map(_length, _texts(table))))
    return (
        sa.select(owner, sa.func.count(), sa.cast(total, sa.BigInteger))
        .select_from(source)
        .where(is_listed, *conditions)
        .group_by(owner)
    )


def _texts(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """Return the columns that may hold long values, and an id."""
    long = [each for each in table.columns if isinstance(each.type, sa.Text | JSONText | CompressedText)]
    return [*long, next(iter(table.primary_key.columns))]


def _length(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.length(column, type_=sa.BigInteger), sa.literal_column("0"))


_SESSION = sa.bindparam("session_id", type_=sessions.c.id.type)
_LIMIT = sa.bindparam("limit", type_=sa.Integer)


def _some(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Any:
    """Return the DELETE of at most so many rows that meet the conditions."""
    key = [*table.primary_key.columns]
    # MariaDB has no LIMIT in the query of an IN, but in a table that it selects from.
    chosen = sa.select(*key).where(*conditions).limit(_LIMIT).subquery()
    named = key[0] if len(key) == 1 else sa.tuple_(*key)
    return sa.delete(table).where(named.in_(sa.select(*chosen.columns)))


_EXECUTIONS = sa.select(llm_executions.c.id).where(llm_executions.c.session_id == _SESSION)
_TRIMMED = (
    _some(tool_call_logs, tool_call_logs.c.execution_id.in_(_EXECUTIONS)),
    _some(tool_call_logs, tool_call_logs.c.session_id == _SESSION),
    _some(llm_executions, llm_executions.c.session_id == _SESSION),
    _some(messages, messages.c.session_id == _SESSION),
    _some(stream_events, stream_events.c.session_id == _SESSION),
)
"""What a session may have very much of, each before what it refers to."""


def trim(connection: SQLConnection, session_id: str, limit: int) -> int:
    """Delete at most so many rows that belong to a session, in the open transaction; return how many went."""
    keep_sequences_of_session(connection, session_id)
    deleted = 0
    for statement in _TRIMMED:
        if deleted < limit:
            deleted += connection.run(statement, {"session_id": session_id, "limit": limit - deleted})
    return deleted
