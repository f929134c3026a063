"""Bars, series and meters as SVG, and the ticks of their axes."""

from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from aaow_storage_studio._drawing.bars import Bar, Part, bars
from aaow_storage_studio._drawing.meters import Meter, meter
from aaow_storage_studio._drawing.series import Axes, Series, columns, lines
from aaow_storage_studio._drawing.ticks import spread, ticks, ticks_of_seconds
from aaow_storage_studio._web.usage_figures import short_amount


@pytest.mark.parametrize("largest", [1e-300, 1e-18, 0.0099, 0.3, 1, 3, 7.5, 99, 1e6, 2**53, 1e36])
def test_ticks_are_few_and_reach_the_largest_value(largest: float):
    for found in (ticks(largest), ticks_of_seconds(largest)):
        assert found[0] == 0
        assert len(found) <= 6
        assert found[-1] >= largest * (1 - 1e-6)


def test_ticks_of_counts_are_whole_and_those_of_seconds_are_round():
    assert ticks(3, are_whole=True) == [0, 1, 2, 3]
    assert ticks(1, are_whole=True) == [0, 1]
    assert ticks(0.3) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert ticks_of_seconds(100) == [0, 30, 60, 90, 120]
    assert ticks(0) == [0, 1]
    assert list(spread(7, 3)) == [0, 3, 6]


def test_values_of_an_axis_are_short():
    values = (0, 1e-18, 0.0005, 2.5, 999, 1000, 12000, 3e6, 1e18, 1e36)
    assert [short_amount(value) for value in values] == [
        *("0", "1e-18", "0.0005", "2.5", "999", "1k", "12k", "3M", "1E", "1e+36")
    ]


def test_a_hostile_label_is_text_in_every_picture():
    evil = "</svg><script>alert(1)</script>\"'&"
    axes = Axes(times=[evil], names=[evil], ticks=[0, 1], tick_text=lambda _: evil)
    series = [Series(evil, "series-1", [0.5], [evil])]
    pictures = (
        bars([Bar(evil, evil, [Part(1, "good", evil)])], evil),
        columns(series, axes, evil),
        lines(series, axes, evil),
        meter(Meter(total=Decimal(1), used=Decimal(2), title=evil)),
    )
    for picture in pictures:
        root = ET.fromstring(str(picture))
        assert root.tag == "svg"
        assert root.attrib["aria-label"] == evil
        assert "script" not in {element.tag for element in root.iter()}


def test_columns_are_stacked_and_the_smallest_can_be_seen():
    axes = Axes(times=["a", "b"], names=["a", "b"], ticks=[0, 50, 100], tick_text=str)
    series = [Series("x", "series-1", [100, 0], ["100", "0"]), Series("y", "series-2", [0, 1e-9], ["0", "tiny"])]
    root = ET.fromstring(str(columns(series, axes, "label")))
    drawn = [each.attrib for each in root.iter("rect")]
    assert [(each["class"], each["y"], each["height"]) for each in drawn] == [
        ("series-1", "0", "1000"),
        ("series-2", "992", "8"),
    ]


def test_a_line_has_a_gap_where_a_value_is_missing():
    axes = Axes(times=list("abcd"), names=list("abcd"), ticks=[0, 1], tick_text=str)
    series = [Series("x", "series-1", [1, 1, None, 0], ["1", "1", "", "0"])]
    root = ET.fromstring(str(lines(series, axes, "label")))
    drawn = [each.attrib["class"].split()[0] for each in root.iter("path")]
    assert drawn == ["line", "dot", "dot", "dot"]


@pytest.mark.parametrize(
    ("total", "used", "inside", "classes"),
    [
        ("0", "0", "0", ["track"]),
        ("10", "0", "0", ["track"]),
        ("10", "5", "2", ["track", "used", "inside"]),
        ("10", "20", "0", ["track", "used", "over", "mark"]),
        ("0", "1", "0", ["track", "over", "mark"]),
    ],
)
def test_a_meter_shows_what_is_used_inside_and_over(total: str, used: str, inside: str, classes: list[str]):
    drawn = meter(Meter(total=Decimal(total), used=Decimal(used), inside=Decimal(inside), title="words"))
    root = ET.fromstring(str(drawn))
    assert [each.attrib["class"] for each in root.iter("rect")] == classes
