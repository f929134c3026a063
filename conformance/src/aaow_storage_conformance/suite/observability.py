"""What an owner of agents looks at: models, inputs, costs and attempts, and tool calls without a model call."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AlreadyExistsError,
    Capability,
    FieldName,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    NodeExecutionStatus,
    NotFoundError,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StreamEvent,
    TokenUsage,
    ToolCallLog,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires, since
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import SESSION_ID
from aaow_storage_conformance.data.values import DOCUMENTS

FIGURES = ("prompt_tokens", "completion_tokens", "total_tokens")
LATER_FIGURES = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
MEBIBYTE = 1024 * 1024
NEW_STATUS = ("queued", "cancelled")


class ObservabilityTests:
    """The fields and records that make a run intelligible afterwards."""

    @clause("REC-9")
    @pytest.mark.parametrize("field", ["input", "output"])
    async def test_what_was_sent_and_answered_is_json_of_any_shape(self, storage: StorageAdapter, field: str) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        results = [samples.a_result(**{field: value}) for value in DOCUMENTS]
        for result in results:
            await storage.save_llm_execution(SESSION_ID, "draft", result)
        expected = [samples.an_execution(SESSION_ID, "draft", result) for result in results]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("REC-9", "REC-7")
    @pytest.mark.parametrize("field", ["input", "output"])
    async def test_what_was_sent_and_answered_may_be_of_eight_mebibytes(
        self, storage: StorageAdapter, field: str
    ) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        large: dict[str, Any] = {field: ["\N{SNOWMAN}ab\n" * (8 * MEBIBYTE // 6)]}
        execution = await samples.stored_execution(storage, SESSION_ID, **large)
        (found,) = await storage.get_llm_executions(SESSION_ID)
        assert_identical(found, execution)

    @clause("REC-9", "OPS-3")
    async def test_every_new_field_of_an_execution_is_replaced_by_what_is_saved_again(
        self, storage: StorageAdapter
    ) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        full = await samples.stored_execution(storage, SESSION_ID)
        (found,) = await storage.get_llm_executions(SESSION_ID)
        assert_identical(found, full)
        await storage.save_llm_execution(SESSION_ID, "draft", LLMExecutionResult(id=full.id, timestamp=full.timestamp))
        (found,) = await storage.get_llm_executions(SESSION_ID)
        assert [getattr(found, name) for name in _NEW] == [*[None] * (len(_NEW) - 1), 0]
        assert found.duration is None

    @clause("REC-9", "REC-5")
    @pytest.mark.parametrize("field", ["provider", "model", "finish_reason"])
    async def test_a_name_is_any_text(self, storage: StorageAdapter, field: str) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        texts = ("", " a model ", "A", "a", "e\u0301\u00e9", "a\nb", "\U0001f600", None)
        fields: list[dict[str, Any]] = [{field: text} for text in texts]
        made = [await samples.stored_execution(storage, SESSION_ID, **each) for each in fields]
        assert_identical(await storage.get_llm_executions(SESSION_ID), made)
        for text, execution in zip(texts, made, strict=True):
            assert_identical(await storage.get_llm_executions(SESSION_ID, QueryFilter({field: text})), [execution])

    @clause("REC-9", "OPS-12")
    async def test_every_list_of_executions_has_all_of_their_fields(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        made = [await samples.stored_execution(storage, SESSION_ID) for _ in range(2)]
        bare = LLMExecutionResult(timestamp=samples.instant(10**6))
        await storage.save_llm_execution(SESSION_ID, "draft", bare)
        made.append(samples.an_execution(SESSION_ID, "draft", bare))
        assert_identical(await storage.get_llm_executions(SESSION_ID), made)
        assert_identical(await storage.get_node_llm_executions(SESSION_ID, "draft"), made)
        assert_identical(await storage.list_llm_executions(), made)

    @clause("REC-9")
    async def test_an_execution_may_end_when_it_begins_and_even_before(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        for late in (timedelta(0), timedelta(microseconds=1), timedelta(days=-1, microseconds=3)):
            fields: dict[str, Any] = {"timestamp": samples.instant(9), "completed_at": samples.instant(9) + late}
            execution = await samples.stored_execution(storage, SESSION_ID, id="e", **fields)
            (found,) = await storage.get_llm_executions(SESSION_ID)
            assert_identical(found, execution)
            assert found.duration == late

    @clause("REC-9", "REC-8")
    @pytest.mark.parametrize("cost", ["0", "0.000001", "12345.678901", "999999999999.99"])
    async def test_a_cost_is_an_exact_amount_in_a_currency(self, storage: StorageAdapter, cost: str) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        for currency in ("USD", "EUR", "JPY"):
            await samples.stored_execution(storage, SESSION_ID, cost=cost, currency=currency)
        found = await storage.get_llm_executions(SESSION_ID)
        assert [(each.cost, each.currency) for each in found] == [
            (Decimal(cost), currency) for currency in ("USD", "EUR", "JPY")
        ]

    @clause("REC-9", "REC-1")
    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"cost": 1}, "currency"),
            ({"currency": "USD"}, "currency"),
            ({"cost": 1, "currency": "usd"}, "currency"),
            ({"cost": -1, "currency": "USD"}, "cost"),
            ({"attempt": -1}, "attempt"),
            ({"completed_at": samples.EPOCH.replace(tzinfo=None)}, "completed_at"),
        ],
    )
    async def test_a_wrong_new_field_is_named(self, fields: dict[str, Any], named: str) -> None:
        with pytest.raises(ValidationError) as raised:
            LLMExecutionResult(**fields)
        assert raised.value.field == named

    @clause("REC-9")
    async def test_the_duration_of_an_execution_is_from_its_beginning_to_its_end(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        begun = samples.instant(1)
        await samples.stored_execution(
            storage, SESSION_ID, timestamp=begun, completed_at=begun + timedelta(seconds=1.5)
        )
        (found,) = await storage.get_llm_executions(SESSION_ID)
        assert found.duration == timedelta(seconds=1.5)

    @clause("LLM-1")
    @since("1.1")
    async def test_each_figure_of_the_usage_comes_back_as_it_was_reported(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        usual = dict.fromkeys(FIGURES, 7)
        usages = [TokenUsage(**usual)]
        usages += [TokenUsage(**usual, **{name: count}) for name in LATER_FIGURES for count in (0, 1, 2**63 - 1)]
        for usage in usages:
            await samples.stored_execution(storage, SESSION_ID, usage=usage)
        assert_identical([each.usage for each in await storage.get_llm_executions(SESSION_ID)], usages)

    @clause("STA-4")
    async def test_attempts_come_back_in_their_order(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        state = NodeExecutionState(node_id="draft", status="running", started_at=samples.instant(0), input={"a": 1})
        await storage.save_execution_state(samples.a_state(SESSION_ID, node_states={"draft": state}))
        for number in range(1, 12):
            failed = attrs.evolve(
                state, status="failed", error=f"error {number}", output=[number], completed_at=samples.instant(number)
            )
            state = failed.retried(samples.instant(100 + number))
            await storage.update_node_state(SESSION_ID, "draft", state)
            found = await storage.get_execution_state(SESSION_ID)
            assert found is not None
            assert_identical(found.node_states["draft"], state)
        assert [attempt.error for attempt in state.attempts] == [f"error {number}" for number in range(1, 12)]
        assert (state.retry_count, state.status, state.error, state.input) == (11, "running", None, {"a": 1})

    @clause("STA-4", "STA-6", "OPS-12")
    async def test_every_read_of_a_node_has_all_of_its_attempts(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        same = samples.an_attempt()
        attempts = [samples.an_attempt(status=status) for status in NodeExecutionStatus]
        attempts += [same, same, NodeAttempt(status="failed"), same]
        saved = samples.a_node_state("saved", attempts=attempts)
        await storage.save_execution_state(samples.a_state(SESSION_ID, node_states={"saved": saved}))
        updated = samples.a_node_state("updated", attempts=attempts[::-1])
        await storage.update_node_state(SESSION_ID, "updated", updated)
        state = await storage.get_execution_state(SESSION_ID)
        assert state is not None
        for node in (saved, updated):
            assert_identical(state.node_states[node.node_id], node)
            assert_identical(await storage.get_node_state(SESSION_ID, node.node_id), node)
        assert_identical(await storage.list_execution_states(), [state])
        assert_identical(
            [each.attempts for each in await storage.list_node_states()], [saved.attempts, updated.attempts]
        )

    @clause("STA-4")
    async def test_an_attempt_keeps_what_was_known_of_it(self, storage: StorageAdapter) -> None:
        state = samples.a_node_state("draft", attempts=())
        retried = state.retried(samples.instant(500))
        (attempt,) = retried.attempts
        for name in ("status", "started_at", "completed_at", "error", "output"):
            assert_identical(getattr(attempt, name), getattr(state, name))
        assert (retried.started_at, retried.completed_at, retried.output) == (samples.instant(500), None, None)
        unfinished = attrs.evolve(state, status="running", completed_at=None).retried(samples.instant(600))
        assert unfinished.attempts[0].completed_at == samples.instant(600)

    @clause("STA-4")
    @pytest.mark.parametrize("status", NodeExecutionStatus)
    async def test_a_retry_changes_what_belongs_to_an_attempt_and_nothing_else(
        self, storage: StorageAdapter, status: NodeExecutionStatus
    ) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        state = samples.a_node_state("draft", status=status, retry_count=7)
        await storage.save_execution_state(samples.a_state(SESSION_ID, node_states={"draft": state}))
        stored = await storage.get_node_state(SESSION_ID, "draft")
        assert stored is not None
        began = samples.instant(500)
        names = ("status", "started_at", "completed_at", "error", "output")
        expected = attrs.evolve(
            state,
            status="running",
            started_at=began,
            completed_at=None,
            error=None,
            output=None,
            retry_count=8,
            attempts=(*state.attempts, NodeAttempt(**{name: getattr(state, name) for name in names})),
        )
        assert_identical(stored.retried(began), expected)
        await storage.update_node_state(SESSION_ID, "draft", stored.retried(began))
        assert_identical(await storage.get_node_state(SESSION_ID, "draft"), expected)

    @clause("STA-4", "STA-3")
    async def test_a_node_that_is_saved_without_attempts_has_none(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        await storage.save_execution_state(samples.a_state(SESSION_ID))
        await storage.update_node_state(SESSION_ID, "draft", NodeExecutionState(node_id="draft"))
        found = await storage.get_execution_state(SESSION_ID)
        assert found is not None
        assert found.node_states["draft"].attempts == ()
        assert found.node_states["review"].attempts != ()

    @clause("TOO-2")
    async def test_a_tool_call_without_an_execution_belongs_to_its_session(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        other = await samples.stored_session(storage)
        logs = []
        for owner in (SESSION_ID, other.id, SESSION_ID):
            logs.append(samples.a_tool_call(None, session_id=owner, node_id="draft"))
            await storage.log_tool_call(logs[-1])
        found = await storage.get_session_tool_calls(SESSION_ID)
        assert_identical(found, [logs[0], logs[2]])
        assert [_place(each) for each in found] == [(None, SESSION_ID, "draft")] * 2
        await storage.delete_session(SESSION_ID)
        assert_identical(await storage.get_session_tool_calls(SESSION_ID), [])
        assert_identical(await storage.get_session_tool_calls(other.id), [logs[1]])
        assert_identical(await storage.list_tool_calls(), [logs[1]])

    @clause("TOO-2", "LLM-3")
    async def test_calls_with_and_without_an_execution_are_one_list(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        execution = await samples.stored_execution(storage, SESSION_ID, "draft")
        logs = []
        for number in range(6):
            place = {"session_id": SESSION_ID, "node_id": ("draft", "review")[number % 3 == 0]}
            log = samples.a_tool_call(*((None,) if number % 2 else (execution.id,)), **(place if number % 2 else {}))
            logs.append(log)
        for log in reversed(logs):
            await storage.log_tool_call(log)
        own: dict[FieldName, Any] = {"session_id": SESSION_ID}
        for query in (None, QueryFilter(own), QueryFilter(any_of=[{"execution_id": execution.id}, own])):
            assert_identical(await storage.get_session_tool_calls(SESSION_ID, query), logs)
            assert_identical(await storage.list_tool_calls(query), logs)
        assert_identical(await storage.get_tool_calls(execution.id), logs[::2])
        found = await storage.get_session_tool_calls(SESSION_ID, QueryFilter({"node_id": "review"}))
        assert_identical(found, [logs[3]])
        page = QueryFilter(order_by=OrderBy("node_id", "desc"), limit=2)
        assert_identical(await storage.get_session_tool_calls(SESSION_ID, page), [logs[3], logs[0]])
        assert_identical(await storage.list_tool_calls(page.after(found[0])), [logs[0], logs[1]])

    @clause("TOO-2", "OPS-8")
    async def test_a_tool_call_without_an_execution_needs_a_session_that_is_there(
        self, storage: StorageAdapter
    ) -> None:
        with pytest.raises(NotFoundError) as raised:
            await storage.log_tool_call(samples.a_tool_call(None, session_id="nowhere", node_id="draft"))
        assert (raised.value.kind, raised.value.id) == ("session", "nowhere")
        for given, missing in (("session_id", "node_id"), ("node_id", "session_id")):
            place: dict[str, Any] = {given: "x"}
            with pytest.raises(ValidationError) as refused:
                ToolCallLog(tool_call_id="c", tool_name="t", args={}, **place)
            assert refused.value.field == missing

    @clause("TOO-2")
    async def test_a_tool_call_of_an_execution_has_the_session_and_node_of_it(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        other = await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, SESSION_ID, "draft")
        places: tuple[dict[str, str], ...] = (
            {},
            {"session_id": SESSION_ID},
            {"node_id": "draft"},
            {"session_id": SESSION_ID, "node_id": "draft"},
        )
        for place in places:
            await samples.stored_tool_call(storage, execution.id, **place)
        for found in (await storage.get_tool_calls(execution.id), await storage.get_session_tool_calls(SESSION_ID)):
            assert [_place(each) for each in found] == [(execution.id, SESSION_ID, "draft")] * 4
        await samples.stored_execution(storage, other.id, "review", id=execution.id)
        for found in (await storage.get_session_tool_calls(other.id), await storage.list_tool_calls()):
            assert [_place(each) for each in found] == [(execution.id, other.id, "review")] * 4
        assert await storage.list_tool_calls(QueryFilter({"session_id": SESSION_ID})) == []
        assert_identical(await storage.get_session_tool_calls(SESSION_ID), [])

    @clause("TOO-2")
    @pytest.mark.parametrize("named", ["session_id", "node_id"])
    async def test_a_tool_call_that_contradicts_its_execution_is_refused(
        self, storage: StorageAdapter, named: str
    ) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        other = await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, SESSION_ID, "draft")
        wrong = samples.a_tool_call(execution.id, **{named: other.id})
        with pytest.raises(ValidationError) as raised:
            await storage.log_tool_call(wrong)
        assert raised.value.field == named
        async with storage.transaction() as transaction:
            with pytest.raises(ValidationError):
                await transaction.log_tool_call(wrong)
        assert_identical(await storage.get_tool_calls(execution.id), [])

    @clause("TOO-2", "OPS-2")
    async def test_that_an_id_is_taken_is_said_before_all_else(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        execution = await samples.stored_execution(storage, SESSION_ID)
        stored = [
            samples.a_tool_call(None, session_id=SESSION_ID, node_id="draft"),
            samples.a_tool_call(execution.id, session_id=SESSION_ID),
        ]
        for log in stored:
            await storage.log_tool_call(log)
        for log in stored:
            for second in (
                samples.a_tool_call(None, id=log.id, session_id=SESSION_ID, node_id="draft"),
                samples.a_tool_call(None, id=log.id, session_id="nowhere", node_id="draft"),
                samples.a_tool_call(execution.id, id=log.id),
                samples.a_tool_call(execution.id, id=log.id, session_id="another", node_id="another"),
                samples.a_tool_call("nowhere", id=log.id),
            ):
                with pytest.raises(AlreadyExistsError) as raised:
                    await storage.log_tool_call(second)
                assert (raised.value.kind, raised.value.id) == ("tool_call", log.id)
        assert_identical(await storage.get_session_tool_calls(SESSION_ID), stored)

    @clause("SES-3")
    @since("1.1")
    @requires(Capability.STREAM_EVENTS)
    async def test_events_that_name_a_session_go_with_it(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        other = await samples.stored_session(storage, parent_session_id=SESSION_ID)
        for name in ("another stream", "a third"):
            await storage.save_stream_event(samples.an_event(name, session_id=SESSION_ID))
        events = [samples.an_event("stream", session_id=owner) for owner in (SESSION_ID, other.id, None)]
        for event in events:
            await storage.save_stream_event(event)
        with pytest.raises(NotFoundError) as raised:
            await storage.save_stream_event(samples.an_event("stream", session_id="nowhere"))
        assert (raised.value.kind, raised.value.id) == ("session", "nowhere")
        await storage.delete_session(SESSION_ID)
        found: list[StreamEvent] = await storage.get_stream_events("stream")
        assert_identical(
            [(each.id, each.session_id) for each in found], [(each.id, each.session_id) for each in events[1:]]
        )
        assert_identical(await storage.list_stream_events(), events[1:])

    @clause("OPS-4")
    @since("1.1")
    @pytest.mark.parametrize("status", NEW_STATUS)
    async def test_a_session_may_wait_in_a_queue_and_be_cancelled(self, storage: StorageAdapter, status: Any) -> None:
        await samples.stored_session(storage, id=SESSION_ID, status=status)
        changed = await storage.update_session(SESSION_ID, status="running")
        assert (await storage.update_session(SESSION_ID, status=status)).status == status
        await storage.save_execution_state(
            samples.a_state(SESSION_ID, status=status, node_states={"n": samples.a_node_state("n", status="cancelled")})
        )
        await samples.stored_request(storage, SESSION_ID, type="tool_call")
        assert changed.status == "running"


_NEW = (
    *("provider", "model", "input", "output", "completed_at", "finish_reason", "cost", "currency"),
    "attempt",
)


def _place(call: ToolCallLog) -> tuple[str | None, str | None, str | None]:
    return call.execution_id, call.session_id, call.node_id
