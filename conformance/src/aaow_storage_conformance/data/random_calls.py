"""Random calls with valid arguments, and the records stored before the first, so that calls find some."""

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st

from aaow_storage import (
    ApprovalRequest,
    ApprovalStatus,
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
    NotIn,
    OrderBy,
    QueryFilter,
    Session,
    SessionStatus,
    StartsWith,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage_conformance.data import random_records as records


@attrs.frozen
class RandomCall:
    """An operation with its arguments."""

    name: str
    arguments: dict[str, Any]

    async def on(self, storage: StorageOperations) -> Any:
        """Call the operation."""
        arguments = dict(self.arguments)
        of_record = [arguments.pop("id")] if self.name.startswith("update_") and "id" in arguments else []
        return await getattr(storage, self.name)(*of_record, **arguments)


def _call(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[RandomCall]:
    return st.builds(RandomCall, st.just(name), st.fixed_dictionaries(arguments))


def _update(name: str, ids: tuple[str, ...], /, **changes: st.SearchStrategy[Any]) -> st.SearchStrategy[RandomCall]:
    named = st.fixed_dictionaries({"id": records.one_of_these(ids)}, optional=changes)
    return st.builds(RandomCall, st.just(name), named)


INITIAL_CALLS = (
    RandomCall(
        "save_workflow",
        {
            "workflow": StoredWorkflow(
                id="w", name="a", version="1", definition={}, created_at=records.START, updated_at=records.START
            )
        },
    ),
    RandomCall(
        "create_session",
        {
            "session": Session(
                id="s", workflow_id="w", workflow_snapshot={"a": 0}, created_at=records.START, updated_at=records.START
            )
        },
    ),
    RandomCall(
        "create_session",
        {
            "session": Session(
                id="S_",
                workflow_id=None,
                workflow_snapshot={},
                parent_session_id="s",
                created_at=records.START,
                updated_at=records.START,
            )
        },
    ),
    RandomCall(
        "save_execution_state",
        {
            "state": WorkflowExecutionState(
                session_id="s", status="running", node_states={"n": NodeExecutionState(node_id="n", error="a")}
            )
        },
    ),
    RandomCall(
        "save_llm_execution",
        {"session_id": "s", "node_id": "n", "result": LLMExecutionResult(id="e", timestamp=records.START, text="a")},
    ),
    RandomCall(
        "log_tool_call",
        {
            "log": ToolCallLog(
                id="c", execution_id="e", tool_call_id="c", tool_name="a", args={}, timestamp=records.START
            )
        },
    ),
    *(
        RandomCall(
            "create_budget_pool",
            {"pool": BudgetPool(id=pool_id, parent_pool_id=parent_id, total_budget=total, created_at=records.START)},
        )
        for pool_id, parent_id, total in zip(records.POOLS, (None, *records.POOLS), (1, 10, 10), strict=False)
    ),
    *(
        RandomCall(
            "create_approval_request",
            {
                "request": ApprovalRequest(
                    id=request_id,
                    session_id=session_id,
                    node_id="n",
                    type="human_review",
                    context={"a": 0},
                    created_at=created_at,
                    expires_at=expires_at,
                )
            },
        )
        for request_id, session_id, created_at, expires_at in zip(
            records.REQUESTS,
            ("s", "s", "S_"),
            records.INSTANTS,
            (None, records.PAST, records.FUTURE),
            strict=True,
        )
    ),
)
"""Records stored before the first random call."""

_FIELDS: dict[type, dict[Any, tuple[Any, ...]]] = {
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


def _filter(kind: type) -> st.SearchStrategy[QueryFilter | None]:
    fields = _FIELDS[kind]
    where = st.fixed_dictionaries({}, optional={name: _condition(values) for name, values in fields.items()})
    orders = st.lists(
        st.builds(
            OrderBy,
            records.one_of_these([name for name in fields if isinstance(name, str)]),
            records.one_of_these(Direction),
        ),
        max_size=2,
    )
    filters = st.builds(
        QueryFilter,
        where=where,
        order_by=orders,
        limit=records.limits,
        offset=st.integers(0, 2),
        documents=st.booleans(),
    )
    return st.none() | st.builds(QueryFilter, order_by=orders) | filters


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
    return st.one_of(conditions)


_LISTS: dict[str, tuple[type, dict[str, tuple[str, ...]]]] = {
    "list_workflows": (StoredWorkflow, {}),
    "count_workflows": (StoredWorkflow, {}),
    "list_sessions": (Session, {}),
    "count_sessions": (Session, {}),
    "get_llm_executions": (LLMExecution, {"session_id": records.SESSIONS}),
    "get_node_llm_executions": (LLMExecution, {"session_id": records.SESSIONS, "node_id": records.NODES}),
    "list_budget_pools": (BudgetPool, {}),
    "get_child_budget_pools": (BudgetPool, {"parent_id": records.POOLS}),
    "get_tool_calls": (ToolCallLog, {"execution_id": records.EXECUTIONS}),
    "get_session_tool_calls": (ToolCallLog, {"session_id": records.SESSIONS}),
    "list_approval_requests": (ApprovalRequest, {"session_id": records.SESSIONS}),
    "list_pending_approvals": (ApprovalRequest, {}),
    "get_stream_events": (StreamEvent, {"stream_id": records.STREAMS}),
}

_LOOK_UPS = (
    _call("get_workflow", id=records.one_of_these(records.WORKFLOWS)),
    _call("get_session", id=records.one_of_these(records.SESSIONS)),
    _call("get_execution_state", session_id=records.one_of_these(records.SESSIONS)),
    _call("get_budget_pool", id=records.one_of_these(records.POOLS)),
    _call("get_approval_request", id=records.one_of_these(records.REQUESTS)),
)


def reads(is_offered: Callable[[str], bool]) -> st.SearchStrategy[RandomCall]:
    """Return a strategy for calls that only read, of the offered operations."""
    lists = [
        _call(name, **{argument: records.one_of_these(ids) for argument, ids in scope.items()}, filter=_filter(kind))
        for name, (kind, scope) in _LISTS.items()
        if is_offered(name)
    ]
    return st.one_of(*_LOOK_UPS, *lists)


def writes(is_offered: Callable[[str], bool]) -> st.SearchStrategy[RandomCall]:
    """Return a strategy for calls that may write, of the offered operations.

    Updates set `updated_at`, so that two stores can be compared; only `resolved_at` is left to each store's clock.
    """
    calls = [
        _call("save_workflow", workflow=records.workflows),
        _update(
            "update_workflow",
            records.WORKFLOWS,
            name=records.one_of_these(records.TEXTS),
            version=records.one_of_these(("1", "2")),
            definition=records.document,
            metadata=records.document_or_none,
        ).map(_with_updated_at),
        _call("delete_workflow", id=records.one_of_these(records.WORKFLOWS)),
        _call("create_session", session=records.sessions),
        _update(
            "update_session",
            records.SESSIONS,
            status=records.one_of_these(SessionStatus),
            metadata=records.document_or_none,
        ).map(_with_updated_at),
        _call("delete_session", id=records.one_of_these(records.SESSIONS)),
        _call("save_execution_state", state=records.execution_states),
        records.one_of_these(records.NODES).flatmap(
            lambda node_id: _call(
                "update_node_state",
                session_id=records.one_of_these(records.SESSIONS),
                node_id=st.just(node_id),
                state=records.node_states(node_id),
            )
        ),
        _call(
            "save_llm_execution",
            session_id=records.one_of_these(records.SESSIONS),
            node_id=records.one_of_these(records.NODES),
            result=records.results,
        ),
        _call("log_tool_call", log=records.tool_call_logs),
        _call("create_budget_pool", pool=records.pools),
        _update(
            "update_budget_pool",
            records.POOLS,
            total_budget=records.one_of_these(records.AMOUNTS),
            used_budget=records.one_of_these(records.AMOUNTS),
            status=records.one_of_these(BudgetPoolStatus),
            metadata=records.document_or_none,
        ),
        _call("delete_budget_pool", id=records.one_of_these(records.POOLS)),
        _call(
            "consume_budget", pool_id=records.one_of_these(records.POOLS), amount=records.one_of_these(records.AMOUNTS)
        ),
        _call(
            "increase_budget", pool_id=records.one_of_these(records.POOLS), amount=records.one_of_these(records.AMOUNTS)
        ),
        _call("create_approval_request", request=records.requests),
        _update(
            "update_approval_request",
            records.REQUESTS,
            context=records.document,
            expires_at=records.one_of_these((None, records.PAST, records.FUTURE)),
        ),
        _call(
            "approve_request",
            id=records.one_of_these(records.REQUESTS),
            approved_by=records.one_of_these(records.TEXTS),
            notes=records.text_or_none,
        ),
        _call(
            "reject_request",
            id=records.one_of_these(records.REQUESTS),
            rejected_by=records.one_of_these(records.TEXTS),
            reason=records.text_or_none,
        ),
        _call("expire_approvals", now=records.one_of_these((records.PAST, records.START))),
    ]
    if is_offered("save_stream_event"):
        calls.append(_call("save_stream_event", event=records.events))
    return st.one_of(calls)


def _with_updated_at(call: RandomCall) -> RandomCall:
    return attrs.evolve(call, arguments={"updated_at": records.START, **call.arguments})
