"""LLM executions and tool calls, and lists in the order of time, then id."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import attrs
import pytest

from aaow_storage import (
    Capability,
    LLMExecutionResult,
    QueryFilter,
    StorageAdapter,
    TokenUsage,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import SESSION_ID, prepare

RecordT = TypeVar("RecordT")

FEW, MANY, CALLED = 1_200, 100_000, 100
TRANSACTION_S = 600.0

ORDERED_STARTS = ("10", "9", "A", "B", "_", "a", "b", "\xe9", "\uffff", "\U0001f600")
"""Starts of ids in code point order, which is neither a language's order nor that of UTF-16."""


class ExecutionTests:
    """LLM executions, their usage and their tool calls."""

    @clause("LLM-1")
    async def test_usage_comes_back_as_it_was_reported(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for counts in ((0, 0, 0), (7, 0, 0), (1, 2, 99), (2**63 - 1, 2**63 - 1, 2**63 - 1), None, (3, 4, 7)):
            usage = None
            if counts is not None:
                usage = TokenUsage(prompt_tokens=counts[0], completion_tokens=counts[1], total_tokens=counts[2])
            execution = await samples.stored_execution(storage, session.id, id=f"usage {counts}", usage=usage)
            (found,) = await storage.get_llm_executions(session.id, QueryFilter(where={"id": execution.id}))
            assert_identical(found, execution)

    @clause("LLM-1", "OPS-3")
    async def test_usage_that_is_absent_when_saved_again_is_absent(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, session.id)
        await storage.save_llm_execution(session.id, "draft", LLMExecutionResult(id=execution.id))
        (found,) = await storage.get_llm_executions(session.id)
        assert [found.usage, found.tool_calls, found.text, found.success] == [None, None, None, None]

    @clause("LLM-1", "REC-4")
    async def test_no_tool_calls_are_not_absent_tool_calls(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        calls = (None, (), (samples.a_call(),), (samples.a_call(result=None), samples.a_call(result=0, error="")))
        executions = [await samples.stored_execution(storage, session.id, tool_calls=made) for made in calls]
        assert_identical(await storage.get_llm_executions(session.id), executions)

    @clause("LLM-2")
    async def test_an_execution_is_saved_while_it_runs_and_again_when_it_ended(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        running = LLMExecutionResult()
        await storage.save_llm_execution(session.id, "draft", running)
        assert_identical(
            await storage.get_llm_executions(session.id), [samples.an_execution(session.id, "draft", running)]
        )
        logs = [await samples.stored_tool_call(storage, running.id) for _ in range(3)]
        for success in (True, False, True):
            ended = samples.a_result(id=running.id, timestamp=running.timestamp, success=success)
            await storage.save_llm_execution(session.id, "draft", ended)
            expected = [samples.an_execution(session.id, "draft", ended)]
            assert_identical(await storage.get_llm_executions(session.id), expected)
            assert_identical(await storage.get_node_llm_executions(session.id, "draft"), expected)
            assert_identical(await storage.get_tool_calls(running.id), logs)
            assert_identical(await storage.get_session_tool_calls(session.id), logs)

    @clause("LLM-2", "OPS-3")
    async def test_an_execution_saved_under_another_session_moves_there(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, session.id)
        log = await samples.stored_tool_call(storage, execution.id)
        moved = await samples.stored_execution(storage, other.id, "review", id=execution.id)
        assert_identical(await storage.get_llm_executions(session.id), [])
        assert_identical(await storage.get_node_llm_executions(other.id, "review"), [moved])
        assert_identical(await storage.get_session_tool_calls(session.id), [])
        assert_identical(await storage.get_session_tool_calls(other.id), [log])

    @clause("LLM-3")
    async def test_executions_are_listed_by_time_then_id(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        ordered = _records_in_order(samples.a_result, "timestamp")
        for result in _shuffle(ordered):
            await storage.save_llm_execution(SESSION_ID, "draft", result)
        expected = [samples.an_execution(SESSION_ID, "draft", result) for result in ordered]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)
        assert_identical(await storage.get_node_llm_executions(SESSION_ID, "draft"), expected)

    @clause("LLM-3")
    async def test_tool_calls_are_listed_by_time_then_id(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        for execution_id in ("z first", "a second"):
            await samples.stored_execution(storage, SESSION_ID, id=execution_id)
        ordered = _records_in_order(lambda **fields: samples.a_tool_call("z first", **fields), "timestamp")
        ordered = [attrs.evolve(log, execution_id=("z first", "a second")[i % 2]) for i, log in enumerate(ordered)]
        for log in _shuffle(ordered):
            await storage.log_tool_call(log)
        assert_identical(await storage.get_session_tool_calls(SESSION_ID), ordered)
        assert_identical(await storage.get_tool_calls("z first"), ordered[::2])

    @clause("LLM-3")
    async def test_approvals_are_listed_by_time_then_id(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        ordered = _records_in_order(lambda **fields: samples.a_request(SESSION_ID, **fields), "created_at")
        for request in _shuffle(ordered):
            await storage.create_approval_request(request)
        assert_identical(await storage.list_approval_requests(SESSION_ID), ordered)
        assert_identical(await storage.list_pending_approvals(), ordered)

    @clause("LLM-3")
    @requires(Capability.STREAM_EVENTS)
    async def test_stream_events_are_listed_by_time_then_id(self, storage: StorageAdapter) -> None:
        ordered = _records_in_order(lambda **fields: samples.an_event("stream", **fields), "timestamp")
        for event in _shuffle(ordered):
            await storage.save_stream_event(event)
        assert_identical(await storage.get_stream_events("stream"), ordered)

    @clause("LLM-3", "OPS-1")
    async def test_workflows_sessions_and_pools_are_listed_by_time_then_id(self, storage: StorageAdapter) -> None:
        workflows = _records_in_order(samples.a_workflow, "created_at")
        sessions = _records_in_order(samples.a_session, "created_at")
        pools = _records_in_order(samples.a_pool, "created_at")
        for workflow in _shuffle(workflows):
            await storage.save_workflow(workflow)
        for session in _shuffle(sessions):
            await storage.create_session(session)
        for pool in _shuffle(pools):
            await storage.create_budget_pool(pool)
        assert_identical(await storage.list_workflows(), workflows)
        assert_identical(await storage.list_sessions(), sessions)
        assert_identical(await storage.list_budget_pools(), pools)

    @clause("TOO-1")
    @pytest.mark.parametrize("executions", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
    async def test_the_tool_calls_of_a_session_with_many_executions_can_be_read(
        self, storage: StorageAdapter, executions: int
    ) -> None:
        await prepare(storage)
        other = await samples.stored_session(storage)
        elsewhere = await samples.stored_execution(storage, other.id)
        logs = []
        async with storage.transaction(timeout=TRANSACTION_S) as transaction:
            await transaction.log_tool_call(samples.a_tool_call(elsewhere.id))
            for number in range(executions):
                result = LLMExecutionResult(id=f"execution {number}", timestamp=samples.instant(number))
                await transaction.save_llm_execution(SESSION_ID, f"node {number % 7}", result)
                if number % (executions // CALLED) == 0:
                    logs.append(samples.a_tool_call(result.id, timestamp=samples.instant(number)))
                    await transaction.log_tool_call(logs[-1])
        assert_identical(await storage.get_session_tool_calls(SESSION_ID), logs)
        page = QueryFilter(limit=3, offset=len(logs) - 2)
        assert_identical(await storage.get_session_tool_calls(SESSION_ID, page), logs[-2:])


def _records_in_order(make: Callable[..., RecordT], field: str) -> list[RecordT]:
    """Make records whose times are equal or a microsecond apart, in the order in which they must be listed."""
    return [
        make(**{"id": f"{start}{'zma'[step]}", field: samples.EPOCH + timedelta(microseconds=step)})
        for step in range(3)
        for start in ORDERED_STARTS
    ]


def _shuffle(records: Sequence[RecordT]) -> list[RecordT]:
    """Return the records in another order, neither sorted nor reversed, and the same in each run."""
    return [records[place * 7 % len(records)] for place in range(len(records))]
