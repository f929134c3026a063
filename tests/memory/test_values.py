"""Stored values are copies: callers and the store share nothing, and every copy is validated again."""

import asyncio
from contextvars import Context

import attrs
import pytest

from aaow_storage import (
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage.errors import ValidationError
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._tables import Tables

pytestmark = pytest.mark.asyncio


def a_workflow(**changes: object) -> StoredWorkflow:
    return StoredWorkflow(**{"id": "w", "name": "n", "version": "1", "definition": {"nodes": []}, **changes})


async def test_a_change_to_an_argument_during_the_operation_has_no_effect(storage: StorageAdapter):
    saved, named = a_workflow(), {"k": "v"}
    await storage.save_workflow(a_workflow(id="updated"))
    async with storage.transaction():
        saving = asyncio.create_task(storage.save_workflow(saved), context=Context())
        updating = asyncio.create_task(storage.update_workflow("updated", metadata=named), context=Context())
        await asyncio.sleep(0)
        saved.definition["nodes"].append("late")
        named["late"] = True
    await saving
    assert (await updating).metadata == {"k": "v"}
    found = await storage.get_workflow("w")
    assert found is not None
    assert found.definition == {"nodes": []}


@pytest.mark.parametrize("value", [object(), float("nan"), (1, 2), {1: 2}, "\ud800"])
async def test_a_document_made_invalid_after_its_record_was_built_is_refused(storage: StorageAdapter, value: object):
    workflow = a_workflow()
    workflow.definition["spoilt"] = value
    with pytest.raises(ValidationError, match=r"^StoredWorkflow\.definition\.spoilt"):
        await storage.save_workflow(workflow)
    assert await storage.get_workflow("w") is None


async def test_a_document_that_contains_itself_is_refused(storage: StorageAdapter):
    workflow = a_workflow()
    workflow.definition["nodes"].append(workflow.definition)
    with pytest.raises(ValidationError, match="deep"):
        await storage.save_workflow(workflow)


@pytest.mark.parametrize("state", ["junk", {"node_id": "n"}, NodeExecutionState(node_id="other")])
async def test_node_states_made_invalid_after_the_build_are_refused(storage: StorageAdapter, state: object):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    states = WorkflowExecutionState(session_id="s", status="running")
    states.node_states["n"] = state
    with pytest.raises(ValidationError, match="node_states"):
        await storage.save_execution_state(states)
    assert await storage.get_execution_state("s") is None


@pytest.mark.parametrize("value", [(1, 2), "text", 7, [1], a_workflow()])
async def test_an_update_to_a_value_of_another_type_is_refused(storage: StorageAdapter, value: object):
    await storage.save_workflow(a_workflow())
    with pytest.raises(ValidationError, match=r"StoredWorkflow\.definition"):
        await storage.update_workflow("w", definition=value)
    found = await storage.get_workflow("w")
    assert found is not None
    assert found.definition == {"nodes": []}


async def test_a_record_of_a_subclass_is_stored_as_its_base_record(storage: StorageAdapter):
    @attrs.frozen(kw_only=True)
    class LabelledWorkflow(StoredWorkflow):
        label: str

    plain = a_workflow()
    fields = {field.name: getattr(plain, field.name) for field in attrs.fields(StoredWorkflow)}
    await storage.save_workflow(LabelledWorkflow(**fields, label="x"))
    assert await storage.get_workflow("w") == plain

    call = ToolCall(tool_call_id="t", tool_name="n", args={})
    logged = ToolCallLog(execution_id="e", tool_call_id="t", tool_name="n", args={})
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    await storage.save_llm_execution("s", "n", LLMExecutionResult(id="e", tool_calls=[logged]))
    (execution,) = await storage.get_llm_executions("s")
    assert execution.tool_calls == (call,)
    await storage.save_llm_execution("s", "other", execution)
    (moved,) = await storage.get_llm_executions("s")
    assert moved == attrs.evolve(execution, node_id="other")


async def test_a_removed_record_leaves_nothing_in_the_tables():
    async with MemoryAdapter() as storage:
        await storage.save_workflow(a_workflow())
        async with storage.transaction() as transaction:
            await transaction.delete_workflow("w")
            async with transaction.savepoint():
                await transaction.save_workflow(a_workflow(id="brief"))
                await transaction.delete_workflow("brief")
        assert storage._store.tables._changes.records[StoredWorkflow] == {}


async def test_changes_over_tables_hide_records_below_until_they_are_dropped():
    tables, workflow = Tables(), a_workflow()
    tables.put("w", workflow)
    changes = tables.on_top()
    changes.remove(StoredWorkflow, "w")
    assert changes.on_top().get(StoredWorkflow, "w") is None
    assert changes.on_top().all(StoredWorkflow) == []
    assert tables.all(StoredWorkflow, name="n") == [workflow]


async def test_records_of_a_session_are_found_without_reading_those_of_others(monkeypatch: pytest.MonkeyPatch):
    async with MemoryAdapter() as storage:
        for session_id in ("s", "other"):
            await storage.create_session(Session(id=session_id, workflow_id=None, workflow_snapshot={}))
            for number in range(3):
                result = LLMExecutionResult(id=f"{session_id}{number}")
                await storage.save_llm_execution(session_id, "n", result)
                log = ToolCallLog(execution_id=result.id, tool_call_id="t", tool_name="n", args={})
                await storage.log_tool_call(log)
        monkeypatch.delattr(Tables, "_everything")
        assert [each.id for each in await storage.get_llm_executions("s")] == ["s0", "s1", "s2"]
        assert len(await storage.get_node_llm_executions("s", "n")) == 3
        assert len(await storage.get_session_tool_calls("s")) == 3
        async with storage.transaction() as transaction:
            await transaction.save_llm_execution("other", "n", LLMExecutionResult(id="s1"))
            async with transaction.savepoint():
                await transaction.save_llm_execution("s", "n", LLMExecutionResult(id="other0"))
                assert {each.id for each in await transaction.get_llm_executions("s")} == {"s0", "s2", "other0"}
            assert {each.id for each in await transaction.get_llm_executions("other")} == {"other1", "other2", "s1"}
        assert {each.id for each in await storage.get_llm_executions("s")} == {"s0", "s2", "other0"}
        await storage.delete_session("s")
        assert await storage.get_llm_executions("s") == []
        assert len(await storage.get_llm_executions("other")) == 3
