"""Calls that fail on a store with known contents, and the errors that they must raise."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import attrs

from aaow_storage import (
    AlreadyExistsError,
    BudgetExceededError,
    ConflictError,
    NotFoundError,
    Patch,
    QueryFilter,
    StorageError,
    StorageOperations,
    ValidationError,
)
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.versions import is_tested_since

Find = Callable[[StorageOperations], Awaitable[Any]]


@attrs.frozen
class FailingCall:
    """A call, and the error that it must raise.

    Attributes:
        name: the name of the test case.
        kind: the type of the error.
        call: makes the call.
        facts: attributes of the error.
        record: finds the stored record that the error must carry as `current`; None if it carries none.
        may_lack_record: whether `current` may be None too.
        since: the version of the contract that a backend must have been built for.
    """

    name: str
    kind: type[StorageError]
    call: Find
    facts: dict[str, Any] = attrs.field(factory=dict)
    record: Find | None = None
    may_lack_record: bool = False
    since: str = "1.0"


def _not_found(name: str, record: str, id: str, call: Find) -> FailingCall:
    return FailingCall(name, NotFoundError, call, {"kind": record, "id": id})


def _already_exists(record: str, id: str, call: Find) -> FailingCall:
    return FailingCall(f"create {record} again", AlreadyExistsError, call, {"kind": record, "id": id})


def _invalid(name: str, field: str, call: Find) -> FailingCall:
    return FailingCall(name, ValidationError, call, {"field": field})


def _request(id: str) -> Find:
    return lambda storage: storage.get_approval_request(id)


def _pool(id: str) -> Find:
    return lambda storage: storage.get_budget_pool(id)


NOWHERE = "nowhere's «id» %_'\""

FAILING_CALLS: tuple[FailingCall, ...] = (
    _not_found("update workflow", "workflow", NOWHERE, lambda storage: storage.update_workflow(NOWHERE, name="x")),
    _not_found("delete workflow", "workflow", NOWHERE, lambda storage: storage.delete_workflow(NOWHERE)),
    _not_found(
        "create session of no workflow",
        "workflow",
        NOWHERE,
        lambda storage: storage.create_session(samples.a_session(workflow_id=NOWHERE)),
    ),
    _not_found(
        "create session of no parent",
        "session",
        NOWHERE,
        lambda storage: storage.create_session(samples.a_session(parent_session_id=NOWHERE)),
    ),
    _not_found("update session", "session", NOWHERE, lambda storage: storage.update_session(NOWHERE, metadata=None)),
    _not_found("delete session", "session", NOWHERE, lambda storage: storage.delete_session(NOWHERE)),
    _not_found(
        "save state", "session", NOWHERE, lambda storage: storage.save_execution_state(samples.a_state(NOWHERE))
    ),
    _not_found(
        "update node of no session",
        "session",
        NOWHERE,
        lambda storage: storage.update_node_state(NOWHERE, "draft", samples.a_node_state("draft")),
    ),
    _not_found(
        "update node of no state",
        "execution_state",
        "bare",
        lambda storage: storage.update_node_state("bare", "draft", samples.a_node_state("draft")),
    ),
    _not_found(
        "save execution",
        "session",
        NOWHERE,
        lambda storage: storage.save_llm_execution(NOWHERE, "draft", samples.a_result()),
    ),
    _not_found(
        "log tool call", "llm_execution", NOWHERE, lambda storage: storage.log_tool_call(samples.a_tool_call(NOWHERE))
    ),
    _not_found(
        "create pool",
        "budget_pool",
        NOWHERE,
        lambda storage: storage.create_budget_pool(samples.a_pool(parent_pool_id=NOWHERE)),
    ),
    _not_found(
        "update pool", "budget_pool", NOWHERE, lambda storage: storage.update_budget_pool(NOWHERE, metadata=None)
    ),
    _not_found("delete pool", "budget_pool", NOWHERE, lambda storage: storage.delete_budget_pool(NOWHERE)),
    _not_found("consume", "budget_pool", NOWHERE, lambda storage: storage.consume_budget(NOWHERE, 1)),
    _not_found("increase", "budget_pool", NOWHERE, lambda storage: storage.increase_budget(NOWHERE, 1)),
    _not_found(
        "create request",
        "session",
        NOWHERE,
        lambda storage: storage.create_approval_request(samples.a_request(NOWHERE)),
    ),
    _not_found(
        "update request",
        "approval_request",
        NOWHERE,
        lambda storage: storage.update_approval_request(NOWHERE, context={}),
    ),
    _not_found("approve", "approval_request", NOWHERE, lambda storage: storage.approve_request(NOWHERE, "ann")),
    _not_found("reject", "approval_request", NOWHERE, lambda storage: storage.reject_request(NOWHERE, "ann")),
    _already_exists("session", "s", lambda storage: storage.create_session(samples.a_session(id="s"))),
    _already_exists("tool_call", "t", lambda storage: storage.log_tool_call(samples.a_tool_call("e", id="t"))),
    _already_exists("budget_pool", "p", lambda storage: storage.create_budget_pool(samples.a_pool(id="p"))),
    _already_exists(
        "approval_request", "a", lambda storage: storage.create_approval_request(samples.a_request("s", id="a"))
    ),
    FailingCall(
        "approve decided", ConflictError, lambda storage: storage.approve_request("done", "ann"), {}, _request("done")
    ),
    FailingCall(
        "reject decided", ConflictError, lambda storage: storage.reject_request("done", "ann"), {}, _request("done")
    ),
    FailingCall(
        "approve late", ConflictError, lambda storage: storage.approve_request("late", "ann"), {}, _request("late")
    ),
    FailingCall(
        "update decided",
        ConflictError,
        lambda storage: storage.update_approval_request("done", context={}),
        {},
        _request("done"),
    ),
    FailingCall("delete parent", ConflictError, lambda storage: storage.delete_budget_pool("p"), {}, _pool("p"), True),
    FailingCall(
        "consume suspended",
        ConflictError,
        lambda storage: storage.consume_budget("suspended", 1),
        {},
        _pool("suspended"),
        True,
    ),
    FailingCall("overspend", BudgetExceededError, lambda storage: storage.consume_budget("p", 11), {}, _pool("p")),
    FailingCall(
        "overspend parent", BudgetExceededError, lambda storage: storage.consume_budget("c", 11), {}, _pool("p")
    ),
    _invalid("wrong type", "name", lambda storage: storage.update_workflow("w", name=1)),  # type: ignore[arg-type]  # on purpose
    _invalid("unknown field", "title", lambda storage: storage.update_workflow("w", title="x")),  # type: ignore[call-arg]  # on purpose
    _invalid("wrong amount", "amount", lambda storage: storage.consume_budget("p", -1)),
    _invalid("empty id", "id", lambda storage: storage.get_session("")),
    _invalid("unknown filter", "title", lambda storage: storage.list_workflows(QueryFilter({"title": "x"}))),
    *(
        attrs.evolve(each, since="1.1")
        for each in (
            FailingCall(
                "update on a condition",
                ConflictError,
                lambda storage: storage.update_workflow("w", only_if={"name": "another"}, name="x"),
                {},
                lambda storage: storage.get_workflow("w"),
            ),
            _not_found(
                "update nothing on a condition",
                "session",
                NOWHERE,
                lambda storage: storage.update_session(NOWHERE, only_if={"status": "failed"}, metadata=Patch({})),
            ),
            _invalid(
                "unknown condition",
                "title",
                lambda storage: storage.update_workflow("w", only_if={"title": "x"}, name="x"),
            ),
            _invalid("patched text", "name", lambda storage: storage.update_workflow("w", name=Patch({}))),  # type: ignore[arg-type]  # on purpose
            _not_found(
                "log tool call of no session",
                "session",
                NOWHERE,
                lambda storage: storage.log_tool_call(samples.a_tool_call(None, session_id=NOWHERE, node_id="draft")),
            ),
            _invalid(
                "log tool call of another session",
                "session_id",
                lambda storage: storage.log_tool_call(samples.a_tool_call("e", session_id="bare")),
            ),
            _invalid("unknown group", "group_by", lambda storage: storage.summarize_usage(("text",))),  # type: ignore[arg-type]  # on purpose
            _invalid("wrong cursor", "after", lambda storage: storage.list_llm_executions(QueryFilter().after("x"))),
        )
    ),
)
"""A call for each way to fail, on what `prepare_for_failing_calls` stores."""


def failing_calls() -> list[FailingCall]:
    """Return those of `FAILING_CALLS` that the backend under test knows."""
    return [each for each in FAILING_CALLS if is_tested_since(each.since)]


async def prepare_for_failing_calls(storage: StorageOperations) -> None:
    """Store the records that `FAILING_CALLS` and `every_call` name."""
    await samples.stored_workflow(storage, id="w")
    await samples.stored_session(storage, id="s", workflow_id="w")
    await samples.stored_session(storage, id="bare")
    await storage.save_execution_state(samples.a_state("s"))
    await samples.stored_execution(storage, "s", id="e")
    await samples.stored_tool_call(storage, "e", id="t")
    await samples.stored_pool(storage, id="p", total_budget=10, used_budget=0)
    await samples.stored_pool(storage, id="c", total_budget=100, used_budget=0, parent_pool_id="p")
    await samples.stored_pool(storage, id="suspended", status="suspended")
    await samples.stored_request(storage, "s", id="a")
    await samples.stored_request(storage, "s", id="done")
    await storage.reject_request("done", "bob", "no — «nein»")
    await samples.stored_request(storage, "s", id="late", expires_at=datetime(2024, 3, 1, tzinfo=UTC))
