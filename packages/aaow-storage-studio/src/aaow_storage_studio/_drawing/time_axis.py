"""`TimeAxis`: where instants are on an axis of milliseconds, seconds or hours, whose long idle gaps are cut short."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from attrs import field, frozen

Interval = tuple[datetime, datetime]

MAX_TICKS = 8
MAX_GAPS = 4
MIN_GAP_S = 30.0
GAP_WIDTH = 0.07
"""How much of the axis a gap has that was cut short."""
_MIN_SPAN_S = 0.001
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS_S = (
    *(digit * 10.0**power for power in range(-5, 0) for digit in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * digit * 10.0**power for power in range(8) for digit in (1, 2, 5)),
)
_MIN_DISTANCE = 0.07
"""Between two ticks, so that their labels have room."""


@frozen
class Gap:
    """A part of the axis in which nothing was done, cut short: from `left` to `right`, instead of so many seconds."""

    left: float
    right: float
    seconds: float

    @property
    def label(self) -> str:
        """How long it is."""
        return offset_label(self.seconds)


@frozen
class Tick:
    """A mark of the axis: its place, and how long after the beginning it is."""

    place: float
    label: str


@frozen
class TimeAxis:
    """An axis from 0 to 1. All of it has one scale, but for the gaps.

    Attributes:
        start: the instant at 0.
        end: the instant at 1.
        gaps: what was cut short, in order.
        ticks: at most 8.
    """

    start: datetime
    end: datetime
    gaps: Sequence[Gap]
    ticks: Sequence[Tick]
    _seconds: Sequence[float] = field(repr=False)
    _places: Sequence[float] = field(repr=False)

    def place(self, instant: datetime) -> float:
        """Return where an instant is, from 0 to 1; one outside of the axis is at its end."""
        return _place((instant - self.start).total_seconds(), self._seconds, self._places)


def time_axis(start: datetime, end: datetime, busy: Iterable[Interval] | None = None) -> TimeAxis:
    """Return the axis from one instant to another.

    Args:
        start: its beginning.
        end: its end.
        busy: when something was done. Where nothing was, longer than half of all else together, the axis is cut short.
            Without, nothing is.
    """
    end = max(end, start + timedelta(seconds=_MIN_SPAN_S))
    total = (end - start).total_seconds()
    cut = [] if busy is None else _long_gaps(total, _merged(start, total, busy))
    active = total - sum(stop - begin for begin, stop in cut)
    scale = (1 - GAP_WIDTH * len(cut)) / active
    seconds, places, gaps = [0.0], [0.0], []
    for begin, stop in cut:
        left = places[-1] + (begin - seconds[-1]) * scale
        gaps.append(Gap(left, left + GAP_WIDTH, stop - begin))
        seconds += [begin, stop]
        places += [left, left + GAP_WIDTH]
    seconds.append(total)
    places.append(1.0)
    return TimeAxis(start, end, tuple(gaps), _ticks(seconds, places, gaps), tuple(seconds), tuple(places))


def offset_label(seconds: float) -> str:
    """Return an offset in the two largest units that it needs: `250 ms`, `1.5 s`, `2m 30s`, `3h`, `2d 12h`."""
    if seconds < 1:
        return f"{seconds * 1000:.4g} ms" if seconds else "0"
    if seconds < _MINUTE:
        return f"{seconds:.4g} s"
    for unit, part, names in ((_DAY, _HOUR, "dh"), (_HOUR, _MINUTE, "hm"), (_MINUTE, 1, "ms")):
        if seconds >= unit:
            rest = int(seconds % unit // part)
            return f"{int(seconds // unit)}{names[0]}{f' {rest}{names[1]}' if rest else ''}"
    return ""


def _place(second: float, seconds: Sequence[float], places: Sequence[float]) -> float:
    after = bisect_right(seconds, second)
    if after in {0, len(seconds)}:
        return 0.0 if after == 0 else 1.0
    begin, stop = seconds[after - 1], seconds[after]
    return places[after - 1] + (second - begin) / (stop - begin) * (places[after] - places[after - 1])


def _merged(start: datetime, total: float, busy: Iterable[Interval]) -> list[tuple[float, float]]:
    """Return the intervals in seconds after the beginning, in order, with those that meet as one."""
    found: list[tuple[float, float]] = []
    for begin, stop in sorted(busy):
        first = min(max((begin - start).total_seconds(), 0.0), total)
        last = min(max((stop - start).total_seconds(), first), total)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _long_gaps(total: float, busy: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the gaps that are cut, in order: each is longer than half of what is left without it."""
    ends = [0.0, *(stop for _, stop in busy)]
    starts = [*(begin for begin, _ in busy), total]
    gaps = sorted(zip(ends, starts, strict=True), key=lambda gap: gap[0] - gap[1])
    rest, cut = total, []
    for begin, stop in gaps[:MAX_GAPS]:
        rest -= stop - begin
        if stop - begin < MIN_GAP_S or rest <= 0:
            break
        cut.append((begin, stop))
    while cut and cut[-1][1] - cut[-1][0] < (total - sum(stop - begin for begin, stop in cut)) / 2:
        cut.pop()
    return sorted(cut)


def _ticks(seconds: Sequence[float], places: Sequence[float], gaps: Sequence[Gap]) -> tuple[Tick, ...]:
    parts = list(zip(seconds[::2], seconds[1::2], strict=True))
    length = sum(stop - begin for begin, stop in parts)
    step = next((each for each in _STEPS_S if length / each <= MAX_TICKS - 1), length)
    found: list[Tick] = []
    for begin, stop in parts:
        number = int(-(-begin // step))
        while number * step <= stop and len(found) < MAX_TICKS:
            second = number * step
            place = _place(second, seconds, places)
            is_apart = not found or place - found[-1].place >= _MIN_DISTANCE
            if is_apart and not any(gap.left < place < gap.right for gap in gaps):
                found.append(Tick(place, offset_label(round(second, 6))))
            number += 1
    return tuple(found)
