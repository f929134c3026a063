"""An event loop that never rests yields the GIL, so that the threads of a store run."""

import asyncio
import gc
import threading
from collections.abc import Callable
from weakref import ReferenceType, ref

import pytest

from aaow_storage import StorageAdapter
from aaow_storage_sql._threads import gil_yield
from aaow_storage_sql._threads.gil_yield import StarvationGuard, guard_of
from aaow_storage_sql._tuning import DEFAULT

PATIENCE_S = 30.0


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked


class Loop:
    """Keeps the one timer that is set, and wakes nothing."""

    timer: Callable[[], None] | None = None
    delay = 0.0
    is_woken = False

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        assert self.timer is None
        self.timer, self.delay = callback, delay

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.is_woken = True

    def pass_time(self) -> None:
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
    monkeypatch.setattr(gil_yield, "time", clock)
    return clock


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """The loop that runs."""
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


@pytest.mark.parametrize(("worked", "waits"), [(0.95, [(DEFAULT.max_yield_s, False)]), (0.5, [])])
def test_a_loop_that_used_its_cpu_all_the_time_yields_and_one_that_rested_does_not(
    clock: Clock, loop: Loop, worked: float, waits: list
):
    outcomes = Outcomes()
    guard = StarvationGuard(loop)
    guard._outcome_came = outcomes
    guard.enter()
    pass_time(clock, loop, worked)
    assert outcomes.waits == waits
    assert loop.timer is not None


def test_a_busy_loop_is_sampled_often_until_it_has_rested_for_a_while(clock: Clock, loop: Loop):
    guard = StarvationGuard(loop)
    guard.enter()
    assert loop.delay == DEFAULT.idle_interval_s
    pass_time(clock, loop, worked=1)
    for _ in range(DEFAULT.busy_samples):
        assert loop.delay == DEFAULT.busy_interval_s
        pass_time(clock, loop, worked=0.1)
    assert loop.delay == DEFAULT.idle_interval_s


def test_a_busy_loop_yields_at_once_when_a_lone_operation_begins_to_wait(clock: Clock, loop: Loop):
    outcomes = Outcomes()
    guard = StarvationGuard(loop)
    guard._outcome_came = outcomes
    guard.enter()
    guard.leave()
    guard.enter()
    assert outcomes.waits == []
    pass_time(clock, loop, worked=1)
    outcomes.waits.clear()
    guard.enter()
    assert outcomes.waits == []
    guard.leave()
    guard.leave()
    guard.enter()
    assert outcomes.waits == [(DEFAULT.max_single_yield_s, False)]


def pass_time(clock: Clock, loop: Loop, worked: float) -> None:
    """Let the loop work for such a share of the time until its timer fires."""
    clock.now += loop.delay
    clock.worked += worked * loop.delay
    loop.pass_time()


def test_a_loop_on_which_no_operation_waits_has_no_timer(clock: Clock, loop: Loop):
    guard = StarvationGuard(loop)
    for _ in range(2):
        guard.enter()
        guard.enter()
        guard.leave()
        guard.leave()
        loop.pass_time()
        assert loop.timer is None


class NotifiedMeanwhile(threading.Event):
    """Delivers an outcome as soon as the loop is blocked."""

    def __init__(self, guard: StarvationGuard, settle: Callable[[], None]) -> None:
        super().__init__()
        self.guard, self.settle = guard, settle
        self.has_come = False

    def wait(self, timeout: float | None = None) -> bool:
        threading.Thread(target=self.guard.notify, args=[self.settle]).start()
        self.has_come = super().wait(PATIENCE_S)
        return self.has_come


def test_an_outcome_ends_the_yield_and_is_settled_at_once(loop: Loop):
    guard = StarvationGuard(loop)
    settled = threading.Event()
    guard._outcome_came = outcomes = NotifiedMeanwhile(guard, settled.set)
    guard._yield_gil(DEFAULT.max_yield_s)
    assert outcomes.has_come
    assert settled.is_set()


def test_outcomes_are_left_to_a_loop_that_is_not_blocked(loop: Loop):
    StarvationGuard(loop).notify(pytest.fail)
    assert loop.is_woken


def test_a_loop_does_not_yield_if_an_outcome_is_pending(loop: Loop):
    guard = StarvationGuard(loop)
    settled = threading.Event()
    guard._outcome_came = outcomes = Outcomes()
    guard.notify(settled.set)
    guard._yield_gil(DEFAULT.max_yield_s)
    assert settled.is_set()
    assert outcomes.waits == []


@pytest.mark.asyncio
async def test_each_loop_has_one_guard(storage: StorageAdapter):
    guard = guard_of(asyncio.get_running_loop())
    await asyncio.gather(*(storage.list_sessions() for _ in range(5)))
    assert guard_of(asyncio.get_running_loop()) is guard
    assert guard.waiting == 0


def test_the_guard_of_a_loop_is_garbage_after_the_loop():
    async def watched() -> "ReferenceType[StarvationGuard]":
        return ref(guard_of(asyncio.get_running_loop()))

    gc.disable()
    try:
        assert asyncio.run(watched())() is None
    finally:
        gc.enable()
