"""The kinds of record: how each is made, stored and found, so that tests can go through all of them."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Capability,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import KINDS as KIND_NAMES
from aaow_storage_conformance._contract import requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import everything_in

SESSION_ID, EXECUTION_ID, STREAM_ID = "home session", "home execution", "stream-1"


async def prepare(storage: StorageOperations) -> None:
    """Store the session, its state and the execution that records of the other kinds refer to."""
    await samples.stored_session(storage, id=SESSION_ID)
    await storage.save_execution_state(samples.a_state(SESSION_ID, node_states={}))
    await samples.stored_execution(storage, SESSION_ID, id=EXECUTION_ID)


@attrs.frozen(kw_only=True)
class Kind:
    """One kind of record.

    Attributes:
        name: its name in `NotFoundError.kind` and `AlreadyExistsError.kind`.
        make: builds a record with a value in every field; takes fields by name.
        store: stores a record.
        find: returns the stored record with the same id, or None.
        key: the name of the id field.
        texts: the names of plain text fields.
        instants: the names of fields that hold an instant.
        objects: the names of fields that hold a JSON object.
        documents: the names of fields that hold any JSON value.
        capability: the capability that a store needs for such records, if any.
    """

    name: str
    make: Callable[..., Any]
    store: Callable[[StorageOperations, Any], Awaitable[None]]
    find: Callable[[StorageOperations, Any], Awaitable[Any]]
    key: str = "id"
    texts: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    capability: Capability | None = None


def _with_id(records: list[Any], record: Any) -> Any:
    (found,) = [each for each in records if each.id == record.id] or [None]
    return found


async def _find_state(storage: StorageOperations, record: WorkflowExecutionState) -> WorkflowExecutionState | None:
    return await storage.get_execution_state(record.session_id)


async def _find_node(storage: StorageOperations, record: NodeExecutionState) -> NodeExecutionState | None:
    state = await storage.get_execution_state(SESSION_ID)
    return None if state is None else state.node_states.get(record.node_id)


async def _save_execution(storage: StorageOperations, record: LLMExecution) -> None:
    fields = {field.name: getattr(record, field.name) for field in attrs.fields(LLMExecutionResult)}
    await storage.save_llm_execution(record.session_id, record.node_id, LLMExecutionResult(**fields))


async def _find_execution(storage: StorageOperations, record: LLMExecution) -> Any:
    return _with_id(await storage.get_llm_executions(record.session_id), record)


async def _find_tool_call(storage: StorageOperations, record: ToolCallLog) -> Any:
    assert record.execution_id is not None
    return _with_id(await storage.get_tool_calls(record.execution_id), record)


async def _find_event(storage: StorageOperations, record: StreamEvent) -> Any:
    return _with_id(await storage.get_stream_events(record.stream_id), record)


def _make_execution(**fields: Any) -> LLMExecution:
    place = {"session_id": SESSION_ID, "node_id": "draft"}
    place |= {name: fields.pop(name) for name in tuple(fields) if name in place}
    return samples.an_execution(**place, result=samples.a_result(**fields))


def _make_tool_call(**fields: Any) -> ToolCallLog:
    return samples.a_tool_call(**{"execution_id": EXECUTION_ID, **fields})


def _make_state(**fields: Any) -> WorkflowExecutionState:
    return samples.a_state(**{"session_id": SESSION_ID, **fields})


def _make_request(**fields: Any) -> ApprovalRequest:
    return samples.a_request(**{"session_id": SESSION_ID, **fields})


WORKFLOW = Kind(
    name=KIND_NAMES[StoredWorkflow],
    make=samples.a_workflow,
    store=lambda storage, record: storage.save_workflow(record),
    find=lambda storage, record: storage.get_workflow(record.id),
    texts=("name", "version"),
    instants=("created_at", "updated_at"),
    objects=("definition", "metadata"),
)
SESSION = Kind(
    name=KIND_NAMES[Session],
    make=samples.a_session,
    store=lambda storage, record: storage.create_session(record),
    find=lambda storage, record: storage.get_session(record.id),
    instants=("created_at", "updated_at"),
    objects=("workflow_snapshot", "metadata"),
)
EXECUTION_STATE = Kind(
    name=KIND_NAMES[WorkflowExecutionState],
    make=_make_state,
    store=lambda storage, record: storage.save_execution_state(record),
    find=_find_state,
    key="session_id",
    instants=("started_at", "completed_at"),
    objects=("metadata",),
)
NODE_STATE = Kind(
    name="node_state",
    make=samples.a_node_state,
    store=lambda storage, record: storage.update_node_state(SESSION_ID, record.node_id, record),
    find=_find_node,
    key="node_id",
    texts=("error",),
    instants=("started_at", "completed_at"),
    objects=("metadata",),
    documents=("input", "output"),
)
LLM_EXECUTION = Kind(
    name=KIND_NAMES[LLMExecution],
    make=_make_execution,
    store=_save_execution,
    find=_find_execution,
    texts=("text", "error"),
    instants=("timestamp",),
    objects=("metadata",),
)
TOOL_CALL = Kind(
    name=KIND_NAMES[ToolCallLog],
    make=_make_tool_call,
    store=lambda storage, record: storage.log_tool_call(record),
    find=_find_tool_call,
    texts=("tool_name", "error"),
    instants=("timestamp",),
    objects=("args",),
    documents=("result",),
)
BUDGET_POOL = Kind(
    name=KIND_NAMES[BudgetPool],
    make=samples.a_pool,
    store=lambda storage, record: storage.create_budget_pool(record),
    find=lambda storage, record: storage.get_budget_pool(record.id),
    instants=("created_at",),
    objects=("metadata",),
)
APPROVAL_REQUEST = Kind(
    name=KIND_NAMES[ApprovalRequest],
    make=_make_request,
    store=lambda storage, record: storage.create_approval_request(record),
    find=lambda storage, record: storage.get_approval_request(record.id),
    texts=("resolved_by", "resolution_notes"),
    instants=("created_at", "expires_at", "resolved_at"),
    objects=("context",),
)
STREAM_EVENT = Kind(
    name=KIND_NAMES[StreamEvent],
    make=samples.an_event,
    store=lambda storage, record: storage.save_stream_event(record),
    find=_find_event,
    instants=("timestamp",),
    documents=("data",),
    capability=Capability.STREAM_EVENTS,
)

KINDS = (
    WORKFLOW,
    SESSION,
    EXECUTION_STATE,
    NODE_STATE,
    LLM_EXECUTION,
    TOOL_CALL,
    BUDGET_POOL,
    APPROVAL_REQUEST,
    STREAM_EVENT,
)
INSERTED = (SESSION, TOOL_CALL, BUDGET_POOL, APPROVAL_REQUEST)
"""Kinds stored by `create_*` or `log_*`: a second time fails."""
SAVED = (WORKFLOW, EXECUTION_STATE, NODE_STATE, LLM_EXECUTION, STREAM_EVENT)
"""Kinds stored by `save_*` or `update_node_state`: a second time replaces the record."""


async def fill_store(storage: StorageAdapter) -> dict[str, list[Any]]:
    """Store two records of each kind that the store takes, and return all that is stored then."""
    await prepare(storage)
    for kind in KINDS:
        if kind.capability is None or kind.capability in storage.capabilities:
            for _ in range(2):
                await kind.store(storage, kind.make())
    return await everything_in(storage, streams=[STREAM_ID])


def each(kinds: tuple[Kind, ...]) -> pytest.MarkDecorator:
    """Run a test once for each kind, as its argument `kind`."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param(kind, id=kind.name, marks=() if kind.capability is None else requires(kind.capability))
            for kind in kinds
        ],
    )
