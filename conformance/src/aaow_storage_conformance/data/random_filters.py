"""Random conditions, filters and groups on records with few values, so that they often find some."""

from collections.abc import Iterator
from typing import Any, get_args

from hypothesis import strategies as st

from aaow_storage import (
    All,
    AnyOf,
    ApprovalRequest,
    ApprovalStatus,
    Between,
    BudgetPool,
    BudgetPoolStatus,
    Contains,
    Direction,
    FieldName,
    Ge,
    In,
    LLMExecution,
    Lt,
    Ne,
    NodeExecutionStatus,
    NodeState,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    Session,
    SessionStatus,
    StartsWith,
    StoredWorkflow,
    StreamEvent,
    StreamSummary,
    ToolCallLog,
    UsageKey,
    WorkflowExecutionState,
)
from aaow_storage.authoring import resolve_field
from aaow_storage_conformance.data import random_records as records
from aaow_storage_conformance.data.versions import is_tested_since

_FIELDS: dict[type, dict[FieldName, tuple[Any, ...]]] = {
    StoredWorkflow: {
        "id": records.WORKFLOWS,
        "name": records.TEXTS,
        "created_at": records.INSTANTS,
        ("metadata", "a"): records.SCALARS,
        ("definition", "a.b"): records.SCALARS,
    },
    Session: {
        "id": records.SESSIONS,
        "workflow_id": records.WORKFLOWS,
        "parent_session_id": records.SESSIONS,
        "status": tuple(SessionStatus),
        ("metadata", "a"): records.SCALARS,
        ("workflow_snapshot", "a.b"): records.SCALARS,
    },
    LLMExecution: {
        "node_id": records.NODES,
        "session_id": records.SESSIONS,
        "success": (True, False),
        "text": records.TEXTS,
        "timestamp": records.INSTANTS,
        ("metadata", "a"): records.SCALARS,
    },
    ToolCallLog: {
        "tool_name": records.TEXTS,
        "duration_ms": (0.0, 0.5, 12.0),
        "timestamp": records.INSTANTS,
        ("args", "a"): records.SCALARS,
    },
    BudgetPool: {
        "parent_pool_id": records.POOLS,
        "used_budget": records.AMOUNTS,
        "total_budget": records.AMOUNTS,
        "status": tuple(BudgetPoolStatus),
        ("metadata", "a"): records.SCALARS,
    },
    ApprovalRequest: {
        "session_id": records.SESSIONS,
        "status": tuple(ApprovalStatus),
        "expires_at": (records.PAST, records.FUTURE),
        "node_id": records.NODES,
        ("context", "a"): records.SCALARS,
    },
    StreamEvent: {"stream_id": records.STREAMS, "node_id": records.NODES, "timestamp": records.INSTANTS},
}
_LATER_FIELDS: dict[type, dict[FieldName, tuple[Any, ...]]] = {
    LLMExecution: {
        "model": records.MODELS,
        "completed_at": records.INSTANTS,
        "cost": records.AMOUNTS,
        "attempt": (0, 1, 2),
        "total_tokens": tuple(range(4)),
        "reasoning_tokens": tuple(range(4)),
        ("input", "a"): records.SCALARS,
    },
    ToolCallLog: {"session_id": records.SESSIONS, "node_id": records.NODES, "execution_id": records.EXECUTIONS},
    StreamEvent: {"session_id": records.SESSIONS},
    StreamSummary: {
        "stream_id": records.STREAMS,
        "session_id": records.SESSIONS,
        "events": (1, 2),
        "first_event_at": records.INSTANTS,
    },
    WorkflowExecutionState: {
        "session_id": records.SESSIONS,
        "status": tuple(SessionStatus),
        "current_node_id": records.NODES,
        "started_at": records.INSTANTS,
        ("metadata", "a"): records.SCALARS,
    },
    NodeState: {
        "session_id": records.SESSIONS,
        "node_id": records.NODES,
        "status": tuple(NodeExecutionStatus),
        "retry_count": (0, 1, 2),
        ("output", "a"): records.SCALARS,
    },
}
"""The fields that came with contract 1.1."""
_DOCUMENTS: dict[type, tuple[FieldName, ...]] = {
    StoredWorkflow: ("metadata",),
    Session: ("metadata",),
    LLMExecution: ("metadata", "input", "output"),
    ToolCallLog: ("result",),
    ApprovalRequest: ("context",),
    NodeState: ("output",),
}
"""JSON fields that conditions may name without a path since contract 1.1."""


def filters(kind: type) -> st.SearchStrategy[QueryFilter | None]:
    """Return a strategy for filters of that kind of record, most of them with conditions, an order and a page."""
    where, alternatives = wheres(kind), st.none()
    orders = st.lists(
        st.builds(
            OrderBy,
            records.one_of_these([name for name in _fields(kind) if isinstance(name, str)]),
            records.one_of_these(Direction),
        ),
        max_size=2,
    )
    found = st.builds(
        QueryFilter,
        where=where,
        order_by=orders,
        limit=records.limits,
        offset=st.integers(0, 2),
        documents=st.booleans(),
        any_of=alternatives | st.lists(where, max_size=2) if is_tested_since("1.1") else alternatives,
    )
    return st.none() | st.builds(QueryFilter, order_by=orders) | found


def choices(kind: type) -> st.SearchStrategy[QueryFilter | None]:
    """Return a strategy for filters without an order and a page."""
    return st.none() | st.builds(QueryFilter, where=wheres(kind), documents=st.booleans())


def wheres(kind: type) -> st.SearchStrategy[dict[FieldName, Any]]:
    """Return a strategy for mappings of some fields of that kind of record to conditions."""
    optional = {name: _condition(values) for name, values in _fields(kind).items()}
    if is_tested_since("1.1"):
        optional |= {name: records.one_of_these((None, Ne(None), Not(None))) for name in _DOCUMENTS.get(kind, ())}
    return st.fixed_dictionaries({}, optional=optional)


def filters_of(record: Any) -> Iterator[QueryFilter]:
    """Yield filters that name one field of the record each: its value, anything else, one alternative, and none."""
    kind: Any = type(record)
    for name in _fields(kind):
        value = resolve_field(kind, name).value_of(record)
        is_dotted = isinstance(name, tuple) and not any("." in key for key in name)
        yield QueryFilter({".".join(name) if is_dotted else name: value})
        yield QueryFilter({name: Not(value)}, documents=False)
        yield QueryFilter({name: Not(AnyOf(value, None))}, limit=2, offset=1)
        yield QueryFilter(any_of=[{name: value}, {name: AnyOf()}])
    yield QueryFilter(any_of=[])


groups = st.lists(st.sampled_from(get_args(UsageKey)), unique=True, max_size=3).map(tuple)
"""A strategy for what `summarize_usage` groups by."""


def _fields(kind: type) -> dict[FieldName, tuple[Any, ...]]:
    later = _LATER_FIELDS.get(kind, {}) if is_tested_since("1.1") else {}
    return {**_FIELDS.get(kind, {}), **later}


def _condition(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    one = st.none() | records.one_of_these(values)
    some = st.lists(one, max_size=3)
    conditions: list[st.SearchStrategy[Any]] = [one, st.builds(Ne, one), st.builds(In, some), st.builds(NotIn, some)]
    comparable = [value for value in values if value is not None and not isinstance(value, bool)]
    if comparable:
        conditions += [st.builds(Lt, records.one_of_these(comparable)), st.builds(Ge, records.one_of_these(comparable))]
    if texts := [value for value in values if isinstance(value, str)]:
        conditions += [
            st.builds(Contains, records.one_of_these(texts)),
            st.builds(StartsWith, records.one_of_these(texts)),
        ]
    if not is_tested_since("1.1"):
        return st.one_of(conditions)
    if comparable:
        ends = records.one_of_these(comparable)
        conditions.append(st.builds(Between, ends, ends))
    simple = st.one_of(conditions)
    several = st.lists(simple, max_size=2)
    return st.one_of(
        simple,
        st.builds(Not, simple),
        several.map(lambda each: All(*each)),
        several.map(lambda each: AnyOf(*each)),
        several.map(lambda each: Not(AnyOf(*each))),
    )
