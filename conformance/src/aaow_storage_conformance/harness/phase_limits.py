"""The pytest plugin that runs each phase of each test (setup, call, teardown) under the watchdog."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import pytest

from aaow_storage_conformance.harness.watchdog import (
    Limits,
    Stalled,
    Watchdog,
    exit_after,
    has_any_stalled,
    save_stderr,
    watching,
)

WATCH: pytest.StashKey[Watchdog] = pytest.StashKey()
REDUCED_AFTER, REDUCTION_FACTOR = 3, 10
MAX_STALLS = 20
EXIT_TIMEOUT_S = 10.0


class TimeLimits:
    """A test that stalls fails, with a report of where.

    After three stalled tests the limits are a tenth, because the others may stall on the same; after twenty the run
    stops.
    """

    def __init__(self, limits: Limits, is_watched: Callable[[pytest.Item], bool]) -> None:
        self._limits = limits
        self._is_watched = is_watched
        self._stalled: set[str] = set()
        self._status = 0
        save_stderr()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch a test of a clause."""
        if not self._is_watched(item):
            return (yield)
        limits = self._limits
        if len(self._stalled) >= REDUCED_AFTER:
            limits = Limits(limits.test_s / REDUCTION_FACTOR)
        is_slow = item.get_closest_marker("slow") is not None
        item.stash[WATCH] = Watchdog(item.name, limits.for_a_test(is_slow=is_slow))
        with watching(item.stash[WATCH]):
            answer = yield
        if item.stash[WATCH].has_expired:
            self._stalled.add(item.nodeid)
            if len(self._stalled) >= MAX_STALLS:
                item.session.shouldfail = f"{MAX_STALLS} tests stalled; the others were not run"
        return answer

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of fixtures."""
        with _limit(item, "setup"):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of the test."""
        with _limit(item, "call"):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of the clean-up of fixtures."""
        with _limit(item, "teardown"):
            yield

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Remember the exit status."""
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Exit the process even if a stalled thread would keep it alive."""
        if has_any_stalled():
            exit_after(EXIT_TIMEOUT_S, self._status)


@contextmanager
def _limit(item: pytest.Item, phase: str) -> Iterator[None]:
    if WATCH not in item.stash:
        yield
        return
    try:
        with item.stash[WATCH].phase(phase):
            yield
    except Stalled as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
