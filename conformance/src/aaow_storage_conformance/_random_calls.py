"""Random calls with good arguments, on so few ids and values that calls meet each other's records."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from aaow_storage import (
    JSON,
    ApprovalRequest,
    ApprovalStatus,
    ApprovalType,
    BudgetPool,
    BudgetPoolStatus,
    Contains,
    Direction,
    Ge,
    In,
    LLMExecution,
    LLMExecutionResult,
    Lt,
    Ne,
    NodeExecutionState,
    NodeExecutionStatus,
    NotIn,
    OrderBy,
    QueryFilter,
    Session,
    SessionStatus,
    StartsWith,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import dumps, loads

WORKFLOWS, SESSIONS, NODES = ("w", "W", "w%"), ("s", "S", "é_"), ("n", "N")
EXECUTIONS, CALLS, POOLS = ("e", "E", "e'"), ("c", "C"), ("p", "P", "p.")
REQUESTS, EVENTS, STREAMS = ("r", "R", "r\\"), ("v", "V"), ("t", "T")
TEXTS = ("", "a", "A%", "é_")
START = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
INSTANTS = (START, START + timedelta(microseconds=1), START + timedelta(microseconds=1001))
PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
AMOUNTS = tuple(map(Decimal, ("0.1", "0.2", "0.3", "1", "10")))
JSONS: tuple[JSON, ...] = (None, 0, False, "", [], {}, 1, 1.0, True, "a%", [{"b": 1, "a": None}])
SCALARS = tuple(value for value in JSONS if not isinstance(value, list | dict))


@attrs.frozen
class RandomCall:
    """One operation with its arguments."""

    name: str
    arguments: dict[str, Any]

    async def on(self, storage: StorageOperations) -> Any:
        """Make the call."""
        arguments = dict(self.arguments)
        of_record = [arguments.pop("id")] if self.name.startswith("update_") and "id" in arguments else []
        return await getattr(storage, self.name)(*of_record, **arguments)


def _call(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[RandomCall]:
    return st.builds(RandomCall, st.just(name), st.fixed_dictionaries(arguments))


def _update(name: str, ids: tuple[str, ...], /, **changes: st.SearchStrategy[Any]) -> st.SearchStrategy[RandomCall]:
    named = st.fixed_dictionaries({"id": _one(ids)}, optional=changes)
    return st.builds(RandomCall, st.just(name), named)


def _one(values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def _fresh(value: Any) -> Any:
    """Return a document of its own, so that no two records share one."""
    return loads(dumps(value))


_json = st.builds(_fresh, _one(JSONS))
_object = st.builds(_fresh, st.dictionaries(_one(("a", "a.b", "")), _json, max_size=3))
_object_or_none = st.none() | _object
_text_or_none = st.none() | _one(TEXTS)
_instant = _one(INSTANTS)
_instant_or_none = st.none() | _instant
_limits = st.none() | st.integers(0, 3)

_workflow = st.builds(
    StoredWorkflow,
    id=_one(WORKFLOWS),
    name=_one(TEXTS),
    version=_one(("1", "2")),
    definition=_object,
    created_at=_instant,
    updated_at=_instant,
    metadata=_object_or_none,
)
_session = st.builds(
    Session,
    id=_one(SESSIONS),
    workflow_id=st.none() | _one(WORKFLOWS),
    workflow_snapshot=_object,
    status=_one(SessionStatus),
    parent_session_id=st.none() | _one(SESSIONS),
    created_at=_instant,
    updated_at=_instant,
    metadata=_object_or_none,
)


def _node_state(node_id: str) -> st.SearchStrategy[NodeExecutionState]:
    return st.builds(
        NodeExecutionState,
        node_id=st.just(node_id),
        status=_one(NodeExecutionStatus),
        input=_json,
        output=_json,
        error=_text_or_none,
        started_at=_instant_or_none,
        retry_count=st.integers(0, 2),
        pending_approval_id=st.none() | _one(REQUESTS),
        metadata=_object_or_none,
    )


_state = st.builds(
    WorkflowExecutionState,
    session_id=_one(SESSIONS),
    status=_one(SessionStatus),
    budget_pool_id=st.none() | _one(POOLS),
    current_node_id=st.none() | _one(NODES),
    started_at=_instant_or_none,
    completed_at=_instant_or_none,
    node_states=st.fixed_dictionaries({}, optional={node_id: _node_state(node_id) for node_id in NODES}),
    metadata=_object_or_none,
)
_counts = st.integers(0, 9)
_result = st.builds(
    LLMExecutionResult,
    id=_one(EXECUTIONS),
    timestamp=_instant,
    success=_one((None, True, False)),
    text=_text_or_none,
    tool_calls=st.none()
    | st.lists(st.builds(ToolCall, tool_call_id=_one(CALLS), tool_name=_one(TEXTS), args=_object, result=_json)).map(
        tuple
    ),
    usage=st.none() | st.builds(TokenUsage, prompt_tokens=_counts, completion_tokens=_counts, total_tokens=_counts),
    error=_text_or_none,
    metadata=_object_or_none,
)
_log = st.builds(
    ToolCallLog,
    id=_one(CALLS),
    execution_id=_one(EXECUTIONS),
    tool_call_id=_one(CALLS),
    tool_name=_one(TEXTS),
    args=_object,
    result=_json,
    error=_text_or_none,
    timestamp=_instant,
    duration_ms=_one((None, 0.0, 0.5, 12.0)),
)
_pool = st.builds(
    BudgetPool,
    id=_one(POOLS),
    parent_pool_id=st.none() | _one(POOLS),
    total_budget=_one(AMOUNTS),
    created_at=_instant,
    metadata=_object_or_none,
)
_request = st.builds(
    ApprovalRequest,
    id=_one(REQUESTS),
    session_id=_one(SESSIONS),
    node_id=_one(NODES),
    type=_one(ApprovalType),
    context=_object,
    created_at=_instant,
    expires_at=_one((None, PAST, FUTURE)),
)
_event = st.builds(
    StreamEvent, id=_one(EVENTS), stream_id=_one(STREAMS), node_id=_one(NODES), data=_json, timestamp=_instant
)

_FIELDS: dict[type, dict[Any, tuple[Any, ...]]] = {
    StoredWorkflow: {
        "id": WORKFLOWS,
        "name": TEXTS,
        "created_at": INSTANTS,
        ("metadata", "a"): SCALARS,
        ("definition", "a.b"): SCALARS,
    },
    Session: {
        "id": SESSIONS,
        "workflow_id": WORKFLOWS,
        "parent_session_id": SESSIONS,
        "status": tuple(SessionStatus),
        ("metadata", "a"): SCALARS,
        ("workflow_snapshot", "a.b"): SCALARS,
    },
    LLMExecution: {
        "node_id": NODES,
        "session_id": SESSIONS,
        "success": (True, False),
        "text": TEXTS,
        "timestamp": INSTANTS,
        ("metadata", "a"): SCALARS,
    },
    ToolCallLog: {"tool_name": TEXTS, "duration_ms": (0.0, 0.5, 12.0), "timestamp": INSTANTS, ("args", "a"): SCALARS},
    BudgetPool: {
        "parent_pool_id": POOLS,
        "used_budget": AMOUNTS,
        "total_budget": AMOUNTS,
        "status": tuple(BudgetPoolStatus),
        ("metadata", "a"): SCALARS,
    },
    ApprovalRequest: {
        "session_id": SESSIONS,
        "status": tuple(ApprovalStatus),
        "expires_at": (PAST, FUTURE),
        "node_id": NODES,
        ("context", "a"): SCALARS,
    },
    StreamEvent: {"stream_id": STREAMS, "node_id": NODES, "timestamp": INSTANTS},
}


def _filter(kind: type) -> st.SearchStrategy[QueryFilter | None]:
    fields = _FIELDS[kind]
    where = st.fixed_dictionaries({}, optional={name: _condition(values) for name, values in fields.items()})
    orders = st.lists(
        st.builds(OrderBy, _one([name for name in fields if isinstance(name, str)]), _one(Direction)), max_size=2
    )
    filters = st.builds(QueryFilter, where=where, order_by=orders, limit=_limits, offset=st.integers(0, 2))
    return st.none() | st.builds(QueryFilter, order_by=orders) | filters


def _condition(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    one = st.none() | _one(values)
    some = st.lists(one, max_size=3)
    conditions: list[st.SearchStrategy[Any]] = [one, st.builds(Ne, one), st.builds(In, some), st.builds(NotIn, some)]
    comparable = [value for value in values if value is not None and not isinstance(value, bool)]
    if comparable:
        conditions += [st.builds(Lt, _one(comparable)), st.builds(Ge, _one(comparable))]
    if texts := [value for value in values if isinstance(value, str)]:
        conditions += [st.builds(Contains, _one(texts)), st.builds(StartsWith, _one(texts))]
    return st.one_of(conditions)


_LISTS: dict[str, tuple[type, dict[str, tuple[str, ...]]]] = {
    "list_workflows": (StoredWorkflow, {}),
    "count_workflows": (StoredWorkflow, {}),
    "list_sessions": (Session, {}),
    "count_sessions": (Session, {}),
    "get_llm_executions": (LLMExecution, {"session_id": SESSIONS}),
    "get_node_llm_executions": (LLMExecution, {"session_id": SESSIONS, "node_id": NODES}),
    "list_budget_pools": (BudgetPool, {}),
    "get_child_budget_pools": (BudgetPool, {"parent_id": POOLS}),
    "get_tool_calls": (ToolCallLog, {"execution_id": EXECUTIONS}),
    "get_session_tool_calls": (ToolCallLog, {"session_id": SESSIONS}),
    "list_approval_requests": (ApprovalRequest, {"session_id": SESSIONS}),
    "list_pending_approvals": (ApprovalRequest, {}),
    "get_stream_events": (StreamEvent, {"stream_id": STREAMS}),
}

_LOOK_UPS = (
    _call("get_workflow", id=_one(WORKFLOWS)),
    _call("get_session", id=_one(SESSIONS)),
    _call("get_execution_state", session_id=_one(SESSIONS)),
    _call("get_budget_pool", id=_one(POOLS)),
    _call("get_approval_request", id=_one(REQUESTS)),
)


def reads(is_offered: Callable[[str], bool]) -> st.SearchStrategy[RandomCall]:
    """Return calls that change nothing, of the operations that are offered."""
    lists = [
        _call(name, **{argument: _one(ids) for argument, ids in scope.items()}, filter=_filter(kind))
        for name, (kind, scope) in _LISTS.items()
        if is_offered(name)
    ]
    return st.one_of(*_LOOK_UPS, *lists)


def writes(is_offered: Callable[[str], bool]) -> st.SearchStrategy[RandomCall]:
    """Return calls that may change something, of the operations that are offered.

    An update names `updated_at`, so that two stores can be compared; and of the instants that a store makes by itself
    that leaves `resolved_at`.
    """
    calls = [
        _call("save_workflow", workflow=_workflow),
        _update(
            "update_workflow",
            WORKFLOWS,
            name=_one(TEXTS),
            version=_one(("1", "2")),
            definition=_object,
            metadata=_object_or_none,
        ).map(_stamped),
        _call("delete_workflow", id=_one(WORKFLOWS)),
        _call("create_session", session=_session),
        _update("update_session", SESSIONS, status=_one(SessionStatus), metadata=_object_or_none).map(_stamped),
        _call("delete_session", id=_one(SESSIONS)),
        _call("save_execution_state", state=_state),
        _one(NODES).flatmap(
            lambda node_id: _call(
                "update_node_state", session_id=_one(SESSIONS), node_id=st.just(node_id), state=_node_state(node_id)
            )
        ),
        _call("save_llm_execution", session_id=_one(SESSIONS), node_id=_one(NODES), result=_result),
        _call("log_tool_call", log=_log),
        _call("create_budget_pool", pool=_pool),
        _update(
            "update_budget_pool",
            POOLS,
            total_budget=_one(AMOUNTS),
            used_budget=_one(AMOUNTS),
            status=_one(BudgetPoolStatus),
            metadata=_object_or_none,
        ),
        _call("delete_budget_pool", id=_one(POOLS)),
        _call("consume_budget", pool_id=_one(POOLS), amount=_one(AMOUNTS)),
        _call("increase_budget", pool_id=_one(POOLS), amount=_one(AMOUNTS)),
        _call("create_approval_request", request=_request),
        _update("update_approval_request", REQUESTS, context=_object, expires_at=_one((None, PAST, FUTURE))),
        _call("approve_request", id=_one(REQUESTS), approved_by=_one(TEXTS), notes=_text_or_none),
        _call("reject_request", id=_one(REQUESTS), rejected_by=_one(TEXTS), reason=_text_or_none),
        _call("expire_approvals", now=_one((PAST, START))),
    ]
    if is_offered("save_stream_event"):
        calls.append(_call("save_stream_event", event=_event))
    return st.one_of(calls)


def _stamped(call: RandomCall) -> RandomCall:
    return attrs.evolve(call, arguments={"updated_at": START, **call.arguments})
