"""A script with a step for every operation that writes, and calls that read all that it changes."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import attrs

from aaow_storage import Capability, Gt, Ne, Not, OrderBy, Patch, QueryFilter, StorageOperations
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import Call, capability_of, every_call
from aaow_storage_conformance.data.contents import set_by_the_store
from aaow_storage_conformance.data.versions import is_tested_since

READS = ("get", "list", "count", "summarize")
"""Prefixes of the operations that read."""
GROUP_SIZE = 4
LONG_AGO = datetime(2024, 3, 1, tzinfo=UTC)


@attrs.frozen
class Step:
    """An operation that changes what reads return.

    Attributes:
        name: the operation and, if several steps use it, what it is done to.
        change: calls the operation, and returns its result.
        needs: the capabilities that the store must claim.
        since: the version of the contract that a backend must have been built for.
        returns: whether the operation returns something, although others of the same verb do not.
    """

    name: str
    change: Callable[[StorageOperations], Awaitable[Any]]
    needs: frozenset[Capability] = frozenset()
    since: str = "1.0"
    returns: bool = False


def _stream(name: str, change: Callable[[StorageOperations], Awaitable[Any]], **rest: Any) -> Step:
    return Step(name, change, frozenset({Capability.STREAM_EVENTS}), **rest)


def _later(name: str, change: Callable[[StorageOperations], Awaitable[Any]]) -> Step:
    return Step(name, change, since="1.1")


STEPS: tuple[Step, ...] = (
    Step("save_workflow", lambda storage: storage.save_workflow(samples.a_workflow(id="w"))),
    Step("save_workflow again", lambda storage: storage.save_workflow(samples.a_workflow(id="w", name="renamed"))),
    Step("update_workflow", lambda storage: storage.update_workflow("w", definition={"rank": 2}, name="w")),
    Step("create_session", lambda storage: storage.create_session(samples.a_session(id="s", workflow_id="w"))),
    Step(
        "create_session of a parent",
        lambda storage: storage.create_session(samples.a_session(id="child", parent_session_id="s")),
    ),
    Step("update_session", lambda storage: storage.update_session("s", status="failed", metadata={"user": "bea"})),
    _later(
        "update_session on a condition",
        lambda storage: storage.update_session("s", only_if={"status": "failed"}, metadata=Patch({"turn": 1})),
    ),
    Step("save_execution_state", lambda storage: storage.save_execution_state(samples.a_state("s"))),
    Step("save_execution_state again", lambda storage: storage.save_execution_state(samples.a_state("s"))),
    Step("update_node_state", lambda storage: storage.update_node_state("s", "draft", samples.a_node_state("draft"))),
    Step("save_llm_execution", lambda storage: storage.save_llm_execution("s", "draft", samples.a_result(id="e"))),
    Step(
        "save_llm_execution again", lambda storage: storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
    ),
    Step("log_tool_call", lambda storage: storage.log_tool_call(samples.a_tool_call("e", id="t"))),
    _later(
        "log_tool_call without an execution",
        lambda storage: storage.log_tool_call(samples.a_tool_call(None, session_id="s", node_id="draft", id="u")),
    ),
    Step(
        "save_llm_execution under another session",
        lambda storage: storage.save_llm_execution("child", "draft", samples.a_result(id="e")),
    ),
    Step(
        "save_llm_execution under the first session",
        lambda storage: storage.save_llm_execution("s", "draft", samples.a_result(id="e")),
    ),
    Step("create_budget_pool", lambda storage: storage.create_budget_pool(_a_pool("p", None))),
    Step("create_budget_pool of a parent", lambda storage: storage.create_budget_pool(_a_pool("c", "p"))),
    Step("consume_budget", lambda storage: storage.consume_budget("c", 3)),
    Step("consume_budget to the end", lambda storage: storage.consume_budget("c", 7)),
    Step("increase_budget", lambda storage: storage.increase_budget("p", 5)),
    Step("update_budget_pool", lambda storage: storage.update_budget_pool("p", metadata={"user": "bea"})),
    Step("create_approval_request", lambda storage: storage.create_approval_request(_a_request("a"))),
    Step("create_approval_request to refuse", lambda storage: storage.create_approval_request(_a_request("b"))),
    Step("create_approval_request to expire", lambda storage: storage.create_approval_request(_a_request("x"))),
    Step("create_approval_request to close", lambda storage: storage.create_approval_request(_a_request("y"))),
    Step("update_approval_request", lambda storage: storage.update_approval_request("a", context={"amount": 2})),
    Step(
        "update_approval_request to expire", lambda storage: storage.update_approval_request("x", expires_at=LONG_AGO)
    ),
    Step("update_approval_request to close", lambda storage: storage.update_approval_request("y", status="expired")),
    Step("approve_request", lambda storage: storage.approve_request("a", "ann", "fine")),
    Step("reject_request", lambda storage: storage.reject_request("b", "bob", "too much")),
    Step("expire_approvals", lambda storage: storage.expire_approvals(LONG_AGO)),
    _stream("save_stream_event", lambda storage: storage.save_stream_event(samples.an_event("stream", id="v"))),
    _stream("save_stream_event again", lambda storage: storage.save_stream_event(samples.an_event("stream", id="v"))),
    _stream(
        "save_stream_events",
        lambda storage: storage.save_stream_events(
            [samples.an_event("stream", id="v"), samples.an_event("other", session_id="s"), samples.an_event("other")]
        ),
        since="1.1",
        returns=True,
    ),
    Step("delete_budget_pool", lambda storage: storage.delete_budget_pool("c")),
    Step("delete_workflow", lambda storage: storage.delete_workflow("w")),
    Step("delete_session", lambda storage: storage.delete_session("s")),
    _stream(
        "delete_stream_events",
        lambda storage: storage.delete_stream_events("stream"),
        since="1.1",
        returns=True,
    ),
)
"""Every operation that writes, at least once, in an order in which each changes something."""


def steps_for(capabilities: frozenset[Capability]) -> list[Step]:
    """Return the steps for a store with those capabilities, of the backend under test."""
    return [step for step in STEPS if step.needs <= capabilities and is_tested_since(step.since)]


def in_groups(steps: list[Step]) -> list[list[Step]]:
    """Return the steps in order, in groups of a few."""
    return [steps[first : first + GROUP_SIZE] for first in range(0, len(steps), GROUP_SIZE)]


def _a_pool(id: str, parent_id: str | None) -> Any:
    return samples.a_pool(id=id, parent_pool_id=parent_id, total_budget=10, used_budget=0)


def _a_request(id: str) -> Any:
    return samples.a_request("s", id=id, expires_at=None)


def every_read(capabilities: frozenset[Capability]) -> list[Call]:
    """Return calls of every operation that reads records, on those of the steps.

    The operations on the change feed are none of them: they do not show a transaction what it has changed itself.
    """
    plain = [call for call in every_call() if call.name.partition("_")[0] in READS]
    filtered = [
        Call("list_workflows", (QueryFilter({"name": "w"}),)),
        Call("list_workflows", (QueryFilter(documents=False),)),
        Call("list_sessions", (QueryFilter({"workflow_snapshot.revision": Gt(0), "status": "failed"}),)),
        Call("count_sessions", (QueryFilter({"metadata.user": "bea"}),)),
        Call("get_session", ("child",)),
        Call("get_budget_pool", ("c",)),
        Call("get_approval_request", ("x",)),
        Call("get_llm_executions", ("child",)),
        Call("get_session_tool_calls", ("child",)),
    ]
    if is_tested_since("1.1"):
        filtered += [
            Call("list_llm_executions", (QueryFilter({"total_tokens": Gt(0)}, OrderBy("cost", "desc")),)),
            Call("list_llm_executions", (QueryFilter({"input": Ne(None)}, documents=False),)),
            Call("list_tool_calls", (QueryFilter({"session_id": "child"}),)),
            Call("summarize_usage", (("session_id", "provider"), QueryFilter({"session_id": Not("child")}))),
            Call("list_sessions", (QueryFilter(any_of=[{"id": "child"}, {"metadata.turn": 1}]),)),
            Call("list_stream_events", (QueryFilter({"session_id": "s"}),)),
        ]
    offered = {None, *capabilities} - {Capability.CHANGES}
    return [call for call in (*plain, *filtered) if capability_of(call.name) in offered]


async def read_all(storage: StorageOperations, capabilities: frozenset[Capability]) -> dict[str, Any]:
    """Make every call that reads, and return the results by call."""
    found = {f"{call.name}{call.arguments}": await call.on(storage) for call in every_read(capabilities)}
    places = {name: set_by_the_store(records) for name, records in found.items()} if is_tested_since("1.1") else {}
    return {**found, "set by the store": places}
