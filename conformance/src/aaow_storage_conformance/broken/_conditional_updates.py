"""Mistakes with updates that have a condition (`only_if`) or a patch."""

import asyncio
import copy

import attrs

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    ConflictError,
    ContentionError,
    Patch,
    Session,
    StoredWorkflow,
    now,
)
from aaow_storage.authoring import QUERY_FIELDS, apply_changes, check_only_if, plan_only_if
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("OPS-10")
class IgnoresConditions(Delegating):
    """Makes every update of a budget pool, whatever its condition."""

    async def update_budget_pool(self, id, /, *, only_if=None, **changes):
        plan_only_if("update_budget_pool", BudgetPool, only_if)
        return await super().update_budget_pool(id, **changes)


@breaks("OPS-10")
class ChecksConditionsBefore(Delegating):
    """Checks the condition on a record that it has read before the update."""

    async def update_session(self, id, /, *, only_if=None, **changes):
        condition = plan_only_if("update_session", Session, only_if)
        stored = await self.get_session(id)
        if stored is not None:
            check_only_if(stored, condition)
        await asyncio.sleep(0)
        return await super().update_session(id, **changes)


@breaks("OPS-10")
class StampsWithoutAnUpdate(Delegating):
    """Sets `updated_at` of a session, even if it does not meet the condition."""

    async def update_session(self, id, /, *, only_if=None, **changes):
        try:
            return await super().update_session(id, only_if=only_if, **changes)
        except ConflictError:
            await super().update_session(id, updated_at=now())
            raise


@breaks("OPS-10")
class ConflictsWithoutARecord(Delegating):
    """Says that a condition does not hold, but not what is stored."""

    async def update_workflow(self, id, /, *, only_if=None, **changes):
        try:
            return await super().update_workflow(id, only_if=only_if, **changes)
        except ConflictError as error:
            raise ConflictError(error.reason) from None


@breaks("OPS-10")
class MeetsAnyEntryOfACondition(Delegating):
    """Makes an update if one entry of its condition holds."""

    async def update_workflow(self, id, /, *, only_if=None, **changes):
        stored = await self.get_workflow(id)
        for name, value in (only_if or {}).items() if stored is not None and isinstance(only_if, dict) else ():
            condition = plan_only_if("update_workflow", StoredWorkflow, {name: value})
            if condition is not None and condition.matches(stored):
                only_if = {name: value}
        return await super().update_workflow(id, only_if=only_if, **changes)


@breaks("OPS-10")
class SkipsUnknownConditions(Delegating):
    """Ignores entries of a condition on fields that it does not know."""

    async def update_approval_request(self, id, /, *, only_if=None, **changes):
        known = QUERY_FIELDS[ApprovalRequest]
        if isinstance(only_if, dict):
            only_if = {name: value for name, value in only_if.items() if name in known or "." in name}
        return await super().update_approval_request(id, only_if=only_if, **changes)


@breaks("OPS-10")
class UpdatesADecidedRequestOnCondition(Delegating):
    """Returns a decided request unchanged, without an error, if it meets the condition."""

    async def update_approval_request(self, id, /, *, only_if=None, **changes):
        try:
            return await super().update_approval_request(id, only_if=only_if, **changes)
        except ConflictError as error:
            condition = plan_only_if("update_approval_request", ApprovalRequest, only_if)
            if condition is None or not condition.matches(error.current):
                raise
            return error.current


class _Patching(Delegating):
    """Applies patches of sessions as a subclass does."""

    def _patched(self, value, changes):
        return Patch(changes).applied_to(value)

    async def update_session(self, id, /, **changes):
        metadata = copy.deepcopy(changes.get("metadata"))
        stored = await self.get_session(id)
        if isinstance(metadata, Patch) and stored is not None:
            changes["metadata"] = self._patched(stored.metadata, metadata.changes)
        return await super().update_session(id, **changes)


@breaks("OPS-11")
class PatchesWhatItRead(_Patching):
    """Reads a record, patches it, and writes the result over patches made meanwhile."""


@breaks("OPS-11")
class PatchesTheTopAlone(_Patching):
    """Replaces the objects inside a patched object whole."""

    def _patched(self, value, changes):
        merged = {**(value or {}), **changes}
        return {key: part for key, part in merged.items() if key not in changes or part is not None}


@breaks("OPS-11")
class StoresTheNullsOfAPatch(_Patching):
    """Sets a key to null that a patch removes."""

    def _patched(self, value, changes):
        return {**Patch(changes).applied_to(value), **{key: None for key, part in changes.items() if part is None}}


@breaks("OPS-11")
class StoresThePatch(_Patching):
    """Stores the patch in place of the patched object."""

    def _patched(self, value, changes):
        return changes


@breaks("OPS-11")
class MovesPatchedKeys(_Patching):
    """Moves the keys that a patch sets to the end."""

    def _patched(self, value, changes):
        kept = {key: part for key, part in (value or {}).items() if key not in changes}
        patched = Patch(changes).applied_to(value)
        return {**kept, **{key: patched[key] for key in changes if key in patched}}


@breaks("OPS-11")
class PatchesNoNull(_Patching):
    """Leaves a field that is null as it is."""

    def _patched(self, value, changes):
        return None if value is None else Patch(changes).applied_to(value)


@breaks("OPS-11")
class MergesPatchedLists(Delegating):
    """Adds the items of a patch's list to the stored list."""

    async def update_budget_pool(self, id, /, **changes):
        metadata = changes.get("metadata")
        stored = await self.get_budget_pool(id)
        if isinstance(metadata, Patch) and stored is not None:
            old = stored.metadata or {}
            merged = {
                key: [*old[key], *part] if isinstance(part, list) and isinstance(old.get(key), list) else part
                for key, part in metadata.changes.items()
            }
            changes["metadata"] = attrs.evolve(metadata, changes=merged)
        return await super().update_budget_pool(id, **changes)


@breaks("OPS-10")
class LooksAtTheChangedRecord(Delegating):
    """Checks the condition on the record after the change."""

    async def update_session(self, id, /, *, only_if=None, **changes):
        stored = await self.get_session(id)
        if stored is None or only_if is None:
            return await super().update_session(id, only_if=only_if, **changes)
        check_only_if(apply_changes(stored, changes), plan_only_if("update_session", Session, only_if))
        return await super().update_session(id, **changes)


@breaks("OPS-10")
class ExpectsNoNulls(Delegating):
    """Ignores an entry of a condition that expects null."""

    async def update_budget_pool(self, id, /, *, only_if=None, **changes):
        if isinstance(only_if, dict):
            only_if = {name: value for name, value in only_if.items() if value is not None}
        return await super().update_budget_pool(id, only_if=only_if, **changes)


@breaks("OPS-10")
class SkipsUpdatesWithoutAChange(Delegating):
    """Leaves a record as it is that meets the condition of an update which names no field."""

    async def update_workflow(self, id, /, *, only_if=None, **changes):
        stored = await self.get_workflow(id)
        if stored is None or only_if is None or changes:
            return await super().update_workflow(id, only_if=only_if, **changes)
        check_only_if(stored, plan_only_if("update_workflow", StoredWorkflow, only_if))
        return stored


@breaks("ERR-2", "OPS-10")
class CallsAConditionThatFailsContention(Delegating):
    """Raises the error of a lost race if a record does not meet the condition of an update."""

    async def update_session(self, id, /, *, only_if=None, **changes):
        try:
            return await super().update_session(id, only_if=only_if, **changes)
        except ConflictError as error:
            raise ContentionError(error.reason, error.current) from None
