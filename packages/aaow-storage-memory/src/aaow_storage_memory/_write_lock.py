"""A fair lock for the writers of a store: it is granted in the order of requests, across event loops and threads."""

import asyncio
import math
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice


class Ticket:
    """One request for the lock. It belongs to the event loop that made it, and only that loop waits for it."""

    def __init__(self, owner: object, max_hold_s: float) -> None:
        self.owner = owner
        self.is_granted = False
        self.expires_at = math.inf
        self._max_hold_s = max_hold_s
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    @property
    def is_expired(self) -> bool:
        """Whether the lock has been held longer than `max_hold_s`."""
        return time.monotonic() >= self.expires_at

    def grant(self) -> None:
        """Hand the lock to this ticket; its time limit starts now."""
        self.is_granted = True
        self.expires_at = time.monotonic() + self._max_hold_s

    def notify(self) -> None:
        """Make `wait` return; called from any thread."""
        with suppress(RuntimeError):  # the event loop is closed, so no task waits
            self._loop.call_soon_threadsafe(self._changed.set)

    async def wait(self, until: float) -> None:
        """Wait for `notify`, at most until that instant of the monotonic clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if until == math.inf else until - time.monotonic()):
                await self._changed.wait()
        self._changed.clear()


class FairLock:
    """A FIFO lock. Tickets may come from any event loop and thread.

    The first ticket of the queue holds the lock. The waiting tickets watch its time limit: they release a ticket that
    has expired, even if its event loop is blocked or closed.

    Attributes:
        mutex: guards the queue and the tables that writers change. It is never held across an `await`.
    """

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self._tickets: deque[Ticket] = deque()

    async def acquire(self, owner: object, max_hold_s: float = math.inf) -> Ticket:
        """Wait for the lock. It is held until `release`, or until it expires after `max_hold_s`."""
        ticket = Ticket(owner, max_hold_s)
        with self.mutex:
            self._tickets.append(ticket)
            if self._tickets[0] is ticket:
                ticket.grant()
        try:
            while (holder := self._holder_before(ticket)) is not None:
                await ticket.wait(holder.expires_at)
                if holder.is_expired:
                    self.release(holder)
        except BaseException:
            self.release(ticket)
            raise
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Release the lock, or withdraw a request for it. Idempotent; called from any thread."""
        with self.mutex:
            if ticket not in self._tickets:
                return
            was_holder = self._tickets[0] is ticket
            self._tickets.remove(ticket)
            if was_holder and self._tickets:
                self._tickets[0].grant()
            for waiting in islice(self._tickets, 2):
                waiting.notify()

    async def wait_until_released(self, owner: object) -> None:
        """Wait until the tickets that this owner has now are released."""
        with self.mutex:
            has_tickets = any(ticket.owner is owner for ticket in self._tickets)
        if has_tickets:
            self.release(await self.acquire(owner))

    def _holder_before(self, ticket: Ticket) -> Ticket | None:
        """Return the ticket that holds the lock; None once `ticket` was granted, even if it has expired since."""
        with self.mutex:
            return None if ticket.is_granted else self._tickets[0]
