"""The report as text."""

from collections.abc import Callable, Sequence

from benchmarks.results import Bound, Ratio, Report

RATIO_HEADINGS = (
    "operation",
    "sync",
    "callers",
    "ratio",
    "target",
    "ops/s",
    "baseline ops/s",
    "p50 ms",
    "p99 ms",
    "worst ms",
    "loop lag p99 ms",
    "cpu us",
    "baseline cpu us",
    "bytes/op",
)
BOUND_HEADINGS = ("what", "measured", "target", "")


Cells = Sequence[Sequence[str]]


def report_text(report: Report, drawn: Callable[[Sequence[str], Cells], str]) -> str:
    """Return all of the report, with its tables drawn by `aligned` or `markdown`."""
    parts = ["  ".join(f"{name} {value}" for name, value in report.machine.items())]
    if report.ratios:
        parts.append(drawn(RATIO_HEADINGS, [ratio_cells(ratio) for ratio in report.ratios]))
    if report.bounds:
        parts.append(drawn(BOUND_HEADINGS, [bound_cells(bound) for bound in report.bounds]))
    return "\n\n".join(parts) + "\n"


def ratio_cells(ratio: Ratio) -> list[str]:
    """Return the line of a ratio; `<` marks one that is below its target."""
    target = "" if ratio.target is None else f"{'<' if ratio.ratio < ratio.target else ''}{ratio.target:g}"
    size = "" if ratio.bytes_per_operation is None else f"{ratio.bytes_per_operation:,.0f}"
    return [
        ratio.case,
        ratio.synchronous,
        str(ratio.callers),
        f"{ratio.ratio:.2f}",
        target,
        f"{ratio.rate:,.0f}",
        f"{ratio.baseline_rate:,.0f}",
        f"{ratio.p50_ms:.2f}",
        f"{ratio.p99_ms:.2f}",
        f"{ratio.worst_ms:.1f}",
        f"{ratio.loop_lag_p99_ms:.1f}",
        f"{ratio.cpu_us:,.0f}",
        f"{ratio.baseline_cpu_us:,.0f}",
        size,
    ]


def bound_cells(bound: Bound) -> list[str]:
    """Return the line of a bound."""
    target = "" if bound.at_least is None else f">= {bound.at_least:g}"
    if bound.at_most is not None:
        target = f"<= {bound.at_most:g}"
    verdict = {True: "holds", False: "MISSED", None: ""}[bound.holds]
    return [bound.name, f"{number(bound.measured)} {bound.unit}".rstrip(), target, verdict]


def number(value: float) -> str:
    """Write a number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def aligned(headings: Sequence[str], lines: Cells) -> str:
    """Set lines in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [headings, *lines]
    )


def markdown(headings: Sequence[str], lines: Cells) -> str:
    """Set lines as a table of Markdown."""
    ruler = ["---"] + ["---:"] * (len(headings) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in [headings, ruler, *lines])
