"""The report in the terminal: areas, clauses that did not pass, and the verdict."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from _pytest.terminal import TerminalReporter

from aaow_storage_conformance._contract import AREAS
from aaow_storage_conformance.report.report import Report, contract_of
from aaow_storage_conformance.report.results import Outcome, Result, Verdict

COLUMNS = (Outcome.PASSED, Outcome.FAILED, Outcome.WAIVED, Outcome.NOT_CLAIMED, Outcome.NOT_RUN)
NAME_WIDTH = 24
MAX_LISTED = 8
WIDTHS = (8, 7, 7, 7, 12, 8, 7)
COLORS = {
    Result.FAILED: "red",
    Result.NOT_RUN: "yellow",
    Result.INCOMPLETE: "yellow",
    Result.WAIVED: "yellow",
    Result.NOT_CLAIMED: "cyan",
    Result.PASSED: "green",
}
VERDICT_COLORS = {Verdict.CONFORMANT: "green", Verdict.QUICK: "yellow", Verdict.INCOMPLETE: "yellow"}


def print_summary(terminal: TerminalReporter, report: Report) -> None:
    """Print the report; with `-v`, every clause."""
    terminal.section(f"{contract_of(report.backend)}: {report.backend.name}")
    terminal.write_line(_row("", ("clauses", *map(str, COLUMNS), "time")))
    for line, color in _lines(report, _listed_results(report, is_verbose=terminal.verbosity > 0)):
        terminal.write_line(line, **({color: True} if color else {}))
    for waiver in report.waivers:
        terminal.write_line(f"waiver {waiver.entry} ({waiver.clause}) until {waiver.expires}: {waiver.reason}")
    for problem in report.problems:
        terminal.write_line(problem, red=True)
    terminal.write_line("")
    verdict = report.results
    terminal.write_line(verdict.sentence, bold=True, **{VERDICT_COLORS.get(verdict.verdict, "red"): True})
    terminal.write_line(f"to run the same again: {report.command}")


def _listed_results(report: Report, *, is_verbose: bool) -> frozenset[Result]:
    """Return the results whose clauses are listed one by one."""
    if is_verbose:
        return frozenset(Result)
    unrun = {Result.NOT_RUN, Result.INCOMPLETE}
    is_short = sum(each.result in unrun for each in report.results.clauses) <= MAX_LISTED
    return frozenset({Result.FAILED, Result.WAIVED, Result.NOT_CLAIMED, *(unrun if is_short else ())})


def _lines(report: Report, shown: frozenset[Result]) -> Iterator[tuple[str, str]]:
    for area, group in groupby(report.results.clauses, key=lambda each: each.clause.area):
        clauses = list(group)
        tests = {test.name: test for each in clauses for test in each.tests}
        counts = Counter(test.outcome for test in tests.values())
        duration_s = sum(test.duration_s for test in tests.values())
        passed = sum(each.result is Result.PASSED for each in clauses)
        share = f"{passed}/{len(clauses)}"
        worst = min((each.result for each in clauses), key=list(Result).index)
        yield _row(f"{area}  {AREAS[area]}", (share, *_cells(counts), f"{duration_s:.1f}s")), COLORS[worst]
        for each in clauses:
            if each.result in shown:
                seconds = f"{each.duration_s:.1f}s"
                yield _row(f"  {each.clause.id}  {each.result}", ("", *_cells(each.counts), seconds)), ""
                yield f"         {each.clause.sentence}", ""


def _cells(counts: Counter[Outcome]) -> Iterator[str]:
    return (str(counts[each]) if counts[each] else "." for each in COLUMNS)


def _row(name: str, cells: tuple[str, ...]) -> str:
    return f"{name:{NAME_WIDTH}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
