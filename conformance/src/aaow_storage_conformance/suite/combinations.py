"""Calls that combine: several changes in one update; several conditions or orders on one field."""

import itertools
from typing import Any

import attrs

from aaow_storage import (
    Contains,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    StorageAdapter,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes

ASCENDING, DESCENDING = Direction.ASCENDING, Direction.DESCENDING
RANKS = (1, 2, 3, 4, 5)
PATHS = (("metadata", "rank"), ("metadata", "deep", "rank"))
PAIRS: tuple[tuple[Any, Any, str], ...] = (
    (Ge(2), Lt(4), "23"),
    (Gt(1), Le(3), "23"),
    (Ge(2), Ne(3), "245"),
    (Ne(2), Ne(3), "145"),
    (In([1, 2, 3]), In([3, 4]), "3"),
    (In([1, 2, 3]), NotIn([2]), "13"),
    (NotIn([1]), NotIn([5, 2]), "34"),
    (2, 3, ""),
    (2, Ge(2), "2"),
    (2, Lt(2), ""),
    (Lt(4), Lt(3), "12"),
    (Gt(4), Gt(3), "5"),
    (Ge(2), None, ""),
)
"""Two conditions on a rank, and the ranks that meet both."""
Where = dict[Any, Any]


class CombinationTests:
    """Everything that a call names takes effect."""

    @clause("QRY-1", "QRY-2")
    async def test_two_conditions_on_one_path_written_in_two_ways_both_hold(self, storage: StorageAdapter) -> None:
        for rank in RANKS:
            await samples.stored_workflow(storage, id=f"{rank}", metadata={"rank": rank, "deep": {"rank": rank}})
        for (first, second, expected), path in itertools.product(PAIRS, PATHS):
            wheres: list[Where] = [
                {path: first, ".".join(path): second},
                {".".join(path): first, path: second},
                {path: second, ".".join(path): first},
            ]
            for where in wheres:
                found = await storage.list_workflows(QueryFilter(where))
                assert "".join(workflow.id for workflow in found) == expected, f"the list by {where}"
                assert await storage.count_workflows(QueryFilter(where)) == len(expected), f"the count by {where}"

    @clause("QRY-1")
    @every_listing
    async def test_two_conditions_on_one_field_written_in_two_ways_both_hold(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        records = [
            listing.make(id=f"x{number}", **{listing.time: samples.instant(number)})
            for number in (10**6 + 1, 10**6 + 2)
        ]
        records += [listing.make(id=f"y{number}", **{listing.time: samples.instant(number)}) for number in (10**6 + 3,)]
        for record in records:
            await listing.store(storage, record)
        low, middle, high = (getattr(record, listing.time) for record in records)
        cases: list[tuple[str, Any, Any, list[int]]] = [
            (listing.time, Ge(low), Lt(high), [0, 1]),
            (listing.time, Gt(low), Le(high), [1, 2]),
            (listing.time, Ge(middle), Ne(high), [1]),
            (listing.time, In([low, high]), NotIn([high]), [0]),
            (listing.time, low, high, []),
            ("id", StartsWith("x"), Contains("2"), [1]),
            ("id", In([record.id for record in records]), StartsWith("y"), [2]),
        ]
        for field, one, other, expected in cases:
            wheres: list[Where] = [{field: one, (field,): other}, {(field,): one, field: other}]
            for where in wheres:
                found = await listing.list(storage, QueryFilter(where))
                assert [record.id for record in found] == [records[number].id for number in expected]

    @clause("QRY-1")
    async def test_each_of_many_conditions_has_a_say(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        whole = _values("search", "none", 5.0, 1, is_c=True)
        changed = _values("read", None, 6.0, 2, is_c=False)
        await samples.stored_execution(storage, session.id, id="e")
        await samples.stored_tool_call(storage, "e", id="whole", **whole)
        for name, value in changed.items():
            await samples.stored_tool_call(storage, "e", id=f"another {name}", **{**whole, name: value})
        where: Where = {
            "tool_name": "search",
            "error": Ne(None),
            "duration_ms": Lt(6),
            "args.a": Le(1),
            ("result", "c"): True,
        }
        found = await storage.get_tool_calls("e", QueryFilter(where))
        assert [log.id for log in found] == ["whole"]
        for left_out, name in zip(where, changed, strict=True):
            others = {each: value for each, value in where.items() if each != left_out}
            found = await storage.get_tool_calls("e", QueryFilter(others))
            assert [log.id for log in found] == ["whole", f"another {name}"]

    @clause("QRY-5", "QRY-7")
    async def test_an_order_that_names_a_field_twice_goes_by_the_first(self, storage: StorageAdapter) -> None:
        for number, rank in enumerate((2, 1, 2, 3)):
            await samples.stored_workflow(storage, id=f"{number}", version=f"{rank}", metadata={"rank": rank})
        orders: list[tuple[list[OrderBy], str]] = [
            ([OrderBy("version", DESCENDING), OrderBy("version")], "3021"),
            ([OrderBy("version"), OrderBy(("version",), DESCENDING)], "1023"),
            ([OrderBy("metadata.rank", DESCENDING), OrderBy(("metadata", "rank"))], "3021"),
            ([OrderBy("version"), OrderBy("id", DESCENDING)], "1203"),
            ([OrderBy("id", DESCENDING), OrderBy("version"), OrderBy("id")], "3210"),
            ([OrderBy("version", DESCENDING), OrderBy("id", DESCENDING), OrderBy("id")], "3201"),
        ]
        for order, expected in orders:
            ordered = QueryFilter(order_by=order)
            found = await storage.list_workflows(ordered)
            assert "".join(workflow.id for workflow in found) == expected
            for number, workflow in enumerate(found):
                rest = await storage.list_workflows(ordered.after(workflow))
                assert "".join(each.id for each in rest) == expected[number + 1 :]

    @clause("OPS-4")
    async def test_of_several_changes_each_counts_also_beside_one_that_changes_nothing(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        workflow = await samples.stored_workflow(storage)
        pool = await samples.stored_pool(storage)
        request = await samples.stored_request(storage, session.id)
        cases: list[tuple[str, Any, dict[str, Any]]] = [
            ("workflow", workflow, {"name": workflow.name, "metadata": None, "version": "new"}),
            ("workflow", workflow, {"definition": {}, "name": "renamed", "metadata": workflow.metadata}),
            ("workflow", workflow, {"metadata": {}, "definition": workflow.definition, "version": workflow.version}),
            ("session", session, {"status": session.status, "metadata": {"a": 1}}),
            ("session", session, {"metadata": session.metadata, "status": "failed"}),
            ("budget_pool", pool, {"total_budget": pool.total_budget, "used_budget": 1, "metadata": None}),
            ("budget_pool", pool, {"used_budget": pool.used_budget, "status": "suspended", "total_budget": 7}),
            ("approval_request", request, {"context": request.context, "expires_at": None}),
            ("approval_request", request, {"expires_at": request.expires_at, "context": {"a": 1}}),
            ("approval_request", request, {"context": {"b": 2}, "expires_at": None, "status": "expired"}),
        ]
        current: dict[str, Any] = {
            "workflow": workflow,
            "session": session,
            "budget_pool": pool,
            "approval_request": request,
        }
        for kind, _, changes in cases:
            named = {**changes, "updated_at": samples.instant(77)} if kind in {"workflow", "session"} else changes
            for names in (list(named), list(named)[::-1]):
                expected: Any = attrs.evolve(current[kind], **named)
                if kind == "approval_request" and current[kind].status == "expired":
                    break
                returned = await getattr(storage, f"update_{kind}")(
                    current[kind].id, **{name: named[name] for name in names}
                )
                assert_identical(returned, expected)
                assert_identical(await getattr(storage, f"get_{kind}")(expected.id), expected)
                current[kind] = expected

    @clause("OPS-3", "LLM-2")
    async def test_calls_of_one_answer_that_have_an_id_in_common_are_all_kept_in_order(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        same = samples.a_call()
        others = [samples.a_call(tool_call_id=same.tool_call_id), same, samples.a_call(tool_call_id="0"), same]
        stored = await samples.stored_execution(storage, session.id, tool_calls=(same, *others))
        assert_identical(await storage.get_llm_executions(session.id), [stored])
        logs = [
            await samples.stored_tool_call(storage, stored.id, tool_call_id=same.tool_call_id, timestamp=samples.EPOCH)
            for _ in range(3)
        ]
        assert_identical(await storage.get_tool_calls(stored.id), logs)
        assert_identical(await storage.get_session_tool_calls(session.id), logs)

    @clause("QRY-6", "QRY-7")
    async def test_a_condition_an_order_a_mark_a_limit_and_an_offset_work_together(
        self, storage: StorageAdapter
    ) -> None:
        stored = [
            await samples.stored_workflow(storage, id=f"{number:02}", metadata={"rank": number % 3})
            for number in range(30)
        ]
        expected = sorted(
            (each for each in stored if (each.metadata or {})["rank"] != 1),
            key=lambda each: (-(each.metadata or {})["rank"], each.id),
        )
        order = [OrderBy("metadata.rank", DESCENDING)]
        where: Where = {"metadata.rank": Ne(1), "id": Lt("30")}
        for number, mark in enumerate(expected):
            asked = QueryFilter(where, order, limit=4, offset=3, after_record=mark)
            found = await storage.list_workflows(asked)
            assert_identical(found, expected[number + 4 : number + 8])
            assert await storage.count_workflows(asked) == len(found)


def _values(tool_name: str, error: str | None, duration_ms: float, a: int, *, is_c: bool) -> dict[str, Any]:
    """Return the fields of a tool call."""
    return {
        "tool_name": tool_name,
        "error": error,
        "duration_ms": duration_ms,
        "args": {"a": a, "b": "x"},
        "result": {"c": is_c},
    }
