"""The loop searches by itself only where that was quick, and hardly ever again where it was not."""

import threading
import time

import pytest

from aaow_storage_sqlite._latency_breaker import AS_LONG, AT_FIRST, QUICK_S, TIMES_MORE, Pace, Stopwatch


def search(seconds: float = 0.0, *, waited: float = 0.0) -> Stopwatch:
    watch = Stopwatch()
    watch.lasted, watch.waited = seconds, waited
    return watch


QUICK = search()
WAITED = search(QUICK_S, waited=QUICK_S)
WORKED = search(QUICK_S)


def quick_ones_needed(pace: Pace) -> int:
    for count in range(10**6):
        if pace.is_quick:
            return count
        pace.note_on_thread(QUICK)
    raise AssertionError("never")


def test_threads_have_to_be_quick_first():
    assert quick_ones_needed(Pace()) == AT_FIRST


def test_a_slow_search_on_a_thread_begins_the_count_again():
    pace = Pace()
    for _ in range(AT_FIRST - 1):
        pace.note_on_thread(QUICK)
    pace.note_on_thread(WAITED)
    assert quick_ones_needed(pace) == AT_FIRST


def test_where_the_loop_waited_more_quick_searches_are_needed_each_time():
    pace = Pace()
    needed = []
    for _ in range(4):
        needed.append(quick_ones_needed(pace))
        pace.note_on_loop(WAITED)
        assert not pace.is_quick
    assert needed == [AT_FIRST * TIMES_MORE**power for power in range(4)]


def test_a_search_that_worked_for_long_rather_than_waited_needs_no_more_than_before():
    pace = Pace()
    quick_ones_needed(pace)
    pace.note_on_loop(WORKED)
    assert not pace.is_quick
    assert quick_ones_needed(pace) == AT_FIRST


def test_what_is_needed_halves_after_many_quick_searches_on_the_loop():
    pace = Pace()
    quick_ones_needed(pace)
    pace.note_on_loop(WAITED)
    needed = quick_ones_needed(pace)
    for _ in range(AS_LONG * needed):
        pace.note_on_loop(QUICK)
    assert pace.is_quick
    pace.note_on_loop(WAITED)
    assert quick_ones_needed(pace) == TIMES_MORE * needed // 2


@pytest.mark.parametrize("every", [2, 100, 500, 1_000, 5_000, 20_000])
def test_a_store_that_waits_now_and_then_makes_the_loop_wait_a_few_times_in_its_life(every: int):
    pace = Pace()
    waits = 0
    for number in range(1, 200_000):
        watch = WAITED if number % every == 0 else QUICK
        if pace.is_quick:
            waits += watch is WAITED
            pace.note_on_loop(watch)
        else:
            pace.note_on_thread(watch)
    assert waits <= 4


def test_a_stopwatch_tells_work_from_waiting():
    with Stopwatch() as watch:
        threading.Event().wait(0.02)
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
    assert watch.lasted >= 0.024
    assert watch.waited >= 0.019
    assert watch.lasted - watch.waited >= 0.005
