"""What PostgreSQL's maintenance finds in rows, repairs, measures and trims."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from aaow_storage import (
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
    maintenance_of,
)
from aaow_storage.authoring import RecordFinding

pytestmark = pytest.mark.asyncio
NOISE = random.Random(1).randbytes(4_000)
LONG = [{"role": "user", "content": NOISE.hex()}]
AT = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(storage: StorageAdapter) -> None:
    await storage.save_workflow(StoredWorkflow(id="w", name="w", version="1", definition={"nodes": [1]}))
    await storage.create_session(Session(id="s", workflow_id="w", workflow_snapshot={"of": "s"}))
    nodes = {"n": NodeExecutionState(node_id="n")}
    await storage.save_execution_state(WorkflowExecutionState(session_id="s", status="running", node_states=nodes))
    for number in range(3):
        result = LLMExecutionResult(id=f"e{number}", timestamp=AT, input=LONG * (number + 1), output=number)
        await storage.save_llm_execution("s", "n", result)
    await storage.log_tool_call(ToolCallLog(execution_id="e0", tool_call_id="c", tool_name="x", args={}))
    await storage.log_tool_call(ToolCallLog(session_id="s", node_id="n", tool_call_id="c", tool_name="x", args={}))
    for number in range(3):
        await storage.save_stream_event(
            StreamEvent(id=f"v{number}", stream_id="stream", node_id="n", data=number, session_id="s")
        )


async def found(url: str, *, repair: bool = False) -> list[RecordFinding]:
    return [finding async for finding in maintenance_of(url).check_records(repair=repair)]


DAMAGES = {
    "a document is lost": (
        "DELETE FROM documents WHERE digest = (SELECT snapshot_digest FROM sessions)",
        {("document-missing", "session", "s")},
    ),
    "a document was changed": (
        "UPDATE documents SET body = '{}' WHERE digest = (SELECT definition_digest FROM workflows)",
        {("document-damaged", "workflow", "w")},
    ),
    "a document is used by nobody": (
        "INSERT INTO documents VALUES (decode(repeat('ab', 32), 'hex'), '{}')",
        {("document-unused", None, "ab" * 32)},
    ),
    "a message was changed": (
        "UPDATE messages SET body = '{}' WHERE previous IS NULL",
        {("document-damaged", "session", "s")},
    ),
    "a message is lost": (
        "DELETE FROM messages WHERE previous IS NULL",
        {("document-missing", "session", "s"), ("document-missing", "llm_execution", "e0")},
    ),
    "an output is no JSON": (
        "UPDATE llm_executions SET output = '[1' WHERE id = 'e1'",
        {("unreadable", "llm_execution", "e1")},
    ),
    "an execution state is lost": (
        "DELETE FROM execution_states",
        {("reference-dangling", "execution_state", "s")},
    ),
    "the last sequence of a stream is behind": (
        "UPDATE streams SET last_sequence = 1",
        {("sequence-wrong", "stream_event", "stream")},
    ),
    "the last sequence of a stream is lost": (
        "DELETE FROM streams",
        {("sequence-wrong", "stream_event", "stream")},
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_of_rows_is_found_and_repaired_if_that_loses_nothing(
    name: str, storage: StorageAdapter, url: str, raw: Callable[..., Any]
):
    statement, expected = DAMAGES[name]
    await fill(storage)
    assert await found(url) == []
    raw("SET session_replication_role = replica")  # past all references
    raw(statement)
    assert {(each.code, each.kind, each.id) for each in await found(url)} == expected
    repairable = name == "a document is used by nobody" or "sequence" in name
    repaired = await found(url, repair=True)
    assert {each.is_repaired for each in repaired} == {repairable}
    assert bool(await found(url)) is not repairable
    if "sequence" in name:
        (event,) = await storage.save_stream_events([StreamEvent(stream_id="stream", node_id="n", data=1)])
        assert event.sequence == 4


async def test_sessions_are_measured_and_trimmed(storage: StorageAdapter, url: str):
    await fill(storage)
    maintenance = maintenance_of(url)
    sizes = await maintenance.measure_sessions(["s", "nobody"])
    assert dict(sizes["s"].counts) == {
        "session": 1,
        "execution_state": 1,
        "llm_execution": 3,
        "tool_call": 2,
        "stream_event": 3,
    }
    assert sizes["s"].rows == 14  # with the node and the messages
    assert sizes["s"].stored_bytes is not None
    assert sizes["s"].stored_bytes > len(NOISE)  # messages are stored compressed
    assert (dict(sizes["nobody"].counts), sizes["nobody"].rows) == ({}, 0)
    steps = []
    while not steps or steps[-1] == 4:
        steps.append(await maintenance.trim_session("s", 4))
    assert steps == [4, 4, 3]
    assert await storage.get_session("s") is not None
    assert await storage.list_llm_executions() == []
    (event,) = await storage.save_stream_events([StreamEvent(stream_id="stream", node_id="n", data=1)])
    assert event.sequence == 4


async def test_documents_that_nobody_needs_are_deleted(storage: StorageAdapter, url: str, raw: Callable[..., Any]):
    await fill(storage)
    raw("INSERT INTO documents VALUES (decode(repeat('ab', 32), 'hex'), '{}')")
    assert await maintenance_of(url).delete_unused_documents() == 1
    assert await maintenance_of(url).delete_unused_documents() == 0
    assert await storage.get_workflow("w") is not None
