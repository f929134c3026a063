"""`UsageSummary`: what a group of LLM executions used, cost and took."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from attrs import field, frozen

from aaow_storage import _validators as validators
from aaow_storage import _values as values
from aaow_storage._amounts import as_amount
from aaow_storage._record_dicts import Record

UsageKey: TypeAlias = Literal["provider", "model", "workflow_id", "session_id", "node_id", "day", "hour"]
"""What `summarize_usage` can group by. `day` and `hour` are those of `timestamp`, in UTC."""

USAGE_KEYS: tuple[str, ...] = get_args(UsageKey)
TOKEN_FIGURES = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
"""The figures of `TokenUsage`, each of which a summary has the sum of."""


def _keys(value: Mapping[str, str | None]) -> Mapping[str, str | None]:
    return values.copy_mapping(value)


def _are_keys(instance: object, attribute: validators.Named, value: Any) -> None:
    if not isinstance(value, dict) or not set(value) <= set(USAGE_KEYS):
        problem = f"must map some of {', '.join(USAGE_KEYS)} to texts or None, not be {values.shown(value)}"
        raise validators.invalid(instance, attribute, problem)
    for part in value.values():
        if part is not None:
            validators.is_text(instance, attribute, part)


def _is_whole(instance: object, attribute: validators.Named, value: Any) -> None:
    """Accept a number of things; a sum may be larger than any count that is stored."""
    if type(value) is not int or value < 0:
        raise validators.invalid(instance, attribute, f"must be an int of 0 or more, not {values.shown(value)}")


def _amounts(value: Mapping[str, Decimal | float | str]) -> Mapping[str, Decimal]:
    if not isinstance(value, Mapping):
        return value
    return {currency: as_amount(amount) for currency, amount in value.items()}


def _are_amounts(instance: object, attribute: validators.Named, value: Any) -> None:
    if not isinstance(value, dict) or not all(type(part) is Decimal and part.is_finite() for part in value.values()):
        raise validators.invalid(instance, attribute, f"must map currencies to amounts, not be {values.shown(value)}")


def _is_duration(instance: object, attribute: validators.Named, value: Any) -> None:
    if value is not None and type(value) is not timedelta:
        raise validators.invalid(instance, attribute, f"must be a timedelta or None, not {values.shown(value)}")


_sum = validators.optional(_is_whole)


@frozen(kw_only=True, eq=False, repr=False)
class UsageSummary(Record):
    """What a group of LLM executions used, cost and took.

    `keys` has the group's value of each key that was asked for, in that order: None where the executions have none, a
    `day` as `2026-01-31`, an `hour` as `2026-01-31T12:00:00Z`. `failed` counts the executions with `success=False`, and
    `running` those with `success=None`.

    The sum of a token figure is None if no execution of the group has the figure. `executions_without_usage` counts
    those whose `usage` is None: a sum says nothing about them. `costs` has the exact sum for each currency.

    `duration_p50` and `duration_p95` are percentiles of the durations of those executions that have one, by nearest
    rank: the shortest duration that at least 50 (95) of 100 durations do not exceed. They are None if none has one.
    """

    keys: Mapping[str, str | None] = field(factory=dict, converter=_keys, validator=_are_keys)
    executions: int = field(validator=_is_whole)
    failed: int = field(default=0, validator=_is_whole)
    running: int = field(default=0, validator=_is_whole)
    prompt_tokens: int | None = field(default=None, validator=_sum)
    completion_tokens: int | None = field(default=None, validator=_sum)
    total_tokens: int | None = field(default=None, validator=_sum)
    cache_read_tokens: int | None = field(default=None, validator=_sum)
    cache_write_tokens: int | None = field(default=None, validator=_sum)
    reasoning_tokens: int | None = field(default=None, validator=_sum)
    executions_without_usage: int = field(default=0, validator=_is_whole)
    costs: Mapping[str, Decimal] = field(factory=dict, converter=_amounts, validator=_are_amounts)
    duration_p50: timedelta | None = field(default=None, validator=_is_duration)
    duration_p95: timedelta | None = field(default=None, validator=_is_duration)
