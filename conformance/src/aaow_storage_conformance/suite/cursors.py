"""Cursors: texts that say where a page begins, for requests that another process answers."""

import asyncio
import json
import string
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import attrs
import pytest

from aaow_storage import (
    Capability,
    Direction,
    FieldName,
    LLMExecution,
    LLMExecutionResult,
    Ne,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    TokenUsage,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.harness.refusals import check_raises
from aaow_storage_conformance.harness.store import Store

DOWN = Direction.DESCENDING
SAFE = frozenset(string.ascii_letters + string.digits + "-._~")
"""The characters that a URL holds as they are, wherever they stand in it."""
ORDERS: dict[str, tuple[OrderBy, ...]] = {
    "by default": (),
    "by a time that many share down": (OrderBy("timestamp", DOWN),),
    "by a bool that may be null": (OrderBy("success"),),
    "by a text that may be null down": (OrderBy("text", DOWN), OrderBy("success")),
    "by an amount that may be null": (OrderBy("cost", DOWN), OrderBy("success", DOWN)),
    "by counts": (OrderBy("attempt"), OrderBy("total_tokens", DOWN)),
    "by any value in JSON": (OrderBy("metadata.any"),),
    "by a text in JSON and a field": (OrderBy(("metadata", "a.b"), DOWN), OrderBy("text")),
    "by id down": (OrderBy("id", DOWN),),
}
TEXTS = (None, "b", "a\nb", "", "B", "\U0001f600 é")
COSTS = (None, "0.1", "0.10", "12345678.9", "0")
ANY = (1, None, [1, {"a": None}], -1.5, ..., 2**53 + 1, "\0", {"b": [], "a": 1}, True)
COUNTS = (0, 2**63 - 1, 2**53 + 1, 2**53)
NO_CURSORS = ("", "x", "id", "AA", "A" * 40, "%41", "=", "Aw==", "\0", "é", "\ud800", " " * 8, "[]", "null", "{}")
NUMBER = 24


class CursorTests:
    """`QueryFilter.cursor`, and `after` with what it returned."""

    @clause("QRY-11")
    @pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
    async def test_walking_by_cursor_visits_the_whole_list_in_order(
        self, storage: StorageAdapter, order: tuple[OrderBy, ...]
    ) -> None:
        session_id = await _store_executions(storage)
        query = QueryFilter({"id": Ne("execution 03")}, order)
        whole = await storage.get_llm_executions(session_id, query)
        assert len(whole) == NUMBER - 1
        for size in (1, 4, 50):
            assert_identical(
                [each async for each in _walk(storage, session_id, attrs.evolve(query, limit=size))], whole
            )

    @clause("QRY-11")
    @pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
    async def test_walking_by_cursor_visits_once_what_was_there_throughout_whatever_comes_and_goes(
        self, storage: StorageAdapter, order: tuple[OrderBy, ...]
    ) -> None:
        session_id = await _store_executions(storage)
        there = {execution.id for execution in await storage.get_llm_executions(session_id)}
        away = await samples.stored_session(storage)
        gone: set[str] = set()
        visited: list[str] = []
        async for each in _walk(storage, session_id, QueryFilter(order_by=order, limit=1)):
            visited.append(each.id)
            if each.id in there and len(visited) % 2:
                gone.add(each.id)
                await storage.save_llm_execution(away.id, each.node_id, _result_of(each))
            if len(visited) < 2 * NUMBER:
                new = attrs.evolve(_result_of(each), id=f"{each.id[:12]}-{len(visited)}")
                await storage.save_llm_execution(session_id, "draft", new)
        assert len(visited) == len(set(visited))
        assert there - gone <= set(visited)

    @clause("QRY-11")
    @every_listing
    async def test_every_list_goes_on_behind_a_cursor(self, storage: StorageAdapter, listing: Listing) -> None:
        await prepare_scopes(storage)
        for number in reversed(range(6)):
            await listing.store(storage, listing.make(id=f"r{number}", **{listing.time: samples.instant(number // 2)}))
        for order in ((), (OrderBy(listing.time, DOWN),), (OrderBy("id", DOWN),)):
            query = QueryFilter(order_by=order, limit=2)
            whole = await listing.list(storage, attrs.evolve(query, limit=None))
            for index, record in enumerate(whole):
                behind = query.after(query.cursor(record))
                assert_identical(await listing.list(storage, behind), whole[index + 1 : index + 3])
                if listing.count is not None:
                    assert await listing.count(storage, behind) == len(whole[index + 1 : index + 3])

    @clause("QRY-11")
    async def test_a_cursor_goes_into_a_url_as_it_is(self, storage: StorageAdapter) -> None:
        session_id = await _store_executions(storage)
        for order in ORDERS.values():
            query = QueryFilter(order_by=order)
            for execution in await storage.get_llm_executions(session_id):
                cursor = query.cursor(execution)
                assert type(cursor) is str
                assert SAFE.issuperset(cursor)

    @clause("QRY-11")
    async def test_a_cursor_of_a_record_that_is_gone_or_moved_goes_on_from_where_it_was(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        made = [await samples.stored_execution(storage, session.id) for _ in range(5)]
        query = QueryFilter(limit=2)
        cursor = query.cursor(made[1])
        for later in (samples.instant(-1), samples.instant(2_000_000)):
            moved = attrs.evolve(made[1], timestamp=later)
            await storage.save_llm_execution(session.id, moved.node_id, _result_of(moved))
            assert_identical(await storage.get_llm_executions(session.id, query.after(cursor)), made[2:4])
        away = await samples.stored_session(storage)
        await storage.save_llm_execution(away.id, "draft", _result_of(made[1]))
        assert_identical(await storage.get_llm_executions(session.id, query.after(cursor)), made[2:4])

    @clause("QRY-11")
    @requires(Capability.DURABLE)
    async def test_a_cursor_is_good_in_another_process_and_after_its_own_has_ended(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        session_id = await _store_executions(storage)
        query = QueryFilter(order_by=ORDERS["by any value in JSON"], limit=5)
        whole = await storage.get_llm_executions(session_id, attrs.evolve(query, limit=None))
        first, cursor = await store.run_in_subprocess(_next_page, session_id, query, None)
        assert_identical(first, whole[:5])
        assert_identical(await storage.get_llm_executions(session_id, query.after(cursor)), whole[5:10])
        second, cursor = await store.run_in_subprocess(_next_page, session_id, query, query.cursor(whole[4]))
        assert_identical(second, whole[5:10])
        async with store.open() as other:
            assert_identical(await other.get_llm_executions(session_id, query.after(cursor)), whole[10:15])

    @clause("QRY-11")
    async def test_a_cursor_goes_on_in_the_other_direction_too(self, storage: StorageAdapter) -> None:
        workflows = [await samples.stored_workflow(storage, created_at=samples.instant(n // 2)) for n in range(6)]
        keys = [OrderBy("created_at"), OrderBy("id")]
        cursor = QueryFilter(order_by=keys).cursor(workflows[3])
        back = QueryFilter(order_by=[attrs.evolve(key, direction=DOWN) for key in keys], limit=2).after(cursor)
        assert_identical(await storage.list_workflows(back), [workflows[2], workflows[1]])

    @clause("QRY-11")
    @every_listing
    async def test_a_text_that_is_no_cursor_is_refused(self, storage: StorageAdapter, listing: Listing) -> None:
        await prepare_scopes(storage)
        record = listing.make(id="r")
        await listing.store(storage, record)
        cursor = QueryFilter().cursor(record)
        wrong = [*NO_CURSORS, cursor[:-1], cursor[1:], cursor * 2, f" {cursor}"]
        wrong += [cursor + end for end in ("A", "=", "\n", "-", "%3D")]
        for place in range(0, len(cursor), 3):
            others = [other for other in ("A", "z") if other != cursor[place]]
            wrong += [f"{cursor[:place]}{other}{cursor[place + 1 :]}" for other in others]
        for text in wrong:
            query = QueryFilter().after(text)
            for call in listing.calls:
                error = await check_raises(
                    ValidationError, f"{listing.name}() after the text {text!r}", call, storage, query
                )
                assert error.field == "after"

    @clause("QRY-11")
    @every_listing
    async def test_a_cursor_of_other_records_or_of_another_order_is_refused(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        record = listing.make(id="r")
        await listing.store(storage, record)
        query = QueryFilter()
        by_id = QueryFilter(order_by=OrderBy("id"))
        stranger = samples.a_pool() if hasattr(record, "node_id") else samples.a_request("s")
        for wrong in (
            query.after(by_id.cursor(record)),
            by_id.after(query.cursor(record)),
            query.after(QueryFilter(order_by=(OrderBy("id"), OrderBy(listing.time))).cursor(record)),
            by_id.after(by_id.cursor(stranger)),
        ):
            for call in listing.calls:
                error = await check_raises(
                    ValidationError, f"{listing.name}() after a cursor of others", call, storage, wrong
                )
                assert error.field == "after"

    @clause("QRY-11")
    async def test_a_cursor_of_an_order_that_looks_the_same_is_refused(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        orders: list[tuple[OrderBy, ...]] = [
            (OrderBy(name),) for name in ("name", "version", "metadata.user", ("metadata", "10"))
        ]
        orders += [(OrderBy("name"), OrderBy("version")), (OrderBy("version"), OrderBy("name"))]
        orders += [(OrderBy(name),) for name in ("created_at", "updated_at")]
        for order in orders:
            cursor = QueryFilter(order_by=order).cursor(workflow)
            assert await storage.list_workflows(QueryFilter(order_by=order).after(cursor)) == []
            for other in orders:
                if other != order:
                    with pytest.raises(ValidationError) as caught:
                        await storage.list_workflows(QueryFilter(order_by=other).after(cursor))
                    assert caught.value.field == "after"

    @clause("QRY-11")
    async def test_a_cursor_is_made_of_records_that_are_listed(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, session.id)
        for wrong in (None, "id", 1, samples.a_call(), {"id": "x"}, [session]):
            with pytest.raises(ValidationError) as caught:
                QueryFilter().cursor(wrong)
            assert caught.value.field == "cursor"
        with pytest.raises(ValidationError):
            QueryFilter(order_by=OrderBy("status")).cursor(execution)

    @clause("QRY-11", "QRY-8")
    async def test_a_cursor_of_a_record_without_its_document_is_that_of_the_whole_record(
        self, storage: StorageAdapter
    ) -> None:
        sessions = [await samples.stored_session(storage, created_at=samples.EPOCH) for _ in range(4)]
        bare = await storage.list_sessions(QueryFilter(documents=False))
        for whole, left in zip(sessions, bare, strict=True):
            assert QueryFilter().cursor(whole) == QueryFilter(documents=False).cursor(left)
        by_document = QueryFilter(order_by=OrderBy("workflow_snapshot.name"), documents=False)
        with pytest.raises(ValidationError):
            by_document.cursor(bare[0])
        found = await storage.list_sessions(by_document.after(by_document.cursor(sessions[0])))
        assert sessions[0].id not in [session.id for session in found]


async def _walk(storage: StorageOperations, session_id: str, filter: QueryFilter) -> AsyncIterator[LLMExecution]:
    """Yield the executions of all pages; of the page before, a request has nothing but the cursor."""
    page = await storage.get_llm_executions(session_id, filter)
    turns = 0
    while page:
        turns += 1
        assert turns < 500, "a walk by cursor does not end"
        for each in page:
            yield each
        cursor = json.loads(json.dumps(filter.cursor(page[-1])))
        await asyncio.sleep(0)
        page = await storage.get_llm_executions(session_id, attrs.evolve(filter).after(cursor))


async def _next_page(
    storage: StorageAdapter, session_id: str, filter: QueryFilter, cursor: str | None
) -> tuple[list[LLMExecution], str]:
    """Return a page and the cursor of its last record, as the handler of a request does."""
    page = await storage.get_llm_executions(session_id, filter if cursor is None else filter.after(cursor))
    return page, filter.cursor(page[-1])


async def _store_executions(storage: StorageOperations) -> str:
    """Store executions with many equal and absent values, the last first; return their session's id."""
    session = await samples.stored_session(storage)
    for number in reversed(range(NUMBER)):
        values: dict[FieldName, Any] = {"any": ANY[number % 9], "a.b": TEXTS[number % 5]}
        cost = COSTS[number % 5]
        total = COUNTS[number % 4]
        await samples.stored_execution(
            storage,
            session.id,
            id=f"execution {number:02}",
            timestamp=samples.EPOCH + timedelta(microseconds=number % 4),
            text=TEXTS[number % 6],
            success=(True, None, False)[number % 3],
            metadata={key: value for key, value in values.items() if value is not ...} if number % 7 else None,
            cost=cost,
            currency=None if cost is None else "USD",
            attempt=COUNTS[number % 3],
            usage=TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=total) if number % 5 else None,
        )
    return session.id


def _result_of(execution: LLMExecution) -> LLMExecutionResult:
    fields = {field.name: getattr(execution, field.name) for field in attrs.fields(LLMExecutionResult)}
    return LLMExecutionResult(**fields)
