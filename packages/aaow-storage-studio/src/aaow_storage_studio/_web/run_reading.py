"""`read_run`: reads a session with what belongs to it, as much as a page can show."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from aaow_storage import (
    Capability,
    LLMExecution,
    NotFoundError,
    OrderBy,
    QueryFilter,
    Session,
    StreamSummary,
    ToolCallLog,
    UnsupportedOperationError,
    UsageSummary,
    WorkflowExecutionState,
    now,
)
from aaow_storage.authoring import UsageSums
from aaow_storage_studio._drawing.definition import Node, graph_of
from aaow_storage_studio._web.run import Run, RunNode, Step, approval_step, in_order, model_step, tool_step
from aaow_storage_studio._web.visit import Visit

MAX_NODES = 1000
MAX_CALLS = 5000
MAX_TOOL_CALLS = 5000
MAX_APPROVALS = 500
MAX_STREAMS = 100
MAX_CHILDREN = 100
PAGE_LENGTH = 500


async def read_run(visit: Visit, session_id: str, *, last: bool = False) -> Run:
    """Read a session with its nodes, calls, approvals, streams and children.

    Model calls come without what they were sent and what they answered as JSON; tool calls without their results.

    Args:
        visit: the request.
        session_id: the session.
        last: whether the last calls are read, instead of the first, if there are more than 5,000.

    Raises:
        NotFoundError: there is no such session.
    """
    storage, at = visit.storage, now()
    session = await storage.get_session(session_id)
    if session is None:
        raise NotFoundError("session", session_id)
    state = await storage.get_execution_state(session_id)
    order = (OrderBy("timestamp", "desc"),) if last else ()
    calls = await storage.get_llm_executions(
        session_id, QueryFilter(order_by=order, limit=MAX_CALLS + 1, documents=False)
    )
    nodes_of_calls = {call.id: call.node_id for call in calls}
    tools = [tool async for tool in _tool_steps(visit, session_id, nodes_of_calls, order)]
    approvals = await storage.list_approval_requests(session_id, QueryFilter(limit=MAX_APPROVALS + 1))
    children = await storage.list_sessions(
        QueryFilter({"parent_session_id": session_id}, limit=MAX_CHILDREN + 1, documents=False)
    )
    streams = await _streams(visit, session_id)
    left_out = [
        f"Only the {'last' if last else 'first'} {limit:,} {name} are shown, of more."
        for found, limit, name in (
            (calls, MAX_CALLS, "model calls"),
            (tools, MAX_TOOL_CALLS, "tool calls"),
            (approvals, MAX_APPROVALS, "approvals"),
            (streams, MAX_STREAMS, "streams"),
            (children, MAX_CHILDREN, "child sessions"),
        )
        if len(found) > limit
    ]
    steps = [
        *map(model_step, calls[:MAX_CALLS]),
        *tools[:MAX_TOOL_CALLS],
        *(approval_step(request, at) for request in approvals[:MAX_APPROVALS]),
    ]
    nodes = _nodes(visit, session, state, steps)
    if len(nodes) > MAX_NODES:
        left_out.append(f"Only the first {MAX_NODES:,} nodes are shown, of {len(nodes):,}.")
    return Run(
        session=session,
        state=state,
        nodes=nodes[:MAX_NODES],
        usage=await _usage(visit, session, calls),
        streams=streams[:MAX_STREAMS],
        children=children[:MAX_CHILDREN],
        left_out=left_out,
        read_at=at,
    )


async def _tool_steps(
    visit: Visit, session_id: str, nodes_of_calls: Mapping[str, str], order: tuple[OrderBy, ...]
) -> AsyncIterator[Step]:
    """Yield the tool calls, at most one more than are shown; a page at a time, because results can be large."""
    page = QueryFilter(order_by=order, limit=PAGE_LENGTH)
    number = 0
    while number <= MAX_TOOL_CALLS:
        calls: list[ToolCallLog] = await visit.storage.get_session_tool_calls(session_id, page)
        for call in calls:
            number += 1
            yield tool_step(call, call.node_id or nodes_of_calls.get(call.execution_id or "", ""))
        if len(calls) < PAGE_LENGTH:
            return
        page = page.after(calls[-1])


def _nodes(
    visit: Visit, session: Session, state: WorkflowExecutionState | None, steps: Sequence[Step]
) -> list[RunNode]:
    """Return the nodes by the time of their beginning; those that did not begin follow, as they are defined."""
    defined = _defined(visit, session)
    states = {} if state is None else state.node_states
    by_node: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        by_node[step.node_id].append(step)
    nodes = [
        RunNode(
            id=node_id,
            kind=defined[node_id].kind if node_id in defined else "",
            label=defined[node_id].label if node_id in defined else "",
            state=states.get(node_id),
            steps=in_order(by_node.get(node_id, ())),
        )
        for node_id in dict.fromkeys([*defined, *states, *by_node])
    ]
    begun = [(started_at, node) for node in nodes if (started_at := node.started_at) is not None]
    begun.sort(key=lambda pair: pair[0])
    return [*(node for _, node in begun), *(node for node in nodes if node.started_at is None)]


def _defined(visit: Visit, session: Session) -> dict[str, Node]:
    """Return the nodes of the definition by id, as they are drawn on the page of the workflow."""
    made = visit.settings.graph(session.workflow_snapshot) if visit.settings.graph is not None else None
    graph = made or graph_of(session.workflow_snapshot)
    return {} if graph is None else {node.id: node for node in graph.nodes}


async def _usage(visit: Visit, session: Session, calls: Sequence[LLMExecution]) -> UsageSummary:
    """Return what all model calls used; the store sums up if not all were read."""
    if len(calls) > MAX_CALLS:
        return (await visit.storage.summarize_usage([], QueryFilter({"session_id": session.id})))[0]
    sums = UsageSums(())
    for call in calls:
        sums.add(call, session.workflow_id)
    return sums.summaries()[0]


async def _streams(visit: Visit, session_id: str) -> list[StreamSummary]:
    """Return the streams, one more than are shown at most; none if the backend has none."""
    if Capability.STREAM_EVENTS not in visit.storage.capabilities:
        return []
    try:
        return await visit.storage.list_streams(QueryFilter({"session_id": session_id}, limit=MAX_STREAMS + 1))
    except UnsupportedOperationError:
        return []
