"""Compare two reports: `python -m aaow_storage_conformance.compare OLD.json NEW.json`.

Clauses that got worse come first. The exit status is 1 if one got worse, 2 if a report cannot be read, 0 otherwise.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from aaow_storage_conformance.report.report import FORMAT
from aaow_storage_conformance.report.results import Outcome, Result

_RANKS = {result: rank for rank, result in enumerate(Result)}


class ReportError(ValueError):
    """A file is not a report, or one of another format."""


@attrs.frozen
class Change:
    """A clause in both reports; its result is None in a report without the clause.

    Attributes:
        failing: the tests that passed in the old report and failed in the new one.
    """

    clause: str
    sentence: str
    old: Result | None
    new: Result | None
    failing: tuple[str, ...] = ()

    @property
    def is_worse(self) -> bool:
        """Whether the clause is in both reports, and its result or one of its tests got worse."""
        if self.old is None or self.new is None:
            return False
        return _RANKS[self.new] < _RANKS[self.old] or bool(self.failing)

    @property
    def is_better(self) -> bool:
        """Whether the result of the clause got better."""
        return None not in (self.old, self.new) and self.old is not self.new and not self.is_worse


def load_report(path: Path) -> dict[str, Any]:
    """Read the JSON of a report.

    Raises:
        ReportError: the file cannot be read, is no report, or has another format.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ReportError(
            f"{path} is no report of format {FORMAT}; run the suite with --conformance-report={path} to write one"
        )
    return report


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the clauses that differ: worse, better, new, then gone, each in the contract's order."""
    before, after = ({each["id"]: each for each in report["clauses"]} for report in (old, new))
    changes = [_change(name, before.get(name), after.get(name), old, new) for name in {**after, **before}]
    differing = [each for each in changes if each.old is not each.new or each.failing]
    return sorted(differing, key=lambda each: (not each.is_worse, not each.is_better, each.new is None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how two reports differ, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m aaow_storage_conformance.compare",
        description="Compare two reports of the conformance suite; the exit status is 1 if a clause got worse.",
    )
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    paths = parser.parse_args(arguments)
    try:
        old, new = load_report(paths.old), load_report(paths.new)
    except ReportError as error:
        parser.exit(2, f"{error}\n")
    changes = compare(old, new)
    sys.stdout.write("\n".join(_lines(old, new, changes)) + "\n")
    return 1 if any(each.is_worse for each in changes) else 0


def _change(
    name: str, before: dict[str, Any] | None, after: dict[str, Any] | None, old: dict[str, Any], new: dict[str, Any]
) -> Change:
    failing = [
        test
        for test in (after["tests"] if before and after else ())
        if new["tests"][test]["outcome"] == Outcome.FAILED
        and old["tests"].get(test, {"outcome": Outcome.NOT_RUN})["outcome"] == Outcome.PASSED
    ]
    return Change(
        name,
        (after or before or {})["sentence"],
        Result(before["result"]) if before else None,
        Result(after["result"]) if after else None,
        tuple(failing),
    )


def _lines(old: dict[str, Any], new: dict[str, Any], changes: list[Change]) -> Iterator[str]:
    for label, report in (("old", old), ("new", new)):
        backend = report["backend"]
        origin = f"{backend['distribution'] or 'no distribution'} {backend['version'] or ''}".strip()
        yield f"{label}: {backend['name']} ({origin}), seed {report['seed']}, {report['started_at']}"
        yield f"     {report['sentence']}"
    if old["contract"] != new["contract"]:
        versions = " and ".join(report["contract"]["version"] for report in (old, new))
        yield f"the clauses differ: contract {versions}"
    held_to = [report["backend"]["contract"] for report in (old, new)]
    if held_to[0] != held_to[1]:
        yield f"the backends are held to different contracts: {' and '.join(held_to)}"
    for title, chosen in (
        ("worse", [each for each in changes if each.is_worse]),
        ("better", [each for each in changes if each.is_better]),
        ("only in the new report", [each for each in changes if each.old is None]),
        ("only in the old report", [each for each in changes if each.new is None]),
    ):
        if chosen:
            yield f"\n{title}:"
        for each in chosen:
            yield f"  {each.clause}  {each.old or 'absent'} -> {each.new or 'absent'}  {each.sentence}"
            yield from (f"      {test} failed" for test in each.failing)
    if not changes:
        yield "\nno clause differs"


if __name__ == "__main__":
    sys.exit(main())
