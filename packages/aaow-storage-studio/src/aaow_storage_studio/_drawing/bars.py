"""Horizontal bars: one a row, with its label and its value above, as wide as their place."""

from collections.abc import Sequence

from attrs import frozen
from markupsafe import Markup

from aaow_storage_studio._drawing.markup import element, percent

ROW = 34
"""How high a row is."""
LETTERS = 34
"""How many letters of a label are shown."""
_VISIBLE = 0.003
"""The share of the width that the smallest size is drawn as."""


@frozen
class Part:
    """A part of a bar.

    Attributes:
        size: how long it is, in any unit; 0 or more.
        tone: what it is coloured by: a class.
        title: what it says in words.
    """

    size: float
    tone: str
    title: str


@frozen
class Bar:
    """A bar of parts, one after the other.

    Attributes:
        label: what it is of.
        text: its value in words.
        parts: the parts.
    """

    label: str
    text: str
    parts: Sequence[Part]


def bars(drawn: Sequence[Bar], label: str) -> Markup:
    """Return bars as SVG, the longest of them as wide as its place."""
    longest = max((sum(part.size for part in bar.parts) for bar in drawn), default=0.0)
    rows = [_row(bar, place * ROW, longest) for place, bar in enumerate(drawn)]
    return element("svg", *rows, class_="chart bars", height=max(1, len(drawn)) * ROW, role="img", aria_label=label)


def _row(bar: Bar, y: int, longest: float) -> Markup:
    shown = bar.label if len(bar.label) <= LETTERS else f"{bar.label[: LETTERS - 1]}…"
    said = f"{bar.label}: {bar.text}"
    parts = [
        element("text", element("title", said), shown, y=y + 14),
        element("text", bar.text, x="100%", y=y + 14, class_="value"),
        element("rect", y=y + 20, width="100%", height=8, rx=2, class_="track"),
    ]
    x = 0.0
    for part in bar.parts:
        if part.size and longest:
            width = max(part.size / longest, _VISIBLE)
            title = element("title", f"{bar.label}: {part.title}")
            place = {"x": percent(min(x, 1 - _VISIBLE)), "y": y + 20, "width": percent(min(width, 1.0)), "height": 8}
            parts.append(element("rect", title, class_=part.tone, **place))
            x += width
    return element("g", *parts)
