"""The page `usage`: tokens, costs, failures and durations of model calls, in groups, as charts and tables."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from aaow_storage import In, QueryFilter, UsageSummary, now
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.pool_trees import PoolRow
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.usage_address import KEYS, ORDERS, PERIODS, SHORT_PERIOD, TIMES, Asked, asked_by
from aaow_storage_studio._web.usage_panels import Groups, Panel, panels_of
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import QueryError, Usage, usage_of

USUAL_PATIENCE_S = 1.0
"""How long the usual period may take; if it takes longer, it is made shorter."""
PATIENCE_S = 30.0
"""How long any period may take."""
MAX_GROUPS = 1000
"""How many groups the JSON has."""
MAX_NAMES = 100
"""How many workflows are shown by their names."""
_FIGURES: Mapping[str, Callable[[UsageSummary], Any]] = {
    "cost": lambda each: max(each.costs.values(), default=-1),
    "tokens": lambda each: each.total_tokens or 0,
    "calls": lambda each: each.executions,
    "failed": lambda each: each.failed,
    "p50": lambda each: each.duration_p50 or timedelta(0),
    "p95": lambda each: each.duration_p95 or timedelta(0),
}


@frozen(kw_only=True)
class UsageView:
    """What the page shows.

    Attributes:
        asked: what was asked for, with the period that was summed up.
        usage: the sums, None if there is a problem.
        groups: the groups in the order of the page.
        panels: a chart and a table for each figure.
        problem: what is wrong with the address, or takes too long.
        is_shortened: whether the period is shorter than the usual one, because that takes too long.
    """

    asked: Asked
    usage: Usage | None = None
    groups: Sequence[UsageSummary] = ()
    panels: Sequence[Panel] = ()
    problem: str | None = None
    is_shortened: bool = False
    keys: Sequence[str] = field(default=tuple(KEYS))
    times: Sequence[str] = TIMES
    periods: Sequence[str] = field(default=tuple(PERIODS))
    orders: Sequence[str] = ORDERS
    usual_patience_s: float = USUAL_PATIENCE_S

    @property
    def pools(self) -> list[PoolRow]:
        """The budget pools that most was used of."""
        return [] if self.usage is None else [PoolRow(pool=pool) for pool in self.usage.pools]

    def by_with(self, key: str) -> str | None:
        """Return what groups are made by if a key is chosen; the other one stays if both go together.

        None if the key is the only one, and so cannot be left out.
        """
        by = self.asked.by
        if key in by:
            return ",".join(each for each in by if each != key) or None
        is_time = key in TIMES
        return ",".join([*(each for each in by if (each in TIMES) != is_time), key][-2:])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON, but for the charts, which have the same numbers."""
        since, until = self.asked.since, self.asked.until
        return {
            "by": list(self.asked.by),
            "query": self.asked.query,
            "period": self.asked.period,
            "since": None if since is None else since.isoformat(),
            "until": None if until is None else until.isoformat(),
            "problem": self.problem,
            "total": None if self.usage is None else self.usage.total.to_dict(),
            "groups": [group.to_dict() for group in self.groups[:MAX_GROUPS]],
            "groups_left_out": max(0, len(self.groups) - MAX_GROUPS),
            "budget_pools": [] if self.usage is None else [pool.to_dict() for pool in self.usage.pools],
        }


async def read(visit: Visit) -> UsageView:
    """Read the page: `by` one or two keys, `period` or `from` and `to`, `q` the filter, `order` a figure."""
    at = now()
    asked = Asked(at=at)
    try:
        asked = asked_by(visit, at)
        patience_s = USUAL_PATIENCE_S if asked.is_usual else PATIENCE_S
        usage = await within(patience_s, usage_of(visit.storage, asked.by, asked.conditions))
        is_shortened = usage is None and asked.is_usual
        if is_shortened:
            asked = asked.of_period(SHORT_PERIOD)
            usage = await within(PATIENCE_S, usage_of(visit.storage, asked.by, asked.conditions))
    except QueryError as error:
        return UsageView(asked=asked, problem=str(error))
    if usage is None:
        problem = f"Summing up takes more than {PATIENCE_S:.0f} s here: choose a shorter period."
        return UsageView(asked=asked, problem=problem, is_shortened=is_shortened)
    groups = _in_order(asked, usage)
    panels = panels_of(await _described(visit, asked, usage, groups)) if groups else []
    return UsageView(asked=asked, usage=usage, groups=groups, panels=panels, is_shortened=is_shortened)


def _in_order(asked: Asked, usage: Usage) -> list[UsageSummary]:
    """Return the groups with the largest figure first; of a time, in order, after the largest of the other key."""
    usual = "cost" if usage.total.costs else "tokens" if usage.total.total_tokens else "calls"
    figure = _FIGURES[asked.order or usual]
    others = [KEYS[key] for key in asked.by if key not in TIMES]
    if len(others) == len(asked.by):
        return sorted(usage.groups, key=figure, reverse=True)
    if not others:
        return list(usage.groups)
    weights: dict[str | None, Any] = {}
    for group in usage.groups:
        name, weight = group.keys[others[0]], figure(group)
        weights[name] = weights[name] + weight if name in weights else weight
    return sorted(usage.groups, key=lambda group: weights[group.keys[others[0]]], reverse=True)


async def _described(visit: Visit, asked: Asked, usage: Usage, groups: Sequence[UsageSummary]) -> Groups:
    keys = [KEYS[key] for key in asked.by]
    labels, links = await _workflow_names(visit, groups), {}
    for group in groups:
        values = tuple(group.keys.values())
        link = _link(visit, asked, group)
        if link is not None:
            links[values] = link
            time = group.keys.get("day") or group.keys.get("hour")
            if time is not None:
                links[time,] = link
    until = asked.at if asked.until is None else min(asked.until - timedelta(microseconds=1), asked.at)
    return Groups(
        keys=keys, groups=groups, total=usage.total, since=asked.since, until=until, labels=labels, links=links
    )


def _link(visit: Visit, asked: Asked, group: UsageSummary) -> str | None:
    """Return where a group leads to: a day to its hours, a workflow to its page, others to their days."""
    if "day" in group.keys:
        day = group.keys["day"]
        hours = ",".join("hour" if key == "day" else key for key in asked.by)
        return visit.same_url(**{"from": day, "to": day, "by": hours, "period": None})
    if len(asked.by) > 1 or "hour" in group.keys:
        return None
    if "workflow_id" in group.keys:
        workflow_id = group.keys["workflow_id"]
        return None if workflow_id is None else visit.url("workflow", id=workflow_id)
    ((key, value),) = group.keys.items()
    quoted = "null" if value is None else '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
    return visit.same_url(q=f"{asked.query} {key}={quoted}".strip(), by="day")


async def _workflow_names(visit: Visit, groups: Sequence[UsageSummary]) -> dict[str, str]:
    """Return the names of the first workflows that groups are made by, by id."""
    ids = dict.fromkeys(group.keys.get("workflow_id") for group in groups)
    wanted = [each for each in ids if each is not None][:MAX_NAMES]
    if not wanted:
        return {}
    found = await visit.storage.list_workflows(QueryFilter({"id": In(wanted)}, documents=False))
    return {workflow.id: f"{workflow.name} {workflow.version}".strip() for workflow in found}


PAGES = (Page("usage", "usage.html", read),)
