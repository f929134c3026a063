"""The event loop reads inline only if reads were quick, and hardly ever again after it had to wait."""

import threading
import time

import pytest

from aaow_storage_sqlite._latency_breaker import LatencyBreaker, Stopwatch
from aaow_storage_sqlite._tuning import Tuning

TUNING = Tuning()
SLOW_S = TUNING.max_inline_latency_s


def measured(elapsed_s: float = 0.0, *, waited_s: float = 0.0) -> Stopwatch:
    watch = Stopwatch()
    watch.elapsed_s, watch.waited_s = elapsed_s, waited_s
    return watch


QUICK = measured()
WAITED = measured(SLOW_S, waited_s=SLOW_S)
COMPUTED = measured(SLOW_S)


def count_probes(breaker: LatencyBreaker) -> int:
    for count in range(10**6):
        if breaker.allows_inline:
            return count
        breaker.record_on_thread(QUICK)
    raise AssertionError("never")


def test_inline_reads_are_allowed_after_enough_quick_reads_on_threads():
    assert count_probes(LatencyBreaker(TUNING)) == TUNING.initial_probes


def test_a_slow_read_on_a_thread_restarts_the_count():
    breaker = LatencyBreaker(TUNING)
    for _ in range(TUNING.initial_probes - 1):
        breaker.record_on_thread(QUICK)
    breaker.record_on_thread(WAITED)
    assert count_probes(breaker) == TUNING.initial_probes


def test_each_time_the_loop_had_to_wait_more_quick_reads_are_needed():
    breaker = LatencyBreaker(TUNING)
    needed = []
    for _ in range(4):
        needed.append(count_probes(breaker))
        breaker.record_on_loop(WAITED)
        assert not breaker.allows_inline
    assert needed == [TUNING.initial_probes * TUNING.backoff_factor**power for power in range(4)]


def test_a_read_that_computed_for_long_without_waiting_needs_no_more_probes_than_before():
    breaker = LatencyBreaker(TUNING)
    count_probes(breaker)
    breaker.record_on_loop(COMPUTED)
    assert not breaker.allows_inline
    assert count_probes(breaker) == TUNING.initial_probes


def test_the_probes_needed_halve_after_many_quick_reads_on_the_loop():
    breaker = LatencyBreaker(TUNING)
    count_probes(breaker)
    breaker.record_on_loop(WAITED)
    needed = count_probes(breaker)
    for _ in range(TUNING.decay_factor * needed):
        breaker.record_on_loop(QUICK)
    assert breaker.allows_inline
    breaker.record_on_loop(WAITED)
    assert count_probes(breaker) == TUNING.backoff_factor * needed // 2


@pytest.mark.parametrize("every", [2, 100, 500, 1_000, 5_000, 20_000])
def test_a_store_that_is_slow_now_and_then_makes_the_loop_wait_a_few_times_in_its_life(every: int):
    breaker = LatencyBreaker(TUNING)
    waits = 0
    for number in range(1, 200_000):
        watch = WAITED if number % every == 0 else QUICK
        if breaker.allows_inline:
            waits += watch is WAITED
            breaker.record_on_loop(watch)
        else:
            breaker.record_on_thread(watch)
    assert waits <= 4


def test_a_stopwatch_tells_computing_from_waiting():
    with Stopwatch() as watch:
        threading.Event().wait(0.02)
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
    assert watch.elapsed_s >= 0.024
    assert watch.waited_s >= 0.019
    assert watch.elapsed_s - watch.waited_s >= 0.005
