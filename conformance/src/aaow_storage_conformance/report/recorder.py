"""Watching a run of pytest: which tests there are, what became of them, and what a waiver makes of a failure.

Under pytest-xdist the workers send what they collected when they end, and what became of a test with its reports.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.report.inventory import name_of, suite_tests
from aaow_storage_conformance.report.results import Outcome, Results, TestResult, merge_results
from aaow_storage_conformance.report.waivers import Waiver, matches

ATTRIBUTE = "aaow_storage"
COLLECTED: pytest.StashKey["Collected"] = pytest.StashKey()
NOT_FOR_THIS_STORE: pytest.StashKey[Outcome] = pytest.StashKey()
"""Set before a test is skipped that is for stores with other capabilities."""
HAS_FAILED: pytest.StashKey[bool] = pytest.StashKey()
DETAIL_CHARACTERS = 2000
STATUSES = {
    Outcome.WAIVED: ("w", ("WAIVED", {"yellow": True})),
    Outcome.NOT_CLAIMED: ("-", ("NOT CLAIMED", {"cyan": True})),
    Outcome.NOT_APPLICABLE: ("-", ("NOT APPLICABLE", {"cyan": True})),
}


@attrs.frozen
class Collected:
    """A test of a clause, as it was collected.

    Attributes:
        needs: the capabilities that a store has to claim for it.
    """

    name: str
    clauses: Sequence[str]
    is_slow: bool
    needs: Sequence[str]


@attrs.define
class Seen:
    """What was seen of one test of one class on one backend."""

    backend: str | None = None
    outcome: Outcome = Outcome.NOT_RUN
    duration_s: float = 0.0
    detail: str = ""


@attrs.define(eq=False)
class Recorder:
    """The plugin that watches.

    Attributes:
        waivers: what may fail.
        wanted: the clauses whose tests run alone; empty for all.
        backend: the backend that was chosen on the command line.
        claimed: what the stores of each backend claim.
    """

    waivers: list[Waiver]
    wanted: frozenset[str] = frozenset()
    backend: str | None = None
    collected: dict[str, Collected] = attrs.field(factory=dict, init=False)
    claimed: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    _seen: dict[str, Seen] = attrs.field(factory=dict, init=False)
    started_at_s: float = attrs.field(factory=time.time, init=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Remember every test of a clause before any is deselected; keep those of the wanted clauses alone."""
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            clauses = tuple(clause for mark in item.iter_markers("clause") for clause in mark.args)
            if clauses:
                item.stash[COLLECTED] = self.collected[item.nodeid] = _collected(item, clauses)
            (kept if not self.wanted or self.wanted & set(clauses) else dropped).append(item)
        if dropped:
            items[:] = kept
            config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say on the report whose store it was, and turn a failure that is waived into one that was expected."""
        report = yield
        test = item.stash.get(COLLECTED, None)
        if test is None:
            return report
        item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
        told: dict[str, Any] = {"test": attrs.asdict(test)}
        store = getattr(item, "funcargs", {}).get("store")
        if isinstance(store, Store):
            told["backend"] = store.backend.name
            if report.when == "call" and store.backend.name not in self.claimed:
                self.claimed[store.backend.name] = sorted(map(str, store.capabilities))
        if report.skipped and report.when == "call" and NOT_FOR_THIS_STORE in item.stash:
            told["outcome"] = str(item.stash[NOT_FOR_THIS_STORE])
        elif report.failed:
            self._waive(report, test, told)
        setattr(report, ATTRIBUTE, told)
        return report

    def _waive(self, report: pytest.TestReport, test: Collected, told: dict[str, Any]) -> None:
        covering = [waiver for waiver in self.waivers if waiver.covers(test.name, test.clauses)]
        for waiver in covering:
            if not waiver.has_expired:
                told["outcome"] = str(Outcome.WAIVED)
                told["detail"] = f"waiver of {waiver.clause} until {waiver.expires}: {waiver.reason}"
                report.outcome = "skipped"
                report.wasxfail = told["detail"]  # as for a mark `xfail`
                return
        for waiver in covering:
            text = f"The waiver of {waiver.clause} expired on {waiver.expires}: {waiver.reason}"
            report.sections.append(("waiver", text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Show what is waived, and what is not for this store, as what it is."""
        outcome = getattr(report, ATTRIBUTE, {}).get("outcome")
        return None if outcome is None else (outcome, *STATUSES[Outcome(outcome)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the phases of a test together."""
        told: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
        place = _place(report.nodeid)
        is_crash_of_worker = report.when not in ("setup", "call", "teardown")
        if told is None and not is_crash_of_worker:
            return
        told = told or {}
        if "test" in told:
            self.collected.setdefault(place, Collected(**told["test"]))
        seen = self._seen.setdefault(place, Seen())
        seen.backend = told.get("backend", seen.backend)
        seen.duration_s += report.duration
        if "outcome" in told and seen.outcome is not Outcome.FAILED:
            seen.outcome, seen.detail = Outcome(told["outcome"]), told.get("detail", "") or _detail(report)
        elif "outcome" not in told and (report.failed or (report.skipped and hasattr(report, "wasxfail"))):
            seen.outcome, seen.detail = Outcome.FAILED, _detail(report)
        elif report.skipped and seen.outcome is Outcome.NOT_RUN:
            seen.detail = _detail(report)
        elif report.passed and report.when == "call":
            seen.outcome = Outcome.PASSED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of pytest-xdist collected."""
        told = getattr(node, "workeroutput", {}).get(ATTRIBUTE, {"collected": {}, "claimed": {}})
        self.collected |= {_place(place): Collected(**test) for place, test in told["collected"].items()}
        for backend, claimed in told["claimed"].items():
            self.claimed.setdefault(backend, claimed)

    def for_the_controller(self) -> dict[str, Any]:
        """Return what a worker of pytest-xdist sends when it ends."""
        collected = {place: attrs.asdict(test) for place, test in self.collected.items()}
        return {"collected": collected, "claimed": self.claimed}

    @property
    def is_in_use(self) -> bool:
        """Whether any test of a clause was collected."""
        return bool(self.collected)

    def results(self) -> dict[str, Results]:
        """Return what became of the tests, by backend."""
        backends = {each.backend for each in self._seen.values()} - {None} or {self.backend}
        return {name: merge_results(self._tests(name)) for name in sorted(filter(None, backends))}

    def _tests(self, backend: str) -> Iterator[TestResult]:
        names = set()
        claimed = self.claimed.get(backend)
        for place, test in self.collected.items():
            seen = self._seen.get(place, Seen())
            names.add(test.name.partition("[")[0])
            outcome = seen.outcome
            if outcome is Outcome.NOT_RUN and claimed is not None and not set(test.needs) <= set(claimed):
                outcome = Outcome.NOT_CLAIMED
            if seen.backend in (None, backend):
                yield TestResult(
                    name=test.name,
                    clauses=tuple(test.clauses),
                    is_slow=test.is_slow,
                    outcome=outcome,
                    duration_s=round(seen.duration_s, 6),
                    detail=seen.detail,
                )
        for name, each in suite_tests().items():
            if name not in names:
                yield TestResult(name=name, clauses=each.clauses, is_slow=each.is_slow, detail="it was not collected")

    def problems_of_waivers(self, all_results: Iterable[Results]) -> list[str]:
        """Say which waivers are of no use any more, where all of their tests ran."""
        tests = [test for results in all_results for test in results.tests.values()]
        problems = []
        for waiver in self.waivers:
            for pattern in waiver.patterns:
                waived = [test for test in tests if waiver.clause in test.clauses and matches(pattern, test.name)]
                outcomes = {test.outcome for test in waived}
                if not outcomes & {Outcome.FAILED, Outcome.WAIVED, Outcome.NOT_RUN}:
                    what = "every test of it" if pattern == "*" else f"every test of it that {pattern!r} names"
                    why = f"{what} passed" if Outcome.PASSED in outcomes else "it has no test for this store"
                    problems.append(f"waiver {waiver.entry} ({waiver.clause}) is not needed, {why}: remove it")
            if waiver.has_expired:
                problems.append(f"waiver {waiver.entry} ({waiver.clause}) expired on {waiver.expires}: remove it")
        return problems


def _collected(item: pytest.Item, clauses: Sequence[str]) -> Collected:
    needs = [str(mark.args[0]) for mark in item.iter_markers("requires_capability")]
    return Collected(name_of(item), clauses, item.get_closest_marker("slow") is not None, needs)


def _place(nodeid: str) -> str:
    """Return the node id without the group that pytest-xdist adds to it."""
    head, at, group = nodeid.rpartition("@")
    return head if at and "]" not in group and "::" in head else nodeid


def _detail(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        text = crash.message
    elif isinstance(report.longrepr, tuple):
        text = report.longrepr[2]
    else:
        text = str(report.longrepr or getattr(report, "wasxfail", ""))
    return str(text)[:DETAIL_CHARACTERS]
