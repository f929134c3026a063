"""Rows of a dict, with the columns that the records of contract 1.0 had."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    BudgetPool,
    CorruptDataError,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    NotFoundError,
    Session,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    ValidationError,
    WorkflowExecutionState,
)
from aaow_storage.authoring import KINDS, check_record, dumps, loads

COLUMNS: dict[type, tuple[str, ...]] = {
    StoredWorkflow: ("id", "name", "version", "definition", "created_at", "updated_at", "metadata"),
    Session: (
        *("id", "workflow_id", "workflow_snapshot", "status", "parent_session_id"),
        *("created_at", "updated_at", "metadata"),
    ),
    WorkflowExecutionState: (
        *("session_id", "status", "budget_pool_id", "current_node_id"),
        *("started_at", "completed_at", "node_states", "metadata"),
    ),
    NodeExecutionState: (
        *("node_id", "status", "input", "output", "error", "started_at", "completed_at"),
        *("retry_count", "pending_approval_id", "metadata"),
    ),
    LLMExecutionResult: ("id", "timestamp", "success", "text", "tool_calls", "usage", "error", "metadata"),
    LLMExecution: (
        *("id", "timestamp", "success", "text", "tool_calls", "usage", "error", "metadata"),
        *("session_id", "node_id"),
    ),
    TokenUsage: ("prompt_tokens", "completion_tokens", "total_tokens"),
    ToolCall: ("tool_call_id", "tool_name", "args", "result", "error"),
    ToolCallLog: (
        *("tool_call_id", "tool_name", "args", "result", "error"),
        *("id", "execution_id", "timestamp", "duration_ms"),
    ),
    BudgetPool: ("id", "parent_pool_id", "total_budget", "used_budget", "status", "created_at", "metadata"),
    ApprovalRequest: (
        *("id", "session_id", "node_id", "type", "status", "context", "created_at"),
        *("expires_at", "resolved_at", "resolved_by", "resolution_notes"),
    ),
    StreamEvent: ("id", "stream_id", "node_id", "data", "timestamp"),
}
"""The columns of each record: its fields, when this backend was written."""

Row = dict[str, str | int | float | bool | None]

DOCUMENTS = {"args", "context", "data", "definition", "input", "metadata", "output", "result", "workflow_snapshot"}
INSTANTS = {"completed_at", "created_at", "expires_at", "resolved_at", "started_at", "timestamp", "updated_at"}
PARTS = {"node_states": NodeExecutionState, "tool_calls": ToolCall, "usage": TokenUsage}


def row_of(kind: type, record: Any) -> Row:
    """Make the row of a record of that kind; raise ValidationError if it was made invalid after it was built."""
    check_record(kind.__name__, "row", record, kind)
    return {name: column_of(kind, name, getattr(record, name)) for name in COLUMNS[kind]}


def column_of(kind: type, name: str, value: Any) -> str | int | float | bool | None:
    if name in DOCUMENTS:
        return dumps(value, record=kind.__name__, field=name)
    if name in PARTS and value is not None:
        part = PARTS[name]
        if isinstance(value, dict):
            return dumps({key: row_of(part, each) for key, each in value.items()}, record=kind.__name__, field=name)
        return dumps([row_of(part, each) for each in value] if isinstance(value, tuple) else row_of(part, value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value.value if isinstance(value, Enum) else value


def record_of(kind: type, row: Any) -> Any:
    """Build the record of a row, which checks every value again."""
    return kind(**{name: field_of(name, column) for name, column in row.items()})


def field_of(name: str, column: Any) -> Any:
    if column is None or name not in {*DOCUMENTS, *INSTANTS, *PARTS}:
        return column  # a status and an amount are made of their text by the record
    if name in INSTANTS:
        return datetime.fromisoformat(column)
    value: Any = loads(column)
    if name == "node_states":
        return {key: record_of(NodeExecutionState, each) for key, each in value.items()}
    if name == "tool_calls":
        return [record_of(ToolCall, each) for each in value]
    return record_of(TokenUsage, value) if name == "usage" else value


def stored(kind: type, row: Row) -> Any:
    """Build the record of a stored row, or raise CorruptDataError."""
    try:
        return record_of(kind, row)
    except (ValidationError, TypeError, ValueError, AttributeError) as error:
        raise CorruptDataError(f"a stored row of {kind.__name__} cannot be read: {error}") from error


class Rows(dict[tuple[type, str], Row]):
    """The rows by kind and id: tables, each with a primary key."""

    def find(self, kind: type, id: str | None) -> Any:
        row = self.get((kind, id))
        return None if row is None else stored(kind, row)

    def existing(self, kind: type, id: str) -> Any:
        if (kind, id) not in self:
            raise NotFoundError(KINDS[kind], id)
        return self.find(kind, id)

    def all(self, kind: type, **columns: Any) -> list[Any]:
        """Return the records of the rows with those values: the `where` of a database with an index on them."""
        rows = [row for (each, _), row in self.items() if each is kind]
        return [stored(kind, row) for row in rows if all(row[name] == columns[name] for name in columns)]

    def check_new(self, kind: type, id: str) -> None:
        if (kind, id) in self:
            raise AlreadyExistsError(KINDS[kind], id)

    def check_parent(self, kind: type, id: str | None) -> None:
        if id is not None and (kind, id) not in self:
            raise NotFoundError(KINDS[kind], id)

    def put(self, id: str, record: Any) -> None:
        self[type(record), id] = row_of(type(record), record)


def checked(operation: str, argument: str, value: Any, kind: type) -> Any:
    """Return a copy, so that a change by the caller while the operation waits is not stored."""
    check_record(operation, argument, value, kind)
    return record_of(kind, row_of(kind, value))
