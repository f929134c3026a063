"""Mistakes with the verbs: get, create, save, update and delete."""

import asyncio
from contextlib import suppress
from decimal import Decimal

import attrs

from aaow_storage import AlreadyExistsError, NotFoundError, now
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("OPS-1")
class RaisesOnWhatIsMissing(Delegating):
    """Raises if a getter finds nothing."""

    async def get_budget_pool(self, id):
        found = await super().get_budget_pool(id)
        if found is None:
            raise NotFoundError("budget_pool", id)
        return found


@breaks("OPS-1")
class ListsGrandchildren(Delegating):
    """Lists grandchildren among the children."""

    async def get_child_budget_pools(self, parent_id, filter=None):
        children = await super().get_child_budget_pools(parent_id, filter)
        return [*children, *[pool for child in children for pool in await self.get_child_budget_pools(child.id)]]


@breaks("OPS-1")
class ListsNone(Delegating):
    """Returns None in place of an empty list."""

    async def get_tool_calls(self, execution_id, filter=None):
        return await super().get_tool_calls(execution_id, filter) or None


@breaks("OPS-2")
class InsertsOrReplaces(Delegating):
    """Replaces a record whose id exists."""

    async def create_budget_pool(self, pool):
        if await self.get_budget_pool(pool.id) is not None:
            await self.delete_budget_pool(pool.id)
        await super().create_budget_pool(pool)


@breaks("OPS-2")
class InsertsOrIgnores(Delegating):
    """Ignores a record whose id exists, without an error."""

    async def log_tool_call(self, log):
        with suppress(AlreadyExistsError):
            await super().log_tool_call(log)


@breaks("OPS-2")
class InsertsTheSameTwice(Delegating):
    """Accepts a second insert of an equal record as a retry."""

    async def create_session(self, session):
        if session != await self.get_session(session.id):
            await super().create_session(session)


@breaks("OPS-3")
class SavesOnlyWhatIsNotNone(Delegating):
    """Keeps the old value of a field if the new one is None."""

    async def save_workflow(self, workflow):
        old = await self.get_workflow(workflow.id)
        if old is not None and workflow.metadata is None:
            workflow = attrs.evolve(workflow, metadata=old.metadata)
        await super().save_workflow(workflow)


@breaks("OPS-3", "WFL-1")
class ReplacesByDeletingFirst(Delegating):
    """Deletes a record before it replaces it, so that deletes cascade."""

    async def save_workflow(self, workflow):
        if await self.get_workflow(workflow.id) is not None:
            await self.delete_workflow(workflow.id)
        await super().save_workflow(workflow)


@breaks("OPS-3")
class KeepsTheFirstCreationTime(Delegating):
    """Keeps the first `created_at` of a record that is saved again."""

    async def save_workflow(self, workflow):
        old = await self.get_workflow(workflow.id)
        await super().save_workflow(workflow if old is None else attrs.evolve(workflow, created_at=old.created_at))


@breaks("OPS-4")
class IgnoresUnknownFields(Delegating):
    """Ignores the unknown fields of an update."""

    async def update_workflow(self, id, /, **changes):
        known = {"name", "version", "definition", "metadata", "updated_at"}
        return await super().update_workflow(id, **{name: changes[name] for name in changes if name in known})


@breaks("OPS-4")
class TakesNoneForNotNamed(Delegating):
    """Treats a field that is named with None as not named."""

    async def update_session(self, id, /, **changes):
        return await super().update_session(id, **{name: new for name, new in changes.items() if new is not None})


@breaks("OPS-4")
class ClearsWhatIsNotNamed(Delegating):
    """Clears a field that an update does not name."""

    async def update_budget_pool(self, id, /, **changes):
        return await super().update_budget_pool(id, **{"metadata": None, **changes})


@breaks("OPS-4")
class NeverStampsUpdates(Delegating):
    """Does not set `updated_at` in an update."""

    async def update_workflow(self, id, /, **changes):
        old = await self.get_workflow(id)
        kept = {} if old is None else {"updated_at": old.updated_at}
        return await super().update_workflow(id, **{**kept, **changes})


@breaks("OPS-4")
class AlwaysStampsUpdates(Delegating):
    """Overwrites an `updated_at` that was named."""

    async def update_session(self, id, /, **changes):
        return await super().update_session(id, **{**changes, "updated_at": now()})


@breaks("OPS-4")
class UpdatesWhatItCan(Delegating):
    """Updates field by field, and keeps the first changes if a later one is wrong."""

    async def update_workflow(self, id, /, **changes):
        updated = await self.get_workflow(id)
        for name, new in changes.items() or [("metadata", updated and updated.metadata)]:
            updated = await super().update_workflow(id, **{name: new})
        return updated


@breaks("OPS-4", "OPS-5")
class UpdatesAndDeletesNothingInSilence(Delegating):
    """Raises no error if there is nothing to update or delete."""

    async def update_session(self, id, /, **changes):
        try:
            return await super().update_session(id, **changes)
        except NotFoundError:
            return None

    async def delete_session(self, id):
        with suppress(NotFoundError):
            await super().delete_session(id)


@breaks("OPS-5")
class DeletesNoPoolInSilence(Delegating):
    """Raises no error if there is no pool to delete."""

    async def delete_budget_pool(self, id):
        with suppress(NotFoundError):
            await super().delete_budget_pool(id)


@breaks("OPS-5")
class SaysDeletedWhatItDidNot(Delegating):
    """Names a session, not the workflow, in the error for a workflow that is missing."""

    async def delete_workflow(self, id):
        try:
            await super().delete_workflow(id)
        except NotFoundError as error:
            raise NotFoundError("session", error.id) from error


@breaks("OPS-6", "STA-2")
class SavesStatesNodeByNode(Delegating):
    """Saves each node of a state in a step of its own."""

    async def save_execution_state(self, state):
        await super().save_execution_state(attrs.evolve(state, node_states={}))
        for node_id, node in state.node_states.items():
            await asyncio.sleep(0)
            await self.update_node_state(state.session_id, node_id, node)


@breaks("OPS-6")
class DeletesSessionsInSteps(Delegating):
    """Deletes what belongs to a session, and then the session, in two steps."""

    async def delete_session(self, id):
        for child in await self.list_sessions():
            await asyncio.sleep(0)
            if child.id == id:
                await super().delete_session(id)
                await super().create_session(child)
                await asyncio.sleep(0)
        await super().delete_session(id)


@breaks("OPS-6")
class ConsumesOnePoolAtATime(Delegating):
    """Consumes from each ancestor in a step of its own."""

    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is not None and pool.parent_pool_id is not None:
            await self.consume_budget(pool.parent_pool_id, amount)
            await asyncio.sleep(0)
            return await self.update_budget_pool(pool_id, used_budget=pool.used_budget + Decimal(str(amount)))
        return await super().consume_budget(pool_id, amount)


@breaks("OPS-7")
class WritesBehind(Delegating):
    """Returns before it has written."""

    async def save_workflow(self, workflow):
        self.writing = asyncio.create_task(super().save_workflow(workflow))


@breaks("OPS-7")
class CachesWhatItRead(Delegating):
    """Reads a state once, and returns that from then on."""

    async def get_execution_state(self, session_id):
        cache = vars(self).setdefault("cache", {})
        if session_id not in cache:
            cache[session_id] = await super().get_execution_state(session_id)
        return cache[session_id]


@breaks("OPS-8")
class SwallowsOrphans(Delegating):
    """Ignores a tool call whose execution is missing, without an error."""

    async def log_tool_call(self, log):
        with suppress(NotFoundError):
            await super().log_tool_call(log)


@breaks("OPS-8")
class CreatesMissingSessions(Delegating):
    """Names the execution state, not the session, in the error for a missing session."""

    async def save_execution_state(self, state):
        try:
            await super().save_execution_state(state)
        except NotFoundError as error:
            raise NotFoundError("execution_state", error.id) from error


@breaks("OPS-8")
class ChecksPlainValues(Delegating):
    """Refuses a state whose `budget_pool_id` names no pool."""

    async def save_execution_state(self, state):
        if state.budget_pool_id is not None and await self.get_budget_pool(state.budget_pool_id) is None:
            raise NotFoundError("budget_pool", state.budget_pool_id)
        await super().save_execution_state(state)
