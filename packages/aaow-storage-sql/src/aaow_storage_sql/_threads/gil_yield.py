"""Yielding the GIL to the threads of a store while an event loop never rests.

A loop whose tasks are always ready releases the GIL for microseconds only, too short for another thread to wake up, so
that a thread may starve. While operations wait on a loop, a timer samples whether the loop has rested since the last
sample. If it has not, the loop's thread blocks until an outcome comes, for `max_yield_s` at most, and the timer fires
often until it has seen the loop rest for a while. During that time the loop also blocks when a lone operation begins to
wait. Outcomes that come meanwhile are delivered at once: each iteration of the loop that this saves is a whole burst of
work.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from weakref import ReferenceType, WeakKeyDictionary, ref

from aaow_storage_sql._threads.loop_waker import LoopWaker
from aaow_storage_sql._tuning import DEFAULT, Tuning


class StarvationGuard:
    """Keeps one event loop from starving the threads that its operations wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tuning: Tuning = DEFAULT) -> None:
        self.waiting = 0
        """How many operations wait on the loop."""
        self._tuning = tuning
        self._is_sampling = False
        self._busy_samples_left = 0
        self._sampled_at = self._cpu_time = 0.0
        self._outcome_came = threading.Event()
        self._outcome_came.set()
        self._waker = LoopWaker(loop)

    def enter(self) -> None:
        """Count an operation that begins to wait; called on the loop."""
        self.waiting += 1
        if not self._is_sampling:
            self._is_sampling = True
            self._sample_later()
        elif self._busy_samples_left and self.waiting == 1:
            self._yield_gil(self._tuning.max_single_yield_s)

    def leave(self) -> None:
        """Count one operation less; called on the loop."""
        self.waiting -= 1

    def notify(self, settle: Callable[[], None]) -> None:
        """Have the loop call `settle`; called from any thread."""
        self._waker.call_soon(settle)
        if not self._outcome_came.is_set():
            self._outcome_came.set()

    def _sample_later(self) -> None:
        self._sampled_at, self._cpu_time = time.perf_counter(), time.thread_time()
        tuning = self._tuning
        interval = tuning.busy_interval_s if self._busy_samples_left else tuning.idle_interval_s
        asyncio.get_running_loop().call_later(interval, self._sample)

    def _sample(self) -> None:
        if not self.waiting:
            self._is_sampling = False
            return
        cpu_time, elapsed = time.thread_time() - self._cpu_time, time.perf_counter() - self._sampled_at
        if cpu_time > self._tuning.busy_share * elapsed:
            self._busy_samples_left = self._tuning.busy_samples
            self._yield_gil(self._tuning.max_yield_s)
        elif self._busy_samples_left:
            self._busy_samples_left -= 1
        self._sample_later()

    def _yield_gil(self, max_s: float) -> None:
        self._outcome_came.clear()
        if not self._waker.has_pending:
            self._outcome_came.wait(max_s)
        self._outcome_came.set()
        self._waker.run_pending()


_guards: "WeakKeyDictionary[asyncio.AbstractEventLoop, StarvationGuard]" = WeakKeyDictionary()
_last: "tuple[ReferenceType[asyncio.AbstractEventLoop], StarvationGuard] | None" = None
"""The loop that was asked for last, and its guard: most processes have one loop."""


def guard_of(loop: asyncio.AbstractEventLoop) -> StarvationGuard:
    """Return the guard of a loop, a new one if it has none; called on the loop."""
    global _last  # noqa: PLW0603 - one cache for all loops
    last = _last
    if last is not None and last[0]() is loop:
        return last[1]
    guard = _guards.get(loop)
    if guard is None:
        guard = _guards[loop] = StarvationGuard(loop)
    _last = ref(loop, _forget), guard
    return guard


def _forget(gone: object) -> None:
    global _last  # noqa: PLW0603 - one cache for all loops
    if _last is not None and _last[0] is gone:
        _last = None


def count_waiting(loop: asyncio.AbstractEventLoop) -> int:
    """Return how many operations of all stores wait on the loop; called on the loop."""
    return guard_of(loop).waiting
