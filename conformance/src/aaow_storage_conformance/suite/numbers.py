"""Large numbers of rows, values, tasks, levels and digits: nothing is cut off or rounded."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalStatus,
    BudgetExceededError,
    In,
    NotIn,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    TokenUsage,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.harness.store import Store

PATIENCE_S = 600
"""How long a transaction that fills a list may be open, on a slow machine."""
ROWS, MANY_ROWS = 2_500, 5_500
VALUES = 10_000
TASKS = 1_000
NODES = 3_000
LEVELS, SAVEPOINTS = 150, 40
MAX_COUNT = 2**63 - 1
COUNTS = (0, 2**31 - 1, 2**31, 2**32 + 1, 2**53 + 1, 999_999_999_999_999_999, MAX_COUNT)
DURATIONS = (
    *(0.1 + 0.2, 1 / 3, 2 / 3, 0.0001, 0.00049, 12.3456, 999.9999999, 123456789.123456789, 86_400_000.000_001),
    *(5e-324, 2.2250738585072014e-308, 1e-300, 1.7976931348623157e308, 2.0**53 + 2, 1e16, 0.1, 16777217.0),
)
"""Milliseconds that lose digits in a 32-bit float, a decimal column or by rounding."""


class NumberTests:
    """Thousands of rows, ten thousand values, a thousand tasks, fifteen digits."""

    @every_listing
    @pytest.mark.slow
    @clause("QRY-6", "QRY-7", "OPS-1")
    async def test_a_list_of_thousands_is_whole_and_so_are_its_pages(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        async with storage.transaction(timeout=PATIENCE_S) as transaction:
            await prepare_scopes(transaction)
            records = [listing.make(id=f"{number:06}") for number in range(ROWS)]
            before = [record.id for record in await listing.list(transaction, None)]
            for record in records:
                await listing.store(transaction, record)
        ids = [*before, *(record.id for record in records)]
        assert [record.id for record in await listing.list(storage, None)] == ids
        if listing.count is not None:
            assert await listing.count(storage, None) == len(ids)
        for limit, offset in ((len(ids), 0), (ROWS - 1, 0), (10, ROWS - 20), (ROWS, 1_100)):
            page = await listing.list(storage, QueryFilter(limit=limit, offset=offset))
            assert [record.id for record in page] == ids[offset : offset + limit]
        page = await listing.list(storage, QueryFilter().after(records[0]))
        assert [record.id for record in page] == [record.id for record in records[1:]]

    @pytest.mark.slow
    @clause("OPS-1", "TXN-1", "TXN-2")
    async def test_a_transaction_of_thousands_of_writes_is_stored_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with storage.transaction(timeout=PATIENCE_S) as transaction:
            for number in range(MANY_ROWS):
                await transaction.save_workflow(samples.a_workflow(id=f"{number:06}"))
            assert await transaction.count_workflows() == MANY_ROWS
        async with store.open() as other:
            found = [workflow.id for workflow in await other.list_workflows(QueryFilter(documents=False))]
            assert found == [f"{number:06}" for number in range(MANY_ROWS)]
        transaction = await storage.begin_transaction(PATIENCE_S)
        for number in range(ROWS):
            await transaction.delete_workflow(f"{number:06}")
        assert await transaction.count_workflows() == MANY_ROWS - ROWS
        await transaction.rollback()
        assert await storage.count_workflows() == MANY_ROWS

    @clause("QRY-1", "QRY-2")
    async def test_a_condition_takes_ten_thousand_values(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            for number in range(4):
                await samples.stored_workflow(
                    transaction, id=f"{number}", name=f"name {number}", metadata={"user": number, "name": f"{number}"}
                )
        many = [f"other {number}" for number in range(VALUES - 2)]
        for field, wanted in (("name", ("name 1", "name 3")), ("id", ("1", "3")), ("metadata.name", ("1", "3"))):
            values = [wanted[0], *many, wanted[1]]
            assert await _ids(storage, QueryFilter({field: In(values)})) == ["1", "3"]
            assert await _ids(storage, QueryFilter({field: NotIn(values)})) == ["0", "2"]
        numbers = [1, *range(10, VALUES + 8), 3]
        assert await _ids(storage, QueryFilter({"metadata.user": In(numbers)})) == ["1", "3"]
        assert await storage.count_workflows(QueryFilter({"metadata.user": NotIn(numbers)})) == 2

    @clause("CON-1")
    async def test_a_thousand_tasks_write_and_read_at_once(self, storage: StorageAdapter, store: Store) -> None:
        pool = await samples.stored_pool(storage, total_budget=TASKS, used_budget=0)
        ids = [f"{number:04}" for number in range(TASKS // 2)]
        async with store.open() as other:
            await asyncio.gather(
                *(samples.stored_workflow(storage, id=name, definition={}) for name in ids),
                *(other.consume_budget(pool.id, 1) for _ in range(TASKS // 4)),
                *(storage.get_budget_pool(pool.id) for _ in range(TASKS // 4)),
                *(_save_in_a_block((storage, other)[number % 2], f"x{number:03}") for number in range(TASKS // 10)),
            )
            ids += [f"x{number:03}" for number in range(TASKS // 10)]
            found = await other.list_workflows(QueryFilter(order_by=[OrderBy("id")], documents=False))
            assert _ids_of(found) == ids
            spent = await storage.get_budget_pool(pool.id)
            assert spent is not None
            assert spent.used_budget == TASKS // 4

    @pytest.mark.slow
    @clause("STA-1", "STA-2")
    async def test_a_state_of_thousands_of_nodes_is_saved_and_saved_again_whole(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        nodes = {f"{number:05}": samples.a_node_state(f"{number:05}") for number in range(NODES)}
        state = samples.a_state("s", node_states=nodes)
        await storage.save_execution_state(state)
        assert_identical(await storage.get_execution_state("s"), state)
        changed = {node_id: attrs.evolve(node, error="again") for node_id, node in list(nodes.items())[1:]}
        await storage.save_execution_state(samples.a_state("s", node_states=changed))
        found = await storage.get_execution_state("s")
        assert found is not None
        assert_identical(dict(sorted(found.node_states.items())), {**nodes, **changed})

    @pytest.mark.slow
    @clause("SES-3", "WFL-1", "TOO-1")
    async def test_deleting_reaches_thousands_of_records(self, storage: StorageAdapter) -> None:
        kept = await samples.stored_session(storage, id="kept")
        await samples.stored_workflow(storage, id="w")
        async with storage.transaction(timeout=PATIENCE_S) as transaction:
            await samples.stored_session(transaction, id="s")
            for number in range(ROWS):
                name = f"{number:06}"
                await transaction.save_llm_execution("s", "draft", samples.a_result(id=name, tool_calls=None))
                await samples.stored_tool_call(transaction, name, id=name)
                await samples.stored_request(transaction, "s", id=name)
                await samples.stored_session(
                    transaction, id=name, workflow_id="w", parent_session_id="s", workflow_snapshot={}, metadata=None
                )
        assert len(await storage.get_session_tool_calls("s")) == ROWS
        await storage.delete_session("s")
        await storage.delete_workflow("w")
        assert await storage.get_llm_executions("s") == []
        assert await storage.get_session_tool_calls("s") == []
        assert await storage.list_approval_requests("s") == []
        assert await storage.list_pending_approvals() == []
        for name in ("000000", f"{ROWS - 1:06}"):
            assert await storage.get_tool_calls(name) == []
            assert await storage.get_approval_request(name) is None
        sessions = await storage.list_sessions(QueryFilter(documents=False, order_by=[OrderBy("id")]))
        assert [session.id for session in sessions] == [*(f"{number:06}" for number in range(ROWS)), kept.id]
        assert {(session.workflow_id, session.parent_session_id) for session in sessions} == {(None, None)}

    @pytest.mark.slow
    @clause("APR-3")
    async def test_thousands_of_requests_expire_at_once(self, storage: StorageAdapter) -> None:
        async with storage.transaction(timeout=PATIENCE_S) as transaction:
            await samples.stored_session(transaction, id="s")
            for number in range(ROWS):
                await samples.stored_request(transaction, "s", id=f"{number:06}", expires_at=samples.instant(number))
        expired = await storage.expire_approvals(samples.instant(ROWS))
        assert [request.id for request in expired] == [f"{number:06}" for number in range(ROWS)]
        assert {request.status for request in await storage.list_approval_requests("s")} == {ApprovalStatus.EXPIRED}

    @clause("REC-8", "BUD-1")
    async def test_sums_of_amounts_are_exact_to_the_fifteenth_digit(self, storage: StorageAdapter) -> None:
        cases = [
            ("999999999999999", "999999999999998", "1", "999999999999999"),
            ("999999999999.999", "999999999999.997", "0.001", "999999999999.998"),
            ("1", "0.123456789012345", "0.000000000000001", "0.123456789012346"),
            ("0.3", "0.1", "0.2", "0.3"),
            ("999999999999999e3", "123456789012345e3", "1e3", "123456789012346e3"),
            ("9e-4", "1.23456789012345e-4", "1e-18", "1.23456789012346e-4"),
            ("9007199254740.99", "4503599627370.49", "0.01", "4503599627370.50"),
            ("500000000000000", "123456789012345", "111111111111111", "234567900123456"),
        ]
        for total, used, amount, expected in cases:
            pool = await samples.stored_pool(storage, total_budget=total, used_budget=used)
            consumed = await storage.consume_budget(pool.id, amount)
            assert (consumed.used_budget, consumed.remaining_budget) == (
                Decimal(expected),
                Decimal(total) - Decimal(expected),
            )
            assert_identical(await storage.get_budget_pool(pool.id), consumed)
        small = await samples.stored_pool(storage, total_budget="100000001", used_budget="100000000.000001")
        for _ in range(50):
            await storage.consume_budget(small.id, "0.000007")
        found = await storage.get_budget_pool(small.id)
        assert found is not None
        assert found.used_budget == Decimal("100000000.000351")
        increased = await storage.increase_budget(small.id, "0.000001")
        assert increased.total_budget == Decimal("100000001.000001")

    @clause("REC-8", "BUD-1")
    async def test_a_sum_of_too_many_digits_in_any_pool_changes_none(self, storage: StorageAdapter) -> None:
        root = await samples.stored_pool(storage, total_budget="500000000000000", used_budget="99999999999999.9")
        leaf = await samples.stored_pool(storage, parent_pool_id=root.id, total_budget=100, used_budget=0)
        whole = await samples.stored_pool(storage, total_budget="999999999999999e3", used_budget=0)
        before = await everything_in(storage)
        for change in (
            storage.consume_budget(leaf.id, "1e-19"),
            storage.consume_budget(root.id, "0.0000000000000000001"),
            storage.increase_budget(whole.id, "1000"),
            storage.increase_budget(whole.id, "999999999999999e3"),
        ):
            with pytest.raises(ValidationError):
                await change
        assert_identical(await everything_in(storage), before)
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(leaf.id, "100.000000000001")
        assert_identical(await everything_in(storage), before)

    @clause("OPS-2", "REC-4", "QRY-1")
    async def test_durations_come_back_and_compare_to_the_last_digit(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        await samples.stored_execution(storage, "s", id="e")
        logs = [
            await samples.stored_tool_call(storage, "e", duration_ms=duration, result={"took": duration})
            for duration in DURATIONS
        ]
        assert_identical(await storage.get_tool_calls("e"), logs)
        for log, duration in zip(logs, DURATIONS, strict=True):
            for field in ("duration_ms", "result.took"):
                assert _ids_of(await storage.get_tool_calls("e", QueryFilter({field: duration}))) == [log.id]
        in_order = sorted(logs, key=lambda log: log.duration_ms or 0.0)
        found = await storage.get_tool_calls("e", QueryFilter(order_by=[OrderBy("duration_ms")]))
        assert _ids_of(found) == _ids_of(in_order)

    @clause("LLM-1", "STA-3", "REC-4")
    async def test_counts_come_back_up_to_the_largest(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        await storage.save_execution_state(samples.a_state("s", node_states={}))
        for count in COUNTS:
            usage = TokenUsage(prompt_tokens=count, completion_tokens=MAX_COUNT - count, total_tokens=MAX_COUNT)
            stored = await samples.stored_execution(storage, "s", usage=usage)
            state = samples.a_node_state("draft", retry_count=count, output={"count": count})
            await storage.update_node_state("s", "draft", state)
            assert_identical((await storage.get_llm_executions("s"))[-1], stored)
            found = await storage.get_execution_state("s")
            assert found is not None
            assert_identical(found.node_states, {"draft": state})

    @clause("BUD-1", "BUD-4")
    async def test_a_consumption_reaches_through_a_hundred_and_fifty_levels(self, storage: StorageAdapter) -> None:
        ids = [f"level {level:03}" for level in range(LEVELS)]
        async with storage.transaction() as transaction:
            for name, parent in zip(ids, [None, *ids], strict=False):
                await samples.stored_pool(transaction, id=name, parent_pool_id=parent, total_budget=10, used_budget=0)
        await storage.consume_budget(ids[-1], 4)
        await storage.consume_budget(ids[0], 4)
        with pytest.raises(BudgetExceededError) as caught:
            await storage.consume_budget(ids[-1], 3)
        assert caught.value.pool.id == ids[0]
        used = {pool.id: pool.used_budget for pool in await storage.list_budget_pools()}
        assert used == {name: 8 if name == ids[0] else 4 for name in ids}

    @clause("TXN-4")
    async def test_forty_savepoints_nest(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            opened = []
            for number in range(SAVEPOINTS):
                opened.append(transaction.savepoint())
                await opened[-1].__aenter__()
                await samples.stored_workflow(transaction, id=f"{number:02}")
                assert await transaction.count_workflows() == number + 1
            for number, savepoint in reversed(list(enumerate(opened))):
                error = ZeroDivisionError() if number == SAVEPOINTS // 2 else None
                await savepoint.__aexit__(None if error is None else ZeroDivisionError, error, None)
        found = [workflow.id for workflow in await storage.list_workflows()]
        assert found == [f"{number:02}" for number in range(SAVEPOINTS // 2)]

    @clause("TXN-7")
    async def test_a_transaction_may_have_a_very_long_time(self, storage: StorageAdapter, store: Store) -> None:
        for timeout in (86_400.0 * 365, 1e10, 2**40):
            async with storage.transaction(timeout=timeout) as transaction:
                await samples.stored_workflow(transaction)
        async with store.open() as other:
            assert await other.count_workflows() == 3


async def _save_in_a_block(storage: StorageAdapter, id: str) -> None:
    async with storage.transaction(timeout=PATIENCE_S) as transaction:
        await samples.stored_workflow(transaction, id=id, definition={})


async def _ids(storage: StorageAdapter, filter: QueryFilter) -> list[str]:
    return _ids_of(await storage.list_workflows(filter))


def _ids_of(records: Iterable[Any]) -> list[str]:
    return [record.id for record in records]
