"""Mistakes with the sums of usage."""

import copy
from datetime import timedelta, timezone
from decimal import Decimal

import attrs

from aaow_storage import OrderBy, QueryFilter, StorageOperations, TokenUsage
from aaow_storage.authoring import TOKEN_FIGURES
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


class _Changed(Delegating):
    """Sums what a subclass makes of the executions."""

    async def get_llm_executions(self, session_id, filter=None):
        return [self.changed(each) for each in await super().get_llm_executions(session_id, filter)]

    def changed(self, execution):
        """Return the execution to sum."""
        return execution

    async def summarize_usage(self, group_by=(), filter=None):
        return await StorageOperations.summarize_usage(_Summing(self), group_by, filter)


class _Summing(Delegating):
    """Gives the executions of another layer to the default."""


def _with(execution, **fields):
    """Return a copy with other values, which are not validated: an execution to sum has no input."""
    changed = copy.copy(execution)
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return changed


def _summaries(change):
    """Return the operation that changes each summary."""

    async def summarize_usage(self, group_by=(), filter=None):
        return [change(each) for each in await Delegating.summarize_usage(self, group_by, filter)]

    return summarize_usage


@breaks("USE-1")
class SumsCostsAsFloats(Delegating):
    """Sums costs as floats."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(
            each, costs={name: Decimal(repr(float(cost) * (1 + 2**-52))) for name, cost in each.costs.items()}
        )
    )


@breaks("USE-1")
class SumsAllCurrenciesTogether(Delegating):
    """Adds up the costs of all currencies."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(each, costs={min(each.costs): sum(each.costs.values())} if each.costs else {})
    )


@breaks("USE-1")
class CountsMissingFiguresAsZero(Delegating):
    """Has 0 for the sum of a figure that no execution has."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(each, **{name: getattr(each, name) or 0 for name in TOKEN_FIGURES})
    )


@breaks("USE-1")
class HasNoSumOfZeros(Delegating):
    """Has None for a sum of zeros."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(each, **{name: getattr(each, name) or None for name in TOKEN_FIGURES})
    )


@breaks("USE-1")
class WrapsLargeSums(Delegating):
    """Keeps 63 bits of a sum of tokens."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(
            each, **{name: figure and figure % 2**63 for name in TOKEN_FIGURES for figure in [getattr(each, name)]}
        )
    )


@breaks("USE-1")
class CountsRunningAsFailed(Delegating):
    """Counts executions that run as failed."""

    summarize_usage = _summaries(lambda each: attrs.evolve(each, failed=each.failed + each.running))


@breaks("USE-1")
class ForgetsExecutionsWithoutUsage(Delegating):
    """Does not count the executions without usage."""

    summarize_usage = _summaries(lambda each: attrs.evolve(each, executions_without_usage=0))


@breaks("USE-1")
class OrdersGroupsBySize(Delegating):
    """Orders groups by their executions, the largest first."""

    async def summarize_usage(self, group_by=(), filter=None):
        return sorted(await super().summarize_usage(group_by, filter), key=lambda each: -each.executions)


@breaks("USE-1")
class OrdersNoneLast(Delegating):
    """Orders None after every text."""

    async def summarize_usage(self, group_by=(), filter=None):
        found = await super().summarize_usage(group_by, filter)
        return sorted(found, key=lambda each: [(part is None, part or "") for part in each.keys.values()])


@breaks("USE-1")
class LeavesOutWhatHasNoKey(Delegating):
    """Leaves out the executions that have no value of a key."""

    async def summarize_usage(self, group_by=(), filter=None):
        return [each for each in await super().summarize_usage(group_by, filter) if None not in each.keys.values()]


@breaks("USE-1")
class HasNoSumOfNothing(Delegating):
    """Returns no summary, not an empty one, if there is no execution and no key."""

    async def summarize_usage(self, group_by=(), filter=None):
        return [each for each in await super().summarize_usage(group_by, filter) if each.executions]


@breaks("USE-1")
class SumsWithoutTheFilter(Delegating):
    """Sums all executions, whatever the filter says."""

    async def summarize_usage(self, group_by=(), filter=None):
        await super().summarize_usage(group_by, filter)
        return await super().summarize_usage(group_by)


@breaks("USE-1")
class IgnoresThePageOfASum(Delegating):
    """Accepts a limit, and ignores it."""

    async def summarize_usage(self, group_by=(), filter=None):
        if isinstance(filter, QueryFilter):
            filter = QueryFilter(filter.where, any_of=filter.any_of)  # noqa: A001 - the argument's name
        return await super().summarize_usage(group_by, filter)


@breaks("USE-1")
class SumsTheFirstPage(_Changed):
    """Sums the first execution of each session."""

    async def get_llm_executions(self, session_id, filter=None):
        found = await super().get_llm_executions(session_id, QueryFilter(order_by=OrderBy("id"), limit=1))
        return [] if filter is not None and filter.after_record is not None else found


@breaks("USE-1")
class TakesMissingUsageForZeros(_Changed):
    """Takes usage that is missing for zeros."""

    def changed(self, execution):
        zeros = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        return _with(execution, usage=execution.usage or zeros)


@breaks("USE-2")
class GroupsByLocalDays(_Changed):
    """Groups by the days of a time zone that is not UTC."""

    def changed(self, execution):
        try:
            local = execution.timestamp.astimezone(timezone(timedelta(hours=2)))
        except OverflowError:
            return execution
        return _with(execution, timestamp=local)


@breaks("USE-2")
class InterpolatesPercentiles(Delegating):
    """Has a percentile that lies between two durations."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(
            each, duration_p95=each.duration_p95 and (each.duration_p95 + (each.duration_p50 or each.duration_p95)) / 2
        )
    )


@breaks("USE-2")
class HasDurationsOfZero(Delegating):
    """Has a duration of 0 for executions that run."""

    summarize_usage = _summaries(
        lambda each: attrs.evolve(
            each, duration_p50=each.duration_p50 or timedelta(0), duration_p95=each.duration_p95 or timedelta(0)
        )
    )


@breaks("USE-1")
class SumsWithoutAlternatives(Delegating):
    """Ignores `any_of` in the filter of a sum."""

    async def summarize_usage(self, group_by=(), filter=None):
        if isinstance(filter, QueryFilter):
            filter = attrs.evolve(filter, any_of=None)  # noqa: A001 - the argument's name
        return await super().summarize_usage(group_by, filter)


@breaks("USE-1")
class SumsOncePerToolCall(Delegating):
    """Sums an execution as often as it has tool calls, as a careless join does."""

    async def summarize_usage(self, group_by=(), filter=None):
        found = await super().summarize_usage(group_by, filter)
        calls = len(await self.list_tool_calls()) or 1
        return [attrs.evolve(each, executions=each.executions * calls) for each in found]


@breaks("USE-1")
class SumsWhatSucceeded(_Changed):
    """Leaves out the tokens of executions that failed."""

    def changed(self, execution):
        return _with(execution, usage=None) if execution.success is False else execution


@breaks("USE-2")
class GroupsByTheEnd(Delegating):
    """Groups by the day on which executions ended."""

    async def summarize_usage(self, group_by=(), filter=None):
        found = await super().summarize_usage(group_by, filter)
        if list(group_by) != ["day"]:
            return found
        ends = [each.completed_at or each.timestamp for each in await self.list_llm_executions()]
        days = [f"{end:%Y-%m-%d}" for end in ends]
        return [attrs.evolve(found[0], keys={"day": day}, executions=days.count(day)) for day in sorted(set(days))]


@breaks("USE-2")
class TakesZeroForNoDuration(_Changed):
    """Takes a duration of zero for one that is missing."""

    def changed(self, execution):
        return execution if execution.duration else _with(execution, completed_at=None)


@breaks("USE-1")
class AddsWhatIsSavedAgain(Delegating):
    """Adds the tokens of an execution to a running sum each time that it is saved."""

    async def save_llm_execution(self, session_id, node_id, result):
        before = await self.list_llm_executions(QueryFilter({"id": result.id}))
        await super().save_llm_execution(session_id, node_id, result)
        added = sum(each.usage.prompt_tokens for each in before if each.usage is not None)
        vars(self)["added"] = vars(self).get("added", 0) + added

    async def summarize_usage(self, group_by=(), filter=None):
        added = vars(self).get("added", 0)
        found = await super().summarize_usage(group_by, filter)
        return [
            attrs.evolve(each, prompt_tokens=(each.prompt_tokens or 0) + added) if added else each for each in found
        ]
