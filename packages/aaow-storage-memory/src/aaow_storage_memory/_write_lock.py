"""The line in which writers wait for each other."""

import asyncio
import math
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice


class Place:
    """One writer's place in the line, to be waited in on the event loop that made it."""

    def __init__(self, owner: object, stay_s: float) -> None:
        self.owner = owner
        self.is_in = False
        self.deadline = math.inf
        self._stay_s = stay_s
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    @property
    def is_late(self) -> bool:
        """Whether the writer has been in for longer than it may."""
        return time.monotonic() >= self.deadline

    def let_in(self) -> None:
        """Make it this writer's turn, and start the clock."""
        self.is_in = True
        self.deadline = time.monotonic() + self._stay_s

    def tell(self) -> None:
        """Let `wait` return; called from any thread."""
        with suppress(RuntimeError):  # its loop was closed under it, so nobody waits
            self._loop.call_soon_threadsafe(self._news.set)

    async def wait(self, until: float) -> None:
        """Wait for news, but not beyond that instant of the monotonic clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if until == math.inf else until - time.monotonic()):
                await self._news.wait()
        self._news.clear()


class WriterLine:
    """Lets one writer in at a time, in the order in which they came, whichever event loop each runs on.

    The first in the line is in. Those behind it look at the clock: one that stays for too long is put out, even
    where its event loop is stuck or gone.

    Attributes:
        lock: guards the line, and the tables that the writers change. It is never held across an `await`.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._places: deque[Place] = deque()

    async def enter(self, owner: object, stay_s: float = math.inf) -> Place:
        """Wait until it is this writer's turn; it ends with `leave`, or after so many seconds."""
        place = Place(owner, stay_s)
        with self.lock:
            self._places.append(place)
            if self._places[0] is place:
                place.let_in()
        try:
            while (first := self._first_before(place)) is not None:
                await place.wait(first.deadline)
                if first.is_late:
                    self.leave(first)
        except BaseException:
            self.leave(place)
            raise
        return place

    def leave(self, place: Place) -> None:
        """Make room for the next, or give up waiting; called from any thread, and again without effect."""
        with self.lock:
            if place not in self._places:
                return
            was_in = self._places[0] is place
            self._places.remove(place)
            if was_in and self._places:
                self._places[0].let_in()
            for waiting in islice(self._places, 2):
                waiting.tell()

    async def wait_for_all_of(self, owner: object) -> None:
        """Wait until every writer of that owner that is in the line now has left it."""
        with self.lock:
            is_here = any(place.owner is owner for place in self._places)
        if is_here:
            self.leave(await self.enter(owner))

    def _first_before(self, place: Place) -> Place | None:
        """Return the writer that is in, or None once it is this writer's turn, or was and is over."""
        with self.lock:
            return None if place.is_in else self._places[0]
