"""Mistakes with approvals: decisions, expiry, updates and lists of pending requests."""

from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from aaow_storage import ApprovalStatus, ConflictError, NotFoundError, ValidationError, now
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter

PENDING = ApprovalStatus.PENDING


class Overwrites(MemoryAdapter):
    """Can store a request whatever its status."""

    async def overwrite(self, request):
        """Put the request in the place of the stored one."""
        async with self._writing() as tables:
            tables.put(request.id, request)
        return request


@breaks("APR-1")
class TheLastDecisionWins(Overwrites):
    """Decides a request that is already decided."""

    async def reject_request(self, id, rejected_by, reason=None):
        with suppress(ConflictError):
            return await super().reject_request(id, rejected_by, reason)
        request = await self.get_approval_request(id)
        fields = {"resolved_at": now(), "resolved_by": rejected_by, "resolution_notes": reason}
        return await self.overwrite(attrs.evolve(request, status=ApprovalStatus.REJECTED, **fields))


@breaks("APR-1")
class ApprovesAgainInSilence(Delegating):
    """Returns the stored request, and no error, if an approved request is approved again."""

    async def approve_request(self, id, approved_by, notes=None):
        try:
            return await super().approve_request(id, approved_by, notes)
        except ConflictError as error:
            if error.current is not None and error.current.status is ApprovalStatus.APPROVED:
                return error.current
            raise


@breaks("APR-1")
class DoesNotTellWhoWon(Delegating):
    """Raises ConflictError without the stored request."""

    async def approve_request(self, id, approved_by, notes=None):
        try:
            return await super().approve_request(id, approved_by, notes)
        except ConflictError as error:
            raise ConflictError(str(error)) from error


@breaks("APR-1")
class TellsHowItWouldHaveBeen(Delegating):
    """Raises ConflictError with the decision that was refused, not the stored one."""

    async def reject_request(self, id, rejected_by, reason=None):
        try:
            return await super().reject_request(id, rejected_by, reason)
        except ConflictError as error:
            rejected = attrs.evolve(error.current, status=ApprovalStatus.REJECTED, resolved_by=rejected_by)
            raise ConflictError(str(error), rejected) from error


@breaks("APR-1")
class LosesTheReason(Delegating):
    """Does not store the reason of a rejection."""

    async def reject_request(self, id, rejected_by, reason=None):
        return await super().reject_request(id, rejected_by)


@breaks("APR-1")
class ReturnsTheRequestAsItWas(Delegating):
    """Returns the request as it was before the decision."""

    async def approve_request(self, id, approved_by, notes=None):
        before = await self.get_approval_request(id)
        await super().approve_request(id, approved_by, notes)
        return before


@breaks("APR-1")
class LeavesTheInstantOut(Overwrites):
    """Stores who decided, but not when."""

    async def approve_request(self, id, approved_by, notes=None):
        approved = await super().approve_request(id, approved_by, notes)
        return await self.overwrite(attrs.evolve(approved, resolved_at=None))


@breaks("APR-3")
class ApprovesTheLate(Overwrites):
    """Approves a pending request after its `expires_at`."""

    async def approve_request(self, id, approved_by, notes=None):
        request = await self.get_approval_request(id)
        if request is not None and request.status is PENDING:
            await self.overwrite(attrs.evolve(request, expires_at=None))
            approved = await super().approve_request(id, approved_by, notes)
            return await self.overwrite(attrs.evolve(approved, expires_at=request.expires_at))
        return await super().approve_request(id, approved_by, notes)


@breaks("APR-3")
class RejectsTheLate(Overwrites):
    """Rejects a pending request after its `expires_at`."""

    async def reject_request(self, id, rejected_by, reason=None):
        request = await self.get_approval_request(id)
        if request is not None and request.status is PENDING:
            await self.overwrite(attrs.evolve(request, expires_at=None))
        rejected = await super().reject_request(id, rejected_by, reason)
        return await self.overwrite(attrs.evolve(rejected, expires_at=request.expires_at))


@breaks("APR-3")
class ExpiresAMomentLate(Delegating):
    """Lets a request expire just after its `expires_at`, not at it."""

    async def expire_approvals(self, now=None):
        moment = timedelta(microseconds=1)
        return await super().expire_approvals(now - moment if isinstance(now, datetime) else now)


@breaks("APR-3")
class ExpiresAllThatIsPending(Overwrites):
    """Expires pending requests that have no `expires_at`."""

    async def expire_approvals(self, now=None):
        expired = await super().expire_approvals(now)
        for request in await self.list_pending_approvals():
            if request.expires_at is None:
                expired.append(await self.overwrite(attrs.evolve(request, status=ApprovalStatus.EXPIRED)))
        return expired


@breaks("APR-3")
class ExpiresWhatIsDecided(Overwrites):
    """Expires decided requests after their `expires_at`."""

    async def expire_approvals(self, now=None):
        expired = await super().expire_approvals(now)
        for session in await self.list_sessions():
            for request in await self.list_approval_requests(session.id):
                if now is not None and request.expires_at is not None and request.expires_at <= now:
                    await self.overwrite(attrs.evolve(request, status=ApprovalStatus.EXPIRED))
        return expired


@breaks("APR-3")
class ExpiresInSilence(Delegating):
    """Returns an empty list from `expire_approvals`, whatever it expired."""

    async def expire_approvals(self, now=None):
        await super().expire_approvals(now)
        return []


@breaks("APR-3")
class ReturnsTheExpiredAsTheyWere(Delegating):
    """Returns the expired requests as they were before."""

    async def expire_approvals(self, now=None):
        return [attrs.evolve(each, status=PENDING) for each in await super().expire_approvals(now)]


@breaks("APR-3")
class ReturnsAllThatIsExpired(Delegating):
    """Returns requests that were already expired, too."""

    async def expire_approvals(self, now=None):
        before = [
            request
            for session in await self.list_sessions()
            for request in await self.list_approval_requests(session.id)
            if request.status is ApprovalStatus.EXPIRED
        ]
        found = [*before, *await super().expire_approvals(now)]
        return sorted(found, key=lambda request: (request.created_at, request.id))


@breaks("APR-3")
class ExpiresOnlyWhenAsked(Delegating):
    """Expires nothing if `expire_approvals` is called without an instant."""

    async def expire_approvals(self, now=None):
        return [] if now is None else await super().expire_approvals(now)


@breaks("APR-3")
class ExpiryIsADecision(Overwrites):
    """Sets `resolved_at` of an expired request, as if it had been decided."""

    async def expire_approvals(self, now=None):
        expired = await super().expire_approvals(now)
        return [await self.overwrite(attrs.evolve(each, resolved_at=each.expires_at)) for each in expired]


@breaks("APR-4")
class UpdatesWhatIsDecided(Overwrites):
    """Updates the context of a decided request."""

    async def update_approval_request(self, id, /, **changes):
        try:
            return await super().update_approval_request(id, **changes)
        except ConflictError as error:
            if "context" not in changes:
                raise
            return await self.overwrite(attrs.evolve(error.current, context=changes["context"]))


@breaks("APR-4")
class ReopensWhatHasExpired(Overwrites):
    """Makes an expired request pending again when its `expires_at` is updated."""

    async def update_approval_request(self, id, /, **changes):
        request = await self.get_approval_request(id)
        if request is not None and request.status is ApprovalStatus.EXPIRED and changes.get("expires_at"):
            await self.overwrite(attrs.evolve(request, status=PENDING))
        return await super().update_approval_request(id, **changes)


@breaks("APR-4")
class ApprovesByUpdate(Overwrites):
    """Lets an update set any status."""

    async def update_approval_request(self, id, /, **changes):
        if changes.get("status") in {ApprovalStatus.APPROVED, ApprovalStatus.REJECTED}:
            request = await self.get_approval_request(id)
            return await self.overwrite(attrs.evolve(request, status=changes["status"]))
        return await super().update_approval_request(id, **changes)


@breaks("APR-4")
class DropsWhoDecided(Delegating):
    """Ignores the fields of a decision in an update."""

    async def update_approval_request(self, id, /, **changes):
        fields = {"resolved_at", "resolved_by", "resolution_notes"}
        return await super().update_approval_request(
            id, **{name: changes[name] for name in changes if name not in fields}
        )


@breaks("APR-4")
class KeepsTheExpiry(Delegating):
    """Does not clear `expires_at` if an update names it with None."""

    async def update_approval_request(self, id, /, **changes):
        if changes.get("expires_at", ...) is None:
            del changes["expires_at"]
        return await super().update_approval_request(id, **changes)


@breaks("APR-4", "APR-3")
class RefusesToExtendTheLate(Delegating):
    """Refuses to extend a pending request after its `expires_at`."""

    async def update_approval_request(self, id, /, **changes):
        request = await self.get_approval_request(id)
        if request is not None and request.expires_at is not None and request.expires_at <= now():
            raise ConflictError("it has run out", request)
        return await super().update_approval_request(id, **changes)


@breaks("APR-4")
class MergesContexts(Delegating):
    """Merges a new context into the old one."""

    async def update_approval_request(self, id, /, **changes):
        request = await self.get_approval_request(id)
        if request is not None and "context" in changes:
            changes["context"] = {**request.context, **changes["context"]}
        return await super().update_approval_request(id, **changes)


@breaks("APR-5")
class ListsWhatHasRunOut(MemoryAdapter):
    """Lists pending requests after their `expires_at`."""

    async def list_pending_approvals(self, filter=None):
        found = await super().list_pending_approvals(filter)
        if filter is not None:
            return found
        for session in await self.list_sessions():
            requests = await self.list_approval_requests(session.id)
            found += [each for each in requests if each.status is PENDING and each.id not in {one.id for one in found}]
        return sorted(found, key=lambda request: (request.created_at, request.id))


@breaks("APR-5")
class ListsOnlyWhatRunsOut(Delegating):
    """Compares `expires_at` with now, so that requests without one are not listed."""

    async def list_pending_approvals(self, filter=None):
        return [each for each in await super().list_pending_approvals(filter) if each.expires_at is not None]


@breaks("APR-5")
class ListsPendingOfRunningSessions(Delegating):
    """Lists the pending approvals of running sessions only."""

    async def list_pending_approvals(self, filter=None):
        sessions = {session.id: session.status for session in await self.list_sessions()}
        found = await super().list_pending_approvals(filter)
        return [each for each in found if sessions[each.session_id] not in {"completed", "failed"}]


@breaks("APR-5")
class ListsPendingBySession(Delegating):
    """Lists the pending approvals session by session, not by time."""

    async def list_pending_approvals(self, filter=None):
        return sorted(await super().list_pending_approvals(filter), key=lambda request: request.session_id)


@breaks("APR-5")
class ListsOldestPendingOnly(Delegating):
    """Lists one pending approval for each session."""

    async def list_pending_approvals(self, filter=None):
        oldest = {}
        for request in await super().list_pending_approvals(filter):
            oldest.setdefault(request.session_id, request)
        return list(oldest.values())


@breaks("APR-1")
class DecidesWhatIsMissing(Delegating):
    """Raises ConflictError, not NotFoundError, for a missing request."""

    async def approve_request(self, id, approved_by, notes=None):
        try:
            return await super().approve_request(id, approved_by, notes)
        except NotFoundError as error:
            raise ValidationError("approve_request", "id", "there is none") from error
