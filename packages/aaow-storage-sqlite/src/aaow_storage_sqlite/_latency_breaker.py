"""Whether records are found quickly enough to find them on the event loop."""

import threading
import time
from typing import Self

QUICK_S = 0.001
AT_FIRST = 256
"""How many searches in a row a thread has to do quickly before the loop does any."""
TIMES_MORE = 8
"""How many times as many, each time that the loop had to wait."""
MOST = 2**20
AS_LONG = 64


class Stopwatch:
    """How long something took, and how much of that its thread did not work but waited."""

    __slots__ = ("_started", "_worked", "lasted", "waited")

    def __enter__(self) -> Self:
        self._worked = time.thread_time()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.lasted = time.perf_counter() - self._started
        self.waited = self.lasted - (time.thread_time() - self._worked)


class Pace:
    """Tells by the searches of the past, for a disk or anything else, whether the next one is going to be quick.

    Where a search on the loop waits, threads have to do `TIMES_MORE` as many quickly before the loop tries again. So
    the loop waits a second time after some 2,000 searches at the earliest, after 16,000 a third time, after 130,000 a
    fourth. A number halves again after `AS_LONG` times as many quick searches on the loop.
    """

    def __init__(self) -> None:
        self.is_quick = False
        self._needed = AT_FIRST
        self._in_a_row = 0
        self._lock = threading.Lock()

    def note_on_thread(self, watch: Stopwatch) -> None:
        """Take account of a search on a thread, which may be slow at nobody's cost."""
        with self._lock:
            if self.is_quick:
                return
            self._in_a_row = self._in_a_row + 1 if watch.lasted < QUICK_S else 0
            if self._in_a_row >= self._needed:
                self.is_quick = True
                self._in_a_row = 0

    def note_on_loop(self, watch: Stopwatch) -> None:
        """Take account of a search on the loop, where a slow one holds up every task."""
        with self._lock:
            self._in_a_row += 1
            if watch.lasted >= QUICK_S:
                self.is_quick = False
                self._in_a_row = 0
                if watch.waited >= QUICK_S:
                    self._needed = min(TIMES_MORE * self._needed, MOST)
            elif self._in_a_row >= AS_LONG * self._needed:
                self._needed = max(self._needed // 2, AT_FIRST)
                self._in_a_row = 0
