"""The page `budgets`: the pools as trees, newest first, or those that match a filter."""

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from aaow_storage import BudgetPool, BudgetPoolStatus, FieldName
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.paging import Listed, read_list
from aaow_storage_studio._web.pool_trees import MAX_DEPTH, MAX_INSIDE, PoolRow, read_trees
from aaow_storage_studio._web.visit import Visit


@frozen
class BudgetsView:
    """What the page shows.

    Attributes:
        listed: a page of pools: the outermost ones, or all that match a filter.
        rows: the pools in the order of the page, with those inside of them if they are trees.
        is_tree: whether the pools come as trees.
        status: the status that the list is limited to, empty for all.
    """

    listed: Listed[BudgetPool]
    rows: Sequence[PoolRow]
    is_tree: bool
    status: str
    statuses: Sequence[str] = field(default=tuple(map(str, BudgetPoolStatus)))
    max_depth: int = MAX_DEPTH
    max_inside: int = MAX_INSIDE

    @property
    def hides_pools(self) -> bool:
        """Whether there may be pools inside of those of the page that are not on it."""
        return self.is_tree and any(row.hides_pools for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        pools = [row.to_dict() for row in self.rows]
        return {**self.listed.to_dict(), "is_tree": self.is_tree, "records": pools}


async def read(visit: Visit) -> BudgetsView:
    """Read the page: `q` is the filter, `status` one of its conditions; without both, pools come as trees."""
    status = visit.text("status")
    conditions = [f"status={status}"] if status in set(map(str, BudgetPoolStatus)) else []
    is_tree = not conditions and not visit.text("q")
    where: dict[FieldName, Any] | None = {"parent_pool_id": None} if is_tree else None
    listed = await read_list(visit, BudgetPool, visit.storage.list_budget_pools, where=where, conditions=conditions)
    if is_tree:
        rows = await read_trees(visit.storage, listed.records)
    else:
        rows = [PoolRow(pool=pool) for pool in listed.records]
    return BudgetsView(listed, rows, is_tree, status)


PAGES = (Page("budgets", "budgets.html", read),)
