"""Reads a session back: everything that the report prints comes from the store, and nothing from the run itself."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from attrs import frozen

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Capability,
    Direction,
    Le,
    LLMExecution,
    NodeExecutionState,
    NotFoundError,
    OrderBy,
    QueryFilter,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    UsageSummary,
    WorkflowExecutionState,
)
from definition import Node, NodeKind, nodes_of
from engine import journal_of, stream_of

MAX_PENDING = 5


@frozen(kw_only=True)
class Findings:
    """A session with everything that belongs to it, and the pending approvals of the whole store.

    `number` counts the sessions of the workflow from 1. `pools` go from the workflow's pool down to those in the
    session's pool, each with its depth. `usage` sums up the model calls of the session by model. `pending` are the
    newest requests, at most `MAX_PENDING` and one more, which shows that there are others.
    """

    is_durable: bool
    workflow: StoredWorkflow
    session: Session
    number: int
    state: WorkflowExecutionState
    nodes: Sequence[Node]
    executions: Mapping[str, Sequence[LLMExecution]]
    tool_calls: Mapping[str, Sequence[ToolCallLog]]
    approvals: Sequence[ApprovalRequest]
    pending: Sequence[ApprovalRequest]
    pools: Sequence[tuple[int, BudgetPool]]
    usage: Sequence[UsageSummary]
    events: Mapping[str, Sequence[StreamEvent]]
    journal: Sequence[StreamEvent]

    @property
    def decided(self) -> list[ApprovalRequest]:
        """The requests of the session that are decided."""
        return [request for request in self.approvals if request.resolved_at is not None]

    def state_of(self, node: Node) -> NodeExecutionState:
        """Return the state of a step."""
        return self.state.node_states.get(node.id) or NodeExecutionState(node_id=node.id)

    def decisions_on(self, node: Node) -> list[ApprovalRequest]:
        """Return the decided requests of a step."""
        return [request for request in self.decided if request.node_id == node.id]

    def executions_of(self, nodes: Iterable[Node]) -> Iterator[LLMExecution]:
        """Return the model calls of some steps."""
        return chain.from_iterable(self.executions.get(node.id, ()) for node in nodes)


async def read_back(storage: StorageAdapter, session_id: str) -> Findings:
    """Read a session with everything that belongs to it.

    Raises:
        NotFoundError: the session, its state or its workflow is not stored.
    """
    session = await storage.get_session(session_id)
    if session is None:
        raise NotFoundError("session", session_id)
    state = await storage.get_execution_state(session_id)
    if state is None:
        raise NotFoundError("execution_state", session_id)
    workflow = await storage.get_workflow(session.workflow_id) if session.workflow_id else None
    if workflow is None:
        raise NotFoundError("workflow", str(session.workflow_id))

    executions: defaultdict[str, list[LLMExecution]] = defaultdict(list)
    for execution in await storage.get_llm_executions(session_id):
        executions[execution.node_id].append(execution)
    tool_calls: defaultdict[str, list[ToolCallLog]] = defaultdict(list)
    for call in await storage.get_session_tool_calls(session_id):
        if call.execution_id is not None:
            tool_calls[call.execution_id].append(call)

    nodes = nodes_of(session.workflow_snapshot)
    so_far = QueryFilter(where={"workflow_id": workflow.id, "created_at": Le(session.created_at)})
    newest = QueryFilter(order_by=OrderBy("created_at", Direction.DESCENDING), limit=MAX_PENDING + 1)
    has_streams = Capability.STREAM_EVENTS in storage.capabilities
    streaming = [node for node in nodes if has_streams and node.kind is NodeKind.STREAM]
    return Findings(
        is_durable=Capability.DURABLE in storage.capabilities,
        workflow=workflow,
        session=session,
        number=await storage.count_sessions(so_far),
        state=state,
        nodes=nodes,
        executions=executions,
        tool_calls=tool_calls,
        approvals=await storage.list_approval_requests(session_id),
        pending=await storage.list_pending_approvals(newest),
        pools=await _pools_around(storage, state.budget_pool_id),
        usage=await storage.summarize_usage(["model"], QueryFilter(where={"session_id": session_id})),
        events={node.id: await storage.get_stream_events(stream_of(session_id, node.id)) for node in streaming},
        journal=await storage.get_stream_events(journal_of(session_id)) if has_streams else (),
    )


async def _pools_around(storage: StorageAdapter, pool_id: str | None) -> list[tuple[int, BudgetPool]]:
    """Return the ancestors of a pool, the outermost first, then the pool, then its children; each with its depth."""
    above: list[BudgetPool] = []
    inside = await storage.get_child_budget_pools(pool_id) if pool_id else []
    while pool_id and (pool := await storage.get_budget_pool(pool_id)):
        above.insert(0, pool)
        pool_id = pool.parent_pool_id
    return [*enumerate(above), *((len(above), pool) for pool in inside)]


def tokens_of(executions: Iterable[LLMExecution]) -> int:
    """Return how many tokens model calls used."""
    return sum(execution.usage.total_tokens for execution in executions if execution.usage is not None)


def cached_tokens_of(executions: Iterable[LLMExecution]) -> int:
    """Return how many tokens of the prompts of model calls were read from the provider's cache."""
    return sum(execution.usage.cache_read_tokens or 0 for execution in executions if execution.usage is not None)


def cost_of(executions: Iterable[LLMExecution]) -> Decimal:
    """Return what model calls cost, in USD."""
    return sum((execution.cost or Decimal(0) for execution in executions), Decimal(0))


def text_of(event: StreamEvent) -> str:
    """Return the text of an event, as the engine writes it."""
    return str(event.data.get("text", "")) if isinstance(event.data, dict) else str(event.data)
