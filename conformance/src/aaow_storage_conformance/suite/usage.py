"""Sums of usage: exact, in ordered groups, and without zeros for what is missing."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from aaow_storage import (
    Gt,
    LLMExecutionResult,
    Ne,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    TokenUsage,
    UsageSummary,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical

DAY = datetime(2026, 3, 1, tzinfo=UTC)
MAX_COUNT = 2**63 - 1
KEYS = ("provider", "model", "workflow_id", "session_id", "node_id", "day", "hour")


class UsageTests:
    """`summarize_usage`."""

    @clause("USE-1")
    async def test_without_executions_there_is_one_empty_sum_and_no_group(self, storage: StorageAdapter) -> None:
        assert_identical(await storage.summarize_usage(), [UsageSummary(executions=0)])
        assert_identical(await storage.summarize_usage(("model",)), [])
        await _save(storage, "s", model="m")
        nothing = QueryFilter({"model": "another"})
        assert_identical(await storage.summarize_usage((), nothing), [UsageSummary(executions=0)])
        assert_identical(await storage.summarize_usage(("model", "day"), nothing), [])

    @clause("USE-1")
    async def test_executions_are_counted_by_how_they_ended(self, storage: StorageAdapter) -> None:
        for success in (True, False, False, None, None, None):
            await _save(storage, "s", success=success, usage=None)
        expected = UsageSummary(executions=6, failed=2, running=3, executions_without_usage=6)
        assert_identical(await storage.summarize_usage(), [expected])

    @clause("USE-1")
    async def test_each_execution_is_summed_once_however_it_ended_and_whatever_it_called(
        self, storage: StorageAdapter
    ) -> None:
        begun = DAY - timedelta(seconds=1)
        for success, calls in ((True, 3), (False, 2), (None, 0)):
            usage = _usage(1, 10, 100, reasoning_tokens=1000)
            ended: dict[str, Any] = {
                "timestamp": begun,
                "duration": timedelta(seconds=2),
                "cost": "0.5",
                "currency": "EUR",
            }
            result = await _save(storage, "s", success=success, usage=usage, **ended)
            for _ in range(calls):
                await samples.stored_tool_call(storage, result.id)
        keys = ("session_id", "node_id", "day")
        for group_by in ((), keys):
            [total] = await storage.summarize_usage(group_by)  # type: ignore[arg-type]  # they are some of them
            assert (total.executions, total.failed, total.running) == (3, 1, 1)
            assert (total.prompt_tokens, total.completion_tokens, total.total_tokens) == (3, 30, 300)
            assert (total.reasoning_tokens, dict(total.costs)) == (3000, {"EUR": Decimal("1.5")})
        assert dict(total.keys) == {"session_id": "s", "node_id": "draft", "day": "2026-02-28"}

    @clause("USE-1")
    async def test_a_figure_that_is_missing_is_not_counted_as_zero(self, storage: StorageAdapter) -> None:
        await _save(storage, "s", model="a", usage=_usage(1, 2, 3))
        await _save(storage, "s", model="a", usage=_usage(10, 20, 30, cache_read_tokens=0))
        await _save(storage, "s", model="a", usage=None)
        await _save(storage, "s", model="b", usage=_usage(0, 0, 0, cache_write_tokens=5, reasoning_tokens=7))
        await _save(storage, "s", model="c", usage=None)
        found = await storage.summarize_usage(("model",))
        names = ("prompt", "completion", "total", "cache_read", "cache_write", "reasoning")
        sums = {each.keys["model"]: [getattr(each, f"{name}_tokens") for name in names] for each in found}
        assert sums == {
            "a": [11, 22, 33, 0, None, None],
            "b": [0, 0, 0, None, 5, 7],
            "c": [None, None, None, None, None, None],
        }
        assert [each.executions_without_usage for each in found] == [1, 0, 1]

    @clause("USE-1")
    async def test_costs_are_summed_exactly_for_each_currency(self, storage: StorageAdapter) -> None:
        for _ in range(10):
            await _save(storage, "s", cost="0.1", currency="EUR")
        for cost in ("999999999999999999.999999999999999999", "0.000000000000000001", "0.7"):
            await _save(storage, "s", cost=cost, currency="USD")
        for cost in ("123456789012345678.000000000000000001", "0.000000000000000001", "0.000000000000000001"):
            await _save(storage, "s", cost=cost, currency="GBP")
        await _save(storage, "s", cost=0, currency="JPY")
        await _save(storage, "s")
        [total] = await storage.summarize_usage()
        assert total.executions == 18
        assert list(total.costs) == ["EUR", "GBP", "JPY", "USD"]
        assert {currency: str(amount) for currency, amount in total.costs.items()} == {
            "EUR": "1",
            "GBP": "123456789012345678.000000000000000003",
            "JPY": "0",
            "USD": "1000000000000000000.7",
        }

    @clause("USE-1")
    async def test_token_sums_may_exceed_every_count(self, storage: StorageAdapter) -> None:
        usage = _usage(MAX_COUNT, MAX_COUNT, MAX_COUNT, cache_read_tokens=MAX_COUNT)
        for _ in range(3):
            await _save(storage, "s", usage=usage)
        await _save(storage, "s", usage=_usage(1, 0, 2))
        [total] = await storage.summarize_usage()
        assert (total.prompt_tokens, total.completion_tokens) == (3 * MAX_COUNT + 1, 3 * MAX_COUNT)
        assert (total.total_tokens, total.cache_read_tokens) == (3 * MAX_COUNT + 2, 3 * MAX_COUNT)

    @clause("USE-1")
    async def test_groups_are_ordered_by_their_keys_with_none_first(self, storage: StorageAdapter) -> None:
        models = ("b", None, "B", "é", "a", "", "\U00010000", "\uffff", "a ")
        for model in models:
            for provider in ("q", None, "p"):
                await _save(storage, "s", model=model, provider=provider)
        ordered = [None, "", "B", "a", "a ", "b", "é", "\uffff", "\U00010000"]
        found = await storage.summarize_usage(("model", "provider"))
        assert [dict(each.keys) for each in found] == [
            {"model": model, "provider": provider} for model in ordered for provider in (None, "p", "q")
        ]
        found = await storage.summarize_usage(["provider", "model"])
        assert [tuple(each.keys.items()) for each in found] == [
            (("provider", provider), ("model", model)) for provider in (None, "p", "q") for model in ordered
        ]

    @clause("USE-1")
    async def test_every_key_groups(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage, id="w")
        await samples.stored_session(storage, id="with", workflow_id=workflow.id)
        await samples.stored_session(storage, id="without", workflow_id=None)
        for session_id, node_id in (("with", "n"), ("with", "m"), ("without", "n")):
            result = LLMExecutionResult(timestamp=DAY, provider="p", model="m")
            await storage.save_llm_execution(session_id, node_id, result)
        values: dict[str, list[tuple[str | None, int]]] = {
            "provider": [("p", 3)],
            "model": [("m", 3)],
            "workflow_id": [(None, 1), ("w", 2)],
            "session_id": [("with", 2), ("without", 1)],
            "node_id": [("m", 1), ("n", 2)],
            "day": [("2026-03-01", 3)],
            "hour": [("2026-03-01T00:00:00Z", 3)],
        }
        for key in KEYS:
            found = await storage.summarize_usage((key,))  # type: ignore[arg-type]  # it is one of them
            assert [(each.keys[key], each.executions) for each in found] == values[key]
        found = await storage.summarize_usage(KEYS)  # type: ignore[arg-type]  # as above
        assert [list(each.keys) for each in found] == [list(KEYS)] * 3

    @clause("USE-1", "QRY-4")
    async def test_the_filter_chooses_what_is_summed(self, storage: StorageAdapter) -> None:
        for number in range(6):
            await _save(storage, "st"[number % 2], model="ab"[number % 3 == 0], usage=_usage(number, 0, number))
        chosen = (
            (QueryFilter({"session_id": "s"}), 0 + 2 + 4),
            (QueryFilter({"model": "a", "session_id": "t"}), 1 + 5),
            (QueryFilter({"model": Ne("a")}), 0 + 3),
            (QueryFilter({"timestamp": Gt(DAY + timedelta(seconds=1))}), None),
            (QueryFilter({"session_id": "s"}, documents=False), 0 + 2 + 4),
            (QueryFilter(any_of=[{"model": "b", "session_id": "s"}, {"prompt_tokens": 3}]), 0 + 3),
            (QueryFilter({"model": "a"}, any_of=[{"total_tokens": Gt(4)}, {"id": "x"}]), 5),
            (QueryFilter(any_of=[]), None),
        )
        for query, expected in chosen:
            [total] = await storage.summarize_usage((), query)
            assert (query, total.total_tokens) == (query, expected)
        [of_node] = await storage.summarize_usage(("session_id",), QueryFilter({"session_id": "t"}))
        assert (of_node.keys, of_node.prompt_tokens) == ({"session_id": "t"}, 1 + 3 + 5)

    @clause("USE-1", "QRY-3")
    async def test_a_wrong_key_or_a_filter_with_a_page_is_refused(self, storage: StorageAdapter) -> None:
        execution = await _save(storage, "s")
        for wrong in ("model", ("nonsense",), ("model", "model"), (None,), None, 7, ("day", "Day"), ("text",)):
            with pytest.raises(ValidationError, match="group_by"):
                await storage.summarize_usage(wrong)  # type: ignore[arg-type]  # on purpose
        [stored] = await storage.list_llm_executions(QueryFilter({"id": execution.id}))
        pages = (
            QueryFilter(limit=1),
            QueryFilter(offset=1),
            QueryFilter(order_by=OrderBy("id")),
            QueryFilter().after(stored),
        )
        for query in (*pages, QueryFilter({"nonsense": 1}), QueryFilter({"model": 1}), {"model": "m"}):
            with pytest.raises(ValidationError):
                await storage.summarize_usage((), query)  # type: ignore[arg-type]  # the last one on purpose

    @clause("USE-1")
    async def test_sums_follow_what_becomes_of_executions_sessions_and_workflows(self, storage: StorageAdapter) -> None:
        await samples.stored_workflow(storage, id="w")
        for session_id in ("s", "t"):
            await samples.stored_session(storage, id=session_id, workflow_id="w")
        first = await _save(storage, "s", usage=_usage(1, 0, 1), cost=1, currency="EUR")
        await _save(storage, "s", usage=_usage(10, 0, 10))
        await _save(storage, "s", id=first.id, usage=_usage(100, 0, 100), cost=2, currency="USD")
        [total] = await storage.summarize_usage()
        assert (total.executions, total.prompt_tokens, dict(total.costs)) == (2, 110, {"USD": Decimal(2)})
        await _save(storage, "t", id=first.id, usage=None)
        keys = ("workflow_id", "session_id")
        found = await storage.summarize_usage(keys)  # type: ignore[arg-type]  # they are some of them
        assert [(*each.keys.values(), each.executions, each.total_tokens) for each in found] == [
            ("w", "s", 1, 10),
            ("w", "t", 1, None),
        ]
        await storage.delete_workflow("w")
        await storage.delete_session("s")
        found = await storage.summarize_usage(keys)  # type: ignore[arg-type]  # as above
        assert [(*each.keys.values(), each.executions) for each in found] == [(None, "t", 1)]
        await storage.delete_session("t")
        assert_identical(await storage.summarize_usage(), [UsageSummary(executions=0)])

    @clause("USE-2")
    async def test_days_and_hours_are_those_of_utc(self, storage: StorageAdapter) -> None:
        east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
        instants = (
            (DAY, "2026-03-01T00:00:00Z"),
            (DAY - timedelta(microseconds=1), "2026-02-28T23:00:00Z"),
            (DAY.astimezone(east) + timedelta(hours=1), "2026-03-01T01:00:00Z"),
            (DAY.astimezone(west) + timedelta(minutes=59, seconds=59), "2026-03-01T00:00:00Z"),
            (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
            (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "1969-12-31T23:00:00Z"),
            (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00Z"),
            (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "9999-12-31T23:00:00Z"),
        )
        for instant, _ in instants:
            await _save(storage, "s", timestamp=instant)
        for key, length in (("hour", 20), ("day", 10)):
            expected = [hour[:length] for _, hour in instants]
            found = await storage.summarize_usage((key,))  # type: ignore[arg-type]  # it is one of them
            counts = [(each.keys[key], each.executions) for each in found]
            assert counts == [(name, expected.count(name)) for name in sorted(set(expected))]

    @clause("USE-2")
    @pytest.mark.parametrize("count", [1, 2, 3, 10, 19, 20, 21, 40, 100])
    async def test_percentiles_are_the_durations_at_the_nearest_rank(self, storage: StorageAdapter, count: int) -> None:
        async with storage.transaction() as transaction:
            for number in range(count):
                duration = timedelta(microseconds=1 + number * 7 % count)
                await _save(transaction, "s", duration=duration, model="m", currency="EUR" if number % 2 else "USD")
            await _save(transaction, "s", completed_at=None, model="m")
            await _save(transaction, "s", completed_at=None, model="running")
        found = await storage.summarize_usage(("model",))
        ranks = [timedelta(microseconds=-(-percent * count // 100)) for percent in (50, 95)]
        if count % 7:  # then the durations are 1 to count
            assert [found[0].duration_p50, found[0].duration_p95] == ranks
        assert [found[1].duration_p50, found[1].duration_p95] == [None, None]

    @clause("USE-2")
    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set here")
    @pytest.mark.parametrize("zone", ["UTC-05:30", "UTC+11"])
    async def test_days_and_hours_do_not_depend_on_the_zone_of_the_process(
        self, storage: StorageAdapter, zone: str
    ) -> None:
        for minutes in (-20, 20, 23 * 60 + 50):
            await _save(storage, "s", timestamp=DAY + timedelta(minutes=minutes))
        with _zone_of_the_process(zone):
            found = await storage.summarize_usage(("day", "hour"))
        assert [tuple(each.keys.values()) for each in found] == [
            ("2026-02-28", "2026-02-28T23:00:00Z"),
            ("2026-03-01", "2026-03-01T00:00:00Z"),
            ("2026-03-01", "2026-03-01T23:00:00Z"),
        ]

    @clause("USE-2")
    async def test_a_day_is_that_of_the_beginning_of_an_execution(self, storage: StorageAdapter) -> None:
        for begun, lasted in ((DAY - timedelta(hours=1), 2), (DAY, 25), (DAY, -1)):
            await _save(storage, "s", timestamp=begun, duration=timedelta(hours=lasted))
        found = await storage.summarize_usage(("day",))
        assert [(each.keys["day"], each.executions) for each in found] == [("2026-02-28", 1), ("2026-03-01", 2)]

    @clause("USE-2")
    async def test_a_duration_may_be_zero_or_less(self, storage: StorageAdapter) -> None:
        for model, durations in (("a", (0, 0, 5)), ("b", (0,)), ("c", (-3, -2, 4)), ("d", (0, 7))):
            for duration in durations:
                await _save(storage, "s", model=model, duration=timedelta(microseconds=duration))
        found = await storage.summarize_usage(("model",))
        microseconds = [(each.duration_p50, each.duration_p95) for each in found]
        expected = [(0, 5), (0, 0), (-2, 4), (0, 7)]
        assert microseconds == [tuple(timedelta(microseconds=part) for part in pair) for pair in expected]

    @clause("USE-1", "TXN-2")
    async def test_a_transaction_sums_its_own_writes(self, storage: StorageAdapter) -> None:
        await _save(storage, "s", usage=_usage(1, 1, 2))
        async with storage.transaction() as transaction:
            await _save(transaction, "s", usage=_usage(10, 1, 11))
            [total] = await transaction.summarize_usage()
            assert (total.executions, total.prompt_tokens) == (2, 11)
            await transaction.delete_session("s")
            assert await transaction.summarize_usage(("session_id",)) == []


@contextmanager
def _zone_of_the_process(zone: str) -> Iterator[None]:
    """Set the time zone of the process for the block."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def _usage(prompt: int, completion: int, total: int, **figures: int) -> TokenUsage:
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total, **figures)


async def _save(
    storage: StorageOperations, session_id: str, duration: timedelta | None = None, **fields: Any
) -> LLMExecutionResult:
    """Save an execution of a session, which is created if it is not there."""
    if await storage.get_session(session_id) is None:
        await samples.stored_session(storage, id=session_id)
    fields.setdefault("timestamp", DAY)
    if duration is not None:
        fields["completed_at"] = fields["timestamp"] + duration
    if "currency" in fields:
        fields.setdefault("cost", 1)
    result = LLMExecutionResult(**fields)
    await storage.save_llm_execution(session_id, "draft", result)
    return result
