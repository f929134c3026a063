"""The limits of time in a run of pytest: one for each phase of each test of a clause, fixtures included."""

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
    """The plugin that watches the tests of the suite: what stands still fails, and is named.

    After three tests that stood still the limits are a tenth, since the others may wait for the same; after twenty the
    run stops.
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
                item.session.shouldfail = f"{MAX_STALLS} tests stood still; the others were not run"
        return answer

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of the fixtures."""
        with _limited(item, "setup"):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of the test."""
        with _limited(item, "call"):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Limit the time of the ends of the fixtures."""
        with _limited(item, "teardown"):
            yield

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Remember how the run ended."""
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """End the process even where a thread that stood still would keep it."""
        if has_any_stalled():
            exit_after(EXIT_TIMEOUT_S, self._status)


@contextmanager
def _limited(item: pytest.Item, phase: str) -> Iterator[None]:
    if WATCH not in item.stash:
        yield
        return
    try:
        with item.stash[WATCH].phase(phase):
            yield
    except Stalled as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
