"""`SessionView`: a session with everything that belongs to it, read for people."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from aaow_storage import (
    ApprovalRequest,
    Capability,
    LLMExecution,
    NodeExecutionState,
    NotFoundError,
    QueryFilter,
    Session,
    StorageOperations,
    StreamSummary,
    ToolCallLog,
    UnsupportedOperationError,
    WorkflowExecutionState,
)

MAX_CHILDREN = 100


@frozen(kw_only=True)
class NodeView:
    """A node of a session with what it did, by time.

    Attributes:
        node_id: the node.
        state: its state, None if none was saved.
        executions: its model calls.
        tool_calls: the tool calls of each of them, by the id of the execution; those of the node itself under None.
        approvals: the decisions it asked for.
    """

    node_id: str
    state: NodeExecutionState | None
    executions: Sequence[LLMExecution]
    tool_calls: Mapping[str | None, Sequence[ToolCallLog]]
    approvals: Sequence[ApprovalRequest]

    @property
    def errors(self) -> list[tuple[str, str]]:
        """What went wrong and was not mended: what failed, and its error."""
        found = []
        if self.state is not None and self.state.error is not None:
            found.append((f"node {self.node_id}", self.state.error))
        failed = [execution for execution in self.executions if execution.success is False]
        found += [(f"node {self.node_id}, model call {each.id}", each.error or "failed") for each in failed]
        for calls in self.tool_calls.values():
            found += [
                (f"node {self.node_id}, tool call {call.id} of {call.tool_name}", call.error)
                for call in calls
                if call.error is not None
            ]
        return found

    @property
    def started_at(self) -> datetime | None:
        """When the first attempt started, or the first call was made; None if nothing did."""
        state = self.state
        instants = [] if state is None else [state.started_at, *(attempt.started_at for attempt in state.attempts)]
        instants += [execution.timestamp for execution in self.executions]
        return min((instant for instant in instants if instant is not None), default=None)


@frozen(kw_only=True)
class SessionView:
    """A session with everything that belongs to it.

    Attributes:
        session: the session.
        state: its execution state, None if none was saved.
        nodes: its nodes in the order in which they started; those that did not start follow in the order of the
            definition.
        streams: its streams; empty if the backend has none.
        children: the sessions that it is the parent of, without their documents, at most 100.
    """

    session: Session
    state: WorkflowExecutionState | None
    nodes: Sequence[NodeView]
    streams: Sequence[StreamSummary]
    children: Sequence[Session]

    @property
    def errors(self) -> list[tuple[str, str]]:
        """What went wrong, node by node."""
        return [error for node in self.nodes for error in node.errors]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a dict that is JSON throughout."""
        return {
            "session": self.session.to_dict(),
            "execution_state": None if self.state is None else self.state.to_dict(),
            "llm_executions": [each.to_dict() for node in self.nodes for each in node.executions],
            "tool_calls": [
                each.to_dict() for node in self.nodes for calls in node.tool_calls.values() for each in calls
            ],
            "approval_requests": [each.to_dict() for node in self.nodes for each in node.approvals],
            "streams": [each.to_dict() for each in self.streams],
            "children": [child.id for child in self.children],
            "errors": [{"where": where, "error": error} for where, error in self.errors],
        }


async def view_session(storage: StorageOperations, session_id: str) -> SessionView:
    """Read a session with everything that belongs to it.

    Raises:
        NotFoundError: there is no such session.
    """
    session = await storage.get_session(session_id)
    if session is None:
        raise NotFoundError("session", session_id)
    state = await storage.get_execution_state(session_id)
    executions = _by_node(await storage.get_llm_executions(session_id))
    approvals = _by_node(await storage.list_approval_requests(session_id))
    node_of = {each.id: node_id for node_id, calls in executions.items() for each in calls}
    tool_calls: dict[str, dict[str | None, list[ToolCallLog]]] = defaultdict(lambda: defaultdict(list))
    for call in await storage.get_session_tool_calls(session_id):
        node_id = call.node_id or node_of.get(call.execution_id or "", "")
        tool_calls[node_id][call.execution_id].append(call)
    states = {} if state is None else dict(state.node_states)
    node_ids = list(dict.fromkeys([*_defined_nodes(session), *states, *executions, *tool_calls, *approvals]))
    nodes = [
        NodeView(
            node_id=node_id,
            state=states.get(node_id),
            executions=executions.get(node_id, ()),
            tool_calls=tool_calls.get(node_id, {}),
            approvals=approvals.get(node_id, ()),
        )
        for node_id in node_ids
    ]
    children = QueryFilter({"parent_session_id": session_id}, limit=MAX_CHILDREN, documents=False)
    return SessionView(
        session=session,
        state=state,
        nodes=[
            *sorted((node for node in nodes if node.started_at is not None), key=_start),
            *(node for node in nodes if node.started_at is None),
        ],
        streams=await _streams_of(storage, session_id),
        children=await storage.list_sessions(children),
    )


def tokens_of(executions: Iterable[LLMExecution]) -> int:
    """Return how many tokens model calls used, as far as that is known."""
    return sum(execution.usage.total_tokens for execution in executions if execution.usage is not None)


def costs_of(executions: Iterable[LLMExecution]) -> dict[str, Decimal]:
    """Return what model calls cost, for each currency."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for execution in executions:
        if execution.cost is not None and execution.currency is not None:
            costs[execution.currency] += execution.cost
    return dict(costs)


def _start(node: NodeView) -> datetime:
    assert node.started_at is not None  # noqa: S101 - those without one are not sorted
    return node.started_at


def _by_node(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        found[record.node_id].append(record)
    return found


def _defined_nodes(session: Session) -> list[str]:
    """Return the ids of the nodes in the order of the definition, if it has a list of nodes with ids."""
    nodes = session.workflow_snapshot.get("nodes")
    if not isinstance(nodes, list):
        return []
    return [node["id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("id"), str)]


async def _streams_of(storage: StorageOperations, session_id: str) -> list[StreamSummary]:
    if Capability.STREAM_EVENTS not in getattr(storage, "capabilities", Capability):
        return []
    try:
        return await storage.list_streams(QueryFilter({"session_id": session_id}))
    except UnsupportedOperationError:
        return []
