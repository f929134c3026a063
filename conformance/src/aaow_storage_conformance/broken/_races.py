"""Races of two callers: something is checked or read, and written after another has changed it."""

import asyncio

import attrs

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    ApprovalStatus,
    LLMExecution,
    NotFoundError,
    Session,
    StoredWorkflow,
)
from aaow_storage import now as present
from aaow_storage.authoring import apply_changes, has_run_out
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken
from aaow_storage_memory import MemoryAdapter


@breaks("OPS-2")
class ChecksThenInserts(MemoryAdapter):
    """Checks whether an id is free and then inserts, without a lock between the two."""

    async def create_budget_pool(self, pool):
        if await self.get_budget_pool(pool.id) is not None:
            raise AlreadyExistsError("budget_pool", pool.id)
        await asyncio.sleep(0)
        async with self._writing() as tables:
            tables.check_parent(type(pool), pool.parent_pool_id)
            tables.put(pool.id, pool)


@breaks("OPS-2")
class LogsTwiceAtOnce(MemoryAdapter):
    """Accepts a second log of an id as a retry if both come at the same time."""

    async def log_tool_call(self, log):
        known = self._store.tables.get(type(log), log.id)
        await asyncio.sleep(0)
        try:
            await super().log_tool_call(log)
        except AlreadyExistsError:
            if known is not None:
                raise


@breaks("OPS-4")
class WritesBackWholeWorkflows(Delegating):
    """Reads a workflow, changes it, and saves all of it, over changes made meanwhile."""

    async def update_workflow(self, id, /, **changes):
        stored = await self.get_workflow(id)
        if stored is None:
            raise NotFoundError("workflow", id)
        changed = apply_changes(stored, changes)
        await self.save_workflow(changed)
        return changed


@breaks("OPS-4")
class WritesBackWholePools(Delegating):
    """Reads a pool, and writes all of its fields to update one."""

    async def update_budget_pool(self, id, /, **changes):
        stored = await self.get_budget_pool(id)
        if stored is not None:
            whole = {"total_budget": stored.total_budget, "used_budget": stored.used_budget, "status": stored.status}
            changes = {**whole, **changes}
        return await super().update_budget_pool(id, **changes)


@breaks("OPS-4")
class WritesBackWholeRequests(Delegating):
    """Reads a request, and writes all of its fields to update one."""

    async def update_approval_request(self, id, /, **changes):
        stored = await self.get_approval_request(id)
        if stored is not None and "status" not in changes:
            changes = {"context": stored.context, "expires_at": stored.expires_at, **changes}
        return await super().update_approval_request(id, **changes)


@breaks("OPS-4")
class WritesBackWholeSessions(Delegating):
    """Reads a session, and writes all of its fields to update one."""

    async def update_session(self, id, /, **changes):
        stored = await self.get_session(id)
        if stored is not None:
            changes = {"status": stored.status, "metadata": stored.metadata, **changes}
        return await super().update_session(id, **changes)


@breaks("OPS-8")
class TakesInOrphans(MemoryAdapter):
    """Checks the session of an execution and then saves, although the session may be gone by then."""

    async def save_llm_execution(self, session_id, node_id, result):
        if await self.get_session(session_id) is None:
            raise NotFoundError("session", session_id)
        fields = {field.name: getattr(result, field.name) for field in attrs.fields(type(result))}
        async with self._writing() as tables:
            tables.put(result.id, LLMExecution(session_id=session_id, node_id=node_id, **fields))


@breaks("OPS-5")
class DeletesWhatIsGoneAtOnce(Delegating):
    """Checks for a record and then deletes it, without noticing that another has deleted it meanwhile."""

    async def delete_session(self, id):
        was_there = await self.get_session(id) is not None
        try:
            await super().delete_session(id)
        except NotFoundError:
            if not was_there:
                raise


@breaks("OPS-5")
class BringsBackTheDeleted(MemoryAdapter):
    """Reads a workflow to update it, and stores it again although it was deleted meanwhile."""

    async def update_workflow(self, id, /, **changes):
        stored = await self.get_workflow(id)
        try:
            return await super().update_workflow(id, **changes)
        except NotFoundError:
            if stored is None:
                raise
            changed = apply_changes(stored, changes)
            await self.save_workflow(changed)
            return changed


@breaks("WFL-1")
class KeepsTheIdOfAWorkflowThatGoes(MemoryAdapter):
    """Checks the workflow of a session and then creates it, although the workflow may be gone by then."""

    async def create_session(self, session):
        if session.workflow_id is not None and self._store.tables.get(StoredWorkflow, session.workflow_id) is not None:
            await super().create_session(attrs.evolve(session, workflow_id=None))
            async with self._writing() as tables:
                stored = tables.get(type(session), session.id)
                if stored is not None:
                    tables.put(session.id, attrs.evolve(stored, workflow_id=session.workflow_id))
        else:
            await super().create_session(session)


@breaks("APR-3")
class SweepsTogether(MemoryAdapter):
    """Returns all requests that had expired, even those that another call expired meanwhile."""

    async def expire_approvals(self, now=None):
        at = present() if now is None else now
        requests = self._store.tables.all(ApprovalRequest, status=ApprovalStatus.PENDING)
        found = {request.id for request in requests if has_run_out(request, at)}
        await asyncio.sleep(0)
        expired = await super().expire_approvals(now)
        missed = found - {request.id for request in expired}
        return expired + [self._store.tables.get(ApprovalRequest, each) for each in sorted(missed)]


@breaks("TXN-8")
class LosesWritesInOppositeOrders(BeginsBroken):
    """Loses one of two increments by transactions that began at the same time."""

    class Broken(DelegatingTransaction):
        async def get_session(self, id):
            found = await super().get_session(id)
            known = _counted.pop(id, None)
            if found is not None:
                _counted[id] = found
            return known if id == "b" and known is not None else found


_counted: dict[str, Session] = {}


@breaks("TXN-8")
class WritesBackWhatATransactionRead(BeginsBroken):
    """Writes the fields that an update does not name as a transaction first read them."""

    class Broken(DelegatingTransaction):
        async def get_workflow(self, id):
            found = await super().get_workflow(id)
            if found is not None:
                _read.setdefault(id, found)
            return found

        async def update_workflow(self, id, /, **changes):
            known = _read.get(id)
            if known is not None and "name" not in changes and set(changes) == {"version"}:
                changes = {"name": known.name, **changes}
            return await super().update_workflow(id, **changes)


_read: dict[str, StoredWorkflow] = {}
