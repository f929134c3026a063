"""Usage in groups as panels: a chart for each figure, and beside it a table with the same numbers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import field, frozen
from markupsafe import Markup

from aaow_storage import UsageSummary
from aaow_storage_studio._drawing.bars import Bar, bars
from aaow_storage_studio._drawing.series import Axes, Series, columns, lines
from aaow_storage_studio._web import formats
from aaow_storage_studio._web.usage_figures import (
    CALLS,
    FAILED,
    LATENCY,
    TOKENS,
    Column,
    Figure,
    Value,
    cost_in,
    size_of,
)

MAX_BARS = 15
MAX_ROWS = 200
"""How many rows a table has."""
MAX_SERIES = 5
"""How many series have a colour of their own."""
MAX_TIMES = 400
"""How many days or hours are drawn."""
NO_NAME = "(none)"
_NOTHING = {"0", formats.MISSING}
_STEP = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
_NAMES = {"day": 6, "hour": 4}


@frozen(kw_only=True)
class Row:
    """A row of a table: what it is of, where that leads to, and its cells with their exact values, or None."""

    label: str
    href: str | None
    cells: Sequence[tuple[str, str | None]]


@frozen(kw_only=True)
class Panel:
    """A figure as a chart and a table.

    Attributes:
        id: the name of the figure.
        title: the same for people.
        chart: the chart as SVG, None if there is nothing to draw.
        legend: the names of the colours in it, each with its tone; empty if there is one colour.
        headings: the headings of the table.
        rows: its rows.
        notes: what is left out, a sentence each.
    """

    id: str
    title: str
    chart: Markup | None
    legend: Sequence[tuple[str, str]]
    headings: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


@frozen(kw_only=True)
class Groups:
    """Groups of model calls, as charts show them.

    Attributes:
        keys: what `UsageSummary.keys` calls what the groups are made by.
        groups: the groups; those that are not of a time come in the order in which they are shown.
        total: all of them together.
        since: when the period begins, None if it has no beginning.
        until: the last instant of it that may have calls; later ones are shown if there are any.
        labels: the names of values of keys, where they are not the values themselves.
        links: where groups lead to, by their values.
    """

    keys: Sequence[str]
    groups: Sequence[UsageSummary]
    total: UsageSummary
    since: datetime | None
    until: datetime
    labels: Mapping[str, str] = field(factory=dict)
    links: Mapping[tuple[str | None, ...], str] = field(factory=dict)

    @property
    def time_key(self) -> str | None:
        """The key that is a time, if there is one."""
        return next((key for key in self.keys if key in _STEP), None)

    @property
    def series_key(self) -> str | None:
        """The key beside the time, if there is one."""
        return next((key for key in self.keys if key not in _STEP), None)

    def label(self, value: str | None) -> str:
        """Return the name of a value of a key."""
        return NO_NAME if value is None else self.labels.get(value, value) or '""'


def panels_of(groups: Groups) -> list[Panel]:
    """Return a panel for each figure that the groups have."""
    figures = [cost_in(currency) for currency in sorted(groups.total.costs)]
    if groups.total.total_tokens is not None:
        figures.append(TOKENS)
    figures.append(CALLS)
    if groups.time_key is None:
        return [_of_bars(groups, figure) for figure in [*figures, LATENCY]]
    if groups.series_key is None:
        return [_over_time(groups, figure) for figure in [*figures, LATENCY]]
    if groups.total.failed:
        figures.append(FAILED)
    return [_series_over_time(groups, figure) for figure in [*figures, LATENCY]]


def _columns(figure: Figure, groups: Sequence[UsageSummary]) -> list[Column]:
    """Return the first column, and the others that say something."""
    first, *others = figure.columns
    return [first, *(each for each in others if any(each.text(group) not in _NOTHING for group in groups))]


def _cells(shown: Sequence[Column], group: UsageSummary) -> list[tuple[str, str | None]]:
    return [(each.text(group), None if each.exact is None else each.exact(group)) for each in shown]


def _of_bars(groups: Groups, figure: Figure) -> Panel:
    having = [group for group in groups.groups if figure.value(group) is not None]
    listed = having if figure.is_of_some else groups.groups
    shown = _columns(figure, listed)
    drawn = [
        Bar(_label(groups, group), figure.text(figure.value(group)), figure.parts(group)) for group in having[:MAX_BARS]
    ]
    rows = [
        Row(
            label=_label(groups, group),
            href=groups.links.get(tuple(group.keys.values())),
            cells=_cells(shown, group),
        )
        for group in listed[:MAX_ROWS]
    ]
    tones = {part.tone for bar in drawn for part in bar.parts}
    return Panel(
        id=figure.id,
        title=figure.title,
        chart=bars(drawn, f"{figure.title}, by {_by(groups)}") if drawn else None,
        legend=[(name, tone) for name, tone in _legend_of_parts(figure) if tone in tones] if len(tones) > 1 else [],
        headings=[_by(groups), *(each.heading for each in shown)],
        rows=rows,
        notes=_left_out(len(listed), drawn=len(drawn), rows=len(rows)),
    )


def _label(groups: Groups, group: UsageSummary) -> str:
    return " · ".join(map(groups.label, group.keys.values()))


def _legend_of_parts(figure: Figure) -> Sequence[tuple[str, str]]:
    if figure is TOKENS:
        return (("prompt", "series-1"), ("completion", "series-2"))
    return [(name, tone) for name, tone, _ in figure.outcomes]


def _by(groups: Groups) -> str:
    return " and ".join(key.removesuffix("_id") for key in groups.keys) or "all"


def _left_out(number: int, *, drawn: int, rows: int) -> list[str]:
    notes = []
    if rows < number:
        notes.append(f"The table has {rows} of {number:,} groups; choose a filter, or a shorter period.")
    if MAX_BARS <= drawn < rows:
        notes.append(f"The chart has the first {drawn}.")
    return notes


def _times(groups: Groups) -> tuple[list[str], bool]:
    """Return the days or hours of the period, and whether the first ones are left out."""
    key = groups.time_key or "day"
    found = sorted(group.keys[key] or "" for group in groups.groups)
    first = _instant(found[0]) if groups.since is None else groups.since
    latest = _instant(found[-1])
    last = latest if groups.since is None else max(latest, groups.until)
    step = _STEP[key]
    midnight = first.replace(minute=0, second=0, microsecond=0)
    start = midnight.replace(hour=0) if key == "day" else midnight
    number = (last - start) // step + 1
    skipped = max(0, number - MAX_TIMES)
    return [_time(start + step * place, key) for place in range(skipped, number)], skipped > 0


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(UTC) if "T" in time else datetime.fromisoformat(f"{time}T00:00Z")


def _time(instant: datetime, key: str) -> str:
    return f"{instant:%Y-%m-%d}" if key == "day" else f"{instant:%Y-%m-%dT%H}:00:00Z"


def time_name(time: str) -> str:
    """Return a day or an hour for people."""
    return time.replace("T", " ").removesuffix(":00Z")


def _short_name(time: str) -> str:
    return time[5:10] if "T" not in time else f"{time[5:10]} {time[11:13]}h"


def _axes(groups: Groups, times: Sequence[str], figure: Figure, largest: float) -> Axes:
    return Axes(
        times=[time_name(time) for time in times],
        names=[_short_name(time) for time in times],
        ticks=figure.axis(largest),
        tick_text=figure.tick_text,
        most_names=_NAMES[groups.time_key or "day"],
    )


def _over_time(groups: Groups, figure: Figure) -> Panel:
    """Return a panel of times alone: what a figure consists of is stacked, or drawn as a line each."""
    key = groups.time_key or ""
    times, is_cut = _times(groups)
    by_time = {group.keys[key]: group for group in groups.groups}
    series: list[Series] = []
    for name, tone, value in figure.outcomes:
        values = [value(by_time[time]) if time in by_time else None for time in times]
        if any(values) or not series:
            series.append(
                Series(name, tone, [size_of(each) for each in values], [figure.text(each) for each in values])
            )
    listed = [
        by_time[time]
        for time in times
        if time in by_time and not (figure.is_of_some and figure.value(by_time[time]) is None)
    ]
    shown = _columns(figure, listed)
    return Panel(
        id=figure.id,
        title=figure.title,
        chart=_over_axes(groups, figure, times, series),
        legend=_legend(series),
        headings=[key, *(each.heading for each in shown)],
        rows=[_row_of_time(groups, group.keys[key] or "", _cells(shown, group)) for group in listed[-MAX_ROWS:]],
        notes=_cut_notes(is_cut, key, len(listed)),
    )


def _series_over_time(groups: Groups, figure: Figure) -> Panel:
    """Return a panel of times and another key: the first values of it are series, the others are one together."""
    key = groups.time_key or ""
    times, is_cut = _times(groups)
    values, left_out = _values_by_series(groups, figure)
    series = [
        Series(name, tone, [size_of(of.get(time)) for time in times], [figure.text(of.get(time)) for time in times])
        for name, tone, of in values
    ]
    rows = []
    for time in times:
        cells = [of.get(time) for _, _, of in values]
        if any(each is not None for each in cells):
            listed = [*cells, _sum(cells)] if figure.can_be_added else cells
            texts = [(figure.text(each), f"{each:f}" if isinstance(each, Decimal) else None) for each in listed]
            rows.append(_row_of_time(groups, time, texts))
    notes = _cut_notes(is_cut, key, len(rows))
    if left_out:
        notes.append(f"{left_out} others are left out, because percentiles cannot be put together.")
    suffix = "" if figure.can_be_added else " (p95)"
    return Panel(
        id=figure.id,
        title=figure.title,
        chart=_over_axes(groups, figure, times, series),
        legend=_legend(series),
        headings=[key, *(f"{each.name}{suffix}" for each in series), *(["together"] if figure.can_be_added else [])],
        rows=rows[-MAX_ROWS:],
        notes=notes,
    )


def _values_by_series(groups: Groups, figure: Figure) -> tuple[list[tuple[str, str, dict[str | None, Value]]], int]:
    """Return a name, a colour and the values by time for each series, and how many series have no place.

    A series has the same colour in all panels in which it has one of its own, if that can be.
    """
    key, other = groups.time_key or "", groups.series_key or ""
    by_name: dict[str | None, dict[str | None, Value]] = {}
    for group in groups.groups:
        by_name.setdefault(group.keys[other], {})[group.keys[key]] = figure.value(group)
    usual = {name: f"series-{place}" for place, name in enumerate(list(by_name)[:MAX_SERIES], 1)}
    having = [name for name, of in by_name.items() if any(value is not None for value in of.values())]
    own, rest = having[:MAX_SERIES], having[MAX_SERIES:]
    free = [f"series-{place}" for place in range(1, MAX_SERIES + 1)]
    free = [tone for tone in free if tone not in {usual.get(name) for name in own}]
    values = [(groups.label(name), usual.get(name) or free.pop(0), by_name[name]) for name in own]
    if rest and figure.can_be_added:
        times = dict.fromkeys(time for name in rest for time in by_name[name])
        of_rest = {time: _sum([by_name[name].get(time) for name in rest]) for time in times}
        values.append((f"{len(rest)} others" if len(rest) > 1 else groups.label(rest[0]), "series-6", of_rest))
        rest = []
    return values, len(rest)


def _row_of_time(groups: Groups, time: str, cells: Sequence[tuple[str, str | None]]) -> Row:
    return Row(label=time_name(time), href=groups.links.get((time,)), cells=cells)


def _cut_notes(is_cut: bool, key: str, listed: int) -> list[str]:
    notes = [f"Only the last {MAX_TIMES} {key}s of the period are shown."] if is_cut else []
    return [*notes, f"The table has the last {MAX_ROWS} {key}s."] if listed > MAX_ROWS else notes


def _legend(series: Sequence[Series]) -> list[tuple[str, str]]:
    return [(each.name, each.tone) for each in series] if len(series) > 1 else []


def _over_axes(groups: Groups, figure: Figure, times: Sequence[str], series: Sequence[Series]) -> Markup | None:
    """Return the chart: columns of what can be added, lines of what cannot; None if there is no value."""
    if all(value is None for each in series for value in each.values):
        return None
    if figure.can_be_added:
        draw, largest = columns, max(sum(each.values[place] or 0 for each in series) for place in range(len(times)))
    else:
        draw, largest = lines, max(value or 0 for each in series for value in each.values)
    return draw(series, _axes(groups, times, figure, largest), f"{figure.title} over time")


def _sum(values: Sequence[Value]) -> Any:
    known: list[Any] = [each for each in values if each is not None]
    return sum(known[1:], known[0]) if known else None
