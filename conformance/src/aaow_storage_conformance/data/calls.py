"""One call of each operation, for rules that hold for all operations."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any

import attrs

from aaow_storage import Capability, Patch, StorageOperations
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.versions import is_tested_since

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@attrs.frozen
class Call:
    """An operation with valid arguments; the records that they name need not exist."""

    name: str
    arguments: tuple[Any, ...] = ()
    changes: dict[str, Any] = attrs.field(factory=dict)

    def on(self, storage: StorageOperations) -> Awaitable[Any]:
        """Call the operation on an adapter or a transaction."""
        made: Awaitable[Any] = getattr(storage, self.name)(*self.arguments, **self.changes)
        return made


def every_call() -> list[Call]:
    """Return a call of each operation on data that the contract has in the version of the backend under test."""
    return [*_calls_since_1_0(), *(_calls_since_1_1() if is_tested_since("1.1") else [])]


def _calls_since_1_0() -> list[Call]:
    return [
        Call("save_workflow", (samples.a_workflow(),)),
        Call("get_workflow", ("w",)),
        Call("list_workflows"),
        Call("count_workflows"),
        Call("update_workflow", ("w",), {"name": "renamed"}),
        Call("delete_workflow", ("w",)),
        Call("create_session", (samples.a_session(),)),
        Call("get_session", ("s",)),
        Call("list_sessions"),
        Call("count_sessions"),
        Call("update_session", ("s",), {"metadata": None}),
        Call("delete_session", ("s",)),
        Call("save_execution_state", (samples.a_state("s"),)),
        Call("get_execution_state", ("s",)),
        Call("update_node_state", ("s", "draft", samples.a_node_state("draft"))),
        Call("save_llm_execution", ("s", "draft", samples.a_result())),
        Call("get_llm_executions", ("s",)),
        Call("get_node_llm_executions", ("s", "draft")),
        Call("create_budget_pool", (samples.a_pool(),)),
        Call("get_budget_pool", ("p",)),
        Call("list_budget_pools"),
        Call("get_child_budget_pools", ("p",)),
        Call("update_budget_pool", ("p",), {"metadata": None}),
        Call("delete_budget_pool", ("p",)),
        Call("consume_budget", ("p", 1)),
        Call("increase_budget", ("p", 1)),
        Call("log_tool_call", (samples.a_tool_call("e"),)),
        Call("get_tool_calls", ("e",)),
        Call("get_session_tool_calls", ("s",)),
        Call("create_approval_request", (samples.a_request("s"),)),
        Call("get_approval_request", ("a",)),
        Call("list_approval_requests", ("s",)),
        Call("list_pending_approvals"),
        Call("update_approval_request", ("a",), {"context": {}}),
        Call("approve_request", ("a", "ann")),
        Call("reject_request", ("a", "ann")),
        Call("expire_approvals"),
        Call("save_stream_event", (samples.an_event(),)),
        Call("get_stream_events", ("stream",)),
    ]


def _calls_since_1_1() -> list[Call]:
    return [
        Call("update_session", ("s",), {"only_if": {"status": "paused"}, "metadata": Patch({"user": None})}),
        Call("list_execution_states"),
        Call("get_node_state", ("s", "draft")),
        Call("list_node_states"),
        Call("list_llm_executions"),
        Call("count_llm_executions"),
        Call("summarize_usage", (("model", "day"),)),
        Call("log_tool_call", (samples.a_tool_call(None, session_id="s", node_id="draft"),)),
        Call("list_tool_calls"),
        Call("list_approval_requests"),
        Call("count_approval_requests"),
        Call("save_stream_events", ([samples.an_event(), samples.an_event()],)),
        Call("get_stream_events", ("stream", None, 0)),
        Call("list_stream_events"),
        Call("list_streams"),
        Call("delete_stream_events", ("stream",)),
        Call("approve_request", ("a", "ann"), {"session_status": "running"}),
        Call("reject_request", ("a", "ann"), {"session_status": "failed"}),
        Call("expire_approvals", (), {"session_status": "running"}),
        Call("get_changes", (None, 5, ("session", "budget_pool"), "s")),
        Call("last_change"),
        Call("prune_changes", (LONG_AGO,)),
    ]


STREAM_OPERATIONS = (
    *("save_stream_event", "get_stream_events"),
    *("save_stream_events", "list_stream_events", "list_streams", "delete_stream_events"),
)
"""The operations that need the capability `stream_events`."""
CHANGE_OPERATIONS = ("get_changes", "last_change", "prune_changes")
"""The operations that need the capability `changes`."""


def capability_of(operation: str) -> Capability | None:
    """Return the capability that an operation needs, None if it needs none."""
    if operation in CHANGE_OPERATIONS:
        return Capability.CHANGES
    return Capability.STREAM_EVENTS if operation in STREAM_OPERATIONS else None


def calls_with(capabilities: Collection[Capability]) -> list[Call]:
    """Return a call of each operation that needs none but those capabilities."""
    return [call for call in every_call() if (needed := capability_of(call.name)) is None or needed in capabilities]


WRITES: tuple[Callable[[StorageOperations], Awaitable[Any]], ...] = (
    lambda storage: storage.save_workflow(samples.a_workflow()),
    lambda storage: storage.create_session(samples.a_session()),
    lambda storage: storage.create_budget_pool(samples.a_pool()),
)
"""Writes that succeed whatever the store holds."""
