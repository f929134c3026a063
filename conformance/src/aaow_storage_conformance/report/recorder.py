"""The pytest plugin that records a run: the tests of clauses, their outcomes, and the failures that are waived.

Under pytest-xdist, workers send each outcome with the test's report, and what they collected when they end.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from aaow_storage_conformance._contract import CLAUSES, claims_of, needed_version, parsed
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.report.inventory import name_of, suite_tests
from aaow_storage_conformance.report.results import Outcome, Results, TestResult, merge_results
from aaow_storage_conformance.report.waivers import Waiver, matches

ATTRIBUTE = "aaow_storage"
COLLECTED: pytest.StashKey["Collected"] = pytest.StashKey()
NOT_FOR_THIS_STORE: pytest.StashKey[Outcome] = pytest.StashKey()
"""Set before a test for stores with other capabilities is skipped."""
HAS_FAILED: pytest.StashKey[bool] = pytest.StashKey()
DETAIL_CHARACTERS = 2000
STATUSES = {
    Outcome.WAIVED: ("w", ("WAIVED", {"yellow": True})),
    Outcome.NOT_CLAIMED: ("-", ("NOT CLAIMED", {"cyan": True})),
    Outcome.NOT_APPLICABLE: ("-", ("NOT APPLICABLE", {"cyan": True})),
}


@attrs.frozen
class Collected:
    """A collected test of a clause.

    Attributes:
        needs: the capabilities that a store must claim for it.
        since: the version of the contract that a backend must be built for.
    """

    name: str
    clauses: Sequence[str]
    is_slow: bool
    needs: Sequence[str]
    since: str = "1.0"


@attrs.define
class Seen:
    """The outcome of one collected test so far."""

    backend: str | None = None
    outcome: Outcome = Outcome.NOT_RUN
    duration_s: float = 0.0
    detail: str = ""


@attrs.define(eq=False)
class Recorder:
    """The plugin object.

    Attributes:
        waivers: the waivers of the run.
        wanted: the clauses whose tests run; empty for all.
        backend: the backend chosen on the command line, if any.
        claimed: the capabilities that the stores of each backend claim.
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
        """Record every test of a clause before any is deselected; deselect those of other clauses than wanted."""
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            clauses = tuple(clause for mark in item.iter_markers("clause") for clause in mark.args)
            if clauses:
                item.stash[COLLECTED] = self.collected[item.nodeid] = _collect(item, clauses)
            (kept if not self.wanted or self.wanted & set(clauses) else dropped).append(item)
        if dropped:
            items[:] = kept
            config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach backend, outcome and broken clauses to the report; turn a waived failure into an expected one."""
        report = yield
        test = item.stash.get(COLLECTED, None)
        if test is None:
            return report
        item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
        facts: dict[str, Any] = {"test": attrs.asdict(test)}
        store = getattr(item, "funcargs", {}).get("store")
        if isinstance(store, Store):
            facts["backend"] = store.backend.name
            if report.when == "call" and store.backend.name not in self.claimed:
                self.claimed[store.backend.name] = sorted(map(str, store.capabilities))
        if report.skipped and report.when == "call" and NOT_FOR_THIS_STORE in item.stash:
            facts["outcome"] = str(item.stash[NOT_FOR_THIS_STORE])
        elif report.failed:
            self._waive(report, test, facts)
            report.sections.append(("storage contract", _sentences_of(test.clauses)))
        setattr(report, ATTRIBUTE, facts)
        return report

    def _waive(self, report: pytest.TestReport, test: Collected, facts: dict[str, Any]) -> None:
        covering = [waiver for waiver in self.waivers if waiver.covers(test.name, test.clauses)]
        for waiver in covering:
            if not waiver.has_expired:
                facts["outcome"] = str(Outcome.WAIVED)
                facts["detail"] = f"waiver of {waiver.clause} until {waiver.expires}: {waiver.reason}"
                report.outcome = "skipped"
                report.wasxfail = facts["detail"]  # as for a mark `xfail`
                return
        for waiver in covering:
            text = f"The waiver of {waiver.clause} expired on {waiver.expires}: {waiver.reason}"
            report.sections.append(("waiver", f"{text}\nFix the backend, or renew the waiver."))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Show tests that are waived, not claimed or not applicable by these words."""
        outcome = getattr(report, ATTRIBUTE, {}).get("outcome")
        return None if outcome is None else (outcome, *STATUSES[Outcome(outcome)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Combine the phases of a test into one outcome."""
        facts: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
        place = _place(report.nodeid)
        is_crash_of_worker = report.when not in ("setup", "call", "teardown")
        if facts is None and not is_crash_of_worker:
            return
        facts = facts or {}
        if "test" in facts:
            self.collected.setdefault(place, Collected(**facts["test"]))
        seen = self._seen.setdefault(place, Seen())
        seen.backend = facts.get("backend", seen.backend)
        seen.duration_s += report.duration
        if "outcome" in facts and seen.outcome is not Outcome.FAILED:
            seen.outcome, seen.detail = Outcome(facts["outcome"]), facts.get("detail", "") or _detail(report)
        elif "outcome" not in facts and (report.failed or (report.skipped and hasattr(report, "wasxfail"))):
            seen.outcome, seen.detail = Outcome.FAILED, _detail(report)
        elif report.skipped and seen.outcome is Outcome.NOT_RUN:
            seen.detail = _detail(report)
        elif report.passed and report.when == "call":
            seen.outcome = Outcome.PASSED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Merge what a worker of pytest-xdist collected."""
        facts = getattr(node, "workeroutput", {}).get(ATTRIBUTE, {"collected": {}, "claimed": {}})
        self.collected |= {_place(place): Collected(**test) for place, test in facts["collected"].items()}
        for backend, claimed in facts["claimed"].items():
            self.claimed.setdefault(backend, claimed)

    def for_the_controller(self) -> dict[str, Any]:
        """Return what a worker of pytest-xdist sends to the controller when it ends."""
        collected = {place: attrs.asdict(test) for place, test in self.collected.items()}
        return {"collected": collected, "claimed": self.claimed}

    @property
    def is_in_use(self) -> bool:
        """Whether any test of a clause was collected."""
        return bool(self.collected)

    def results(self, contract_of: Callable[[str], str]) -> dict[str, Results]:
        """Return the results by backend; the function says which contract a backend was built for."""
        backends = {each.backend for each in self._seen.values()} - {None} or {self.backend}
        contracts = {name: contract_of(name) for name in sorted(filter(None, backends))}
        return {name: merge_results(self._tests(name, built_for), built_for) for name, built_for in contracts.items()}

    def _tests(self, backend: str, built_for: str) -> Iterator[TestResult]:
        names = set()
        claimed = self.claimed.get(backend)
        for place, test in self.collected.items():
            seen = self._seen.get(place, Seen())
            names.add(test.name.partition("[")[0])
            outcome = seen.outcome
            lacks = claimed is not None and not set(test.needs) <= claims_of(claimed, built_for)
            if outcome is Outcome.NOT_RUN and (lacks or parsed(test.since) > parsed(built_for)):
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
        """Describe the waivers to be removed: all of their tests ran and none failed, or they have expired."""
        tests = [test for results in all_results for test in results.tests.values()]
        problems = []
        for waiver in self.waivers:
            for pattern in waiver.patterns:
                waived = [test for test in tests if waiver.clause in test.clauses and matches(pattern, test.name)]
                outcomes = {test.outcome for test in waived}
                if not outcomes & {Outcome.FAILED, Outcome.WAIVED, Outcome.NOT_RUN}:
                    what = "every test of it" if pattern == "*" else f"every test of it that {pattern!r} names"
                    why = f"{what} passed" if Outcome.PASSED in outcomes else "it has no test for this store"
                    problems.append(f"waiver {waiver.entry} ({waiver.clause}) is not needed, because {why}: remove it")
            if waiver.has_expired:
                problems.append(f"waiver {waiver.entry} ({waiver.clause}) expired on {waiver.expires}: remove it")
        return problems


def _collect(item: pytest.Item, clauses: Sequence[str]) -> Collected:
    needs = [str(mark.args[0]) for mark in item.iter_markers("requires_capability")]
    is_slow = item.get_closest_marker("slow") is not None
    return Collected(name_of(item), clauses, is_slow, needs, needed_version(item.iter_markers()))


def _sentences_of(clauses: Sequence[str]) -> str:
    return "\n".join(f"{name} ({CLAUSES[name].level}): {CLAUSES[name].sentence}" for name in clauses)


def _place(nodeid: str) -> str:
    """Return the node id without the group name that pytest-xdist appends."""
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
