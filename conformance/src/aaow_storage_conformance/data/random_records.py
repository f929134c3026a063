"""Random records with few ids and values, so that they often collide."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from aaow_storage import (
    JSON,
    ApprovalRequest,
    ApprovalType,
    BudgetPool,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    NodeExecutionStatus,
    Patch,
    Session,
    SessionStatus,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import dumps, loads
from aaow_storage_conformance.data.versions import is_tested_since, without_later

WORKFLOWS, SESSIONS, NODES = ("w", "W%"), ("s", "S_"), ("n", "N")
EXECUTIONS, CALLS, POOLS = ("e", "E'"), ("c", "C"), ("p", "P.", "q")
REQUESTS, EVENTS, STREAMS = ("r", "R\\", "a"), ("v", "V", "u"), ("t", "T")
TEXTS = ("", "a", "A%", "é_")
MODELS, CURRENCIES = ("", "m", "M"), ("EUR", "USD")
START = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
INSTANTS = (START, START + timedelta(microseconds=1), START + timedelta(microseconds=1001))
PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
AMOUNTS = tuple(map(Decimal, ("0.1", "0.2", "0.3", "1", "10")))
JSONS: tuple[JSON, ...] = (None, 0, False, "", [], {}, 1, 1.0, True, "a%", [{"b": 1, "a": None}])
SCALARS = tuple(value for value in JSONS if not isinstance(value, list | dict))


def one_of_these(values: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for one of the values."""
    return st.sampled_from(values)


def _fresh(value: Any) -> Any:
    """Return a copy of the document, so that no two records share it."""
    return loads(dumps(value))


json_value = st.builds(_fresh, one_of_these(JSONS))
document = st.builds(_fresh, st.dictionaries(one_of_these(("a", "a.b", "")), json_value, max_size=3))
document_or_none = st.none() | document
session_status = st.deferred(lambda: one_of_these(SessionStatus if is_tested_since("1.1") else [SessionStatus.RUNNING]))
"""A status of a session or of its execution state: one alone for contract 1.0, in which the two may differ."""
text_or_none = st.none() | one_of_these(TEXTS)
instant = one_of_these(INSTANTS)
instant_or_none = st.none() | instant
_counts = st.integers(0, 9)
_small = st.integers(0, 3)
limits = st.none() | st.integers(0, 3)

workflows = st.builds(
    StoredWorkflow,
    id=one_of_these(WORKFLOWS),
    name=one_of_these(TEXTS),
    version=one_of_these(("1", "2")),
    definition=document,
    created_at=instant,
    updated_at=instant,
    metadata=document_or_none,
)
sessions = st.builds(
    Session,
    id=one_of_these(SESSIONS),
    workflow_id=st.none() | one_of_these(WORKFLOWS),
    workflow_snapshot=document,
    status=session_status,
    parent_session_id=st.none() | one_of_these(SESSIONS),
    created_at=instant,
    updated_at=instant,
    metadata=document_or_none,
)


def _made(kind: type, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for records of that kind, without the fields that the backend under test need not keep."""
    return st.fixed_dictionaries(without_later(kind, fields)).map(lambda values: kind(**values))


def node_states(node_id: str) -> st.SearchStrategy[NodeExecutionState]:
    """Return a strategy for states of one node."""
    return _made(
        NodeExecutionState,
        node_id=st.just(node_id),
        status=one_of_these(NodeExecutionStatus),
        input=json_value,
        output=json_value,
        error=text_or_none,
        started_at=instant_or_none,
        retry_count=st.integers(0, 2),
        pending_approval_id=st.none() | one_of_these(REQUESTS),
        metadata=document_or_none,
        attempts=st.lists(_attempts, max_size=2).map(tuple),
    )


_attempts = st.builds(
    NodeAttempt,
    status=one_of_these(NodeExecutionStatus),
    started_at=instant_or_none,
    completed_at=instant_or_none,
    error=text_or_none,
    output=json_value,
)


def execution_states() -> st.SearchStrategy[WorkflowExecutionState]:
    """Return a strategy for states of sessions, with some of their nodes."""
    return st.builds(
        WorkflowExecutionState,
        session_id=one_of_these(SESSIONS),
        status=session_status,
        budget_pool_id=st.none() | one_of_these(POOLS),
        current_node_id=st.none() | one_of_these(NODES),
        started_at=instant_or_none,
        completed_at=instant_or_none,
        node_states=st.fixed_dictionaries({}, optional={node_id: node_states(node_id) for node_id in NODES}),
        metadata=document_or_none,
    )


def results() -> st.SearchStrategy[LLMExecutionResult]:
    """Return a strategy for model calls, ended or not; a cost has a currency."""
    calls = st.builds(
        ToolCall, tool_call_id=one_of_these(CALLS), tool_name=one_of_these(TEXTS), args=document, result=json_value
    )
    usage = _made(
        TokenUsage,
        prompt_tokens=_counts,
        completion_tokens=_counts,
        total_tokens=_small,
        cache_read_tokens=st.none() | _counts,
        cache_write_tokens=st.none() | _counts,
        reasoning_tokens=st.none() | _small,
    )
    without_cost = _made(
        LLMExecutionResult,
        id=one_of_these(EXECUTIONS),
        timestamp=instant,
        success=one_of_these((None, True, False)),
        text=text_or_none,
        tool_calls=st.none() | st.lists(calls).map(tuple),
        usage=st.none() | usage,
        error=text_or_none,
        metadata=document_or_none,
        provider=st.none() | one_of_these(MODELS),
        model=st.none() | one_of_these(MODELS),
        input=json_value | document | st.lists(document, max_size=2),
        output=json_value | document,
        completed_at=instant_or_none,
        finish_reason=text_or_none,
        attempt=st.integers(0, 2),
    )
    if not is_tested_since("1.1"):
        return without_cost
    with_cost = st.builds(attrs.evolve, without_cost, cost=one_of_these(AMOUNTS), currency=one_of_these(CURRENCIES))
    return without_cost | with_cost


def tool_call_logs() -> st.SearchStrategy[ToolCallLog]:
    """Return a strategy for tool calls of an execution or of a node; some name another node than their execution's."""
    sessions, nodes = one_of_these(SESSIONS), one_of_these(NODES)
    places = st.fixed_dictionaries({"execution_id": one_of_these(EXECUTIONS)})
    if is_tested_since("1.1"):
        places |= st.fixed_dictionaries({"session_id": sessions, "node_id": nodes})
        places |= st.fixed_dictionaries(
            {"execution_id": one_of_these(EXECUTIONS)}, optional={"session_id": sessions, "node_id": nodes}
        )
    return st.builds(
        lambda place, **fields: ToolCallLog(**place, **fields),
        place=places,
        id=one_of_these(CALLS),
        tool_call_id=one_of_these(CALLS),
        tool_name=one_of_these(TEXTS),
        args=document,
        result=json_value,
        error=text_or_none,
        timestamp=instant,
        duration_ms=one_of_these((None, 0.0, 0.5, 12.0)),
    )


pools = st.builds(
    BudgetPool,
    id=one_of_these(POOLS),
    parent_pool_id=st.none() | one_of_these(POOLS),
    total_budget=one_of_these(AMOUNTS),
    created_at=instant,
    metadata=document_or_none,
)
requests = st.builds(
    ApprovalRequest,
    id=one_of_these(REQUESTS),
    session_id=one_of_these(SESSIONS),
    node_id=one_of_these(NODES),
    type=one_of_these(ApprovalType),
    status=one_of_these(("pending", "pending", "approved", "expired")),
    context=document,
    created_at=instant,
    expires_at=one_of_these((None, PAST, FUTURE)),
)


def events() -> st.SearchStrategy[StreamEvent]:
    """Return a strategy for events; the sequence that some have does not count."""
    return _made(
        StreamEvent,
        id=one_of_these(EVENTS),
        stream_id=one_of_these(STREAMS),
        node_id=one_of_these(NODES),
        data=json_value,
        timestamp=instant,
        session_id=st.none() | one_of_these(SESSIONS),
        sequence=st.none() | st.integers(1, 9),
    )


patches = st.builds(
    lambda changes: Patch(_fresh(changes)),
    st.dictionaries(
        one_of_these(("a", "a.b", "")),
        one_of_these((*JSONS, {"b": None}, {"b": {"a": 2}})),
        max_size=2,
    ),
)
"""Changes of single keys; null removes one."""
