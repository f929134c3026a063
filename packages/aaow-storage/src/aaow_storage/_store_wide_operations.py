"""`StoreWideOperations`: lists, counts and sums over all sessions, and single nodes.

A backend need not implement them. Their defaults are built on the operations that every backend has: they go through
the sessions, and read each page by page.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, fields

from aaow_storage._arguments import check_id
from aaow_storage._filters import MAX_PAGE, QueryFilter
from aaow_storage._late_planner import plan_query
from aaow_storage._records import (
    ApprovalRequest,
    LLMExecution,
    NodeExecutionState,
    NodeState,
    Session,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage._required_operations import RequiredOperations
from aaow_storage._session_status import DECISIONS, lacks_session_status, with_session_status
from aaow_storage._usage_summary import UsageKey, UsageSummary

if TYPE_CHECKING:
    from aaow_storage._query_plan import QueryPlan

RecordT = TypeVar("RecordT")
ListOfSession = Callable[[str, QueryFilter], Awaitable[list[RecordT]]]
"""Lists the records of one session that match a filter."""

PAGE_LENGTH = 500
"""How many records the defaults read at once."""


class StoreWideOperations(RequiredOperations):
    """Lists, counts and sums over all sessions, and single nodes.

    By default each reads several times, so that a list is not of one instant if others write meanwhile.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a backend that was written for contract 1.0 take the arguments that its operations lack."""
        super().__init_subclass__(**options)
        own: Any = vars(cls).get("list_approval_requests")
        if _needs_session(own):
            cls.list_approval_requests = _also_of_all_sessions(own)  # type: ignore[method-assign]  # it is its own
        for name in DECISIONS:
            if lacks_session_status(vars(cls).get(name)):
                setattr(cls, name, with_session_status(vars(cls)[name]))

    async def get_node_state(self, session_id: str, node_id: str) -> NodeExecutionState | None:
        """Return the state of one node, without reading the others."""
        session_id = check_id("get_node_state", "session_id", session_id)
        node_id = check_id("get_node_state", "node_id", node_id)
        state = await self.get_execution_state(session_id)
        return None if state is None else state.node_states.get(node_id)

    async def list_node_states(self, filter: QueryFilter | None = None) -> list[NodeState]:
        """Return the states of the nodes of all sessions, by session id, then node id."""
        plan = plan_query(NodeState, filter, "session_id")

        async def of_session(session_id: str, _: QueryFilter) -> list[NodeState]:
            state = await self.get_execution_state(session_id)
            return [] if state is None else [node_of(session_id, node) for node in state.node_states.values()]

        return await _listed(self, plan, filter, of_session)

    async def list_execution_states(self, filter: QueryFilter | None = None) -> list[WorkflowExecutionState]:
        """Return the execution states of all sessions, each with all node states, by session id."""
        plan = plan_query(WorkflowExecutionState, filter, "session_id")

        async def of_session(session_id: str, _: QueryFilter) -> list[WorkflowExecutionState]:
            state = await self.get_execution_state(session_id)
            return [] if state is None else [state]

        return await _listed(self, plan, filter, of_session)

    async def list_llm_executions(self, filter: QueryFilter | None = None) -> list[LLMExecution]:
        """Return the LLM executions of all sessions."""
        plan = plan_query(LLMExecution, filter, "timestamp")
        return await _listed(self, plan, filter, self.get_llm_executions)

    async def count_llm_executions(self, filter: QueryFilter | None = None) -> int:
        """Return how many executions `list_llm_executions` would return."""
        plan = plan_query(LLMExecution, filter, "timestamp")
        return await _counted(self, plan, filter, self.get_llm_executions)

    async def list_tool_calls(self, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of all sessions.

        A call of an LLM execution has the `session_id` and `node_id` of its execution, and the filter may name them.
        """
        plan = plan_query(ToolCallLog, filter, "timestamp")
        return await _listed(self, plan, filter, self._calls_with_session)

    async def count_approval_requests(self, filter: QueryFilter | None = None) -> int:
        """Return how many requests `list_approval_requests` would return for all sessions."""
        plan = plan_query(ApprovalRequest, filter, "created_at")
        return await _counted(self, plan, filter, self.list_approval_requests)

    async def summarize_usage(
        self, group_by: tuple[UsageKey, ...] | list[UsageKey] = (), filter: QueryFilter | None = None
    ) -> list[UsageSummary]:
        """Sum up the usage, costs and durations of the LLM executions that match the filter, in groups.

        There is a summary for each combination of values of the keys that an execution has, ordered by the keys: None
        first, texts by code point. Without keys there is one, of all executions, even if there is none. Sums are exact,
        and a figure that is missing is never counted as 0.

        The filter may have conditions only: no order, no limit, no offset, no `after`.
        """
        from aaow_storage._usage_sums import UsageSums, plan_usage  # noqa: PLC0415 - most programs sum nothing up

        query = plan_usage(group_by, filter)
        sums = UsageSums(query.group_by)
        conditions = evolve(filter or QueryFilter(), documents=False)
        async for session in _sessions(self):
            async for execution in _records(self.get_llm_executions, session.id, conditions):
                sums.add(execution, session.workflow_id)
        return sums.summaries()

    async def _calls_with_session(self, session_id: str, _: QueryFilter) -> list[ToolCallLog]:
        calls = [call async for call in _records(self.get_session_tool_calls, session_id, QueryFilter())]
        if all(call.session_id is not None and call.node_id is not None for call in calls):
            return calls
        executions = _records(self.get_llm_executions, session_id, QueryFilter(documents=False))
        nodes = {execution.id: execution.node_id async for execution in executions}
        return [
            evolve(call, session_id=session_id, node_id=nodes.get(call.execution_id or "", call.node_id))
            for call in calls
        ]


def node_of(session_id: str, node: NodeExecutionState) -> NodeState:
    """Return the state of a node, with its session."""
    values = {field.name: getattr(node, field.name) for field in fields(NodeExecutionState)}
    return NodeState(session_id=session_id, **values)


async def _sessions(storage: RequiredOperations) -> AsyncIterator[Session]:
    """Yield the sessions, without their snapshots."""
    page = QueryFilter(limit=PAGE_LENGTH, documents=False)
    while sessions := await storage.list_sessions(page):
        for session in sessions:
            yield session
        page = page.after(sessions[-1])


async def _records(
    list_of_session: ListOfSession[RecordT], session_id: str, filter: QueryFilter
) -> AsyncIterator[RecordT]:
    """Yield the records of a session that match the filter, page by page."""
    page = evolve(filter, limit=PAGE_LENGTH)
    while records := await list_of_session(session_id, page):
        for record in records:
            yield record
        page = page.after(records[-1])


async def _listed(
    storage: RequiredOperations, plan: "QueryPlan", filter: QueryFilter | None, list_of_session: ListOfSession[RecordT]
) -> list[RecordT]:
    """Return the records of all sessions that a plan selects; no more are kept than the page needs."""
    needed = None if plan.limit is None else min(plan.offset + plan.limit, MAX_PAGE)
    prefix = evolve(plan, offset=0, limit=needed)
    page = evolve(filter or QueryFilter(), offset=0, limit=needed, documents=True)
    kept: list[RecordT] = []
    async for session in _sessions(storage):
        kept += await list_of_session(session.id, page)
        if needed is not None and len(kept) > needed:
            kept = prefix.select_whole(kept)
    return plan.select(kept)


async def _counted(
    storage: RequiredOperations, plan: "QueryPlan", filter: QueryFilter | None, list_of_session: ListOfSession[Any]
) -> int:
    """Count the records of all sessions that a plan selects."""
    given = filter or QueryFilter()
    has_cursor = plan.after is not None  # then the order matters, and may need the documents
    page = evolve(given, order_by=given.order_by if has_cursor else (), offset=0, documents=has_cursor)
    found = 0
    async for session in _sessions(storage):
        async for _ in _records(list_of_session, session.id, page):
            found += 1
    rest = max(0, found - plan.offset)
    return rest if plan.limit is None else min(rest, plan.limit)


def _needs_session(operation: Any) -> bool:
    """Say whether it is a function that takes a session and has no default for it, as in contract 1.0."""
    code = getattr(operation, "__code__", None)
    return code is not None and code.co_argcount - len(operation.__defaults__ or ()) > 1


def _also_of_all_sessions(of_session: Callable[..., Awaitable[list[ApprovalRequest]]]) -> Any:
    """Return the operation that lists the requests of a session, or of all sessions one after the other."""

    @functools.wraps(of_session)
    async def list_approval_requests(
        self: RequiredOperations, session_id: str | None = None, filter: QueryFilter | None = None
    ) -> list[ApprovalRequest]:
        if session_id is not None:
            return await of_session(self, session_id, filter)
        plan = plan_query(ApprovalRequest, filter, "created_at")
        return await _listed(self, plan, filter, functools.partial(of_session, self))

    return list_approval_requests
