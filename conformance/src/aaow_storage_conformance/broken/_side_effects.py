"""Mistakes with side effects: fields that change as well, and records that are overlooked."""

from decimal import Decimal

import attrs

from aaow_storage import (
    ApprovalRequest,
    BudgetExceededError,
    BudgetPool,
    BudgetPoolStatus,
    ConflictError,
    WorkflowExecutionState,
)
from aaow_storage_conformance.broken._budgets import ReadsAncestors
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


@breaks("APR-3")
class SweepsNotesAway(MemoryAdapter):
    """Clears the notes of a request that it expires."""

    async def expire_approvals(self, now=None):
        expired = [attrs.evolve(each, resolution_notes=None) for each in await super().expire_approvals(now)]
        for request in expired:
            self._store.tables.put(request.id, request)
        return expired


@breaks("APR-1")
class KeepsNotesWhereNoneAreGiven(MemoryAdapter):
    """Keeps the old notes of a request that is decided without notes."""

    async def approve_request(self, id, approved_by, notes=None):
        before = await self.get_approval_request(id)
        approved = await super().approve_request(id, approved_by, notes)
        kept = attrs.evolve(approved, resolution_notes=notes if notes is not None else before.resolution_notes)
        self._store.tables.put(id, kept)
        return await self.get_approval_request(id)


@breaks("APR-1")
class TakesAnEmptyNoteForNone(Delegating):
    """Stores an empty note as None."""

    async def reject_request(self, id, rejected_by, reason=None):
        return await super().reject_request(id, rejected_by, reason or None)


@breaks("BUD-4")
class OverlooksSuspendedChildren(MemoryAdapter):
    """Checks only for active children before it deletes a pool."""

    async def delete_budget_pool(self, id):
        try:
            await super().delete_budget_pool(id)
        except ConflictError:
            children = self._store.tables.all(BudgetPool, parent_pool_id=id)
            if any(child.status is BudgetPoolStatus.ACTIVE for child in children):
                raise
            self._store.tables.remove(BudgetPool, id)


@breaks("BUD-1")
class BlamesTheRoot(ReadsAncestors):
    """Names the farthest, not the nearest, of several pools with too little left."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError as error:
            for pool in reversed(await self.ancestors(pool_id)):
                if pool.remaining_budget < Decimal(str(amount)):
                    raise BudgetExceededError(error.reason, pool) from error
            raise


@breaks("SES-3")
class LeavesWhatWasDecided(MemoryAdapter):
    """Deletes only the pending requests of a deleted session."""

    async def delete_session(self, id):
        requests = self._store.tables.all(ApprovalRequest, session_id=id) if isinstance(id, str) else []
        await super().delete_session(id)
        for request in requests:
            if request.status in {"approved", "expired"}:
                self._store.tables.put(request.id, request)


@breaks("OPS-4")
class KnowsWhichStatusMayFollow(Delegating):
    """Refuses to set a failed session to running."""

    async def update_session(self, id, /, **changes):
        before = await self.get_session(id) if changes.get("status") == "running" else None
        if before is not None and before.status == "failed":
            raise ConflictError("the session has failed", before)
        return await super().update_session(id, **changes)


@breaks("STA-1")
class SavesNoSkippedNodes(Delegating):
    """Does not save the skipped nodes of a state."""

    async def save_execution_state(self, state):
        if type(state) is WorkflowExecutionState:
            nodes = {name: node for name, node in state.node_states.items() if node.status != "skipped"}
            state = attrs.evolve(state, node_states=nodes)
        await super().save_execution_state(state)
