"""Beside an event loop that never rests, the threads of a store get their turn."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from aaow_storage import StorageAdapter
from aaow_storage_sqlite import _yielding
from aaow_storage_sqlite._yielding import LONGEST_REST_S, LOOK_EVERY_S, LoopWatch, watch_of

BETWEEN_LOOKS_S = 2 * LOOK_EVERY_S


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked


class Loop:
    """Keeps the one timer that is set."""

    timer: Callable[[], None] | None = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        assert delay == LOOK_EVERY_S
        assert self.timer is None
        self.timer = callback

    def ring(self) -> None:
        timer, self.timer = self.timer, None
        timer()


class Outcomes(threading.Event):
    """Remembers how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append((timeout, self.is_set()))
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_yielding, "time", clock)
    return clock


@pytest.mark.parametrize(("worked", "waits"), [(0.95, [(LONGEST_REST_S, False)]), (0.5, [])])
def test_a_loop_that_worked_all_the_time_rests_and_one_that_did_not_goes_on(clock: Clock, worked: float, waits: list):
    loop, outcomes = Loop(), Outcomes()
    watch = LoopWatch(loop)
    watch._outcome_came = outcomes
    watch.enter()
    clock.now += BETWEEN_LOOKS_S
    clock.worked += worked * BETWEEN_LOOKS_S
    loop.ring()
    assert outcomes.waits == waits
    assert loop.timer is not None


def test_nobody_looks_after_a_loop_on_which_nothing_waits(clock: Clock):
    loop = Loop()
    watch = LoopWatch(loop)
    for _ in range(2):
        watch.enter()
        watch.enter()
        watch.leave()
        watch.leave()
        loop.ring()
        assert loop.timer is None


def test_an_outcome_ends_the_rest():
    watch = LoopWatch(Loop())
    watch._outcome_came.clear()
    threading.Timer(0.0, watch.tell).start()
    assert watch._outcome_came.wait(10)


@pytest.mark.asyncio
async def test_each_loop_is_looked_after_once(storage: StorageAdapter):
    watch = watch_of(asyncio.get_running_loop())
    await asyncio.gather(*(storage.list_sessions() for _ in range(5)))
    assert watch_of(asyncio.get_running_loop()) is watch
    assert watch._waiting == 0
