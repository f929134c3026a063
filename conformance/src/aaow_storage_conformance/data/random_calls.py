"""Random calls with valid arguments; `initial_calls` has the records that the first of them find."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from hypothesis import strategies as st

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    BudgetPoolStatus,
    Change,
    LLMExecution,
    NodeState,
    QueryFilter,
    Session,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    StreamSummary,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import KINDS
from aaow_storage_conformance.data import random_records as records
from aaow_storage_conformance.data.random_filters import choices, filters, groups, wheres
from aaow_storage_conformance.data.versions import is_tested_since


@attrs.frozen
class RandomCall:
    """An operation with its arguments."""

    name: str
    arguments: dict[str, Any]

    @property
    def may_write(self) -> bool:
        """Whether it is not of those that only read."""
        return not self.name.startswith(("get_", "list_", "count_", "summarize_"))

    async def on(self, storage: StorageOperations) -> Any:
        """Call the operation."""
        arguments = dict(self.arguments)
        of_record = [arguments.pop("id")] if self.name.startswith("update_") and "id" in arguments else []
        found = await getattr(storage, self.name)(*of_record, **arguments)
        sessions: set[str] = set()  # another status of a session comes with the store's clock
        if self.name == "save_execution_state":
            sessions = {arguments["state"].session_id}
        elif arguments.get("session_status") is not None:
            sessions = {request.session_id for request in (found if isinstance(found, list) else [found])}
        for session_id in sorted(sessions):
            await storage.update_session(session_id, updated_at=records.START)
        return found


def _call(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[RandomCall]:
    return st.builds(RandomCall, st.just(name), st.fixed_dictionaries(arguments))


def _update(
    kind: type, name: str, ids: tuple[str, ...], /, **changes: st.SearchStrategy[Any]
) -> st.SearchStrategy[RandomCall]:
    if is_tested_since("1.1"):
        changes = {name: changed | records.patches if name in PATCHED else changed for name, changed in changes.items()}
        changes["only_if"] = wheres(kind)
    named = st.fixed_dictionaries({"id": records.one_of_these(ids)}, optional=changes)
    return st.builds(RandomCall, st.just(name), named)


PATCHED = ("definition", "metadata", "context")
"""The fields that a patch may change."""


@attrs.frozen
class Walk:
    """A list that is read page by page, each page after the last record of the one before, or after its cursor.

    Attributes:
        call: the call of the list, with a filter.
        limit: how many records a page has.
        takes_cursors: whether pages begin after a cursor.
    """

    call: RandomCall
    limit: int
    takes_cursors: bool

    async def on(self, storage: StorageOperations) -> list[Any]:
        """Read a few pages, and return their records."""
        page = attrs.evolve(self.call.arguments["filter"] or QueryFilter(), limit=self.limit, documents=True)
        read: list[Any] = []
        for _ in range(_PAGES):
            found = await RandomCall(self.call.name, {**self.call.arguments, "filter": page}).on(storage)
            read += found
            if not found:
                break
            page = page.after(page.cursor(found[-1]) if self.takes_cursors else found[-1])
        return read


@attrs.frozen
class ReadOn:
    """The events of a stream after the sequence of one of them, from the last, or after 0.

    Attributes:
        stream_id: the stream.
        from_end: which event.
        filter: which of the events after it.
    """

    stream_id: str
    from_end: int
    filter: QueryFilter | None

    async def on(self, storage: StorageOperations) -> list[Any]:
        """Read the stream, and read on."""
        whole = await storage.get_stream_events(self.stream_id, after_sequence=0)
        sequences = [0, *(event.sequence or 0 for event in whole)]
        after = sequences[max(-len(sequences), -self.from_end)]
        return [*whole, *await storage.get_stream_events(self.stream_id, self.filter, after)]


@attrs.frozen
class Wait:
    """A wait for the decision of a request that is over at once."""

    request_id: str

    async def on(self, storage: StorageAdapter) -> Any:
        """Return the request if it is decided."""
        try:
            return await storage.wait_for_approval(self.request_id, 0)
        except TimeoutError:
            return "it could still be decided"


@attrs.frozen
class ReadChanges:
    """The changes after a position that are of some kinds, or of a session, in pages of some length."""

    kinds: list[str] | None
    session_id: str | None
    limit: int

    async def after(self, position: str | None, storage: StorageOperations) -> list[Change]:
        """Return them."""
        found: list[Change] = []
        while page := await storage.get_changes(position, self.limit, self.kinds, self.session_id):
            found += page
            position = page[-1].position
        return found


AnyCall = RandomCall | Walk | ReadOn
_PAGES = 4


_LISTS: dict[str, tuple[type, Mapping[str, tuple[str, ...]]]] = {
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
_LATER_LISTS: dict[str, tuple[type, Mapping[str, tuple[str | None, ...]]]] = {
    "list_execution_states": (WorkflowExecutionState, {}),
    "list_node_states": (NodeState, {}),
    "list_llm_executions": (LLMExecution, {}),
    "count_llm_executions": (LLMExecution, {}),
    "list_tool_calls": (ToolCallLog, {}),
    "list_approval_requests": (ApprovalRequest, {"session_id": (None, *records.SESSIONS)}),
    "count_approval_requests": (ApprovalRequest, {}),
    "list_stream_events": (StreamEvent, {}),
    "list_streams": (StreamSummary, {}),
}

_LOOK_UPS = (
    _call("get_workflow", id=records.one_of_these(records.WORKFLOWS)),
    _call("get_session", id=records.one_of_these(records.SESSIONS)),
    _call("get_execution_state", session_id=records.one_of_these(records.SESSIONS)),
    _call("get_budget_pool", id=records.one_of_these(records.POOLS)),
    _call("get_approval_request", id=records.one_of_these(records.REQUESTS)),
)


def reads(is_offered: Callable[[str], bool]) -> st.SearchStrategy[AnyCall]:
    """Return a strategy for calls that only read, of the offered operations."""
    is_later = is_tested_since("1.1")
    calls: list[st.SearchStrategy[AnyCall]] = [*_LOOK_UPS]
    lists: dict[str, tuple[type, Mapping[str, tuple[str | None, ...]]]] = {
        **_LISTS,
        **(_LATER_LISTS if is_later else {}),
    }
    for name, (kind, scope) in lists.items():
        if is_offered(name):
            scopes = {argument: records.one_of_these(ids) for argument, ids in scope.items()}
            call = _call(name, **scopes, filter=filters(kind))
            calls.append(call)
            if is_later and not name.startswith("count"):
                calls.append(st.builds(Walk, call, st.integers(1, 2), st.booleans()))
    if is_later:
        sessions, nodes = records.one_of_these(records.SESSIONS), records.one_of_these(records.NODES)
        calls.append(_call("get_node_state", session_id=sessions, node_id=nodes))
        calls.append(_call("summarize_usage", group_by=groups, filter=choices(LLMExecution)))
        if is_offered("list_streams"):
            streams = records.one_of_these(records.STREAMS)
            calls.append(st.builds(ReadOn, streams, st.integers(0, 3), filters(StreamEvent)))
    return st.one_of(calls)


waits = st.builds(Wait, records.one_of_these(records.REQUESTS))
change_reads = st.builds(
    ReadChanges,
    kinds=st.none() | st.lists(records.one_of_these(sorted(KINDS.values())), max_size=4, unique=True),
    session_id=records.one_of_these((None, None, *records.SESSIONS)),
    limit=records.one_of_these((2, 7, 1000)),
)


def writes(is_offered: Callable[[str], bool]) -> st.SearchStrategy[RandomCall]:
    """Return a strategy for calls that may write, of the offered operations.

    Updates set `updated_at`, so that two stores can be compared; only `resolved_at` is left to each store's clock.
    """
    decided_status = {"session_status": st.none() | records.session_status} if is_tested_since("1.1") else {}
    calls = [
        _call("save_workflow", workflow=records.workflows),
        _update(
            StoredWorkflow,
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
            Session,
            "update_session",
            records.SESSIONS,
            status=records.session_status,
            metadata=records.document_or_none,
        ).map(_with_updated_at),
        _call("delete_session", id=records.one_of_these(records.SESSIONS)),
        _call("save_execution_state", state=records.execution_states()),
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
            result=records.results(),
        ),
        _call("log_tool_call", log=records.tool_call_logs()),
        _call("create_budget_pool", pool=records.pools),
        _update(
            BudgetPool,
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
            ApprovalRequest,
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
            **decided_status,
        ),
        _call(
            "reject_request",
            id=records.one_of_these(records.REQUESTS),
            rejected_by=records.one_of_these(records.TEXTS),
            reason=records.text_or_none,
            **decided_status,
        ),
        _call("expire_approvals", now=records.one_of_these((records.PAST, records.START)), **decided_status),
    ]
    if is_offered("save_stream_event"):
        calls.append(_call("save_stream_event", event=records.events()))
    if is_offered("save_stream_events") and is_tested_since("1.1"):
        calls.append(_call("save_stream_events", events=st.lists(records.events(), max_size=4)))
        calls.append(_call("delete_stream_events", stream_id=records.one_of_these(records.STREAMS)))
    return st.one_of(calls)


def _with_updated_at(call: RandomCall) -> RandomCall:
    return attrs.evolve(call, arguments={"updated_at": records.START, **call.arguments})
