"""Mistakes in waiting for approval requests."""

import asyncio
from contextlib import suppress
from contextvars import Context

import attrs

from aaow_storage import AdapterClosedError, ApprovalStatus, ConflictError, NotFoundError, now
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating

POLL_S = 0.005
SLOW_POLL_S = 1.5


def has_run_out(request):
    """Say whether the time of a request has come."""
    return request.expires_at is not None and request.expires_at <= now()


class Polls(Delegating):
    """Waits by reading the request again and again; a subclass says when it ends."""

    every_s = POLL_S

    async def wait_for_approval(self, id, timeout=None):
        first = await self.get_approval_request(id)
        if first is None:
            raise NotFoundError("approval_request", id)
        request = first
        began = asyncio.get_running_loop().time()
        while not self.is_over(first, request):
            if timeout is not None and asyncio.get_running_loop().time() - began >= timeout:
                raise TimeoutError(f"{id} was not decided")
            await asyncio.sleep(self.every_s)
            request = await self.get_approval_request(id)
            if request is None:
                raise NotFoundError("approval_request", id)
        is_late = request.status is ApprovalStatus.PENDING and has_run_out(request)
        return attrs.evolve(request, status=ApprovalStatus.EXPIRED) if is_late else request

    def is_over(self, first, request):
        """Say whether the wait ends with this request; `first` is what it was when the wait began."""
        return request.status is not ApprovalStatus.PENDING or has_run_out(request)


@breaks("APR-6")
class WaitsForASweep(Polls):
    """Does not notice that a request expires, unless `expire_approvals` says so."""

    def is_over(self, first, request):
        return request.status is not ApprovalStatus.PENDING


@breaks("APR-6")
class WaitsUntilTheFirstExpiry(Polls):
    """Goes by the `expires_at` that the request had when the wait began."""

    def is_over(self, first, request):
        return request.status is not ApprovalStatus.PENDING or has_run_out(first)


@breaks("APR-6")
class EndsAWaitWithAnyUpdate(Polls):
    """Returns the request as soon as anything in it has changed."""

    def is_over(self, first, request):
        return super().is_over(first, request) or request != first


@breaks("APR-6")
class PollsSlowly(Polls):
    """Looks for a decision every one and a half seconds."""

    every_s = SLOW_POLL_S


@breaks("APR-6")
class StoresTheExpiryThatItFinds(Delegating):
    """Expires the request in the store when a wait finds that its time has come."""

    async def wait_for_approval(self, id, timeout=None):
        request = await super().wait_for_approval(id, timeout)
        if request.status is ApprovalStatus.EXPIRED:
            with suppress(ConflictError):
                await self.update_approval_request(id, status="expired")
        return request


@breaks("APR-6")
class ReturnsTheExpiredAsPending(Delegating):
    """Returns a request whose time has come as it is stored."""

    async def wait_for_approval(self, id, timeout=None):
        await super().wait_for_approval(id, timeout)
        return await self.get_approval_request(id)


@breaks("APR-6")
class WaitsForWhatIsGone(Delegating):
    """Waits on for a request that is not there."""

    async def wait_for_approval(self, id, timeout=None):
        while True:
            with suppress(NotFoundError):
                return await super().wait_for_approval(id, timeout)
            await asyncio.sleep(POLL_S)


@breaks("APR-6")
class ReturnsThePendingAfterTheTimeout(Delegating):
    """Returns the pending request when the time is up."""

    async def wait_for_approval(self, id, timeout=None):
        try:
            return await super().wait_for_approval(id, timeout)
        except TimeoutError:
            return await self.get_approval_request(id)


@breaks("APR-6")
class GivesUpBeforeItLooks(Delegating):
    """Raises TimeoutError for a timeout of 0, whatever became of the request."""

    async def wait_for_approval(self, id, timeout=None):
        if timeout == 0:
            raise TimeoutError(f"{id} was not decided")
        return await super().wait_for_approval(id, timeout)


@breaks("APR-6")
class TakesANegativeTimeoutForNone(Delegating):
    """Takes a timeout below 0 for 0."""

    async def wait_for_approval(self, id, timeout=None):
        is_negative = type(timeout) in {int, float} and timeout < 0
        return await super().wait_for_approval(id, 0 if is_negative else timeout)


@breaks("APR-6")
class WaitsInItsOwnTransaction(Delegating):
    """Waits while a transaction of the task is open, in which the decision may be."""

    async def wait_for_approval(self, id, timeout=None):
        return await asyncio.create_task(super().wait_for_approval(id, timeout), context=Context())


@breaks("APR-6")
class WaitsOnAfterClose(Delegating):
    """Does not end a wait when the adapter is closed."""

    async def wait_for_approval(self, id, timeout=None):
        try:
            return await super().wait_for_approval(id, timeout)
        except AdapterClosedError:
            await asyncio.sleep(SLOW_POLL_S)
            raise


class SharesWaits(Delegating):
    """Has one task that waits for each request."""

    async def shared(self, id):
        """Return the record that all waits for a request share."""
        waits = vars(self).setdefault("waits", {})
        if id not in waits:
            waits[id] = asyncio.create_task(super().wait_for_approval(id), context=Context())
        return waits[id]


@breaks("APR-6")
class ReturnsOneRecordToAll(SharesWaits):
    """Returns the same record to all that wait for a request."""

    async def wait_for_approval(self, id, timeout=None):
        if timeout is not None:
            return await super().wait_for_approval(id, timeout)
        await super().get_approval_request(id)
        return await asyncio.shield(await self.shared(id))


@breaks("APR-6")
class CancelsAllWaits(SharesWaits):
    """Ends all waits for a request when one of them is cancelled."""

    async def wait_for_approval(self, id, timeout=None):
        if timeout is not None:
            return await super().wait_for_approval(id, timeout)
        await super().get_approval_request(id)
        waiting = await self.shared(id)
        try:
            return attrs.evolve(await waiting)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():
                raise
            raise TimeoutError("another task was cancelled") from None
