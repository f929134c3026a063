"""The results of a run: the outcome of each test, the result of each clause, and the verdict on the backend."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property

import attrs

from aaow_storage_conformance._contract import CLAUSES, CONTRACT_VERSION, Clause, Level, parsed


class Outcome(StrEnum):
    """The outcome of a test."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    """It failed, and a waiver covers the failure."""
    NOT_CLAIMED = "not claimed"
    """It needs a capability that the store does not claim, or a later contract than the backend was built for."""
    NOT_APPLICABLE = "not applicable"
    """It is for stores without a capability that this store claims."""
    NOT_RUN = "not run"
    """It was deselected, skipped, or not collected."""


class Result(StrEnum):
    """The result of a clause, from worst to best."""

    FAILED = "failed"
    NOT_RUN = "not run"
    INCOMPLETE = "incomplete"
    """Some of its tests did not run; those that did passed."""
    WAIVED = "waived"
    NOT_CLAIMED = "not claimed"
    PASSED = "passed"


class Verdict(StrEnum):
    """The verdict on a backend."""

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
"""The first of these counts if a test ran more than once."""


@attrs.frozen(kw_only=True)
class TestResult:
    """A test and its outcome.

    Attributes:
        detail: a short reason why it failed or did not run.
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
    """A clause and the results of its tests.

    Attributes:
        is_later: whether it came with a later version of the contract than the backend is held to.
    """

    clause: Clause
    tests: tuple[TestResult, ...]
    is_later: bool = False

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """The number of tests by outcome."""
        return Counter(test.outcome for test in self.tests)

    @property
    def duration_s(self) -> float:
        """The total duration of its tests."""
        return sum(test.duration_s for test in self.tests)

    @cached_property
    def result(self) -> Result:
        """The result of all its tests: passed only if every test for this store ran and passed."""
        counts = self.counts
        if counts[Outcome.FAILED]:
            return Result.FAILED
        if counts[Outcome.WAIVED]:
            return Result.WAIVED
        if self.is_later:
            return Result.NOT_CLAIMED
        if counts[Outcome.NOT_RUN]:
            return Result.INCOMPLETE if counts[Outcome.PASSED] else Result.NOT_RUN
        if self.clause.capability is not None and counts[Outcome.NOT_CLAIMED]:
            return Result.NOT_CLAIMED
        return Result.PASSED if counts[Outcome.PASSED] else Result.NOT_RUN


@attrs.frozen(slots=False)
class Results:
    """The results of all clauses.

    Attributes:
        contract: the version of the contract that the backend is held to: the one that it was built for.
    """

    clauses: tuple[ClauseResult, ...]
    contract: str = CONTRACT_VERSION

    @cached_property
    def tests(self) -> dict[str, TestResult]:
        """All tests by name."""
        return {test.name: test for each in self.clauses for test in each.tests}

    def having(self, *results: Result, level: Level = Level.MUST) -> list[str]:
        """Return the ids of the clauses of that level with one of the results."""
        return [each.clause.id for each in self.clauses if each.result in results and each.clause.level is level]

    @cached_property
    def verdict(self) -> Verdict:
        """Conformant only if every test of every MUST clause that binds the backend ran and passed."""
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
        parts = []
        if self.verdict is Verdict.NOTHING:
            return f"{self.verdict}: no test of the suite ran"
        if self.verdict is Verdict.CONFORMANT:
            parts.append(f"all {bound} clauses of the storage contract {self.contract} that bind this store passed")
        if failed:
            parts.append(f"{len(failed)} of {bound} clauses failed ({_join_ids(failed)})")
        if waived:
            parts.append(f"{len(waived)} of {bound} clauses waived ({_join_ids(waived)})")
        if missing:
            parts.append(f"{len(missing)} of {bound} clauses did not run")
        if in_part:
            what = "without their slow tests" if self.verdict is Verdict.QUICK else "only in part"
            parts.append(f"{len(in_part)} of {bound} clauses ran {what}")
        if should := self.having(Result.FAILED, level=Level.SHOULD):
            parts.append(f"SHOULD clauses failed: {_join_ids(should)}")
        not_claimed = [each for each in self.clauses if each.result is Result.NOT_CLAIMED]
        if unclaimed := [each.clause for each in not_claimed if not each.is_later]:
            names = dict.fromkeys(str(each.capability) for each in unclaimed)
            parts.append(f"not claimed: {', '.join(names)} ({_join_ids([each.id for each in unclaimed])})")
        if later := [each.clause.id for each in not_claimed if each.is_later]:
            parts.append(f"later than the contract {self.contract} that it was built for: {_join_ids(later)}")
        return f"{self.verdict}: {'; '.join(parts)}"

    @property
    def _only_slow_tests_did_not_run(self) -> bool:
        lacking = [each.tests for each in self.clauses if each.result in (Result.NOT_RUN, Result.INCOMPLETE)]
        unrun = [[test for test in tests if test.outcome is Outcome.NOT_RUN] for tests in lacking]
        return all(tests and all(test.is_slow for test in tests) for tests in unrun)


def merge_results(tests: Iterable[TestResult], contract: str = CONTRACT_VERSION) -> Results:
    """Group tests by clause; if a test has several results, the worst counts.

    Args:
        tests: the results of the tests.
        contract: the version of the contract that the backend was built for.
    """
    by_name: dict[str, TestResult] = {}
    for test in tests:
        other = by_name.setdefault(test.name, test)
        if WORST_FIRST.index(test.outcome) < WORST_FIRST.index(other.outcome):
            by_name[test.name] = test
    return Results(
        tuple(
            ClauseResult(
                clause,
                tuple(test for test in by_name.values() if clause.id in test.clauses),
                parsed(clause.since) > parsed(contract),
            )
            for clause in CLAUSES.values()
        ),
        contract,
    )


def _join_ids(ids: Sequence[str], most: int = 8) -> str:
    more = len(ids) - most
    return ", ".join(ids[:most]) + (f" and {more} more" if more > 0 else "")
