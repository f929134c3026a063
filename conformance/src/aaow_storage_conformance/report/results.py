"""What a run found: of each test, of each clause, and of the backend as a whole."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property

import attrs

from aaow_storage_conformance._contract import CLAUSES, CONTRACT_VERSION, Clause, Level


class Outcome(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    """It failed, and a waiver says why."""
    NOT_CLAIMED = "not claimed"
    """It is for stores with a capability that this one does not claim."""
    NOT_APPLICABLE = "not applicable"
    """It is for stores without a capability, and this one claims it."""
    NOT_RUN = "not run"
    """It was deselected, skipped, or not collected."""


class Result(StrEnum):
    """What became of a clause; the later, the better."""

    FAILED = "failed"
    NOT_RUN = "not run"
    INCOMPLETE = "incomplete"
    """Some of its tests did not run; those that did passed."""
    WAIVED = "waived"
    NOT_CLAIMED = "not claimed"
    PASSED = "passed"


class Verdict(StrEnum):
    """What is said of a backend."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    INCOMPLETE = "incomplete"
    QUICK = "quick profile"
    NOTHING = "nothing was tested"


WORST_FIRST = (
    Outcome.FAILED,
    Outcome.WAIVED,
    Outcome.NOT_RUN,
    Outcome.PASSED,
    Outcome.NOT_CLAIMED,
    Outcome.NOT_APPLICABLE,
)
"""Which outcome stands where a test ran more than once."""


@attrs.frozen(kw_only=True)
class TestResult:
    """What became of a test.

    Attributes:
        detail: why it failed, was skipped or is not for this store, in short.
    """

    __test__ = False

    name: str
    clauses: tuple[str, ...]
    is_slow: bool = False
    outcome: Outcome = Outcome.NOT_RUN
    duration_s: float = 0.0
    detail: str = ""


@attrs.frozen(slots=False)
class ClauseResult:
    """What became of a clause."""

    clause: Clause
    tests: tuple[TestResult, ...]

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """How many of its tests had which outcome."""
        return Counter(test.outcome for test in self.tests)

    @property
    def duration_s(self) -> float:
        """How long its tests took."""
        return sum(test.duration_s for test in self.tests)

    @cached_property
    def result(self) -> Result:
        """What its tests say together; passed only if all ran that are for this store, and passed."""
        counts = self.counts
        if counts[Outcome.FAILED]:
            return Result.FAILED
        if counts[Outcome.WAIVED]:
            return Result.WAIVED
        if counts[Outcome.NOT_RUN]:
            return Result.INCOMPLETE if counts[Outcome.PASSED] else Result.NOT_RUN
        if self.clause.capability is not None and counts[Outcome.NOT_CLAIMED]:
            return Result.NOT_CLAIMED
        return Result.PASSED if counts[Outcome.PASSED] else Result.NOT_RUN


@attrs.frozen(slots=False)
class Results:
    """What became of every clause of the contract."""

    clauses: tuple[ClauseResult, ...]

    @cached_property
    def tests(self) -> dict[str, TestResult]:
        """Every test, by its name."""
        return {test.name: test for each in self.clauses for test in each.tests}

    def having(self, *results: Result, level: Level = Level.MUST) -> list[str]:
        """List the ids of the clauses of a level with one of the results."""
        return [each.clause.id for each in self.clauses if each.result in results and each.clause.level is level]

    @cached_property
    def verdict(self) -> Verdict:
        """What is said of the backend: conformant only if every MUST clause that binds it ran whole, and passed."""
        outcomes = Counter(test.outcome for test in self.tests.values())
        if not any(outcomes[each] for each in (Outcome.PASSED, Outcome.FAILED, Outcome.WAIVED)):
            return Verdict.NOTHING
        if self.having(Result.FAILED):
            return Verdict.NOT_CONFORMANT
        if self.having(Result.NOT_RUN, Result.INCOMPLETE):
            return Verdict.QUICK if self._only_slow_tests_did_not_run else Verdict.INCOMPLETE
        return Verdict.NOT_CONFORMANT if self.having(Result.WAIVED) else Verdict.CONFORMANT

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        bound = len([each for each in self.clauses if each.clause.level is Level.MUST]) - len(
            self.having(Result.NOT_CLAIMED)
        )
        failed, waived = self.having(Result.FAILED), self.having(Result.WAIVED)
        missing, in_part = self.having(Result.NOT_RUN), self.having(Result.INCOMPLETE)
        told = []
        if self.verdict is Verdict.NOTHING:
            return f"{self.verdict}: no test of the suite ran"
        if self.verdict is Verdict.CONFORMANT:
            told.append(f"all {bound} clauses of the storage contract {CONTRACT_VERSION} that bind this store passed")
        if failed:
            told.append(f"{len(failed)} of {bound} clauses failed ({_listed(failed)})")
        if waived:
            told.append(f"{len(waived)} of {bound} clauses waived ({_listed(waived)})")
        if missing:
            told.append(f"{len(missing)} of {bound} clauses did not run")
        if in_part:
            what = "without their slow tests" if self.verdict is Verdict.QUICK else "only in part"
            told.append(f"{len(in_part)} of {bound} clauses ran {what}")
        if should := self.having(Result.FAILED, level=Level.SHOULD):
            told.append(f"SHOULD clauses failed: {_listed(should)}")
        if unclaimed := [each.clause for each in self.clauses if each.result is Result.NOT_CLAIMED]:
            names = dict.fromkeys(str(each.capability) for each in unclaimed)
            told.append(f"not claimed: {', '.join(names)} ({_listed([each.id for each in unclaimed])})")
        return f"{self.verdict}: {'; '.join(told)}"

    @property
    def _only_slow_tests_did_not_run(self) -> bool:
        lacking = [each.tests for each in self.clauses if each.result in (Result.NOT_RUN, Result.INCOMPLETE)]
        unrun = [[test for test in tests if test.outcome is Outcome.NOT_RUN] for tests in lacking]
        return all(tests and all(test.is_slow for test in tests) for tests in unrun)


def merge_results(tests: Iterable[TestResult]) -> Results:
    """Put tests together by clause; of several results of one test the worst stands."""
    by_name: dict[str, TestResult] = {}
    for test in tests:
        other = by_name.setdefault(test.name, test)
        if WORST_FIRST.index(test.outcome) < WORST_FIRST.index(other.outcome):
            by_name[test.name] = test
    return Results(
        tuple(
            ClauseResult(clause, tuple(test for test in by_name.values() if clause.id in test.clauses))
            for clause in CLAUSES.values()
        )
    )


def _listed(ids: Sequence[str], most: int = 8) -> str:
    more = len(ids) - most
    return ", ".join(ids[:most]) + (f" and {more} more" if more > 0 else "")
