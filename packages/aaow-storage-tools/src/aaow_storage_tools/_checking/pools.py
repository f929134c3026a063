"""Budget pools: what a pool has used, against what its children have used."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from attrs import evolve

from aaow_storage import (
    BudgetPool,
    ConflictError,
    Ne,
    NotFoundError,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    Transaction,
)
from aaow_storage_tools._checking.findings import Finding, Problem
from aaow_storage_tools._checking.reading import read_pages

_BY_PARENT = QueryFilter({"parent_pool_id": Ne(None)}, order_by=(OrderBy("parent_pool_id"), OrderBy("id")))


async def check_sums(storage: StorageAdapter) -> AsyncIterator[Finding]:
    """Yield a finding for each pool that has used less than its children have together.

    The children are read one parent after the other. Consumptions go on meanwhile, so what looks wrong is read again in
    a transaction, which sees the pool and its children at one time.
    """
    parent_id, used = None, Decimal(0)
    async for page in read_pages(storage.list_budget_pools, _BY_PARENT):
        for child in page.records:
            if child.parent_pool_id != parent_id:
                if parent_id is not None and (finding := await _check_sum(storage, parent_id, used)) is not None:
                    yield finding
                parent_id, used = child.parent_pool_id, Decimal(0)
            used += child.used_budget
    if parent_id is not None and (finding := await _check_sum(storage, parent_id, used)) is not None:
        yield finding


async def _check_sum(storage: StorageAdapter, parent_id: str, used: Decimal) -> Finding | None:
    parent = await storage.get_budget_pool(parent_id)
    if parent is None or parent.used_budget >= used:
        return None

    async def read_together(transaction: Transaction) -> tuple[BudgetPool | None, Decimal]:
        children = await transaction.get_child_budget_pools(parent_id)
        parent = await transaction.get_budget_pool(parent_id)
        return parent, sum((child.used_budget for child in children), Decimal(0))

    parent, used = await storage.transact(read_together)
    if parent is None or parent.used_budget >= used:
        return None
    return Finding(
        problem=Problem.BUDGET_SUM,
        kind="budget_pool",
        id=parent_id,
        message=f"it has used {parent.used_budget}, and its children {used} together",
        remedy="find out which of them is right, and set used_budget by update_budget_pool()",
    )


async def repaired_status(storage: StorageAdapter, record: Any, finding: Finding) -> Finding:
    """Make an exhausted pool active that has something left, and return the finding as repaired.

    If somebody changed the pool meanwhile, it stays, and so does the finding.
    """
    try:
        await storage.update_budget_pool(
            record.id,
            only_if={"status": record.status, "total_budget": record.total_budget, "used_budget": record.used_budget},
            status="active",
        )
    except (ConflictError, NotFoundError):
        return finding
    return evolve(finding, is_repaired=True)
