"""Uses of the interface that a type checker accepts, and others that it refuses, marked with the code of the error."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aaow_storage import (
    All,
    AnyOf,
    ApprovalRequest,
    ApprovalStatus,
    Between,
    BudgetPool,
    BudgetPoolStatus,
    Change,
    ContentionError,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    NodeState,
    Not,
    OrderBy,
    Patch,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    StreamSummary,
    TokenUsage,
    ToolCallLog,
    Transaction,
    WorkflowExecutionState,
    open_adapter,
    open_sync,
)
from aaow_storage.sync import SyncAdapter, SyncIterator, SyncOperations, SyncTransaction

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def updates_that_are_right(storage: StorageOperations) -> Session:
    await storage.update_workflow("w", name="n", version="2", definition={"nodes": []}, metadata=None, updated_at=NOON)
    await storage.update_budget_pool("p", total_budget=7, used_budget="0.5", status=BudgetPoolStatus.SUSPENDED)
    await storage.update_budget_pool("p", total_budget=Decimal(7), used_budget=0.5, metadata={"owner": "ada"})
    await storage.update_approval_request("a", context={}, expires_at=None, status="expired")
    await storage.update_approval_request("a", status=ApprovalStatus.EXPIRED)
    await storage.update_session("s", status=SessionStatus.PAUSED, metadata={"user": "ada"}, updated_at=NOON)
    await storage.update_session(
        "s", only_if={"status": "running", "metadata.user": "ada"}, metadata=Patch({"a": None})
    )
    await storage.update_workflow("w", only_if=None, definition=Patch({}), metadata=Patch({"a": {"b": 1}}))
    await storage.update_approval_request("a", only_if={("context", "a.b"): 1}, context=Patch({}))
    return await storage.update_session("s", status="failed")


async def updates_of_fields_that_are_not_there(storage: StorageOperations) -> None:
    await storage.update_workflow("w", title="n")  # type: ignore[call-arg]  # no such field
    await storage.update_session("s", state="failed")  # type: ignore[call-arg]  # no such field
    await storage.update_budget_pool("p", owner="ada")  # type: ignore[call-arg]  # no such field
    await storage.update_approval_request("a", notes="fine")  # type: ignore[call-arg]  # no such field


async def updates_of_fields_that_stay(storage: StorageOperations) -> None:
    await storage.update_workflow("w", created_at=NOON)  # type: ignore[call-arg]  # immutable
    await storage.update_session("s", workflow_snapshot={})  # type: ignore[call-arg]  # immutable
    await storage.update_budget_pool("p", remaining_budget=1)  # type: ignore[call-arg]  # derived
    await storage.update_approval_request("a", resolved_by="ada")  # type: ignore[call-arg]  # immutable


async def updates_to_values_of_another_type(storage: StorageOperations) -> None:
    await storage.update_workflow("w", definition=[])  # type: ignore[arg-type]  # not an object
    await storage.update_workflow("w", name=None)  # type: ignore[arg-type]  # not optional
    await storage.update_session("s", only_if="running")  # type: ignore[arg-type]  # not a mapping
    await storage.update_workflow("w", name=Patch({}))  # type: ignore[arg-type]  # no object
    await storage.update_session("s", status=3)  # type: ignore[arg-type]  # not a status
    await storage.update_session("s", updated_at="noon")  # type: ignore[arg-type]  # not an instant
    await storage.update_budget_pool("p", total_budget=None)  # type: ignore[arg-type]  # not an amount
    await storage.update_session("s", status="runing")  # type: ignore[arg-type]  # no such status
    await storage.update_budget_pool("p", status="spent")  # type: ignore[arg-type]  # no such status
    await storage.update_approval_request("a", status="approved")  # type: ignore[arg-type]  # has its own operation


async def waits_for_decisions(storage: StorageAdapter, transaction: Transaction) -> list[ApprovalRequest]:
    decided: ApprovalRequest = await storage.wait_for_approval("a")
    also = [await storage.wait_for_approval(decided.id, wait) for wait in (None, 0, 2.5)]
    await storage.wait_for_approval(7)  # type: ignore[arg-type]  # no id
    await storage.wait_for_approval(["a", "b"])  # type: ignore[arg-type]  # one request at a time
    await storage.wait_for_approval("a", timeout="1")  # type: ignore[arg-type]  # not seconds
    await storage.wait_for_approval("a", timedelta(seconds=1))  # type: ignore[arg-type]  # not seconds
    await transaction.wait_for_approval("a")  # type: ignore[attr-defined]  # a transaction must not wait
    is_approved: bool = await storage.wait_for_approval("a")  # type: ignore[assignment]  # it is the request
    return [decided, *also] if is_approved else []


async def decisions_that_set_the_status(storage: StorageOperations) -> ApprovalRequest:
    await storage.approve_request("a", "ann", "fine", session_status="running")
    await storage.reject_request("a", "ann", session_status=SessionStatus.FAILED)
    expired: list[ApprovalRequest] = await storage.expire_approvals(NOON, session_status=None)
    await storage.approve_request("a", "ann", session_status="runing")  # type: ignore[arg-type]  # no such status
    await storage.reject_request("a", "ann", session_status=ApprovalStatus.REJECTED)  # type: ignore[arg-type]  # another
    await storage.reject_request("a", "ann", session_status=True)  # type: ignore[arg-type]  # not a status
    await storage.expire_approvals(session_status="expired")  # type: ignore[arg-type]  # that of a request
    await storage.approve_request("a", "ann", "fine", "running")  # type: ignore[call-arg]  # by its name only
    return expired[0]


async def readers_of_changes(storage: StorageAdapter) -> list[str]:
    page: list[Change] = await storage.get_changes(kinds={"session"}, session_id="s", limit=10)
    async for change in storage.changes(page[-1].position if page else None):
        page = [change]
    pruned: int = await storage.prune_changes(NOON)
    last: str = (await storage.last_change()).position  # type: ignore[union-attr]  # it may be None
    await storage.get_changes(pruned)  # type: ignore[arg-type]  # not a position
    await storage.get_changes(page[0])  # type: ignore[arg-type]  # its position
    await storage.get_changes(limit="10")  # type: ignore[arg-type]  # not a number
    await storage.prune_changes(None)  # type: ignore[arg-type]  # it says what to prune
    await storage.changes()  # type: ignore[misc]  # an iterator
    return [change.action.value for change in page if change.position != last]


async def records(storage: StorageOperations) -> None:
    await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, status="paused"))
    await storage.create_budget_pool(BudgetPool(total_budget="12.50"))
    await storage.save_workflow(StoredWorkflow(name="n", version="1"))  # type: ignore[call-arg]  # no definition
    await storage.create_session({"workflow_id": None})  # type: ignore[arg-type]  # not a record
    Session(workflow_id=None, workflow_snapshot={}, status="runing")  # type: ignore[arg-type]  # no such status
    Session(workflow_id=None, workflow_snapshot={}, colour="red")  # type: ignore[call-arg]  # no such field
    BudgetPool(total_budget=1).used_budget = Decimal(1)  # type: ignore[misc]  # frozen


async def what_is_returned(storage: StorageOperations) -> list[str]:
    session = await storage.get_session("s")
    found: str = session.id  # type: ignore[union-attr]  # it may be None
    left: Decimal = (await storage.consume_budget("p", 1)).remaining_budget
    newest = QueryFilter({"status": "running"}, OrderBy("created_at", "desc"), limit=10, documents=False)
    return [found, str(left), *(each.id for each in await storage.list_sessions(newest))]


def what_metadata_holds(session: Session) -> list[str]:
    user: str = (session.metadata or {})["user"]
    tags: list[str] = (session.metadata or {}).get("tags", [])
    if session.metadata is not None:
        user = session.metadata["user"]
    session.metadata["user"]  # type: ignore[index]  # it may be None
    return [user, *tags]


async def conditions(storage: StorageOperations) -> str:
    query = QueryFilter(
        {
            "status": Not("failed"),
            "created_at": Between(NOON, NOON),
            ("metadata", "a.b"): AnyOf(None, All(Ge(1), Le(2))),
        },
        any_of=[{"workflow_id": None}, {"metadata.user": In(["ada"])}],
        order_by=[OrderBy("id", Direction.DESCENDING), OrderBy("created_at", "asc")],
    )
    page = await storage.list_sessions(query)
    OrderBy("id", "up")  # type: ignore[arg-type]  # no such direction
    OrderBy("id", 1)  # type: ignore[arg-type]  # not a direction
    Not("a", "b")  # type: ignore[call-arg]  # of one condition
    Between(1)  # type: ignore[call-arg]  # it has two ends
    QueryFilter(any_of=[["id", "a"]])  # type: ignore[list-item]  # not a mapping
    cursor: str = query.cursor(page[-1])
    query.after(cursor).limit.bit_length()  # type: ignore[union-attr]  # it may be None
    return cursor


async def lists_over_all_sessions(storage: StorageOperations) -> list[str]:
    recent = QueryFilter({"model": "m", "cost": Gt("0.5")}, documents=False)
    counts: int = await storage.count_llm_executions(recent) + await storage.count_approval_requests()
    executions: list[LLMExecution] = await storage.list_llm_executions(recent)
    calls: list[ToolCallLog] = await storage.list_tool_calls(QueryFilter({"session_id": "s"}))
    states: list[WorkflowExecutionState] = await storage.list_execution_states()
    nodes: list[NodeState] = await storage.list_node_states(QueryFilter(order_by=OrderBy("retry_count", "desc")))
    requests: list[ApprovalRequest] = await storage.list_approval_requests(None, recent)
    await storage.list_approval_requests("s")
    await storage.list_llm_executions({"model": "m"})  # type: ignore[arg-type]  # no filter
    await storage.list_tool_calls("s")  # type: ignore[arg-type]  # it lists those of all sessions
    (await storage.get_node_state("s", "n")).retried(NOON)  # type: ignore[union-attr]  # it may be None
    await storage.get_node_state("s")  # type: ignore[call-arg]  # a node of which id
    took = executions[0].duration.total_seconds()  # type: ignore[union-attr]  # it may still run
    cost: Decimal = executions[0].cost  # type: ignore[assignment]  # as above
    later: NodeExecutionState = nodes[0].retried(NOON)
    nodes[0].retried("noon")  # type: ignore[arg-type]  # not an instant
    found = [calls[0].session_id, states[0].session_id, requests[0].session_id, later.node_id]
    return [str(counts), str(took), str(cost), *(each or "" for each in found)]


async def sums(storage: StorageOperations) -> Decimal:
    by_model = await storage.summarize_usage(("model", "day"), QueryFilter({"session_id": "s"}))
    await storage.summarize_usage(["provider", "hour"])
    await storage.summarize_usage()
    await storage.summarize_usage(("modle",))  # type: ignore[arg-type]  # no such key
    await storage.summarize_usage("model")  # type: ignore[arg-type]  # one text is no list of keys
    by_model[0].total_tokens + 1  # type: ignore[operator]  # it is None if no execution has the figure
    by_model[0].keys["model"].upper()  # type: ignore[union-attr]  # as above
    total: Decimal = by_model[0].costs["EUR"]
    return total


async def streams(storage: StorageAdapter) -> list[StreamEvent]:
    event = StreamEvent(stream_id="t", node_id="n", data={"a": 1}, session_id="s")
    saved: list[StreamEvent] = await storage.save_stream_events([event])
    await storage.save_stream_events(each for each in saved)
    gone: int = await storage.delete_stream_events("t")
    found = await storage.get_stream_events("t", QueryFilter(limit=gone), after_sequence=saved[0].sequence)
    summary: StreamSummary = (await storage.list_streams())[0]
    async for each in storage.watch_stream("t", after=summary.last_sequence):
        found.append(each)
    await storage.save_stream_events(event)  # type: ignore[arg-type]  # one event is no list
    await storage.save_stream_events(["event"])  # type: ignore[list-item]  # not an event
    await storage.get_stream_events("t", after_sequence="1")  # type: ignore[arg-type]  # not a number
    await storage.watch_stream("t")  # type: ignore[misc]  # not a coroutine: use `async for`
    storage.watch_stream("t", after=event)  # type: ignore[arg-type]  # the sequence of an event
    event.sequence + 1  # type: ignore[operator]  # it is None until the event is stored
    return found + await storage.list_stream_events()


def new_fields() -> LLMExecutionResult:
    ToolCallLog(tool_call_id="c", tool_name="n", args={}, session_id="s", node_id="n")
    attempt = NodeAttempt(status="cancelled", error="lost")
    NodeExecutionState(node_id="n", status="cancelled", attempts=[attempt])
    NodeAttempt(status="lost")  # type: ignore[arg-type]  # no such status
    NodeExecutionState(node_id="n", attempts=["lost"])  # type: ignore[list-item]  # not an attempt
    Session(workflow_id=None, workflow_snapshot={}, status="queued")
    LLMExecutionResult(cost=[], currency="EUR")  # type: ignore[arg-type]  # not an amount
    LLMExecutionResult(attempt="first")  # type: ignore[arg-type]  # not a count
    LLMExecutionResult(completed_at="noon")  # type: ignore[arg-type]  # not an instant
    TokenUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2, cached=1)  # type: ignore[call-arg]  # no such field
    result = LLMExecutionResult(
        provider="p", model="m", input=[{"role": "user"}], cost="0.5", currency="EUR", attempt=1
    )
    again: LLMExecutionResult = LLMExecutionResult.from_dict(result.to_dict())
    Session.from_dict(result)  # type: ignore[arg-type]  # a record is no dict
    return again


async def repeated(storage: StorageAdapter) -> int:
    async def count(transaction: Transaction) -> int:
        return await transaction.count_sessions()

    def not_async(transaction: Transaction) -> int:
        return id(transaction)

    found: int = await storage.transact(count, attempts=3, outage=1.5)
    await storage.transact(not_async)  # type: ignore[arg-type]  # the work is a coroutine function
    await storage.transact(count(storage))  # type: ignore[arg-type]  # pass the function, do not call it
    await storage.transact(count, attempts="many")  # type: ignore[arg-type]  # not a number
    found.upper()  # type: ignore[attr-defined]  # it returns what the work returns
    error = ContentionError("lost")
    error.is_retryable = True  # type: ignore[misc]  # its type says it
    return found


async def blocks() -> None:
    async with open_adapter("memory") as adapter, adapter.transaction(timeout=5) as transaction:
        opened: StorageAdapter = adapter
        held: Transaction = transaction
        async with held.savepoint():
            await updates_that_are_right(held)
        await updates_that_are_right(opened)
        await transaction.begin_transaction()  # type: ignore[attr-defined]  # an adapter begins one


def synchronous_updates(storage: SyncOperations) -> Session:
    storage.update_workflow("w", name="n", definition=Patch({}), metadata=None, updated_at=NOON)
    storage.update_budget_pool("p", total_budget=7, used_budget="0.5", status=BudgetPoolStatus.SUSPENDED)
    storage.update_approval_request("a", only_if={("context", "a.b"): 1}, context=Patch({}))
    storage.update_workflow("w", title="n")  # type: ignore[call-arg]  # no such field
    storage.update_session("s", state="failed")  # type: ignore[call-arg]  # no such field
    storage.update_session("s", workflow_snapshot={})  # type: ignore[call-arg]  # immutable
    storage.update_budget_pool("p", owner="ada")  # type: ignore[call-arg]  # no such field
    storage.update_approval_request("a", notes="fine")  # type: ignore[call-arg]  # no such field
    storage.update_session("s", status="runing")  # type: ignore[arg-type]  # no such status
    storage.update_workflow("w", name=None)  # type: ignore[arg-type]  # not optional
    storage.update_workflow(id="w", name="n")  # type: ignore[call-arg]  # the id has no name
    return storage.update_session("s", only_if={"status": "running"}, status="failed")


def synchronous_reads(storage: SyncOperations) -> list[str]:
    session: Session | None = storage.get_session("s")
    executions: list[LLMExecution] = storage.list_llm_executions(QueryFilter({"model": "m"}))
    spent: Decimal = storage.summarize_usage(("model",))[0].costs["EUR"]
    found: str = storage.get_session("s").id  # type: ignore[union-attr]  # it may be None
    storage.list_sessions({"id": "s"})  # type: ignore[arg-type]  # no filter
    return [str(session), str(spent), found, *(each.id for each in executions)]


def synchronous_blocks() -> int:
    def count(transaction: SyncTransaction) -> int:
        return transaction.count_sessions()

    async def count_later(transaction: SyncTransaction) -> int:
        return transaction.count_sessions()

    def count_asynchronous(transaction: Transaction) -> int:
        return id(transaction)

    with open_sync("memory") as storage, storage.transaction(timeout=5) as transaction:
        opened: SyncAdapter = storage
        held: SyncTransaction = transaction
        with held.savepoint():
            synchronous_updates(held)
        synchronous_updates(opened)
        transaction.begin_transaction()  # type: ignore[attr-defined]  # an adapter begins one
    begun: SyncTransaction = opened.begin_transaction()
    begun.rollback()
    opened.transact(count, attempts=3, outage=1.5).upper()  # type: ignore[attr-defined]  # it is what the work returns
    opened.transact(count_later)  # type: ignore[unused-coroutine]  # the work is no coroutine function
    opened.transact(count_asynchronous)  # type: ignore[arg-type]  # it takes a synchronous transaction
    opened.transact(count(begun))  # type: ignore[arg-type]  # pass the function, do not call it
    wrapped: StorageAdapter = opened.wrapped
    SyncAdapter(begun)  # type: ignore[arg-type]  # no adapter
    return opened.transact(lambda transaction: transaction.count_sessions()) + len(wrapped.capabilities)


def synchronous_iterators(storage: SyncAdapter) -> list[str]:
    events: SyncIterator[StreamEvent] = storage.watch_stream("t", after=3)
    with storage.changes(kinds=["session"]) as changes:
        found = [change.id for change in changes]
    found += [event.stream_id for event in events]
    events.close()
    storage.watch_stream("t", after="3")  # type: ignore[arg-type]  # not a sequence
    next(events).position.upper()  # type: ignore[attr-defined]  # a change has a position
    return found


class Forgetful(StorageAdapter):
    """Has none of the operations."""


Forgetful()  # type: ignore[abstract]  # the operations are missing
