"""A drawing of throughput against callers, as SVG: both axes in powers of two, one line for each case."""

import math
from collections.abc import Sequence
from html import escape

from benchmarks.results import Ratio

WIDTH, HEIGHT = 880, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 370, 40, 50
COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#999999",
    "#8c564b",
    "#6a3d9a",
    "#117733",
)
STYLE = "text { font: 12px sans-serif; fill: #222 } .grid { stroke: #ddd } .line { fill: none; stroke-width: 2 }"


def throughput_svg(ratios: Sequence[Ratio], synchronous: str) -> str:
    """Draw the ratios to the baseline of the cases that ran with several numbers of callers."""
    chosen = [ratio for ratio in ratios if ratio.synchronous == synchronous]
    cases = [name for name in dict.fromkeys(r.case for r in chosen) if len(_points(chosen, name)) > 1]
    callers = sorted({ratio.callers for ratio in chosen})
    if not cases:
        return _document([f'<text x="{LEFT}" y="{TOP}">nothing ran with several numbers of callers</text>'])
    lowest = math.floor(math.log2(min(ratio.ratio for ratio in chosen)))
    highest = max(math.ceil(math.log2(max(ratio.ratio for ratio in chosen))), lowest + 1)
    scale = _Scale(math.log2(callers[0]), math.log2(callers[-1]), lowest, highest)
    title = f"throughput, as a ratio to bare sqlite3 with one caller, synchronous={synchronous}"
    shapes = [f'<text x="{LEFT}" y="20">{title}</text>', *_grid(scale, callers)]
    for index, name in enumerate(cases):
        shapes += _line(scale, name, _points(chosen, name), COLORS[index % len(COLORS)], index)
    return _document(shapes)


class _Scale:
    """From logarithms to points of the drawing."""

    def __init__(self, first: float, last: float, lowest: int, highest: int) -> None:
        self.exponents = range(lowest, highest + 1)
        self._first, self._lowest = first, lowest
        self._across = (WIDTH - LEFT - RIGHT) / max(last - first, 1)
        self._up = (HEIGHT - TOP - BOTTOM) / (highest - lowest)

    def x(self, callers: int) -> float:
        return LEFT + (math.log2(callers) - self._first) * self._across

    def y(self, ratio: float) -> float:
        return HEIGHT - BOTTOM - (math.log2(ratio) - self._lowest) * self._up


def _points(ratios: Sequence[Ratio], case: str) -> list[tuple[int, float]]:
    return [(ratio.callers, ratio.ratio) for ratio in ratios if ratio.case == case]


def _grid(scale: _Scale, callers: Sequence[int]) -> list[str]:
    shapes = []
    for exponent in scale.exponents:
        y = scale.y(2.0**exponent)
        shapes.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shapes.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{2.0**exponent:g}</text>')
    for count in callers:
        x = scale.x(count)
        shapes.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        shapes.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{count}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*shapes, f'<text x="{middle:.0f}" y="{HEIGHT - 10}" text-anchor="middle">callers</text>']


def _line(scale: _Scale, name: str, points: Sequence[tuple[int, float]], color: str, index: int) -> list[str]:
    places = [(scale.x(callers), scale.y(ratio)) for callers, ratio in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    y = TOP + 10 + 20 * index
    return [
        f'<polyline class="line" stroke="{color}" points="{path}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places),
        f'<rect x="{WIDTH - RIGHT + 20}" y="{y - 9}" width="12" height="12" fill="{color}"/>',
        f'<text x="{WIDTH - RIGHT + 38}" y="{y + 1}">{escape(name)}</text>',
    ]


def _document(shapes: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return "\n".join(
        [head, f"<style>{STYLE}</style>", '<rect width="100%" height="100%" fill="white"/>', *shapes, "</svg>\n"]
    )
