"""Summing the usage of LLM executions in groups: what `summarize_usage` does, for backends without SQL.

A group keeps its sums, and eight bytes for each duration, because a percentile needs all of them.
"""

from array import array
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from attrs import define, field, frozen

from aaow_storage._filters import QueryFilter
from aaow_storage._query_plan import QueryPlan
from aaow_storage._query_planner import plan_query
from aaow_storage._records import LLMExecution
from aaow_storage._usage_summary import TOKEN_FIGURES, USAGE_KEYS, UsageSummary
from aaow_storage._values import shown
from aaow_storage.errors import ValidationError

_EXACT = Context(prec=2_000, traps=[Inexact, InvalidOperation])
_MICROSECOND = timedelta(microseconds=1)
_OPERATION = "summarize_usage"


@frozen(eq=False, repr=False)
class UsageQuery:
    """The checked arguments of `summarize_usage`."""

    group_by: tuple[str, ...]
    plan: QueryPlan
    """Chooses the executions, which come in any order."""


def plan_usage(group_by: Collection[str], filter: QueryFilter | None) -> UsageQuery:
    """Check the arguments of `summarize_usage`.

    Raises:
        ValidationError: a key is unknown or repeated, the filter is wrong, or it has an order or a page.
    """
    if isinstance(group_by, str) or not isinstance(group_by, Collection):
        problem = f"must be a tuple or list of keys, such as ('model', 'day'), not {shown(group_by)}"
        raise ValidationError(_OPERATION, "group_by", problem)
    for key in group_by:
        if key not in USAGE_KEYS:
            raise ValidationError(_OPERATION, "group_by", f"{shown(key)} is not one of {', '.join(USAGE_KEYS)}")
    if len(set(group_by)) < len(group_by):
        raise ValidationError(_OPERATION, "group_by", "names a key twice; name it once")
    plan = plan_query(LLMExecution, filter, "timestamp")
    if filter is not None and (filter.order_by or filter.limit is not None or filter.offset or plan.after is not None):
        problem = "has an order, a limit, an offset or a record to begin after; sums have no pages, so leave them out"
        raise ValidationError(_OPERATION, "filter", problem)
    return UsageQuery(tuple(map(str, group_by)), plan)


def day_of(instant: datetime) -> str:
    """Return the day of an instant in UTC."""
    return instant.date().isoformat()


def hour_of(instant: datetime) -> str:
    """Return the hour of an instant in UTC."""
    return instant.replace(minute=0, second=0, microsecond=0, tzinfo=None).isoformat() + "Z"


@define(eq=False, repr=False)
class UsageGroup:
    """The sums of one group so far."""

    executions: int = 0
    failed: int = 0
    running: int = 0
    executions_without_usage: int = 0
    tokens: dict[str, int] = field(factory=dict)
    costs: dict[str, Decimal] = field(factory=dict)
    durations: "array[int]" = field(factory=lambda: array("q"))
    """Those of the executions that have one, in microseconds."""

    def add(self, execution: LLMExecution) -> None:
        """Add an execution."""
        self.executions += 1
        self.failed += execution.success is False
        self.running += execution.success is None
        if execution.usage is None:
            self.executions_without_usage += 1
        else:
            self.add_tokens({name: getattr(execution.usage, name) for name in TOKEN_FIGURES})
        if execution.cost is not None and execution.currency is not None:
            self.add_cost(execution.currency, execution.cost)
        if execution.duration is not None:
            self.durations.append(execution.duration // _MICROSECOND)

    def add_tokens(self, figures: Mapping[str, int | None]) -> None:
        """Add token figures; one that is None is missing, and adds nothing."""
        for name, figure in figures.items():
            if figure is not None:
                self.tokens[name] = self.tokens.get(name, 0) + figure

    def add_cost(self, currency: str, amount: Decimal) -> None:
        """Add an amount, exactly."""
        self.costs[currency] = _EXACT.add(self.costs.get(currency, Decimal(0)), amount)

    def summary(self, keys: Mapping[str, str | None]) -> UsageSummary:
        """Return the summary of the group with those keys."""
        durations = sorted(self.durations)
        return UsageSummary(
            keys=keys,
            executions=self.executions,
            failed=self.failed,
            running=self.running,
            executions_without_usage=self.executions_without_usage,
            costs={currency: _plain(self.costs[currency]) for currency in sorted(self.costs)},
            duration_p50=_percentile(50, durations),
            duration_p95=_percentile(95, durations),
            **self.tokens,
        )


class UsageSums:
    """The groups of one `summarize_usage`."""

    def __init__(self, group_by: tuple[str, ...]) -> None:
        self._group_by = group_by
        self._groups: dict[tuple[str | None, ...], UsageGroup] = {} if group_by else {(): UsageGroup()}

    def group(self, values: Iterable[str | None]) -> UsageGroup:
        """Return the group with those values of the keys."""
        return self._groups.setdefault(tuple(values), UsageGroup())

    def add(self, execution: LLMExecution, workflow_id: str | None) -> None:
        """Add an execution to its group; its session has that workflow."""
        self.group(_key_of(name, execution, workflow_id) for name in self._group_by).add(execution)

    def summaries(self) -> list[UsageSummary]:
        """Return a summary of each group, ordered by the keys: None first, texts by code point."""
        ordered = sorted(self._groups.items(), key=lambda entry: [(part is not None, part or "") for part in entry[0]])
        return [group.summary(dict(zip(self._group_by, values, strict=True))) for values, group in ordered]


def _key_of(name: str, execution: LLMExecution, workflow_id: str | None) -> str | None:
    match name:
        case "workflow_id":
            return workflow_id
        case "day":
            return day_of(execution.timestamp)
        case "hour":
            return hour_of(execution.timestamp)
    value: Any = getattr(execution, name)
    return None if value is None else str(value)


def _percentile(percent: int, durations: list[int]) -> timedelta | None:
    """Return the duration at the nearest rank, of sorted durations in microseconds."""
    count = len(durations)
    rank = -(-percent * count // 100)
    return durations[rank - 1] * _MICROSECOND if count else None


def _plain(amount: Decimal) -> Decimal:
    """Return the amount without zeros at its end and without an exponent, so that equal sums look the same."""
    return Decimal(format(amount.normalize(_EXACT), "f"))
