"""The bars of a waterfall: each row is a picture as wide as its column, because places are per cent of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen
from markupsafe import Markup, escape

from aaow_storage_studio._drawing.time_axis import TimeAxis

MIN_WIDTH = 0.004
MAX_MARKS = 150
"""How many marks a row has at most: neighbours become one."""
_HEIGHTS = {"node": (3, 12), "model_call": (4, 10), "tool_call": (6, 6), "approval": (5, 8)}
_NEAR_END = 0.92
_CROSS = "\N{MULTIPLICATION SIGN}"
_CROSS_WIDTH = 0.02
_HEIGHT, _HEIGHT_WITH_GAPS = 20, 34
_GAP_LABEL = 29
GRID = "waterfall-grid"
"""The id of the lines that each row repeats."""
HATCH = "waterfall-hatch"
_PATTERN = (
    f'<pattern id="{HATCH}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="waterfall-hatch" y2="6"/></pattern>'
)


@frozen(kw_only=True)
class Bar:
    """A bar: from when to when, its colour by a state, and where it leads.

    Attributes:
        start: when it begins.
        end: when it ends; None if it goes on.
        kind: "node", "model_call", "tool_call" or "approval", for its shape.
        state: the class that colours it.
        label: what it is called by those who do not see it, and by the pointer.
        href: where it leads.
        is_only_link: whether nothing else in the row leads there, so that the keyboard has to reach it.
    """

    start: datetime
    end: datetime | None
    kind: str
    state: str
    label: str
    href: str
    is_only_link: bool = False


@frozen
class Mark:
    """A thin line for what is folded: from when to when, and its state."""

    start: datetime
    end: datetime | None
    state: str


def axis_picture(axis: TimeAxis) -> Markup:
    """Return the head of the waterfall: ticks with their labels, and gaps with their lengths."""
    lines = [
        f'<rect class="waterfall-line" x="{_percent(tick.place)}" width="1" height="100%"/>' for tick in axis.ticks
    ]
    bands = [_band(gap.left, gap.right) for gap in axis.gaps]
    labels = [
        f'<text class="tick{" last" if tick.place > _NEAR_END else ""}" x="{_percent(tick.place)}" y="14"'
        f' dx="{-3 if tick.place > _NEAR_END else 3}">'
        f"{escape(tick.label)}</text>"
        for tick in axis.ticks
    ]
    cuts = [
        f'<text class="cut" x="{_percent((gap.left + gap.right) / 2)}" y="{_GAP_LABEL}">{escape(gap.label)}'
        f"<title>{escape(gap.label)} in which nothing was done, not to scale</title></text>"
        for gap in axis.gaps
    ]
    height = _HEIGHT_WITH_GAPS if cuts else _HEIGHT
    return Markup(  # noqa: S704 - made of numbers, and of texts that are escaped
        f'<svg class="track axis" width="100%" height="{height}" aria-hidden="true">'
        f'<defs>{_PATTERN}<g id="{GRID}" class="grid">{"".join((*bands, *lines))}</g></defs>'
        f'<use href="#{GRID}"/>{"".join((*labels, *cuts))}</svg>'
    )


def row_picture(axis: TimeAxis, bars: Iterable[Bar], marks: Sequence[Mark] = ()) -> Markup:
    """Return a row: bars side by side, and marks of what is folded below them."""
    drawn = [_bar(axis, bar, bool(marks)) for bar in bars]
    drawn += [
        f'<rect class="mark {escape(state)}" x="{_percent(left)}" width="{_percent(width)}" y="12" height="4"/>'
        for left, width, state in merged_marks(axis, marks)
    ]
    return Markup(  # noqa: S704 - made of numbers, and of texts that are escaped
        f'<svg class="track"><use href="#{GRID}"/><g class="drawn">{"".join(drawn)}</g></svg>'
    )


def merged_marks(axis: TimeAxis, marks: Iterable[Mark]) -> list[tuple[float, float, str]]:
    """Return the place, width and state of marks; those of one state that are as near as a pixel or two are one."""
    found: list[tuple[float, float, str]] = []
    nearest = 1 / MAX_MARKS
    last: dict[str, int] = {}
    for mark in sorted(marks, key=lambda each: each.start):
        left, width = _extent(axis, mark.start, mark.end, nearest / 4)
        before = last.get(mark.state)
        if before is not None and left < found[before][0] + found[before][1] + nearest / 2:
            first = found[before][0]
            found[before] = (first, max(found[before][1], left + width - first), mark.state)
            continue
        last[mark.state] = len(found)
        found.append((left, width, mark.state))
    return found


def _bar(axis: TimeAxis, bar: Bar, is_thin: bool) -> str:
    left, width = _extent(axis, bar.start, bar.end, MIN_WIDTH)
    top, height = _HEIGHTS[bar.kind]
    if is_thin:
        top, height = 2, 8
    shape = f'x="{_percent(left)}" width="{_percent(width)}" y="{top}" height="{height}" rx="2"'
    classes = f"bar {bar.kind} {bar.state}{' open' if bar.end is None else ''}"
    parts = [f'<rect class="{escape(classes)}" {shape}/>']
    if bar.state == "failed" and width >= _CROSS_WIDTH:
        end = _percent(left + width)
        middle = top + height / 2
        parts.append(f'<text class="cross" x="{end}" y="{middle + 4}" dx="-2" text-anchor="end">{_CROSS}</text>')
    skip = "" if bar.is_only_link else ' tabindex="-1"'
    return (
        f'<a href="{escape(bar.href)}" aria-label="{escape(bar.label)}"{skip}>{"".join(parts)}'
        f"<title>{escape(bar.label)}</title></a>"
    )


def _extent(axis: TimeAxis, start: datetime, end: datetime | None, least: float) -> tuple[float, float]:
    """Return the place and the width of what has a beginning and an end, in whichever order they are."""
    places = sorted((axis.place(start), axis.place(axis.end if end is None else end)))
    width = max(places[1] - places[0], least)
    return min(places[0], 1 - width), width


def _band(left: float, right: float) -> str:
    return f'<rect fill="url(#{HATCH})" x="{_percent(left)}" width="{_percent(right - left)}" y="0" height="100%"/>'


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%".replace(".00%", "%")
