"""Beside an event loop that never rests, the threads of a store get their turn."""

import asyncio
import gc
import threading
from collections.abc import Callable
from weakref import ReferenceType, ref

import pytest

from aaow_storage import StorageAdapter
from aaow_storage_sql._threads import gil_yield
from aaow_storage_sql._threads.gil_yield import (
    LONGEST_REST_FOR_ONE_S,
    LONGEST_REST_S,
    LOOK_OFTEN_S,
    LOOK_SELDOM_S,
    LOOKS_OFTEN,
    StarvationGuard,
    guard_of,
)

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
    """Keeps the one timer that is set, and is never rung at."""

    timer: Callable[[], None] | None = None
    delay = 0.0
    is_rung = False

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        assert self.timer is None
        self.timer, self.delay = callback, delay

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.is_rung = True

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


@pytest.mark.parametrize(("worked", "waits"), [(0.95, [(LONGEST_REST_S, False)]), (0.5, [])])
def test_a_loop_that_worked_all_the_time_rests_and_one_that_did_not_goes_on(
    clock: Clock, loop: Loop, worked: float, waits: list
):
    outcomes = Outcomes()
    watch = StarvationGuard(loop)
    watch._outcome_came = outcomes
    watch.enter()
    pass_time(clock, loop, worked)
    assert outcomes.waits == waits
    assert loop.timer is not None


def test_a_loop_that_was_busy_is_looked_at_often_until_it_has_rested_for_a_while(clock: Clock, loop: Loop):
    watch = StarvationGuard(loop)
    watch.enter()
    assert loop.delay == LOOK_SELDOM_S
    pass_time(clock, loop, worked=1)
    for _ in range(LOOKS_OFTEN):
        assert loop.delay == LOOK_OFTEN_S
        pass_time(clock, loop, worked=0.1)
    assert loop.delay == LOOK_SELDOM_S


def test_on_a_busy_loop_an_operation_that_waits_alone_is_waited_for_at_once(clock: Clock, loop: Loop):
    outcomes = Outcomes()
    watch = StarvationGuard(loop)
    watch._outcome_came = outcomes
    watch.enter()
    watch.leave()
    watch.enter()
    assert outcomes.waits == []
    pass_time(clock, loop, worked=1)
    outcomes.waits.clear()
    watch.enter()
    assert outcomes.waits == []
    watch.leave()
    watch.leave()
    watch.enter()
    assert outcomes.waits == [(LONGEST_REST_FOR_ONE_S, False)]


def pass_time(clock: Clock, loop: Loop, worked: float) -> None:
    """Let the loop work for such a share of the time until its timer rings."""
    clock.now += loop.delay
    clock.worked += worked * loop.delay
    loop.pass_time()


def test_nobody_looks_after_a_loop_on_which_nothing_waits(clock: Clock, loop: Loop):
    watch = StarvationGuard(loop)
    for _ in range(2):
        watch.enter()
        watch.enter()
        watch.leave()
        watch.leave()
        loop.pass_time()
        assert loop.timer is None


class ToldMeanwhile(threading.Event):
    """Tells of an outcome as soon as the loop stands still."""

    def __init__(self, watch: StarvationGuard, settle: Callable[[], None]) -> None:
        super().__init__()
        self.watch, self.settle = watch, settle
        self.has_come = False

    def wait(self, timeout: float | None = None) -> bool:
        threading.Thread(target=self.watch.tell, args=[self.settle]).start()
        self.has_come = super().wait(PATIENCE_S)
        return self.has_come


def test_an_outcome_ends_the_rest_and_is_settled_there(loop: Loop):
    watch = StarvationGuard(loop)
    settled = threading.Event()
    watch._outcome_came = outcomes = ToldMeanwhile(watch, settled.set)
    watch._rest(LONGEST_REST_S)
    assert outcomes.has_come
    assert settled.is_set()


def test_while_the_loop_goes_on_outcomes_are_left_to_it(loop: Loop):
    StarvationGuard(loop).tell(pytest.fail)
    assert loop.is_rung


def test_a_loop_does_not_stand_still_where_an_outcome_is_there_already(loop: Loop):
    watch = StarvationGuard(loop)
    settled = threading.Event()
    watch._outcome_came = outcomes = Outcomes()
    watch.tell(settled.set)
    watch._rest(LONGEST_REST_S)
    assert settled.is_set()
    assert outcomes.waits == []


@pytest.mark.asyncio
async def test_each_loop_is_looked_after_once(storage: StorageAdapter):
    watch = guard_of(asyncio.get_running_loop())
    await asyncio.gather(*(storage.list_sessions() for _ in range(5)))
    assert guard_of(asyncio.get_running_loop()) is watch
    assert watch.waiting == 0


def test_nothing_is_kept_of_a_loop_that_is_gone():
    async def watched() -> "ReferenceType[StarvationGuard]":
        return ref(guard_of(asyncio.get_running_loop()))

    gc.disable()
    try:
        assert asyncio.run(watched())() is None
    finally:
        gc.enable()
