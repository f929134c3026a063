"""The limits of time in a run of pytest: one for each phase of each test of a clause, fixtures included."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import pytest

from aaow_storage_conformance.harness.watchdog import (
    Limits,
    StoodStill,
    Watch,
    end_within,
    has_any_expired,
    keep_stderr,
    watching,
)

WATCH: pytest.StashKey[Watch] = pytest.StashKey()
SHORTER_AFTER, SHORTER_BY = 3, 10
STOPS_AFTER = 20
ENDS_WITHIN_S = 10.0


class TimeLimits:
    """The plugin that watches the tests of the suite: what stands still fails, and is named.

    After three tests that stood still the limits are a tenth, since the others may wait for the same; after twenty the
    run stops.
    """

    def __init__(self, limits: Limits, is_watched: Callable[[pytest.Item], bool]) -> None:
        self._limits = limits
        self._is_watched = is_watched
        self._stood_still: set[str] = set()
        self._status = 0
        keep_stderr()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch a test of a clause."""
        if not self._is_watched(item):
            return (yield)
        limits = self._limits
        if len(self._stood_still) >= SHORTER_AFTER:
            limits = Limits(limits.test_s / SHORTER_BY)
        is_slow = item.get_closest_marker("slow") is not None
        item.stash[WATCH] = Watch(item.name, limits.for_a_test(is_slow=is_slow))
        with watching(item.stash[WATCH]):
            answer = yield
        if item.stash[WATCH].has_expired:
            self._stood_still.add(item.nodeid)
            if len(self._stood_still) >= STOPS_AFTER:
                item.session.shouldfail = f"{STOPS_AFTER} tests stood still; the others were not run"
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
        if has_any_expired():
            end_within(ENDS_WITHIN_S, self._status)


@contextmanager
def _limited(item: pytest.Item, phase: str) -> Iterator[None]:
    if WATCH not in item.stash:
        yield
        return
    try:
        with item.stash[WATCH].phase(phase):
            yield
    except StoodStill as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
