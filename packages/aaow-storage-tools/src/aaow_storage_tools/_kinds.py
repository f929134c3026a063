"""`Kind`: how the records of each kind are listed, read, saved and deleted by the public interface."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import attrs

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    LLMExecutionResult,
    QueryFilter,
    Session,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.authoring import KINDS as KIND_NAMES

R = TypeVar("R")


class Reference(NamedTuple):
    """A record that another one refers to, and without which it cannot be stored."""

    kind: str
    id: str


@attrs.frozen(kw_only=True)
class Kind(Generic[R]):
    """One kind of record.

    Attributes:
        name: what errors and the change feed call it, such as `"session"`.
        record: the class.
        id_field: the field that tells its records apart.
        order: the fields that a walk through all of them is ordered by, for which there is an index.
        list_operation: the name of the operation that lists those of all sessions.
        list_page: lists those of all sessions that match a filter.
        list_of_session: lists those of one session that match a filter; None if they belong to no session.
        get: reads one by its id.
        get_like: reads the one that has the id of a given record, and belongs to the same session, execution or stream;
            unlike `get`, it is quick in a backend of contract 1.0 too.
        save: stores a record with every field as it is. If there is one with its id, it is replaced if
            `is_replaced_by_save`; otherwise `AlreadyExistsError` is raised.
        delete: deletes one by its id; None if they go with their session alone.
        references: returns what a record needs to be stored before it.
        is_replaced_by_save: whether `save` replaces a record.
    """

    name: str
    record: type[R]
    id_field: str = "id"
    order: tuple[str, ...] = ("id",)
    list_operation: str
    list_page: Callable[[StorageOperations, QueryFilter | None], Awaitable[list[R]]]
    list_of_session: Callable[[StorageOperations, str, QueryFilter | None], Awaitable[list[R]]] | None = None
    get: Callable[[StorageOperations, str], Awaitable[R | None]]
    get_like: Callable[[StorageOperations, R], Awaitable[R | None]]
    save: Callable[[StorageOperations, R], Awaitable[None]]
    delete: Callable[[StorageOperations, str], Awaitable[None]] | None = None
    references: Callable[[R], tuple[Reference, ...]]
    is_replaced_by_save: bool = False

    def id_of(self, record: R) -> str:
        """Return the id of a record; that of an execution state is its session's."""
        return str(getattr(record, self.id_field))

    def lists_whole_store(self, storage: StorageOperations) -> bool:
        """Say whether the backend has a list over all sessions of its own.

        A backend of contract 1.0 has the default, which goes through all sessions for each page.
        """
        own = getattr(type(storage), self.list_operation, None)
        return own is not getattr(StorageOperations, self.list_operation)


def _of_session(record: Any) -> tuple[Reference, ...]:
    return (Reference("session", record.session_id),)


def _references_of_session(session: Session) -> tuple[Reference, ...]:
    found = []
    if session.workflow_id is not None:
        found.append(Reference("workflow", session.workflow_id))
    if session.parent_session_id is not None:
        found.append(Reference("session", session.parent_session_id))
    return tuple(found)


def _references_of_pool(pool: BudgetPool) -> tuple[Reference, ...]:
    return () if pool.parent_pool_id is None else (Reference("budget_pool", pool.parent_pool_id),)


def _references_of_call(call: ToolCallLog) -> tuple[Reference, ...]:
    if call.execution_id is not None:
        return (Reference("llm_execution", call.execution_id),)
    return () if call.session_id is None else (Reference("session", call.session_id),)


def _references_of_event(event: StreamEvent) -> tuple[Reference, ...]:
    return () if event.session_id is None else (Reference("session", event.session_id),)


async def _state_of_session(
    storage: StorageOperations, session_id: str, filter: QueryFilter | None
) -> list[WorkflowExecutionState]:
    if filter is not None and (filter.after_record is not None or filter.limit == 0):
        return []
    state = await storage.get_execution_state(session_id)
    return [] if state is None else [state]


_RESULT_FIELDS = tuple(field.name for field in attrs.fields(LLMExecutionResult))


async def _save_execution(storage: StorageOperations, execution: LLMExecution) -> None:
    result = LLMExecutionResult(**{name: getattr(execution, name) for name in _RESULT_FIELDS})
    await storage.save_llm_execution(execution.session_id, execution.node_id, result)


async def _only(found: Awaitable[list[R]]) -> R | None:
    return next(iter(await found), None)


def _with_id(id: str) -> QueryFilter:
    return QueryFilter({"id": id})


async def _save_call(storage: StorageOperations, call: ToolCallLog) -> None:
    if call.execution_id is not None:  # then it has the session and node of its execution, which may have moved
        call = attrs.evolve(call, session_id=None, node_id=None)
    await storage.log_tool_call(call)


async def _get_call_like(storage: StorageOperations, call: ToolCallLog) -> ToolCallLog | None:
    if call.execution_id is not None:
        return await _only(storage.get_tool_calls(call.execution_id, _with_id(call.id)))
    return await _only(storage.get_session_tool_calls(call.session_id or "", _with_id(call.id)))


WORKFLOW: Kind[StoredWorkflow] = Kind(
    name=KIND_NAMES[StoredWorkflow],
    record=StoredWorkflow,
    order=("created_at", "id"),
    list_operation="list_workflows",
    list_page=lambda storage, query: storage.list_workflows(query),
    get=lambda storage, key: storage.get_workflow(key),
    get_like=lambda storage, record: storage.get_workflow(record.id),
    save=lambda storage, workflow: storage.save_workflow(workflow),
    delete=lambda storage, key: storage.delete_workflow(key),
    references=lambda _: (),
    is_replaced_by_save=True,
)
BUDGET_POOL: Kind[BudgetPool] = Kind(
    name=KIND_NAMES[BudgetPool],
    record=BudgetPool,
    order=("created_at", "id"),
    list_operation="list_budget_pools",
    list_page=lambda storage, query: storage.list_budget_pools(query),
    get=lambda storage, key: storage.get_budget_pool(key),
    get_like=lambda storage, record: storage.get_budget_pool(record.id),
    save=lambda storage, pool: storage.create_budget_pool(pool),
    delete=lambda storage, key: storage.delete_budget_pool(key),
    references=_references_of_pool,
)
SESSION: Kind[Session] = Kind(
    name=KIND_NAMES[Session],
    record=Session,
    order=("created_at", "id"),
    list_operation="list_sessions",
    list_page=lambda storage, query: storage.list_sessions(query),
    get=lambda storage, key: storage.get_session(key),
    get_like=lambda storage, record: storage.get_session(record.id),
    save=lambda storage, session: storage.create_session(session),
    delete=lambda storage, key: storage.delete_session(key),
    references=_references_of_session,
)
EXECUTION_STATE: Kind[WorkflowExecutionState] = Kind(
    name=KIND_NAMES[WorkflowExecutionState],
    record=WorkflowExecutionState,
    id_field="session_id",
    order=("session_id",),
    list_operation="list_execution_states",
    list_page=lambda storage, query: storage.list_execution_states(query),
    list_of_session=_state_of_session,
    get=lambda storage, key: storage.get_execution_state(key),
    get_like=lambda storage, state: storage.get_execution_state(state.session_id),
    save=lambda storage, state: storage.save_execution_state(state),
    references=_of_session,
    is_replaced_by_save=True,
)
LLM_EXECUTION: Kind[LLMExecution] = Kind(
    name=KIND_NAMES[LLMExecution],
    record=LLMExecution,
    list_operation="list_llm_executions",
    list_page=lambda storage, query: storage.list_llm_executions(query),
    list_of_session=lambda storage, session_id, query: storage.get_llm_executions(session_id, query),
    get=lambda storage, key: _only(storage.list_llm_executions(_with_id(key))),
    get_like=lambda storage, each: _only(storage.get_llm_executions(each.session_id, _with_id(each.id))),
    save=_save_execution,
    references=_of_session,
    is_replaced_by_save=True,
)
TOOL_CALL: Kind[ToolCallLog] = Kind(
    name=KIND_NAMES[ToolCallLog],
    record=ToolCallLog,
    list_operation="list_tool_calls",
    list_page=lambda storage, query: storage.list_tool_calls(query),
    list_of_session=lambda storage, session_id, query: storage.get_session_tool_calls(session_id, query),
    get=lambda storage, key: _only(storage.list_tool_calls(_with_id(key))),
    get_like=_get_call_like,
    save=_save_call,
    references=_references_of_call,
)
APPROVAL_REQUEST: Kind[ApprovalRequest] = Kind(
    name=KIND_NAMES[ApprovalRequest],
    record=ApprovalRequest,
    list_operation="list_approval_requests",
    list_page=lambda storage, query: storage.list_approval_requests(None, query),
    list_of_session=lambda storage, session_id, query: storage.list_approval_requests(session_id, query),
    get=lambda storage, key: storage.get_approval_request(key),
    get_like=lambda storage, record: storage.get_approval_request(record.id),
    save=lambda storage, request: storage.create_approval_request(request),
    references=_of_session,
)
STREAM_EVENT: Kind[StreamEvent] = Kind(
    name=KIND_NAMES[StreamEvent],
    record=StreamEvent,
    order=("stream_id", "sequence"),
    list_operation="list_stream_events",
    list_page=lambda storage, query: storage.list_stream_events(query),
    get=lambda storage, key: _only(storage.list_stream_events(_with_id(key))),
    get_like=lambda storage, event: _only(storage.get_stream_events(event.stream_id, _with_id(event.id))),
    save=lambda storage, event: storage.save_stream_event(event),
    references=_references_of_event,
    is_replaced_by_save=True,
)

KINDS: tuple[Kind[Any], ...] = (
    WORKFLOW,
    BUDGET_POOL,
    SESSION,
    EXECUTION_STATE,
    LLM_EXECUTION,
    TOOL_CALL,
    APPROVAL_REQUEST,
    STREAM_EVENT,
)
"""All kinds, in an order in which what a record refers to comes first, except for parents of the same kind."""

KIND_OF: dict[str, Kind[Any]] = {kind.name: kind for kind in KINDS}
"""The kinds by name."""

OF_SESSION: tuple[Kind[Any], ...] = (EXECUTION_STATE, LLM_EXECUTION, TOOL_CALL, APPROVAL_REQUEST)
"""The kinds whose records always belong to a session, and go with it; stream events may."""
