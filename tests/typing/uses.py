"""Uses of the interface that a type checker accepts, and others that it refuses, marked with the code of the error."""

from datetime import UTC, datetime
from decimal import Decimal

from aaow_storage import (
    All,
    AnyOf,
    ApprovalStatus,
    Between,
    BudgetPool,
    BudgetPoolStatus,
    Direction,
    Ge,
    In,
    Le,
    Not,
    OrderBy,
    Patch,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    Transaction,
    open_adapter,
)

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


async def blocks() -> None:
    async with open_adapter("memory") as adapter, adapter.transaction(timeout=5) as transaction:
        opened: StorageAdapter = adapter
        held: Transaction = transaction
        async with held.savepoint():
            await updates_that_are_right(held)
        await updates_that_are_right(opened)
        await transaction.begin_transaction()  # type: ignore[attr-defined]  # an adapter begins one


class Forgetful(StorageAdapter):
    """Has none of the operations."""


Forgetful()  # type: ignore[abstract]  # the operations are missing
