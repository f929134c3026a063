"""The time axis of a waterfall, and what is drawn on it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from aaow_storage_studio._drawing.time_axis import GAP_WIDTH, MAX_TICKS, offset_label, time_axis
from aaow_storage_studio._drawing.waterfall import MAX_MARKS, Bar, Mark, merged_marks, row_picture

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms", "1 ms"]),
        (0.18, ["0", "50 ms", "100 ms", "150 ms"]),
        (31.2, ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]),
        (200, ["0", "30 s", "1m", "1m 30s", "2m", "2m 30s", "3m"]),
        (12_300, ["0", "30m", "1h", "1h 30m", "2h", "2h 30m", "3h"]),
        (9 * 86_400, ["0", "2d", "4d", "6d", "8d"]),
    ],
)
def test_ticks_are_at_round_times(seconds: float, labels: list[str]):
    assert [tick.label for tick in time_axis(START, at(seconds)).ticks] == labels


@pytest.mark.parametrize("power", range(-6, 10))
@pytest.mark.parametrize("digit", [1, 3, 7])
def test_there_are_a_few_ticks_apart_at_any_length(power: int, digit: int):
    ticks = time_axis(START, at(digit * 10.0**power)).ticks
    assert 2 <= len(ticks) <= MAX_TICKS
    assert all(second.place - first.place >= 0.07 for first, second in pairwise(ticks))


def test_a_long_wait_is_cut_short_and_the_rest_keeps_one_scale():
    axis = time_axis(START, at(7220), [(at(0), at(10)), (at(7210), at(7220))])
    (gap,) = axis.gaps
    assert gap.seconds == 7200
    assert gap.right - gap.left == pytest.approx(GAP_WIDTH)
    assert axis.place(at(10)) == pytest.approx((1 - GAP_WIDTH) / 2)
    assert 1 - axis.place(at(7210)) == pytest.approx((1 - GAP_WIDTH) / 2)


def test_a_short_wait_is_not_cut():
    assert time_axis(START, at(100), [(at(0), at(40)), (at(65), at(100))]).gaps == ()
    assert time_axis(START, at(1), [(at(0), at(0.1)), (at(0.9), at(1))]).gaps == ()


def test_places_keep_the_order_of_time_and_stay_on_the_axis():
    axis = time_axis(START, at(50_000), [(at(10_000), at(10_010)), (at(30_000), at(30_001))])
    places = [axis.place(at(second)) for second in range(-1000, 60_000, 500)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(0.25, "250 ms"), (1.5, "1.5 s"), (59.9, "59.9 s"), (60, "1m"), (5400, "1h 30m"), (216_000, "2d 12h")],
)
def test_an_offset_has_the_two_units_that_matter(seconds: float, label: str):
    assert offset_label(seconds) == label


def test_a_bar_has_a_width_even_if_it_took_no_time_or_ended_before_it_began():
    axis = time_axis(START, at(100))
    for start, end in ((100, 100), (0, 0), (50, 20)):
        bar = Bar(start=at(start), end=at(end), kind="node", state="completed", label="<b>", href='"><script>')
        drawn = str(row_picture(axis, [bar]))
        assert 'width="0%"' not in drawn
        assert "<script>" not in drawn
        assert "<b>" not in drawn


def test_marks_that_are_as_near_as_pixels_are_one():
    axis = time_axis(START, at(10_000))
    marks = [
        Mark(at(second), at(second + 0.5), "failed" if second == 5000 else "completed") for second in range(10_000)
    ]
    found = merged_marks(axis, marks)
    assert len(found) <= 2 * MAX_MARKS
    assert [state for _, _, state in found].count("failed") == 1
