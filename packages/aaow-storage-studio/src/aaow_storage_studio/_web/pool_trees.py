"""Budget pools as trees: level by level, and no further than a page needs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from aaow_storage import BudgetPool, BudgetPoolStatus, In, OrderBy, QueryFilter, StorageOperations
from aaow_storage_studio._drawing.meters import Meter, meter

MAX_DEPTH = 2
"""How many levels of pools inside of others are read for a list."""
MAX_INSIDE = 100
"""How many pools of a level are read."""


_TONES = {BudgetPoolStatus.ACTIVE: "", BudgetPoolStatus.EXHAUSTED: "bad", BudgetPoolStatus.SUSPENDED: "idle"}


@frozen(kw_only=True)
class PoolRow:
    """A pool in a tree.

    Attributes:
        pool: the pool.
        depth: how many pools of the tree are above it.
        used_by_children: what the pools directly inside of it have used; None if they were not all read.
        hides_pools: whether there may be pools directly inside of it that are not in the tree.
    """

    pool: BudgetPool
    depth: int = 0
    used_by_children: Decimal | None = None
    hides_pools: bool = False

    @property
    def name(self) -> str:
        """What the pool is called in its metadata, without spaces around; its id if it has no name."""
        name = (self.pool.metadata or {}).get("name")
        return name.strip() or self.pool.id if isinstance(name, str) else self.pool.id

    @property
    def share(self) -> float | None:
        """What is used, as a share of the total; None if the total is 0."""
        return float(self.pool.used_budget / self.pool.total_budget) if self.pool.total_budget else None

    @property
    def is_over(self) -> bool:
        """Whether more is used than the pool has."""
        return self.pool.used_budget > self.pool.total_budget

    @property
    def bar(self) -> Any:
        """The pool as a bar in SVG."""
        pool = self.pool
        title = f"{pool.used_budget:f} of {pool.total_budget:f} used"
        if self.used_by_children:
            title += f", {self.used_by_children:f} by the pools inside"
        tone = _TONES[pool.status]
        inside = self.used_by_children or Decimal(0)
        return meter(Meter(total=pool.total_budget, used=pool.used_budget, inside=inside, title=title, tone=tone))

    def to_dict(self) -> dict[str, Any]:
        """Return the pool as JSON, with its place in the tree."""
        inside = None if self.used_by_children is None else f"{self.used_by_children:f}"
        return {
            "depth": self.depth,
            **self.pool.to_dict(),
            "remaining_budget": f"{self.pool.remaining_budget:f}",
            "used_by_children": inside,
            "hides_pools": self.hides_pools,
        }


async def read_trees(storage: StorageOperations, roots: Sequence[BudgetPool]) -> list[PoolRow]:
    """Return pools, each followed by those inside of it, as far down and as many as a list shows."""
    children: dict[str, list[BudgetPool]] = {}
    complete: set[str] = set()
    level = list(roots)
    for depth in range(MAX_DEPTH + 1):
        if not level:
            break
        ids = [pool.id for pool in level]
        limit = MAX_INSIDE if depth < MAX_DEPTH else 0  # the last level is only asked whether there is one
        page = QueryFilter({"parent_pool_id": In(ids)}, OrderBy("created_at"), limit=limit + 1)
        found = await storage.list_budget_pools(page)
        if len(found) <= limit:
            complete.update(ids)
        level = found[:limit]
        for pool in level:
            children.setdefault(pool.parent_pool_id or "", []).append(pool)
    rows = []
    waiting = [(pool, 0) for pool in reversed(roots)]
    while waiting:
        pool, depth = waiting.pop()
        inside = children.get(pool.id, [])
        is_complete = pool.id in complete
        used = sum((child.used_budget for child in inside), Decimal(0)) if is_complete else None
        rows.append(PoolRow(pool=pool, depth=depth, used_by_children=used, hides_pools=not is_complete))
        waiting += [(child, depth + 1) for child in reversed(inside)]
    return rows
