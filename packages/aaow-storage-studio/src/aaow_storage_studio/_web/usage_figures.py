"""The figures of usage that have a chart each: what their value is, and how it is written."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

from attrs import frozen

from aaow_storage import UsageSummary
from aaow_storage_studio._drawing.bars import Part
from aaow_storage_studio._drawing.ticks import ticks, ticks_of_seconds
from aaow_storage_studio._web import formats

Value = Decimal | int | timedelta | None
_THOUSAND = 1000
_SMALLEST, _LARGEST = 1e-4, 1e4
_UNITS = ("", "k", "M", "G", "T", "P", "E")


@frozen(kw_only=True)
class Column:
    """A column of the table beside a chart: its heading, and the text of a cell."""

    heading: str
    text: Callable[[UsageSummary], str]
    exact: Callable[[UsageSummary], str] | None = None


@frozen(kw_only=True)
class Figure:
    """A figure of usage.

    Attributes:
        id: its name in addresses.
        title: its name for people.
        value: its value in a group; None if the group has none.
        text: a value in words.
        parts: the parts of the bar of a group.
        outcomes: the parts of a column over time, if the groups have no other key: a name, a tone and a value each.
        columns: the columns of the table.
        is_of_some: whether only groups that have a value are shown.
        can_be_added: whether the values of two groups make one of both.
        axis: returns the ticks of an axis up to a value.
        tick_text: returns a value of the axis in words.
    """

    id: str
    title: str
    value: Callable[[UsageSummary], Value]
    text: Callable[[Value], str]
    parts: Callable[[UsageSummary], Sequence[Part]]
    outcomes: Sequence[tuple[str, str, Callable[[UsageSummary], Value]]]
    columns: Sequence[Column]
    is_of_some: bool = False
    can_be_added: bool = True
    axis: Callable[[float], list[float]] = ticks
    tick_text: Callable[[float], str]


def size_of(value: Value) -> float | None:
    """Return a value as a length."""
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    return None if value is None else float(value)


def short_amount(value: float) -> str:
    """Return a value of an axis in three figures: `0.0005`, `2.5`, `12k`, `3M`, `1e-9`."""
    if not value:
        return "0"
    place = min(len(_UNITS) - 1, max(0, int(math.log10(value) + 1e-9) // 3)) if value >= 1 else 0
    scaled = value / _THOUSAND**place
    is_legible = _SMALLEST <= scaled < _LARGEST
    return f"{scaled:.3g}{_UNITS[place]}" if is_legible else f"{value:.1g}"


def _whole(largest: float) -> list[float]:
    return ticks(largest, are_whole=True)


def _count(value: Value) -> str:
    return formats.count(value if isinstance(value, int) else None)


def _duration(value: Value) -> str:
    return formats.duration(value if isinstance(value, timedelta) else None)


def _failed_share(group: UsageSummary) -> str:
    return formats.share(group.failed / group.executions) if group.executions else formats.MISSING


def _parts_of_calls(group: UsageSummary) -> list[Part]:
    counts = (
        ("done", "good", group.executions - group.failed - group.running),
        ("failed", "bad", group.failed),
        ("running", "busy", group.running),
    )
    return [Part(float(number), tone, f"{_count(number)} {name}") for name, tone, number in counts if number]


def _parts_of_tokens(group: UsageSummary) -> list[Part]:
    prompt, completion = group.prompt_tokens or 0, group.completion_tokens or 0
    if group.total_tokens is None:
        return []
    if prompt + completion != group.total_tokens:
        return [Part(float(group.total_tokens), "series-1", f"{_count(group.total_tokens)} tokens")]
    return [
        Part(float(prompt), "series-1", f"{_count(prompt)} prompt tokens"),
        Part(float(completion), "series-2", f"{_count(completion)} completion tokens"),
    ]


def _parts_of_latency(group: UsageSummary) -> list[Part]:
    if group.duration_p50 is None or group.duration_p95 is None:
        return []
    half, most = size_of(group.duration_p50) or 0.0, size_of(group.duration_p95) or 0.0
    return [
        Part(half, "series-1", f"half take at most {_duration(group.duration_p50)}"),
        Part(most - half, "series-2", f"95 of 100 take at most {_duration(group.duration_p95)}"),
    ]


CALLS = Figure(
    id="calls",
    title="Calls and failures",
    value=lambda group: group.executions,
    text=_count,
    parts=_parts_of_calls,
    outcomes=(
        ("done", "good", lambda group: group.executions - group.failed - group.running),
        ("failed", "bad", lambda group: group.failed),
        ("running", "busy", lambda group: group.running),
    ),
    columns=(
        Column(heading="Calls", text=lambda group: _count(group.executions)),
        Column(heading="Failed", text=lambda group: _count(group.failed)),
        Column(heading="Share failed", text=_failed_share),
        Column(heading="Running", text=lambda group: _count(group.running)),
    ),
    axis=_whole,
    tick_text=short_amount,
)
FAILED = Figure(
    id="failed",
    title="Failures",
    value=lambda group: group.failed,
    text=_count,
    parts=lambda group: [Part(float(group.failed), "bad", f"{_count(group.failed)} failed")],
    outcomes=(("failed", "bad", lambda group: group.failed),),
    columns=CALLS.columns,
    axis=_whole,
    tick_text=short_amount,
)
TOKENS = Figure(
    id="tokens",
    title="Tokens",
    value=lambda group: group.total_tokens,
    text=_count,
    parts=_parts_of_tokens,
    outcomes=(("tokens", "series-1", lambda group: group.total_tokens),),
    columns=(
        Column(heading="Tokens", text=lambda group: _count(group.total_tokens)),
        Column(heading="Prompt", text=lambda group: _count(group.prompt_tokens)),
        Column(heading="Completion", text=lambda group: _count(group.completion_tokens)),
        Column(heading="From cache", text=lambda group: _count(group.cache_read_tokens)),
        Column(heading="Reasoning", text=lambda group: _count(group.reasoning_tokens)),
        Column(heading="Calls unknown", text=lambda group: _count(group.executions_without_usage)),
    ),
    axis=_whole,
    tick_text=short_amount,
)
LATENCY = Figure(
    id="latency",
    title="Latency",
    value=lambda group: group.duration_p95,
    text=_duration,
    parts=_parts_of_latency,
    outcomes=(
        ("p50", "series-1", lambda group: group.duration_p50),
        ("p95", "series-2", lambda group: group.duration_p95),
    ),
    columns=(
        Column(heading="p50", text=lambda group: _duration(group.duration_p50)),
        Column(heading="p95", text=lambda group: _duration(group.duration_p95)),
    ),
    can_be_added=False,
    axis=ticks_of_seconds,
    tick_text=formats.duration,
)


def cost_in(currency: str) -> Figure:
    """Return the figure of what calls cost in a currency; amounts in several are never added."""

    def value(group: UsageSummary) -> Decimal | None:
        return group.costs.get(currency)

    def text(amount: Value) -> str:
        return (
            formats.MISSING
            if amount is None
            else formats.costs({currency: Decimal(str(amount))}).removesuffix(f" {currency}")
        )

    def parts(group: UsageSummary) -> list[Part]:
        amount = value(group)
        return [] if amount is None else [Part(float(amount), "series-1", f"{amount:f} {currency}")]

    return Figure(
        id=f"cost-{currency}",
        title=f"Cost in {currency}",
        value=value,
        text=text,
        parts=parts,
        outcomes=(("cost", "series-1", value),),
        columns=(
            Column(
                heading="Cost",
                text=lambda group: text(value(group)),
                exact=lambda group: formats.MISSING if value(group) is None else f"{value(group):f} {currency}",
            ),
        ),
        is_of_some=True,
        tick_text=short_amount,
    )
