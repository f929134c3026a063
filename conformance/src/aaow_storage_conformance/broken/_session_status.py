"""Mistakes with the status of a session: the one of its execution state, and the one that a decision sets."""

from contextlib import suppress

import attrs

from aaow_storage import ConflictError, NotFoundError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


class PutsBack(MemoryAdapter):
    """Can store a record as it was before."""

    async def put_back(self, id, record):
        """Put a record in the place of the stored one; None leaves it."""
        if record is not None:
            async with self._writing() as tables:
                tables.put(id, record)


@breaks("STA-5")
class KeepsTheStatusOfTheSession(PutsBack):
    """Leaves the session as it was when its execution state is saved."""

    async def save_execution_state(self, state):
        before = await self.get_session(state.session_id)
        await super().save_execution_state(state)
        await self.put_back(before.id, before)


@breaks("STA-5")
class KeepsTheStatusOfTheState(PutsBack):
    """Leaves the execution state as it was when its session is updated."""

    async def update_session(self, id, /, **changes):
        before = await self.get_execution_state(id)
        changed = await super().update_session(id, **changes)
        await self.put_back(id, before)
        return changed


@breaks("STA-5")
class KeepsTheStatusOfTheFirstState(PutsBack):
    """Leaves the session as it was when its first execution state is saved."""

    async def save_execution_state(self, state):
        before = await self.get_session(state.session_id)
        is_first = await self.get_execution_state(state.session_id) is None
        await super().save_execution_state(state)
        if is_first:
            await self.put_back(before.id, before)


@breaks("STA-5")
class TouchesTheSessionAtEachSave(Delegating):
    """Sets `updated_at` of the session at each save of its execution state."""

    async def save_execution_state(self, state):
        await super().save_execution_state(state)
        await self.update_session(state.session_id, status=state.status)


@breaks("STA-5")
class SetsTheStatusWithoutATime(PutsBack):
    """Leaves `updated_at` of the session as it was when a saved state changes its status."""

    async def save_execution_state(self, state):
        before = await self.get_session(state.session_id)
        await super().save_execution_state(state)
        await self.put_back(before.id, attrs.evolve(before, status=state.status))


@breaks("STA-5")
class EndsTheStateWithTheSession(Delegating):
    """Clears `completed_at` of the execution state when the session goes on."""

    async def update_session(self, id, /, **changes):
        changed = await super().update_session(id, **changes)
        state = await self.get_execution_state(id)
        if changes.get("status") == "running" and state is not None:
            await self.save_execution_state(attrs.evolve(state, completed_at=None))
        return changed


@breaks("STA-5")
class DecidesPastTheState(PutsBack):
    """Leaves the execution state as it was when a decision sets the status of its session."""

    async def approve_request(self, id, approved_by, notes=None, *, session_status=None):
        request = await self.get_approval_request(id)
        before = None if request is None else await self.get_execution_state(request.session_id)
        decided = await super().approve_request(id, approved_by, notes, session_status=session_status)
        await self.put_back(decided.session_id, before)
        return decided


@breaks("APR-7")
class IgnoresTheSessionStatus(Delegating):
    """Stores the decision alone."""

    async def approve_request(self, id, approved_by, notes=None, *, session_status=None):
        return await super().approve_request(id, approved_by, notes)


@breaks("APR-7")
class SetsTheStatusFirst(Delegating):
    """Sets the status of the session before it tries to store the decision."""

    async def reject_request(self, id, rejected_by, reason=None, *, session_status=None):
        request = await self.get_approval_request(id)
        if request is not None and session_status is not None:
            await self.update_session(request.session_id, status=session_status)
        return await super().reject_request(id, rejected_by, reason)


@breaks("APR-7")
class ExpiresOneSession(Delegating):
    """Sets the status of the session of the first request that it expires, and of no other."""

    async def expire_approvals(self, now=None, *, session_status=None):
        expired = await super().expire_approvals(now)
        if session_status is not None and expired:
            await self.update_session(expired[0].session_id, status=session_status)
        return expired


@breaks("APR-7")
class ExpiresAllSessionsThatWait(Delegating):
    """Sets the status of all sessions that have a request when it expires some."""

    async def expire_approvals(self, now=None, *, session_status=None):
        expired = await super().expire_approvals(now, session_status=session_status)
        for request in await self.list_approval_requests() if session_status is not None else ():
            await self.update_session(request.session_id, status=session_status)
        return expired


@breaks("APR-7")
class LeavesTheTimeOfTheSession(PutsBack):
    """Leaves `updated_at` of the session as it was when a decision sets its status."""

    async def approve_request(self, id, approved_by, notes=None, *, session_status=None):
        request = await self.get_approval_request(id)
        before = None if request is None else await self.get_session(request.session_id)
        decided = await super().approve_request(id, approved_by, notes, session_status=session_status)
        if session_status is not None:
            status = (await self.get_session(decided.session_id)).status
            await self.put_back(decided.session_id, attrs.evolve(before, status=status))
        return decided


@breaks("APR-7")
class TheLoserSetsTheStatus(Delegating):
    """Sets the status of the session after the decision, even if that was refused because another was faster."""

    async def reject_request(self, id, rejected_by, reason=None, *, session_status=None):
        try:
            return await super().reject_request(id, rejected_by, reason)
        finally:
            request = await self.get_approval_request(id)
            if session_status is not None and request is not None:
                with suppress(NotFoundError, ConflictError):
                    await self.update_session(request.session_id, status=session_status)
