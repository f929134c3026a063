"""`BudgetView`: a budget pool with the pools above and inside of it, read for people."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from aaow_storage import BudgetPool, NotFoundError, QueryFilter, StorageOperations

MAX_POOLS = 1000
"""How many pools inside of a pool are read at most."""


@frozen(kw_only=True)
class PoolView:
    """A pool in a tree.

    Attributes:
        pool: the pool.
        depth: how many pools of the tree are above it.
        used_by_children: what the pools directly inside of it have used; None if they were not all read.
    """

    pool: BudgetPool
    depth: int
    used_by_children: Decimal | None = None


@frozen(kw_only=True)
class BudgetView:
    """A pool, the pools above it, and those inside of it.

    Attributes:
        pool_id: the pool that was asked for.
        pools: the outermost pool first; each is followed by those inside of it.
        is_complete: whether all pools inside of it are there.
    """

    pool_id: str
    pools: Sequence[PoolView]
    is_complete: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a dict that is JSON throughout."""
        pools = [{"depth": each.depth, **each.pool.to_dict()} for each in self.pools]
        return {"pool_id": self.pool_id, "pools": pools, "is_complete": self.is_complete}


async def view_budget(storage: StorageOperations, pool_id: str, *, max_pools: int = MAX_POOLS) -> BudgetView:
    """Read a pool with those above it, and with all pools inside of it, up to a number.

    Raises:
        NotFoundError: there is no such pool.
    """
    above: list[BudgetPool] = []
    wanted: str | None = pool_id
    while wanted is not None and wanted not in {pool.id for pool in above}:
        pool = await storage.get_budget_pool(wanted)
        if pool is None:
            raise NotFoundError("budget_pool", wanted)
        above.insert(0, pool)
        wanted = pool.parent_pool_id
    found = [PoolView(pool=pool, depth=depth) for depth, pool in enumerate(above[:-1])]
    waiting = [(above[-1], len(above) - 1)]
    inside, are_all_listed = 0, True
    while waiting and inside <= max_pools:
        pool, depth = waiting.pop()
        children = await storage.get_child_budget_pools(pool.id, QueryFilter(limit=max_pools + 1))
        is_whole = len(children) <= max_pools
        used = sum((child.used_budget for child in children), Decimal(0)) if is_whole else None
        found.append(PoolView(pool=pool, depth=depth, used_by_children=used))
        waiting += [(child, depth + 1) for child in reversed(children)]
        inside += 1
        are_all_listed = are_all_listed and is_whole
    return BudgetView(pool_id=pool_id, pools=found, is_complete=are_all_listed and not waiting)
