"""The suite catches backends that are broken, one plausible mistake at a time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AlreadyExistsError,
    NotFoundError,
    StorageUnavailableError,
    TokenUsage,
    ValidationError,
    now,
)
from aaow_storage_memory import MemoryAdapter

MUTANTS: list[Any] = []


def breaks(*clauses: str) -> Callable[[type], type]:
    """List an adapter as one that breaks the clauses."""

    def add(mutant: type) -> type:
        MUTANTS.extend(pytest.param(clause, mutant, id=f"{clause}-{mutant.__name__}") for clause in clauses)
        return mutant

    return add


@breaks("REC-1", "REC-2")
class TakesAnyId(MemoryAdapter):
    async def get_workflow(self, id):
        try:
            return await super().get_workflow(id)
        except ValidationError:
            return None


@breaks("REC-1", "REC-4")
class StoresWithoutChecking(MemoryAdapter):
    async def save_workflow(self, workflow):
        try:
            await super().save_workflow(workflow)
        except ValidationError:
            await super().save_workflow(attrs.evolve(workflow, definition={}, metadata=None))


@breaks("REC-2")
class FoldsCase(MemoryAdapter):
    async def create_session(self, session):
        if any(session.id.lower() == other.id.lower() for other in await self.list_sessions()):
            raise AlreadyExistsError("session", session.id)
        await super().create_session(session)


@breaks("REC-2")
class StripsIds(MemoryAdapter):
    async def get_workflow(self, id):
        return await super().get_workflow(id.strip() or id)


@breaks("REC-3", "LLM-3")
class CutsInstantsToMilliseconds(MemoryAdapter):
    async def save_llm_execution(self, session_id, node_id, result):
        at = result.timestamp
        cut = at.replace(microsecond=at.microsecond // 1000 * 1000)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, timestamp=cut))


@breaks("REC-4")
class LosesFalsyDocuments(MemoryAdapter):
    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, attrs.evolve(state, output=state.output or None))


@breaks("REC-4")
class SortsKeys(MemoryAdapter):
    async def save_workflow(self, workflow):
        await super().save_workflow(attrs.evolve(workflow, definition=dict(sorted(workflow.definition.items()))))


@breaks("REC-4")
class LosesEmptyObjects(MemoryAdapter):
    async def create_session(self, session):
        await super().create_session(attrs.evolve(session, metadata=session.metadata or None))


@breaks("REC-4", "SES-2")
class SharesEqualSnapshots(MemoryAdapter):
    async def create_session(self, session):
        for other in [*await self.list_workflows(), *await self.list_sessions()]:
            document = getattr(other, "definition", None) or getattr(other, "workflow_snapshot", None)
            if document == session.workflow_snapshot:
                session = attrs.evolve(session, workflow_snapshot=document)
        await super().create_session(session)


@breaks("REC-5")
class StoresEmptyTextAsNull(MemoryAdapter):
    async def log_tool_call(self, log):
        await super().log_tool_call(attrs.evolve(log, error=log.error or None))


@breaks("REC-6")
class HandsOutItsOwnRecords(MemoryAdapter):
    async def get_session(self, id):
        held = vars(self).setdefault("held", {})
        found = await super().get_session(id)
        return found if found is None else held.setdefault(found.id, found)


@breaks("REC-6")
class KeepsWhatItWasGiven(MemoryAdapter):
    async def save_workflow(self, workflow):
        await super().save_workflow(workflow)
        vars(self).setdefault("given", {})[workflow.id] = workflow

    async def get_workflow(self, id):
        found = await super().get_workflow(id)
        given = vars(self).get("given", {}).get(id)
        return found if found is None or given is None else attrs.evolve(found, definition=given.definition)


@breaks("REC-7")
class LimitsDocuments(MemoryAdapter):
    async def log_tool_call(self, log):
        if len(repr(log.result)) > 1_000_000:
            raise ValidationError("ToolCallLog", "result", "is too long")
        await super().log_tool_call(log)


@breaks("REC-7")
class LimitsNesting(MemoryAdapter):
    async def save_workflow(self, workflow):
        if "inner" in workflow.definition and repr(workflow.definition).count("[") > 60:
            raise ValidationError("StoredWorkflow", "definition", "nests too deep")
        await super().save_workflow(workflow)


@breaks("REC-8")
class CountsInFloats(MemoryAdapter):
    async def get_budget_pool(self, id):
        pool = await super().get_budget_pool(id)
        children = await self.get_child_budget_pools(id)
        drifted = 0.0
        while children and drifted < float(pool.used_budget) - 0.05:
            drifted += 0.1
        return attrs.evolve(pool, used_budget=Decimal(f"{drifted:.15g}")) if children else pool


@breaks("REC-8")
class KeepsSixDecimals(MemoryAdapter):
    async def create_budget_pool(self, pool):
        await super().create_budget_pool(attrs.evolve(pool, total_budget=round(pool.total_budget, 6)))


@breaks("OPS-1")
class RaisesOnWhatIsMissing(MemoryAdapter):
    async def get_budget_pool(self, id):
        found = await super().get_budget_pool(id)
        if found is None:
            raise NotFoundError("budget_pool", id)
        return found


@breaks("OPS-1")
class ListsGrandchildren(MemoryAdapter):
    async def get_child_budget_pools(self, parent_id, filter=None):
        children = await super().get_child_budget_pools(parent_id, filter)
        return [*children, *[pool for child in children for pool in await self.get_child_budget_pools(child.id)]]


@breaks("OPS-2")
class InsertsOrReplaces(MemoryAdapter):
    async def create_budget_pool(self, pool):
        if await self.get_budget_pool(pool.id) is not None:
            await self.delete_budget_pool(pool.id)
        await super().create_budget_pool(pool)


@breaks("OPS-2")
class InsertsOrIgnores(MemoryAdapter):
    async def log_tool_call(self, log):
        with suppress(AlreadyExistsError):
            await super().log_tool_call(log)


@breaks("OPS-3")
class SavesOnlyWhatIsNotNone(MemoryAdapter):
    async def save_workflow(self, workflow):
        old = await self.get_workflow(workflow.id)
        if old is not None and workflow.metadata is None:
            workflow = attrs.evolve(workflow, metadata=old.metadata)
        await super().save_workflow(workflow)


@breaks("OPS-3", "WFL-1")
class ReplacesByDeletingFirst(MemoryAdapter):
    async def save_workflow(self, workflow):
        if await self.get_workflow(workflow.id) is not None:
            await self.delete_workflow(workflow.id)
        await super().save_workflow(workflow)


@breaks("OPS-3")
class KeepsTheFirstCreationTime(MemoryAdapter):
    async def save_workflow(self, workflow):
        old = await self.get_workflow(workflow.id)
        await super().save_workflow(workflow if old is None else attrs.evolve(workflow, created_at=old.created_at))


@breaks("OPS-4")
class IgnoresUnknownFields(MemoryAdapter):
    async def update_workflow(self, id, **changes):
        known = {"name", "version", "definition", "metadata", "updated_at"}
        return await super().update_workflow(id, **{name: changes[name] for name in changes if name in known})


@breaks("OPS-4")
class TakesNoneForNotNamed(MemoryAdapter):
    async def update_session(self, id, **changes):
        return await super().update_session(id, **{name: new for name, new in changes.items() if new is not None})


@breaks("OPS-4")
class ClearsWhatIsNotNamed(MemoryAdapter):
    async def update_budget_pool(self, id, **changes):
        return await super().update_budget_pool(id, **{"metadata": None, **changes})


@breaks("OPS-4")
class NeverStampsUpdates(MemoryAdapter):
    async def update_workflow(self, id, **changes):
        old = await self.get_workflow(id)
        kept = {} if old is None else {"updated_at": old.updated_at}
        return await super().update_workflow(id, **{**kept, **changes})


@breaks("OPS-4")
class AlwaysStampsUpdates(MemoryAdapter):
    async def update_session(self, id, **changes):
        return await super().update_session(id, **{**changes, "updated_at": now()})


@breaks("OPS-4")
class UpdatesWhatItCan(MemoryAdapter):
    async def update_workflow(self, id, **changes):
        updated = await self.get_workflow(id)
        for name, new in changes.items() or [("metadata", updated and updated.metadata)]:
            updated = await super().update_workflow(id, **{name: new})
        return updated


@breaks("OPS-4", "OPS-5")
class UpdatesAndDeletesNothingInSilence(MemoryAdapter):
    async def update_session(self, id, **changes):
        try:
            return await super().update_session(id, **changes)
        except NotFoundError:
            return None

    async def delete_session(self, id):
        with suppress(NotFoundError):
            await super().delete_session(id)


@breaks("OPS-6", "STA-2")
class SavesStatesNodeByNode(MemoryAdapter):
    async def save_execution_state(self, state):
        await super().save_execution_state(attrs.evolve(state, node_states={}))
        for node_id, node in state.node_states.items():
            await asyncio.sleep(0)
            await self.update_node_state(state.session_id, node_id, node)


@breaks("OPS-6")
class DeletesSessionsInSteps(MemoryAdapter):
    async def delete_session(self, id):
        for child in await self.list_sessions():
            await asyncio.sleep(0)
            if child.id == id:
                await super().delete_session(id)
                await super().create_session(child)
                await asyncio.sleep(0)
        await super().delete_session(id)


@breaks("OPS-6")
class ConsumesOnePoolAtATime(MemoryAdapter):
    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is not None and pool.parent_pool_id is not None:
            await self.consume_budget(pool.parent_pool_id, amount)
            await asyncio.sleep(0)
            return await self.update_budget_pool(pool_id, used_budget=pool.used_budget + Decimal(str(amount)))
        return await super().consume_budget(pool_id, amount)


@breaks("OPS-7")
class WritesBehind(MemoryAdapter):
    async def save_workflow(self, workflow):
        self.writing = asyncio.create_task(super().save_workflow(workflow))


@breaks("OPS-7")
class CachesWhatItRead(MemoryAdapter):
    async def get_execution_state(self, session_id):
        cache = vars(self).setdefault("cache", {})
        if session_id not in cache:
            cache[session_id] = await super().get_execution_state(session_id)
        return cache[session_id]


@breaks("OPS-8")
class SwallowsOrphans(MemoryAdapter):
    async def log_tool_call(self, log):
        with suppress(NotFoundError):
            await super().log_tool_call(log)


@breaks("OPS-8")
class CreatesMissingSessions(MemoryAdapter):
    async def save_execution_state(self, state):
        try:
            await super().save_execution_state(state)
        except NotFoundError as error:
            raise NotFoundError("execution_state", error.id) from error


@breaks("OPS-8")
class ChecksPlainValues(MemoryAdapter):
    async def save_execution_state(self, state):
        if state.budget_pool_id is not None and await self.get_budget_pool(state.budget_pool_id) is None:
            raise NotFoundError("budget_pool", state.budget_pool_id)
        await super().save_execution_state(state)


@breaks("WFL-1")
class DeletesSessionsOfWorkflows(MemoryAdapter):
    async def delete_workflow(self, id):
        for session in await self.list_sessions():
            if session.workflow_id == id:
                await self.delete_session(session.id)
        await super().delete_workflow(id)


@breaks("WFL-1")
class RefusesToDeleteUsedWorkflows(MemoryAdapter):
    async def delete_workflow(self, id):
        if any(session.workflow_id == id for session in await self.list_sessions()):
            raise ValidationError("delete_workflow", "id", "has sessions")
        await super().delete_workflow(id)


@breaks("SES-1")
class IgnoresImmutableFields(MemoryAdapter):
    async def update_session(self, id, **changes):
        mutable = {"status", "metadata", "updated_at"}
        return await super().update_session(id, **{name: changes[name] for name in changes if name in mutable})


@breaks("SES-2")
class LooksSnapshotsUp(MemoryAdapter):
    async def get_session(self, id):
        session = await super().get_session(id)
        workflow = session and session.workflow_id and await self.get_workflow(session.workflow_id)
        return attrs.evolve(session, workflow_snapshot=workflow.definition) if workflow else session


@breaks("SES-3")
class DeletesChildSessions(MemoryAdapter):
    async def delete_session(self, id):
        children = [session.id for session in await self.list_sessions() if session.parent_session_id == id]
        await super().delete_session(id)
        for child in children:
            await self.delete_session(child)


@breaks("SES-3")
class LeavesToolCallsBehind(MemoryAdapter):
    async def log_tool_call(self, log):
        await super().log_tool_call(log)
        vars(self).setdefault("logs", []).append(log)

    async def get_tool_calls(self, execution_id, filter=None):
        found = await super().get_tool_calls(execution_id, filter)
        return found or [log for log in vars(self).get("logs", []) if log.execution_id == execution_id]


@breaks("SES-3")
class LeavesApprovalsBehind(MemoryAdapter):
    async def create_approval_request(self, request):
        await super().create_approval_request(request)
        vars(self).setdefault("asked", {})[request.id] = request

    async def get_approval_request(self, id):
        return await super().get_approval_request(id) or vars(self).get("asked", {}).get(id)


@breaks("STA-1")
class ReplacesAllNodes(MemoryAdapter):
    async def save_execution_state(self, state):
        await super().save_execution_state(state)
        vars(self).setdefault("carried", {})[state.session_id] = set(state.node_states)

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        carried = vars(self).get("carried", {}).get(session_id)
        if state is None or carried is None:
            return state
        kept = {node_id: node for node_id, node in state.node_states.items() if node_id in carried}
        return attrs.evolve(state, node_states=kept)


@breaks("STA-1")
class KeepsClearedStateFields(MemoryAdapter):
    async def save_execution_state(self, state):
        old = await self.get_execution_state(state.session_id)
        if old is not None and state.current_node_id is None:
            state = attrs.evolve(state, current_node_id=old.current_node_id)
        await super().save_execution_state(state)


@breaks("STA-2")
class ReadsStatesInTwoSteps(MemoryAdapter):
    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        await asyncio.sleep(0)
        later = await super().get_execution_state(session_id)
        return None if state is None or later is None else attrs.evolve(state, node_states=later.node_states)


@breaks("STA-3")
class KeepsOldNodeErrors(MemoryAdapter):
    async def update_node_state(self, session_id, node_id, state):
        old = await self.get_execution_state(session_id)
        if old is not None and node_id in old.node_states and state.error is None:
            state = attrs.evolve(state, error=old.node_states[node_id].error)
        await super().update_node_state(session_id, node_id, state)


@breaks("STA-3")
class StoresANodeUnderWhateverId(MemoryAdapter):
    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, attrs.evolve(state, node_id=node_id))


@breaks("STA-3")
class UpdatesOnlyKnownNodes(MemoryAdapter):
    async def update_node_state(self, session_id, node_id, state):
        old = await self.get_execution_state(session_id)
        if old is None or node_id in old.node_states:
            await super().update_node_state(session_id, node_id, state)


@breaks("LLM-1")
class ReportsZeroUsage(MemoryAdapter):
    async def save_llm_execution(self, session_id, node_id, result):
        nothing = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, usage=result.usage or nothing))


@breaks("LLM-1")
class AddsTotalsUp(MemoryAdapter):
    async def save_llm_execution(self, session_id, node_id, result):
        usage = result.usage
        if usage is not None and usage.prompt_tokens < 1000:
            usage = attrs.evolve(usage, total_tokens=usage.prompt_tokens + usage.completion_tokens)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, usage=usage))


@breaks("LLM-2")
class TakesUnfinishedForFailed(MemoryAdapter):
    async def save_llm_execution(self, session_id, node_id, result):
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, success=bool(result.success)))


@breaks("LLM-2")
class InsertsExecutionsOnce(MemoryAdapter):
    async def save_llm_execution(self, session_id, node_id, result):
        if any(result.id == made.id for made in await self.get_llm_executions(session_id)):
            raise AlreadyExistsError("llm_execution", result.id)
        await super().save_llm_execution(session_id, node_id, result)


@breaks("LLM-3")
class OrdersByTimeAlone(MemoryAdapter):
    async def list_approval_requests(self, session_id, filter=None):
        found = (await super().list_approval_requests(session_id, filter))[::-1]
        return sorted(found, key=lambda request: request.created_at)


@breaks("LLM-3")
class OrdersIdsAsUTF16(MemoryAdapter):
    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        return sorted(found, key=lambda log: (log.timestamp, log.id.encode("utf-16-be")))


@breaks("TOO-1")
class BindsEveryExecution(MemoryAdapter):
    async def get_session_tool_calls(self, session_id, filter=None):
        if len(await self.get_llm_executions(session_id)) > 999:
            raise StorageUnavailableError("too many SQL variables")
        return await super().get_session_tool_calls(session_id, filter)


@pytest.mark.parametrize(("clause", "mutant"), MUTANTS)
def test_a_broken_backend_is_caught(clause: str, mutant: type, first_failure: Callable[..., str | None]):
    assert first_failure(clause, mutant) is not None
