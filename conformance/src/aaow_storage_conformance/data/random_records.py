"""Random records with few ids and values, so that they often collide."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from aaow_storage import (
    JSON,
    ApprovalRequest,
    ApprovalType,
    BudgetPool,
    LLMExecutionResult,
    NodeExecutionState,
    NodeExecutionStatus,
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

WORKFLOWS, SESSIONS, NODES = ("w", "W%"), ("s", "S_"), ("n", "N")
EXECUTIONS, CALLS, POOLS = ("e", "E'"), ("c", "C"), ("p", "P.", "q")
REQUESTS, EVENTS, STREAMS = ("r", "R\\", "a"), ("v", "V"), ("t", "T")
TEXTS = ("", "a", "A%", "é_")
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
text_or_none = st.none() | one_of_these(TEXTS)
instant = one_of_these(INSTANTS)
instant_or_none = st.none() | instant
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
    status=one_of_these(SessionStatus),
    parent_session_id=st.none() | one_of_these(SESSIONS),
    created_at=instant,
    updated_at=instant,
    metadata=document_or_none,
)


def node_states(node_id: str) -> st.SearchStrategy[NodeExecutionState]:
    """Return a strategy for states of one node."""
    return st.builds(
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
    )


execution_states = st.builds(
    WorkflowExecutionState,
    session_id=one_of_these(SESSIONS),
    status=one_of_these(SessionStatus),
    budget_pool_id=st.none() | one_of_these(POOLS),
    current_node_id=st.none() | one_of_these(NODES),
    started_at=instant_or_none,
    completed_at=instant_or_none,
    node_states=st.fixed_dictionaries({}, optional={node_id: node_states(node_id) for node_id in NODES}),
    metadata=document_or_none,
)
_counts = st.integers(0, 9)
results = st.builds(
    LLMExecutionResult,
    id=one_of_these(EXECUTIONS),
    timestamp=instant,
    success=one_of_these((None, True, False)),
    text=text_or_none,
    tool_calls=st.none()
    | st.lists(
        st.builds(
            ToolCall, tool_call_id=one_of_these(CALLS), tool_name=one_of_these(TEXTS), args=document, result=json_value
        )
    ).map(tuple),
    usage=st.none() | st.builds(TokenUsage, prompt_tokens=_counts, completion_tokens=_counts, total_tokens=_counts),
    error=text_or_none,
    metadata=document_or_none,
)
tool_call_logs = st.builds(
    ToolCallLog,
    id=one_of_these(CALLS),
    execution_id=one_of_these(EXECUTIONS),
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
events = st.builds(
    StreamEvent,
    id=one_of_these(EVENTS),
    stream_id=one_of_these(STREAMS),
    node_id=one_of_these(NODES),
    data=json_value,
    timestamp=instant,
)
