"""LLM executions and the tool calls logged for them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from aaow_storage import LLMExecution, QueryFilter, TokenUsage, ToolCall, ToolCallLog
from aaow_storage.authoring import OMITTED_FIELDS, check_execution_of_call, plan_query, without_documents
from aaow_storage.errors import CorruptDataError, ValidationError
from aaow_storage_sql._mapping.inputs import EncodedInput
from aaow_storage_sql._mapping.record_rows import EXECUTION_FIELDS, TOOL_CALL_FIELDS, USAGE_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import hydrate, hydrate_all, hydrate_fields
from aaow_storage_sql._operation import FALL_BACK, FallBack, operation
from aaow_storage_sql._repositories.message_statements import WHETHER_NULL
from aaow_storage_sql._repositories.messages import InputReader, save_after_known, store_messages
from aaow_storage_sql._repositories.recording import CREATED
from aaow_storage_sql._schema.tables import llm_executions, tool_call_logs
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import done_by_upsert, insert_row, require_new, save_last, save_row
from aaow_storage_sql._statements.plan import plan_count, plan_rows
from aaow_storage_sql._statements.select import Source

_HYDRATED = ("session_id", "node_id", *EXECUTION_FIELDS, "tool_calls", "usage")
_ID_AT, _INPUT_AT, _CALLS_AT = map(_HYDRATED.index, ("id", "input", "tool_calls"))
_EXECUTION_COLUMNS = (*_HYDRATED[: _CALLS_AT + 1], *USAGE_FIELDS, "input_digest")
_NO_USAGE = (None,) * len(USAGE_FIELDS)


def _executions(*conditions: sa.ColumnElement[bool]) -> dict[bool, Source]:
    """Return the sources of executions with their documents and without them, by `QueryPlan.documents`."""
    left_out: dict[bool, tuple[str, ...]] = {True: (), False: ("input_digest", *OMITTED_FIELDS[LLMExecution])}
    return {
        documents: Source(
            sa.select(
                *(sa.null().label(name) if name in names else llm_executions.c[name] for name in _EXECUTION_COLUMNS)
            ).where(*conditions),
            dict(llm_executions.c),
            WHETHER_NULL,
        )
        for documents, names in left_out.items()
    }


_IN_SESSION = llm_executions.c.session_id == sa.bindparam("in_session")
_ALL = _executions()
_OF_SESSION = _executions(_IN_SESSION)
_OF_NODE = _executions(_IN_SESSION, llm_executions.c.node_id == sa.bindparam("in_node"))


def _of_execution(name: str, id: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression of the session or the node of an execution."""
    return sa.select(llm_executions.c[name]).where(llm_executions.c.id == id).scalar_subquery()


def _calls_where(
    condition: sa.ColumnElement[bool], session_id: sa.ColumnElement[Any], node_id: sa.ColumnElement[Any]
) -> Source:
    """Return the source of some tool calls; a call without a session or a node of its own has the given one."""
    columns: dict[str, sa.ColumnElement[Any]] = dict(tool_call_logs.c)
    for name, other in (("session_id", session_id), ("node_id", node_id)):
        columns[name] = sa.func.coalesce(columns[name], other, type_=columns[name].type).label(name)
    return Source(sa.select(*(columns[name] for name in TOOL_CALL_FIELDS)).where(condition), columns)


_EXECUTION_ID = tool_call_logs.c.execution_id
_ALL_CALLS = _calls_where(
    sa.true(), _of_execution("session_id", _EXECUTION_ID), _of_execution("node_id", _EXECUTION_ID)
)
_ID = sa.bindparam("in_execution", type_=llm_executions.c.id.type)
_CALLS_OF_EXECUTION = _calls_where(
    _EXECUTION_ID == _ID,
    _of_execution("session_id", _ID),  # of one execution, so that the database looks for it once
    _of_execution("node_id", _ID),
)
_SESSION_ID = sa.bindparam("in_session", type_=llm_executions.c.session_id.type)
_CALLS_OF_SESSION = _calls_where(
    tool_call_logs.c.id.in_(
        sa.union_all(
            sa.select(tool_call_logs.c.id).where(tool_call_logs.c.session_id == _SESSION_ID),
            sa.select(tool_call_logs.c.id)
            .join(llm_executions, llm_executions.c.id == _EXECUTION_ID)
            .where(llm_executions.c.session_id == _SESSION_ID),
        )
    ),
    _SESSION_ID,
    _of_execution("node_id", _EXECUTION_ID),
)


_parts = sa.union_all(
    _calls_where(
        llm_executions.c.session_id == _SESSION_ID, llm_executions.c.session_id, llm_executions.c.node_id
    ).select.join(llm_executions, llm_executions.c.id == _EXECUTION_ID),
    # Both parts have expressions, because SQLite sorts the parts alone and merges them only if their types are alike.
    _calls_where(
        sa.and_(tool_call_logs.c.session_id == _SESSION_ID, _EXECUTION_ID.is_(None)), sa.null(), sa.null()
    ).select,
).subquery("parts")
_CALLS_OF_SESSION_UNLOCKED = Source(
    sa.select(*(_parts.c[name] for name in TOOL_CALL_FIELDS)), dict(_parts.c), is_lockable=False
)
"""The same calls, where no rows are locked because one transaction writes at a time. SQLite finds these faster."""
_EXECUTION_OF_CALL = sa.select(llm_executions.c.session_id, llm_executions.c.node_id).where(
    llm_executions.c.id == sa.bindparam("execution_id")
)


_OF_CALL = {"tool_call_id", "tool_name", "args", "result", "error"}


@operation(writes=True, is_single_statement=True, is_idempotent=True, saves_one_row=True)
def save(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the execution, or replace the whole row; its logged tool calls stay."""
    save_last(connection, llm_executions, row, "llm_execution")


def _save_after_known(
    connection: SQLConnection, row: InsertedRow, input: EncodedInput
) -> Literal[FallBack.FALL_BACK] | None:
    if not save_after_known(connection, row, input):
        return FALL_BACK
    connection.record("llm_execution", row["id"], row["session_id"], done_by_upsert(connection))
    return None


@operation(writes=True, fast_path=_save_after_known, is_idempotent=True)
def save_with_messages(connection: SQLConnection, row: InsertedRow, input: EncodedInput) -> None:
    """Save the execution as `save` does, and the messages of its input unless they are stored already."""
    connection.record("llm_execution", row["id"], row["session_id"], save_row(connection, llm_executions, row))
    store_messages(connection, row["session_id"], input)


@operation(writes=False)
def of_session(connection: SQLConnection, session_id: str, filter: QueryFilter | None) -> list[LLMExecution]:
    """Return the executions of a session that match the filter."""
    return _listed(connection, _OF_SESSION, filter, {"in_session": session_id})


@operation(writes=False)
def of_node(connection: SQLConnection, session_id: str, node_id: str, filter: QueryFilter | None) -> list[LLMExecution]:
    """Return the executions of a node that match the filter."""
    return _listed(connection, _OF_NODE, filter, {"in_session": session_id, "in_node": node_id})


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[LLMExecution]:
    """Return the executions of all sessions that match the filter."""
    return _listed(connection, _ALL, filter, {})


@operation(writes=False)
def count(connection: SQLConnection, filter: QueryFilter | None) -> int:
    """Count the executions that match the filter."""
    return plan_count(connection, _ALL[False], plan_query(LLMExecution, filter, "timestamp"))


@operation(writes=True, is_single_statement=True)
def log_call(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the tool call."""
    insert_row(connection, tool_call_logs, row)
    _record_call(connection, row)


@operation(writes=True)
def log_call_of(connection: SQLConnection, row: InsertedRow, session_id: str | None, node_id: str | None) -> None:
    """Insert the tool call of an execution, which has to be of that session and node, as far as they are given."""
    found = connection.row(connection.lock_if_interactive(_EXECUTION_OF_CALL), {"execution_id": row["execution_id"]})
    if found is not None:
        try:
            check_execution_of_call(session_id, node_id, *found)
        except ValidationError:
            require_new(connection, tool_call_logs, row)  # that an id is taken is said first, as by any insert
            raise
    insert_row(connection, tool_call_logs, row)
    _record_call(connection, row)


def _record_call(connection: SQLConnection, row: InsertedRow) -> None:
    """Note that a tool call was created, in its session, or else that of its execution."""
    if connection.recorder is not None:
        session_id = row.get("session_id")
        if session_id is None:
            ((session_id, _),) = connection.rows(_EXECUTION_OF_CALL, {"execution_id": row["execution_id"]})
        connection.record("tool_call", row["id"], session_id, CREATED)


@operation(writes=False)
def calls_of_execution(connection: SQLConnection, execution_id: str, filter: QueryFilter | None) -> list[ToolCallLog]:
    """Return the tool calls of an execution that match the filter."""
    return _calls(connection, _CALLS_OF_EXECUTION, filter, {"in_execution": execution_id})


@operation(writes=False)
def calls_of_session(connection: SQLConnection, session_id: str, filter: QueryFilter | None) -> list[ToolCallLog]:
    """Return the tool calls of all executions of a session that match the filter."""
    source = _CALLS_OF_SESSION_UNLOCKED if connection.dialect.has_one_writer else _CALLS_OF_SESSION
    return _calls(connection, source, filter, {"in_session": session_id})


@operation(writes=False)
def list_calls(connection: SQLConnection, filter: QueryFilter | None) -> list[ToolCallLog]:
    """Return the tool calls of all sessions that match the filter."""
    return _calls(connection, _ALL_CALLS, filter, {})


def _listed(
    connection: SQLConnection, sources: Mapping[bool, Source], filter: QueryFilter | None, scope: Mapping[str, Any]
) -> list[LLMExecution]:
    plan = plan_query(LLMExecution, filter, "timestamp")
    rows = plan_rows(connection, sources[plan.documents], plan, scope)
    digests, values = [row[-1] for row in rows], [*map(_values, rows)]
    if digests.count(None) < len(digests):
        values = _with_inputs(connection, digests, values)
    executions = hydrate_all(LLMExecution, _HYDRATED, values)
    return executions if plan.documents else [*map(without_documents, executions)]


def _with_inputs(connection: SQLConnection, digests: Sequence[Any], values: Sequence[Row]) -> list[Row]:
    """Return the values of executions with the inputs that have a digest, which are read from the messages."""
    ids = [row[_ID_AT] for row, digest in zip(values, digests, strict=True) if digest is not None]
    reader = InputReader(connection, ids)
    return [
        row if digest is None else (*row[:_INPUT_AT], reader.input(row[0], digest, row[_ID_AT]), *row[_INPUT_AT + 1 :])
        for row, digest in zip(values, digests, strict=True)
    ]


def _calls(
    connection: SQLConnection, source: Source, filter: QueryFilter | None, scope: Mapping[str, Any]
) -> list[ToolCallLog]:
    plan = plan_query(ToolCallLog, filter, "timestamp")
    return hydrate_all(ToolCallLog, TOOL_CALL_FIELDS, plan_rows(connection, source, plan, scope))


def _values(row: Row) -> Row:
    """Return the values of the fields of an execution, in the order of `_HYDRATED`."""
    calls, usage = row[_CALLS_AT], row[_CALLS_AT + 1 : -1]
    return (
        *row[:_CALLS_AT],
        None if calls is None else _tool_calls(calls, row[_ID_AT]),
        None if usage == _NO_USAGE else hydrate(TokenUsage, USAGE_FIELDS, usage),
    )


def _tool_calls(calls: Any, id: Any) -> tuple[ToolCall, ...]:
    """Return the tool calls in the row of an execution.

    Raises:
        CorruptDataError: they do not have the keys that `record_rows` writes.
    """
    if type(calls) is list and all(type(call) is dict and call.keys() == _OF_CALL for call in calls):
        return tuple(hydrate_fields(ToolCall, call) for call in calls)
    raise CorruptDataError(
        f"LLMExecution.tool_calls of the stored LLMExecution {id!a:.300} is not a list of tool calls"
    )
