"""`usage_of`: what the model calls of a store used, cost and took, in groups, and the budgets by use."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from attrs import frozen

from aaow_storage import (
    BudgetPool,
    Direction,
    Gt,
    LLMExecution,
    OrderBy,
    QueryFilter,
    StorageOperations,
    UsageKey,
    UsageSummary,
)
from aaow_storage_tools._errors import ToolError
from aaow_storage_tools._looking.query_language import parse_query

KEYS: dict[str, UsageKey] = {
    "model": "model",
    "provider": "provider",
    "workflow": "workflow_id",
    "session": "session_id",
    "node": "node_id",
    "day": "day",
    "hour": "hour",
}
"""What groups are made by, and what `summarize_usage` calls it."""

MAX_POOLS = 10


class UnknownKeyError(ToolError, LookupError):
    """Groups cannot be made by that key, or ordered by that figure.

    Attributes:
        key: what was asked for.
        known: what there is.
    """

    exit_code = 2

    def __init__(self, key: str, known: Iterable[str]) -> None:
        self.key = key
        self.known = tuple(known)
        super().__init__(key, self.known)

    def __str__(self) -> str:
        return f"{self.key!r} is none of {', '.join(self.known)}"


@frozen(kw_only=True)
class Usage:
    """What model calls used, cost and took, and the budgets by use.

    Attributes:
        keys: what the groups are made by, such as `("model", "day")`.
        groups: a summary for each group.
        total: one of all groups together.
        pools: the budget pools that most was used of, at most 10.
    """

    keys: tuple[str, ...]
    groups: Sequence[UsageSummary]
    total: UsageSummary
    pools: Sequence[BudgetPool]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a dict that is JSON throughout; durations are numbers of seconds."""
        return {
            "by": list(self.keys),
            "groups": [each.to_dict() for each in self.groups],
            "total": self.total.to_dict(),
            "budget_pools": [pool.to_dict() for pool in self.pools],
        }


async def usage_of(
    storage: StorageOperations,
    by: Iterable[str] = ("model",),
    conditions: Iterable[str] = (),
    *,
    order: str | None = None,
) -> Usage:
    """Sum up the model calls that match a query, in groups.

    Args:
        storage: an adapter or a transaction.
        by: what the groups are made by: model, provider, workflow, session, node, day, hour.
        conditions: a query on model calls, as `parse_query` takes it.
        order: the figure that the groups are ordered by, the largest first: calls, failed, tokens, cost, p50, p95; by
            their keys if it is None.

    Raises:
        QueryError: a condition cannot be understood.
        UnknownKeyError: there is no such key or figure.
    """
    keys = tuple(by)
    for key in keys:
        if key not in KEYS:
            raise UnknownKeyError(key, KEYS)
    if order is not None and order not in _FIGURES:
        raise UnknownKeyError(order, _FIGURES)
    where = QueryFilter(parse_query(LLMExecution, conditions))
    groups = await storage.summarize_usage([KEYS[key] for key in keys], where)
    (total,) = groups if not keys else await storage.summarize_usage((), where)
    if order is not None:
        groups = sorted(groups, key=_FIGURES[order], reverse=True)
    most_used = QueryFilter({"used_budget": Gt(0)}, OrderBy("used_budget", Direction.DESCENDING), limit=MAX_POOLS)
    return Usage(keys=keys, groups=groups, total=total, pools=await storage.list_budget_pools(most_used))


def _seconds(duration: Any) -> float:
    return -1.0 if duration is None else cast("float", duration.total_seconds())


_FIGURES = {
    "calls": lambda each: each.executions,
    "failed": lambda each: each.failed,
    "tokens": lambda each: each.total_tokens or 0,
    "cost": lambda each: max(each.costs.values(), default=-1),
    "p50": lambda each: _seconds(each.duration_p50),
    "p95": lambda each: _seconds(each.duration_p95),
}
