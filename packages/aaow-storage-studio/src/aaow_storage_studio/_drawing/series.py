"""Series over time: stacked columns, or lines, above an axis of time, as wide as their place."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen
from markupsafe import Markup

from aaow_storage_studio._drawing.markup import element, number, percent
from aaow_storage_studio._drawing.ticks import spread

HEIGHT = 180
"""How high the columns and lines are at most; the names of the times stand below."""
BELOW = 24
_UNITS = 1000
"""Of the height of columns and lines, which are stretched to their place."""
_VISIBLE = 8
_WIDEST = 12
"""A column is at most this part of the width: 1 of 12."""


@frozen
class Series:
    """Values over time.

    Attributes:
        name: what they are of.
        tone: what they are coloured by: a class.
        values: one for each time; None where there is none.
        texts: the values in words.
    """

    name: str
    tone: str
    values: Sequence[float | None]
    texts: Sequence[str]


@frozen
class Axes:
    """What the axes have.

    Attributes:
        times: the times, from left to right.
        names: the same as they stand below the axis.
        ticks: the values at the left axis, from 0 up.
        tick_text: returns a value of the left axis in words.
        most_names: how many times are named.
    """

    times: Sequence[str]
    names: Sequence[str]
    ticks: Sequence[float]
    tick_text: Callable[[float], str]
    most_names: int = 6

    @property
    def top(self) -> float:
        """The value at the upper edge."""
        return self.ticks[-1]


def columns(series: Sequence[Series], axes: Axes, label: str) -> Markup:
    """Return a column for each time, in which the values of the series are stacked."""
    width = min(0.82, len(axes.times) / _WIDEST)
    parts = []
    for place, time in enumerate(axes.times):
        bottom = float(_UNITS)
        for each in series:
            value = each.values[place]
            if value:
                height = max(value / axes.top * _UNITS, _VISIBLE)
                bottom -= height
                title = element("title", f"{time} · {each.name}: {each.texts[place]}")
                x = number(place + (1 - width) / 2)
                size = {"width": number(width), "height": number(height)}
                parts.append(element("rect", title, x=x, y=number(max(bottom, 0)), class_=each.tone, **size))
    return _chart(parts, axes, label)


def lines(series: Sequence[Series], axes: Axes, label: str) -> Markup:
    """Return a line for each series, with a gap where a value is missing, and a dot at each value."""
    parts = []
    for each in series:
        for run in _runs(each.values):
            path = "L".join(f"{number(place + 0.5)} {number(_y(each.values[place], axes))}" for place in run)
            if len(run) > 1:
                parts.append(element("path", d=f"M{path}", class_=f"line {each.tone}", vector_effect=_FIXED))
        for place, value in enumerate(each.values):
            if value is not None:
                title = element("title", f"{axes.times[place]} · {each.name}: {each.texts[place]}")
                dot = f"M{number(place + 0.5)} {number(_y(value, axes))}h0.001"
                parts.append(element("path", title, d=dot, class_=f"dot {each.tone}", vector_effect=_FIXED))
    return _chart(parts, axes, label)


_FIXED = "non-scaling-stroke"


def _y(value: float | None, axes: Axes) -> float:
    return _UNITS * (1 - (value or 0) / axes.top)


def _runs(values: Sequence[float | None]) -> Iterator[list[int]]:
    """Yield the places of values that follow one another."""
    run: list[int] = []
    for place, value in enumerate(values):
        if value is not None:
            run.append(place)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _chart(parts: Sequence[Markup], axes: Axes, label: str) -> Markup:
    """Return the drawn parts, stretched to their place, between the axes, whose texts keep their size."""
    frame = []
    for value in axes.ticks:
        y = number(HEIGHT * (1 - value / axes.top))
        frame.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        frame.append(element("text", axes.tick_text(value), x=-6, y=y, dy="0.32em", class_="value"))
    length = len(axes.times)
    for place in spread(length, axes.most_names):
        middle = (place + 0.5) / length
        side = "start" if middle < 0.06 else "end" if middle > 0.94 else "middle"  # noqa: PLR2004 - near an edge
        anchored = {"start": 0.0, "end": 1.0, "middle": middle}[side]
        where = {"x": percent(anchored), "y": HEIGHT + BELOW - 8, "text_anchor": side}
        frame.append(element("text", axes.names[place], class_="time", **where))
    box = {"viewBox": f"0 0 {length} {_UNITS}", "preserveAspectRatio": "none"}
    stretched = element("svg", *parts, width="100%", height=HEIGHT, **box)
    size = {"height": HEIGHT + BELOW}
    return element("svg", *frame, stretched, class_="chart series", role="img", aria_label=label, **size)
