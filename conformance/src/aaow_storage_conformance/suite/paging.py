"""Orders and pages: how lists sort, and how a long list is read page by page."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    Direction,
    FieldName,
    Gt,
    LLMExecution,
    LLMExecutionResult,
    Ne,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes

DOWN = Direction.DESCENDING
BY_CODE_POINT = (
    *("", " ", "%", "10", "9", "A", "B", "Z", "_", "a", "aa", "b", "z", "~"),
    *("Ä", "ß", "ä", "é", "İ", "Ω", "中", "\ue000", "ﬁ", "\uffff", "\U00010000", "😀"),
)
"""Texts in code point order, which is neither a language's order nor that of UTF-16."""
ORDERS: dict[str, tuple[OrderBy, ...]] = {
    "by default": (),
    "by id": (OrderBy("id"),),
    "by id down": (OrderBy("id", DOWN),),
    "by a time that many share": (OrderBy("timestamp"),),
    "by a time that many share down": (OrderBy("timestamp", DOWN),),
    "by a bool that may be null": (OrderBy("success"),),
    "by a bool that may be null down": (OrderBy("success", DOWN),),
    "by a text that may be null": (OrderBy("text"),),
    "by a text that may be null down": (OrderBy("text", DOWN),),
    "by two fields up and down": (OrderBy("success", DOWN), OrderBy("text")),
    "by three fields": (OrderBy("text", DOWN), OrderBy("success"), OrderBy("timestamp", DOWN)),
    "by a number in JSON": (OrderBy("metadata.rank"),),
    "by a number in JSON down": (OrderBy("metadata.rank", DOWN),),
    "by a text in JSON and a field": (OrderBy(("metadata", "a.b")), OrderBy("text", DOWN)),
    "by id before another": (OrderBy("id", DOWN), OrderBy("text")),
}
PAGE_SIZES = (1, 2, 3, 7, 50)
TEXTS = (None, "b", "a", "", "B", "a")
SUCCESSES = (True, None, False, None, True)
RANKS = (2, None, 10, -1.5, ..., 2.0, 9)
WORDS = ("z", None, "Z", ..., "a", "a")


class PagingTests:
    """Sorting, limits, offsets, and walks by `QueryFilter.after`."""

    @clause("QRY-5")
    @pytest.mark.parametrize("path", ["name", "metadata.name"])
    async def test_text_sorts_by_code_point(self, storage: StorageAdapter, path: str) -> None:
        for number, text in enumerate(BY_CODE_POINT[::2] + BY_CODE_POINT[1::2]):
            await samples.stored_workflow(storage, id=f"{99 - number}", name=text, metadata={"name": text})
        found = await storage.list_workflows(QueryFilter(order_by=OrderBy(path)))
        assert [workflow.name for workflow in found] == list(BY_CODE_POINT)
        found = await storage.list_workflows(QueryFilter(order_by=OrderBy(path, DOWN)))
        assert [workflow.name for workflow in found] == list(reversed(BY_CODE_POINT))

    @clause("QRY-5")
    async def test_ids_that_break_ties_sort_by_code_point(self, storage: StorageAdapter) -> None:
        ids = [text for text in BY_CODE_POINT if text]
        for name in reversed(ids):
            await samples.stored_workflow(storage, id=name, name="same", created_at=samples.EPOCH)
        for order in ((), OrderBy("name"), OrderBy("name", DOWN), (OrderBy("created_at", DOWN), OrderBy("name", DOWN))):
            found = await storage.list_workflows(QueryFilter(order_by=order))
            assert [workflow.id for workflow in found] == ids

    @clause("QRY-5")
    async def test_none_sorts_before_every_value_and_behind_it_downwards(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for name, text, success in [("1", "b", True), ("2", None, None), ("3", "", False), ("4", None, True)]:
            metadata = None if text is None else {"text": text, "empty": None}
            await samples.stored_execution(
                storage, session.id, id=name, text=text, success=success, metadata=metadata, timestamp=samples.EPOCH
            )
        orders: dict[Any, str] = {
            OrderBy("text"): "2431",
            OrderBy("text", DOWN): "1324",
            OrderBy("success"): "2314",
            OrderBy("success", DOWN): "1432",
            OrderBy("metadata.text"): "2431",
            OrderBy("metadata.text", DOWN): "1324",
            OrderBy("metadata.empty", DOWN): "1234",
            (OrderBy("success", DOWN), OrderBy("text")): "4132",
            (OrderBy("success", DOWN), OrderBy("text", DOWN)): "1432",
            (OrderBy("text"), OrderBy("success", DOWN)): "4231",
            (OrderBy("text"), OrderBy("id", DOWN)): "4231",
        }
        for order, expected in orders.items():
            found = await storage.get_llm_executions(session.id, QueryFilter(order_by=order))
            assert (order, "".join(execution.id for execution in found)) == (order, expected)

    @clause("QRY-5")
    async def test_amounts_and_numbers_sort_by_value(self, storage: StorageAdapter) -> None:
        totals: dict[str, Any] = {
            "a": "10.0",
            "b": 9,
            "c": 100,
            "d": 10,
            "e": "0.3",
            "f": "1e-9",
            "g": "123456789012345",
            "h": 0.25,
        }
        for name, total in totals.items():
            await samples.stored_pool(storage, id=name, total_budget=total, metadata={"n": float(total)})
        for path in ("total_budget", "metadata.n"):
            found = await storage.list_budget_pools(QueryFilter(order_by=OrderBy(path)))
            assert "".join(pool.id for pool in found) == "fhebadcg"
            found = await storage.list_budget_pools(QueryFilter(order_by=OrderBy(path, DOWN)))
            assert "".join(pool.id for pool in found) == "gcadbehf"

    @clause("QRY-5", "QRY-1", "REC-8")
    async def test_amounts_beyond_the_range_of_floats_come_back_and_compare_by_value(
        self, storage: StorageAdapter
    ) -> None:
        totals = ("0", "1E-18", "2E-18", "1E-17", "1", "1E+17", "1.00000000000001E+17", "2E+17")
        for number, total in enumerate(totals):
            pool = await samples.stored_pool(storage, id=f"{number * 3 % 8}", total_budget=total, used_budget=0)
            assert_identical(await storage.get_budget_pool(pool.id), pool)
        by_total = QueryFilter(order_by=OrderBy("total_budget"))
        listed = [pool.total_budget for pool in await storage.list_budget_pools(by_total)]
        assert listed == [Decimal(total) for total in totals]
        for place, total in enumerate(totals):
            equal, above = QueryFilter({"total_budget": total}), QueryFilter({"total_budget": Gt(total)})
            assert [pool.total_budget for pool in await storage.list_budget_pools(equal)] == [Decimal(total)]
            assert len(await storage.list_budget_pools(above)) == len(totals) - place - 1

    @clause("QRY-5")
    async def test_instants_sort_by_time_to_the_microsecond(self, storage: StorageAdapter) -> None:
        steps = {"a": 1_000_000, "b": 0, "c": 1, "d": 10, "e": 9, "f": 500_000, "g": -1}
        for name, step in steps.items():
            await samples.stored_workflow(storage, id=name, updated_at=samples.EPOCH + timedelta(microseconds=step))
        found = await storage.list_workflows(QueryFilter(order_by=OrderBy("updated_at")))
        assert "".join(workflow.id for workflow in found) == "gbcedfa"

    @clause("QRY-6")
    @every_listing
    async def test_limit_and_offset_cut_the_list_and_nothing_else(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await _fill(storage, listing, 7)
        for order in ((), OrderBy("id", DOWN), (OrderBy(listing.time, DOWN), OrderBy("id", DOWN))):
            where: dict[FieldName, Any] = {"id": Gt("0")}
            whole = await listing.list(storage, QueryFilter(where, order))
            assert len(whole) >= 7
            for offset in (0, 1, 3, len(whole) - 1, len(whole), 2**63 - 1):
                for limit in (None, 0, 1, 3, len(whole), 2**63 - 1):
                    query = QueryFilter(where, order, limit, offset)
                    expected = whole[offset : None if limit is None else offset + limit]
                    assert_identical(await listing.list(storage, query), expected)
                    if listing.count is not None:
                        assert await listing.count(storage, query) == len(expected)

    @clause("QRY-6")
    @pytest.mark.parametrize("order", [(), OrderBy("name", DOWN)], ids=["by time", "by name down"])
    async def test_every_page_of_a_longer_list_is_its_own_cut(self, storage: StorageAdapter, order: Any) -> None:
        async with storage.transaction() as transaction:
            for number in range(40):
                await samples.stored_workflow(transaction, name=f"{number * 7 % 40}")
        whole = await storage.list_workflows(QueryFilter(order_by=order))
        ids = [workflow.id for workflow in whole]
        for offset in (0, 1, 5, 6, 13, 20, 39, 40):
            for limit in (1, 2, 6, 7, 10, 20, 39, 40, 41):
                query = QueryFilter(order_by=order, limit=limit, offset=offset, documents=False)
                found = [workflow.id for workflow in await storage.list_workflows(query)]
                assert (offset, limit, found) == (offset, limit, ids[offset : offset + limit])
                assert await storage.count_workflows(query) == len(found)
                behind = QueryFilter(order_by=order, limit=limit, documents=False).after(whole[offset - 1])
                if offset:
                    assert [workflow.id for workflow in await storage.list_workflows(behind)] == found

    @clause("QRY-6")
    async def test_a_limit_applies_after_the_conditions(self, storage: StorageAdapter) -> None:
        for number in range(12):
            await samples.stored_workflow(storage, id=f"{number:02}", version=str(number % 3), metadata={"n": number})
        wheres: list[dict[FieldName, Any]] = [{"version": "1"}, {"version": "1", "metadata.n": Ne(None)}]
        for where in wheres:
            found = await storage.list_workflows(QueryFilter(where, limit=2, offset=1))
            assert [workflow.id for workflow in found] == ["04", "07"]
            assert await storage.count_workflows(QueryFilter(where, limit=3)) == 3
            assert await storage.count_workflows(QueryFilter(where, offset=3)) == 1

    @clause("QRY-6")
    async def test_a_list_without_a_limit_has_no_limit(self, storage: StorageAdapter) -> None:
        async with storage.transaction(timeout=600) as transaction:
            for _ in range(1_200):
                await transaction.save_workflow(StoredWorkflow(name="n", version="1", definition={}))
        assert len(await storage.list_workflows()) == 1_200
        assert len(await storage.list_workflows(QueryFilter({"name": "n"}, offset=50))) == 1_150
        assert await storage.count_workflows(QueryFilter({"name": "n"})) == 1_200

    @clause("QRY-7")
    @pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
    async def test_walking_page_by_page_visits_the_whole_list_in_order(
        self, storage: StorageAdapter, order: tuple[OrderBy, ...]
    ) -> None:
        session_id = await _store_executions(storage)
        query = QueryFilter({"id": Ne("execution 03")}, order)
        whole = await storage.get_llm_executions(session_id, query)
        assert len(whole) == 22
        for size in PAGE_SIZES:
            visited = await _walk(storage, session_id, attrs.evolve(query, limit=size))
            assert_identical(visited, whole)
        for index in (0, 10, 21):
            behind = await storage.get_llm_executions(session_id, query.after(whole[index]))
            assert_identical(behind, whole[index + 1 :])

    @clause("QRY-7")
    @pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
    async def test_walking_visits_once_what_was_there_throughout_whatever_comes_and_goes(
        self, storage: StorageAdapter, order: tuple[OrderBy, ...]
    ) -> None:
        session_id = await _store_executions(storage)
        there = {execution.id for execution in await storage.get_llm_executions(session_id)}
        gone: set[str] = set()
        away = await samples.stored_session(storage)
        turns = 0

        async def disturb(page: list[LLMExecution]) -> None:
            nonlocal turns
            turns += 1
            for old in (page[-1], page[0]):
                if turns % 2 and old.id in there:
                    gone.add(old.id)
                    await storage.save_llm_execution(away.id, old.node_id, _result_of(old))
            if turns < 20:
                for like in (page[0], page[-1]):
                    new = attrs.evolve(_result_of(like), id=f"{like.id} again {turns}")
                    await storage.save_llm_execution(session_id, "draft", new)

        visited = await _walk(storage, session_id, QueryFilter(order_by=order, limit=3), disturb)
        ids = [execution.id for execution in visited]
        assert len(ids) == len(set(ids))
        assert there - gone <= set(ids)

    @clause("QRY-7")
    async def test_going_on_behind_a_record_that_has_moved_goes_on_from_where_it_was(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        made = [await samples.stored_execution(storage, session.id) for _ in range(5)]
        for later in (samples.instant(-1), samples.instant(2_000_000)):
            moved = attrs.evolve(made[1], timestamp=later)
            await storage.save_llm_execution(session.id, moved.node_id, _result_of(moved))
            found = await storage.get_llm_executions(session.id, QueryFilter(limit=2).after(made[1]))
            assert_identical(found, made[2:4])

    @clause("QRY-7")
    @every_listing
    async def test_every_list_goes_on_behind_a_record(self, storage: StorageAdapter, listing: Listing) -> None:
        await _fill(storage, listing, 6)
        whole = await listing.list(storage, None)
        for index, record in enumerate(whole):
            query = QueryFilter(limit=2).after(record)
            assert_identical(await listing.list(storage, query), whole[index + 1 : index + 3])
            if listing.count is not None:
                assert await listing.count(storage, query) == len(whole[index + 1 : index + 3])

    @clause("QRY-7")
    async def test_going_on_drops_the_offset_and_one_named_then_counts_from_there(
        self, storage: StorageAdapter
    ) -> None:
        workflows = [await samples.stored_workflow(storage) for _ in range(6)]
        paged = QueryFilter(limit=2, offset=2).after(workflows[3])
        assert_identical(await storage.list_workflows(paged), workflows[4:6])
        skipping = attrs.evolve(QueryFilter().after(workflows[0]), offset=2)
        assert_identical(await storage.list_workflows(skipping), workflows[3:])

    @clause("QRY-7")
    async def test_going_on_behind_no_record_is_refused(self, storage: StorageAdapter) -> None:
        page = await storage.list_workflows()
        with pytest.raises(ValidationError):
            QueryFilter().after(page[-1] if page else None)

    @clause("QRY-7")
    @pytest.mark.slow
    async def test_a_late_page_costs_what_the_first_page_costs(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for start in range(0, 30_000, 3_000):
            async with storage.transaction(timeout=300) as transaction:
                for number in range(start, start + 3_000):
                    result = LLMExecutionResult(id=f"{number:05}", timestamp=samples.instant(number))
                    await transaction.save_llm_execution(session.id, "draft", result)
        first = QueryFilter(limit=10)
        (late_mark,) = await storage.get_llm_executions(session.id, QueryFilter({"id": "29900"}))
        late = first.after(late_mark)

        async def cost(filter: QueryFilter, expected: str) -> float:
            best = float("inf")
            for _ in range(15):
                started = time.perf_counter()
                page = await storage.get_llm_executions(session.id, filter)
                best = min(best, time.perf_counter() - started)
                assert page[0].id == expected
            return best

        assert await cost(late, "29901") < 4 * await cost(first, "00000") + 0.001


async def _fill(storage: StorageAdapter, listing: Listing, count: int) -> None:
    """Store records of a listing, the last first, two at each instant."""
    await prepare_scopes(storage)
    for number in reversed(range(count)):
        when = {listing.time: samples.instant(number // 2)}
        await listing.store(storage, listing.make(id=f"record {number}", **when))
        stranger = listing.foreign(id=f"stranger {number}", **when)
        if stranger is not None:
            await listing.store(storage, stranger)


async def _store_executions(storage: StorageOperations) -> str:
    """Store 23 executions with many equal and absent values; return their session's id."""
    session = await samples.stored_session(storage)
    for number in reversed(range(23)):
        rank, word = RANKS[number % 7], WORDS[number % 6]
        metadata = {key: value for key, value in (("rank", rank), ("a.b", word)) if value is not ...}
        await samples.stored_execution(
            storage,
            session.id,
            id=f"execution {number:02}",
            timestamp=samples.instant(number % 4),
            text=TEXTS[number % 6],
            success=SUCCESSES[number % 5],
            metadata=metadata if number % 11 else None,
        )
    return session.id


async def _walk(
    storage: StorageOperations,
    session_id: str,
    filter: QueryFilter,
    between: Callable[[list[LLMExecution]], Awaitable[None]] | None = None,
) -> list[LLMExecution]:
    """Read all pages by `after`, and return their records; call `between` after each page."""
    visited: list[LLMExecution] = []
    page = await storage.get_llm_executions(session_id, filter)
    while page:
        assert len(visited) < 500, f"a walk by after() visited {len(visited)} of 23 executions: it does not end"
        visited += page
        if between is not None:
            await between(page)
        page = await storage.get_llm_executions(session_id, filter.after(page[-1]))
    return visited


def _result_of(execution: LLMExecution) -> LLMExecutionResult:
    fields = {field.name: getattr(execution, field.name) for field in attrs.fields(LLMExecutionResult)}
    return LLMExecutionResult(**fields)
