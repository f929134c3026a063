"""Letting the threads of a store run beside an event loop that never rests.

A loop whose tasks are always ready lets go of the interpreter for microseconds only, too short for a thread to wake up
in, so that a thread may wait for its turn for ever. While operations wait on a loop, a timer looks whether the loop has
rested since it last looked; where it has not, the loop's thread stands still until an outcome comes, for a moment at
most, and the timer looks often from then on, until it has seen the loop rest for a while. For as long as it looks
often, the loop stands still too when an operation begins to wait alone. What comes meanwhile is settled as soon as the
loop goes on: each turn of the loop that it saves is a whole burst of work. The timer looks seldom at a loop that rests:
waiting with a short timer may cost a processor more than an operation does.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from weakref import ReferenceType, WeakKeyDictionary, ref

from aaow_storage_sql._threads.loop_waker import LoopWaker

LOOK_SELDOM_S = 0.020
LOOK_OFTEN_S = 0.001
LOOKS_OFTEN = 50
"""How many times in a row it looks often before it looks seldom again."""
LONGEST_REST_S = 0.001
LONGEST_REST_FOR_ONE_S = 0.0015
"""How long it stands still when an operation begins to wait alone: a statement and its flush, on a slow machine."""
BUSY = 0.9


class StarvationGuard:
    """Looks after one event loop for as long as operations wait on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting = 0
        """How many operations wait on the loop."""
        self._is_looking = False
        self._looks_often = 0
        self._looked_at = self._worked = 0.0
        self._outcome_came = threading.Event()
        self._outcome_came.set()
        self._doorbell = LoopWaker(loop)

    def enter(self) -> None:
        """Count an operation that waits; called on the loop."""
        self.waiting += 1
        if not self._is_looking:
            self._is_looking = True
            self._look_later()
        elif self._looks_often and self.waiting == 1:
            self._rest(LONGEST_REST_FOR_ONE_S)

    def leave(self) -> None:
        """Count one less; called on the loop."""
        self.waiting -= 1

    def tell(self, settle: Callable[[], None]) -> None:
        """Have `settle` called on the loop that this looks after; called from any thread."""
        self._doorbell.ring(settle)
        if not self._outcome_came.is_set():
            self._outcome_came.set()

    def _look_later(self) -> None:
        self._looked_at, self._worked = time.perf_counter(), time.thread_time()
        asyncio.get_running_loop().call_later(LOOK_OFTEN_S if self._looks_often else LOOK_SELDOM_S, self._look)

    def _look(self) -> None:
        if not self.waiting:
            self._is_looking = False
            return
        if time.thread_time() - self._worked > BUSY * (time.perf_counter() - self._looked_at):
            self._looks_often = LOOKS_OFTEN
            self._rest(LONGEST_REST_S)
        elif self._looks_often:
            self._looks_often -= 1
        self._look_later()

    def _rest(self, longest: float) -> None:
        self._outcome_came.clear()
        if self._doorbell.is_quiet:
            self._outcome_came.wait(longest)
        self._outcome_came.set()
        self._doorbell.answer()


_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, StarvationGuard]" = WeakKeyDictionary()
_last: "tuple[ReferenceType[asyncio.AbstractEventLoop], StarvationGuard] | None" = None
"""The loop that was asked about last, and its watch: most processes have one loop."""


def guard_of(loop: asyncio.AbstractEventLoop) -> StarvationGuard:
    """Return what looks after the loop; called on the loop."""
    global _last  # noqa: PLW0603 - remembered for all loops
    last = _last
    if last is not None and last[0]() is loop:
        return last[1]
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = StarvationGuard(loop)
    _last = ref(loop, _forget), watch
    return watch


def _forget(gone: object) -> None:
    global _last  # noqa: PLW0603 - as above
    if _last is not None and _last[0] is gone:
        _last = None


def count_waiting(loop: asyncio.AbstractEventLoop) -> int:
    """Return how many operations wait on the loop, of any store; called on the loop."""
    return guard_of(loop).waiting
