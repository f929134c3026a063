"""Filters: what they find, what they refuse, and that they never reach other scopes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aaow_storage import (
    Contains,
    FieldName,
    Ge,
    Gt,
    In,
    Lt,
    Ne,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    StorageAdapter,
    ValidationError,
    now,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.list_calls import HOME_POOL, Listing, every_listing, prepare_scopes
from aaow_storage_conformance.data.query_tables import JSON, KEYS, TABLES, QueryTable
from aaow_storage_conformance.harness.refusals import check_raises

INVALID_NAMES: tuple[FieldName, ...] = (
    *("nothing", "", " id", "ID", "id.x", ("id", "x"), "id; DROP TABLE sessions", "1", "remaining_budget", "__class__"),
    *("metadata", "context", "data", "args", "definition"),
)
"""Names that no record can be filtered by: unknown, a path into a scalar, or a JSON field without a path."""
INVALID_TEXTS: tuple[Any, ...] = (
    *(1, True, b"x", [], {}, ("x",), object()),
    *(Ne(1), Lt(None), Gt(1), Ge(True), In(["x", 1]), NotIn([b"x"]), Contains(1), StartsWith(None)),  # type: ignore[arg-type]  # on purpose
)
INVALID_INSTANTS: tuple[Any, ...] = (
    *("2024-01-01", 0, datetime(2024, 1, 1), True, [], Lt(None), Gt("2024"), In([0])),  # noqa: DTZ001 - on purpose
    *(Contains("2024"), StartsWith("2024"), NotIn(["2024-01-01"])),
)
INVALID_PLACES: tuple[Any, ...] = (-1, 1.0, "1", True, 2**63)


class QueryTests:
    """Conditions of `QueryFilter.where`."""

    @clause("QRY-1")
    @pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
    async def test_a_condition_finds_exactly_what_the_table_says(
        self, storage: StorageAdapter, table: QueryTable
    ) -> None:
        await _check_table(storage, table)

    @clause("QRY-2")
    async def test_a_path_into_json_compares_as_json_does(self, storage: StorageAdapter) -> None:
        await samples.stored_workflow(storage, id="unsaid", metadata=None)
        await _check_table(storage, JSON)

    @clause("QRY-1")
    async def test_all_entries_have_to_hold(self, storage: StorageAdapter) -> None:
        for name, version, user in [("a", "1", "ann"), ("a", "2", "ann"), ("b", "1", "bea"), ("b", "2", "ann")]:
            metadata = {"user": user}
            await samples.stored_workflow(storage, id=f"{name}{version}", name=name, version=version, metadata=metadata)
        wheres: list[tuple[dict[FieldName, Any], list[str]]] = [
            ({}, ["a1", "a2", "b1", "b2"]),
            ({"name": "a", "version": "2"}, ["a2"]),
            ({"name": "b", "metadata.user": "ann"}, ["b2"]),
            ({"version": "1", "metadata.user": "ann", "name": Ne("b")}, ["a1"]),
            ({"name": "a", "metadata.user": "bea"}, []),
            ({"id": In(["a1", "b2"]), "name": NotIn(["a"])}, ["b2"]),
        ]
        for where, expected in wheres:
            found = await storage.list_workflows(QueryFilter(where))
            assert (where, [workflow.id for workflow in found]) == (where, expected)
            assert await storage.count_workflows(QueryFilter(where)) == len(expected)

    @clause("QRY-2")
    async def test_keys_of_a_path_are_taken_literally(self, storage: StorageAdapter) -> None:
        for number, key in enumerate(KEYS):
            await samples.stored_workflow(storage, id=f"{number:02}", metadata={key: "found", "other": [{key: 1}]})
        for number, key in enumerate(KEYS):
            for condition in ("found", Ne(None)):
                found = await storage.list_workflows(QueryFilter({("metadata", key): condition}))
                assert (key, [workflow.id for workflow in found]) == (key, [f"{number:02}"])

    @clause("QRY-2")
    async def test_values_at_a_path_are_taken_literally(self, storage: StorageAdapter) -> None:
        for number, value in enumerate(KEYS):
            await samples.stored_workflow(storage, id=f"{number:02}", metadata={"value": value})
        for number, value in enumerate(KEYS):
            found = await storage.list_workflows(QueryFilter({"metadata.value": value}))
            assert (value, [workflow.id for workflow in found]) == (value, [f"{number:02}"])
            found = await storage.list_workflows(QueryFilter({"metadata.value": In([value, "absent"])}))
            assert (value, [workflow.id for workflow in found]) == (value, [f"{number:02}"])
            containing = [f"{index:02}" for index, text in enumerate(KEYS) if value in text]
            found = await storage.list_workflows(QueryFilter({"metadata.value": Contains(value)}))
            assert (value, [workflow.id for workflow in found]) == (value, containing)

    @clause("QRY-2")
    async def test_a_dotted_name_goes_down_and_a_tuple_goes_by_whole_keys(self, storage: StorageAdapter) -> None:
        await samples.stored_workflow(storage, id="deep", metadata={"a": {"b": {"c": 1}}})
        await samples.stored_workflow(storage, id="flat", metadata={"a.b.c": 1})
        await samples.stored_workflow(storage, id="half", metadata={"a": {"b.c": 1}})
        paths: tuple[tuple[FieldName, str], ...] = (
            ("metadata.a.b.c", "deep"),
            (("metadata", "a", "b", "c"), "deep"),
            (("metadata", "a.b.c"), "flat"),
            (("metadata", "a", "b.c"), "half"),
        )
        for path, expected in paths:
            found = await storage.list_workflows(QueryFilter({path: 1}))
            assert (path, [workflow.id for workflow in found]) == (path, [expected])

    @clause("QRY-2")
    async def test_a_path_leads_through_objects_only(self, storage: StorageAdapter) -> None:
        documents: dict[str, Any] = {
            "list": {"a": [{"0": 1, "b": 1}, 1]},
            "nested": {"a": {"0": 1, "b": 1}},
            "number": {"a": 1},
            "text": {"a": '{"b": 1, "0": 1}'},
            "wanting": {},
        }
        for name, metadata in documents.items():
            await samples.stored_workflow(storage, id=name, metadata=metadata)
        for path in ("metadata.a.b", "metadata.a.0"):
            found = await storage.list_workflows(QueryFilter({path: 1}))
            assert [workflow.id for workflow in found] == ["nested"]
            found = await storage.list_workflows(QueryFilter({path: None}))
            assert [workflow.id for workflow in found] == ["list", "number", "text", "wanting"]

    @clause("QRY-2")
    async def test_every_json_field_has_paths(self, storage: StorageAdapter) -> None:
        await prepare_scopes(storage)
        execution = await samples.stored_execution(storage, "home session", metadata={"k": 1})
        call = await samples.stored_tool_call(storage, execution.id, args={"k": 1}, result={"k": [], "r": 2})
        await samples.stored_tool_call(storage, execution.id, args={"k": 2}, result=[1])
        request = await samples.stored_request(storage, "home session", context={"k": 1})
        pool = await samples.stored_pool(storage, metadata={"k": "only"})
        session = await samples.stored_session(storage, workflow_snapshot={"k": "only"}, metadata={"m": 3})
        workflow = await samples.stored_workflow(storage, definition={"k": "only"})
        found: list[Any] = [
            await storage.get_llm_executions("home session", QueryFilter({"metadata.k": 1})),
            await storage.get_tool_calls(execution.id, QueryFilter({"args.k": 1, "result.r": Gt(1)})),
            await storage.list_pending_approvals(QueryFilter({"context.k": 1})),
            await storage.list_budget_pools(QueryFilter({"metadata.k": "only"})),
            await storage.list_sessions(QueryFilter({"workflow_snapshot.k": "only", "metadata.m": 3})),
            await storage.list_workflows(QueryFilter({"definition.k": StartsWith("on")})),
        ]
        assert_identical(found, [[execution], [call], [request], [pool], [session], [workflow]])

    @clause("QRY-3")
    @every_listing
    async def test_a_filter_that_is_wrong_is_refused_even_where_nothing_is_stored(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        for is_empty in (True, False):
            if not is_empty:
                await prepare_scopes(storage)
                await listing.store(storage, listing.make())
            for wrong in _wrong_filters(listing):
                for call in listing.calls:
                    await check_raises(ValidationError, f"{listing.name}() with {wrong!r}", call, storage, wrong)

    @clause("QRY-3")
    @every_listing
    async def test_an_unknown_field_is_answered_with_those_there_are(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        for wrong in (QueryFilter({"nothing": 1}), QueryFilter(order_by=OrderBy("nothing"))):
            for call in listing.calls:
                error = await check_raises(ValidationError, f"{listing.name}() with {wrong!r}", call, storage, wrong)
                assert all(name in str(error) for name in ("nothing", "id", listing.time))

    @clause("QRY-3")
    @pytest.mark.parametrize("place", INVALID_PLACES)
    def test_a_limit_or_offset_that_is_no_count_is_refused(self, place: Any) -> None:
        with pytest.raises(ValidationError) as caught:
            QueryFilter(limit=place)
        assert caught.value.field == "limit"
        with pytest.raises(ValidationError) as caught:
            QueryFilter(offset=place)
        assert caught.value.field == "offset"

    @clause("QRY-4")
    async def test_no_filter_shows_what_belongs_to_another_scope(self, storage: StorageAdapter) -> None:
        await prepare_scopes(storage)
        for session_id in ("home session", "other session"):
            for node_id in ("draft", "review"):
                execution = await samples.stored_execution(storage, session_id, node_id, id=f"{session_id}/{node_id}")
                await samples.stored_tool_call(storage, execution.id, id=f"call of {execution.id}")
            await samples.stored_request(storage, session_id, id=f"request of {session_id}")
        for parent_id in (HOME_POOL, "other pool"):
            await samples.stored_pool(storage, id=f"child of {parent_id}", parent_pool_id=parent_id)

        async def check(call: Any, *scope: str, field: str, foreign: str, expected: list[str]) -> None:
            home = scope[0] if field != "node_id" else scope[-1]
            wheres: list[tuple[Any, list[str]]] = [(foreign, []), (None, []), (Ne(home), []), (NotIn([home]), [])]
            wheres += [(home, expected), (In([home, foreign]), expected), (Ne(foreign), expected)]
            for where, ids in wheres:
                found = await call(*scope, QueryFilter({field: where}))
                assert (scope, where, [record.id for record in found]) == (scope, where, ids)

        home, other = "home session", "other session"
        both, first = ["home execution", f"{home}/draft", f"{home}/review"], [f"{home}/draft"]
        await check(storage.get_llm_executions, home, field="session_id", foreign=other, expected=both)
        await check(storage.get_node_llm_executions, home, "draft", field="session_id", foreign=other, expected=first)
        await check(storage.get_node_llm_executions, home, "draft", field="node_id", foreign="review", expected=first)
        calls = [f"call of {home}/draft"]
        await check(storage.get_tool_calls, first[0], field="execution_id", foreign=f"{home}/review", expected=calls)
        await check(
            storage.list_approval_requests, home, field="session_id", foreign=other, expected=[f"request of {home}"]
        )
        await check(
            storage.get_child_budget_pools,
            HOME_POOL,
            field="parent_pool_id",
            foreign="other pool",
            expected=[f"child of {HOME_POOL}"],
        )
        found = await storage.get_session_tool_calls(home, QueryFilter({"execution_id": f"{other}/draft"}))
        assert found == []
        found = await storage.get_session_tool_calls(home, QueryFilter({"id": Ne("x")}))
        assert [call.id for call in found] == [f"call of {execution_id}" for execution_id in both[1:]]

    @clause("QRY-4", "APR-5")
    async def test_no_filter_shows_requests_that_cannot_be_decided_as_pending(self, storage: StorageAdapter) -> None:
        await prepare_scopes(storage)
        for status in ("pending", "approved", "rejected", "expired"):
            await samples.stored_request(storage, "home session", id=status, status=status)
        await samples.stored_request(storage, "home session", id="run out", expires_at=now() - timedelta(seconds=1))
        wheres: list[tuple[dict[FieldName, Any], list[str]]] = [
            ({"status": "approved"}, []),
            ({"status": "expired"}, []),
            ({"status": Ne("pending")}, []),
            ({"status": In(["pending", "approved", "rejected"])}, ["pending"]),
            ({"status": "pending"}, ["pending"]),
            ({"expires_at": Lt(now())}, []),
            ({"id": "run out"}, []),
            ({"id": NotIn([])}, ["pending"]),
        ]
        for where, expected in wheres:
            found = await storage.list_pending_approvals(QueryFilter(where))
            assert (where, [request.id for request in found]) == (where, expected)

    @clause("QRY-4", "QRY-7")
    @every_listing
    async def test_going_on_behind_a_record_of_another_scope_stays_in_the_scope(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        records = [listing.make(id=f"r{number}", **{listing.time: samples.instant(number)}) for number in (1, 3, 5)]
        for record in records:
            await listing.store(storage, record)
        stranger = listing.foreign(id="r4", **{listing.time: samples.instant(4)})
        if stranger is not None:
            await listing.store(storage, stranger)
            query = QueryFilter(order_by=OrderBy(listing.time)).after(stranger)
            found = [record.id for record in await listing.list(storage, query) if record.id.startswith("r")]
            assert found == ["r5"]


async def _check_table(storage: StorageAdapter, table: QueryTable) -> None:
    await table.fill(storage)
    for condition, expected in table.cases:
        found = await table.find(storage, QueryFilter({table.field: condition}))
        assert (condition, " ".join(sorted(record.id for record in found))) == (condition, expected)


def _wrong_filters(listing: Listing) -> Iterable[Any]:
    yield from ({"id": "x"}, "id", 1, [], OrderBy("id"))
    yield from (QueryFilter({name: "x"}) for name in INVALID_NAMES)
    yield from (QueryFilter(order_by=OrderBy(name)) for name in INVALID_NAMES)
    yield from (QueryFilter({"id": value}) for value in INVALID_TEXTS)
    yield from (QueryFilter({listing.time: value}) for value in INVALID_INSTANTS)
    yield from (QueryFilter({name: value}) for name, value in listing.wrong)
    yield QueryFilter({listing.time: samples.EPOCH, "nothing": 1}, limit=0)
    yield from (QueryFilter().after(record) for record in ("id", 1, samples.a_call(), {"id": "x"}))
