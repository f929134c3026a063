"""A circuit breaker that allows inline reads, on the event loop, only while they are quick."""

import threading
import time
from typing import Self

from aaow_storage_sqlite._tuning import Tuning


class Stopwatch:
    """Measures how long a block took, and how much of that its thread waited instead of using the CPU."""

    __slots__ = ("_cpu_s", "_started", "elapsed_s", "waited_s")

    def __enter__(self) -> Self:
        self._cpu_s = time.thread_time()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.elapsed_s = time.perf_counter() - self._started
        self.waited_s = self.elapsed_s - (time.thread_time() - self._cpu_s)


class LatencyBreaker:
    """Predicts from past reads of one kind whether the next one will be quick, on whatever disk.

    Each time that a read on the event loop has to wait, the probes needed on reader threads before the loop reads again
    grow by the back-off factor. With the defaults the loop waits a second time after some 2,000 reads at the earliest,
    a third time after 16,000, a fourth time after 130,000. The number halves again after many quick reads on the loop.
    """

    def __init__(self, tuning: Tuning) -> None:
        self.allows_inline = False
        self._tuning = tuning
        self._probes_needed = tuning.initial_probes
        self._quick_in_a_row = 0
        self._lock = threading.Lock()

    def record_on_thread(self, watch: Stopwatch) -> None:
        """Record a read on a reader thread, where a slow one delays no other task."""
        with self._lock:
            if self.allows_inline:
                return
            is_quick = watch.elapsed_s < self._tuning.max_inline_latency_s
            self._quick_in_a_row = self._quick_in_a_row + 1 if is_quick else 0
            if self._quick_in_a_row >= self._probes_needed:
                self.allows_inline = True
                self._quick_in_a_row = 0

    def record_on_loop(self, watch: Stopwatch) -> None:
        """Record a read on the event loop, where a slow one delays every task."""
        tuning = self._tuning
        with self._lock:
            self._quick_in_a_row += 1
            if watch.elapsed_s >= tuning.max_inline_latency_s:
                self.allows_inline = False
                self._quick_in_a_row = 0
                if watch.waited_s >= tuning.max_inline_latency_s:
                    self._probes_needed = min(tuning.backoff_factor * self._probes_needed, tuning.max_probes)
            elif self._quick_in_a_row >= tuning.decay_factor * self._probes_needed:
                self._probes_needed = max(self._probes_needed // 2, tuning.initial_probes)
                self._quick_in_a_row = 0
