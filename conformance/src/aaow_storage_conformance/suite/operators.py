"""Conditions that are made of others, alternatives, whole JSON fields, and counts."""

from typing import Any

import pytest

from aaow_storage import (
    All,
    AnyOf,
    Between,
    Contains,
    Direction,
    FieldName,
    Gt,
    In,
    LLMExecutionResult,
    Ne,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    StorageAdapter,
    TokenUsage,
    ValidationError,
)
from aaow_storage.authoring import QUERY_FIELDS, FieldKind
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.kinds import SESSION_ID
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.data.operator_tables import COUNT_TABLES, JSON, TABLES
from aaow_storage_conformance.data.query_tables import QueryTable
from aaow_storage_conformance.harness.refusals import check_raises

MAX_CONDITIONS = 100
MAX_LEVELS = 8
MAX_VALUES = 10_000
MAX_TEXT_LENGTH = 4_000_000
FIGURES = (
    *("prompt_tokens", "completion_tokens", "total_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
)
NO_COUNTS: tuple[Any, ...] = (
    *("1", 1.0, True, float("nan"), [], 2**63, -(2**63)),
    *(Gt(None), Gt(1.5), In([0, "1"]), Contains("1"), Between(0, None), Not("1")),
)
WITHOUT_PATHS: tuple[Any, ...] = (
    *("x", 1, True, {}, [], In([None]), NotIn([None]), In([]), Gt(1), Ne("x"), Ne({}), Contains("x"), Between(1, 2)),
    *(Not("x"), AnyOf(None, "x"), All(Ne(None), Ne(1))),
)


class OperatorTests:
    """`Between`, `All`, `AnyOf`, `Not`, `any_of`, JSON fields without a path, and counts."""

    @clause("QRY-10")
    @pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
    async def test_a_combined_condition_finds_exactly_what_the_table_says(
        self, storage: StorageAdapter, table: QueryTable
    ) -> None:
        await _check_table(storage, table)

    @clause("QRY-10")
    async def test_a_combined_condition_on_a_path_compares_as_json_does(self, storage: StorageAdapter) -> None:
        await _check_table(storage, JSON)

    @clause("QRY-10")
    async def test_one_of_the_alternatives_has_to_hold_beside_all_other_entries(self, storage: StorageAdapter) -> None:
        for name, version, user in [("a", "1", "ann"), ("a", "2", "ann"), ("b", "1", "bea"), ("b", "2", "ann")]:
            await samples.stored_workflow(
                storage, id=f"{name}{version}", name=name, version=version, metadata={"user": user}
            )
        all_of_them = ["a1", "a2", "b1", "b2"]
        cases: list[tuple[dict[FieldName, Any], Any, list[str]]] = [
            ({}, None, all_of_them),
            ({}, [], []),
            ({"name": "a"}, [], []),
            ({}, [{}], all_of_them),
            ({}, [{"name": "a"}], ["a1", "a2"]),
            ({}, [{"name": "a", "version": "1"}], ["a1"]),
            ({}, [{"name": "a", "version": "1"}, {"name": "b", "version": "2"}], ["a1", "b2"]),
            ({"version": "1"}, [{"name": "a"}, {"metadata.user": "bea"}], ["a1", "b1"]),
            ({"version": "1"}, [{"name": "a"}, {"id": "b2"}], ["a1"]),
            ({"version": "2"}, [{"version": "1"}], []),
            ({"metadata.user": Ne("bea")}, [{"version": "2"}, {"version": "3"}], ["a2", "b2"]),
            ({}, ({"name": Not("a")}, {"version": AnyOf("2", "3")}, {"version": "4"}), ["a2", "b1", "b2"]),
            ({}, [{"name": "a"}, {}], all_of_them),
            ({"name": Not("a")}, [{"version": In([])}, {"metadata.user": "ann"}], ["b2"]),
        ]
        for where, any_of, expected in cases:
            query = QueryFilter(where, any_of=any_of)
            found = [workflow.id for workflow in await storage.list_workflows(query)]
            assert (where, any_of, found) == (where, any_of, expected)
            assert await storage.count_workflows(query) == len(expected)

    @clause("QRY-10")
    async def test_alternatives_are_filtered_before_they_are_ordered_and_cut(self, storage: StorageAdapter) -> None:
        for number in range(9):
            await samples.stored_workflow(storage, id=f"{number}", name=str(number % 3))
        query = QueryFilter(any_of=[{"name": "1"}, {"id": "6"}, {"name": "1", "id": "4"}], limit=2)
        query = QueryFilter(query.where, OrderBy("id", Direction.DESCENDING), 2, any_of=query.any_of)
        page = await storage.list_workflows(query)
        assert [workflow.id for workflow in page] == ["7", "6"]
        assert [workflow.id for workflow in await storage.list_workflows(query.after(page[-1]))] == ["4", "1"]

    @clause("QRY-10", "OPS-12")
    @every_listing
    async def test_alternatives_choose_from_every_list_and_are_counted(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        for number in range(5):
            record = listing.make(id=f"m{number}", **{listing.time: samples.instant(number)})
            await listing.store(storage, record)
        mine: dict[FieldName, Any] = {"id": StartsWith("m")}
        cases: list[tuple[QueryFilter, str]] = [
            (QueryFilter(mine, any_of=[{"id": "m1"}, {listing.time: Gt(samples.instant(2))}]), "134"),
            (QueryFilter(mine, any_of=[]), ""),
            (QueryFilter(mine, any_of=[{"id": Not(AnyOf("m0", "m4"))}], offset=1), "23"),
            (QueryFilter({"id": Between("m1", "m3")}, OrderBy("id", "desc"), any_of=[{}], limit=2), "32"),
        ]
        for query, expected in cases:
            found = [record.id for record in await listing.list(storage, query)]
            assert (query, found) == (query, [f"m{number}" for number in expected])
            if listing.count is not None:
                assert (query, await listing.count(storage, query)) == (query, len(expected))

    @clause("QRY-10", "QRY-4")
    @every_listing
    async def test_no_combination_shows_what_belongs_to_another_scope(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        await listing.store(storage, listing.make(id="mine"))
        stranger = listing.foreign(id="stranger")
        if stranger is None:
            return
        await listing.store(storage, stranger)
        wheres: list[dict[FieldName, Any]] = [{"id": AnyOf("mine", "stranger")}, {"id": Not("x")}, {"id": All()}]
        for where in wheres:
            for query in (QueryFilter(where), QueryFilter(any_of=[where, {}])):
                found = [record.id for record in await listing.list(storage, query)]
                assert ("mine" in found, "stranger" in found) == (True, False), query

    @clause("QRY-10", "QRY-3")
    @every_listing
    async def test_a_wrong_value_is_refused_however_deep_it_stands(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        wrong = [
            *(QueryFilter({"id": value}) for value in (Between("a", None), Between(1, "a"), Not(1), Not(Gt(None)))),
            *(QueryFilter({"id": value}) for value in (AnyOf("a", 1), All("a", Not(AnyOf(1))), Ne(Not("a")))),
            *(QueryFilter({"id": value}) for value in (In([Not("a")]), Between(Gt("a"), "b"), AnyOf(["a"]))),
            QueryFilter({listing.time: Between("2024", samples.EPOCH)}),
            QueryFilter(any_of=[{"id": "a"}, {"id": 1}]),
            QueryFilter(any_of=[{"id": "a"}, {"nothing": 1}]),
            QueryFilter({"id": "absent"}, any_of=[{"id": Not(1)}]),
            *(QueryFilter({name: Not(value)}) for name, value in listing.wrong),
            *(QueryFilter(any_of=[{name: value}]) for name, value in listing.wrong),
        ]
        for query in wrong:
            for call in listing.calls:
                await check_raises(ValidationError, f"{listing.name}() with {query!r}", call, storage, query)

    @clause("QRY-10")
    def test_alternatives_that_are_no_list_of_mappings_are_refused(self) -> None:
        for wrong in ({"id": "a"}, "id", 1, [("id", "a")], [None], [["id"]], [{1: "a"}]):
            with pytest.raises(ValidationError) as caught:
                QueryFilter(any_of=wrong)  # type: ignore[arg-type]  # on purpose
            assert caught.value.field == "any_of"

    @clause("QRY-9")
    async def test_a_json_field_without_a_path_is_null_or_not(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        values: dict[str, Any] = {"0": 0, "array": [], "empty": "", "false": False, "null": None, "object": {"a": None}}
        for name, value in values.items():
            await samples.stored_execution(storage, SESSION_ID, id=name, input=value, metadata={} if value else None)
        there = "0 array empty false object"
        cases: tuple[tuple[Any, str], ...] = (
            (None, "null"),
            (Ne(None), there),
            (Not(None), there),
            (Not(Ne(None)), "null"),
            (AnyOf(None, Ne(None)), "0 array empty false null object"),
            (All(None, Ne(None)), ""),
        )
        names: tuple[FieldName, ...] = ("input", ("input",))
        for condition, expected in cases:
            for field in names:
                where: dict[FieldName, Any] = {field: condition}
                found = await storage.get_llm_executions(SESSION_ID, QueryFilter(where))
                ids = " ".join(sorted(execution.id for execution in found))
                assert (condition, ids) == (condition, expected)
        found = await storage.get_llm_executions(SESSION_ID, QueryFilter({"metadata": Ne(None), "input": Ne(None)}))
        assert [execution.id for execution in found] == ["object"]

    @clause("QRY-9")
    @every_listing
    async def test_a_json_field_without_a_path_is_compared_with_nothing_but_none(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        await listing.store(storage, listing.make(id="mine"))
        fields = QUERY_FIELDS[type(listing.make())]
        for name in (name for name, kind in fields.items() if kind is FieldKind.JSON):
            for condition in (None, Ne(None), Not(None), AnyOf(None, Not(None))):
                for call in listing.calls:
                    await call(storage, QueryFilter({name: condition}))
            found = await listing.list(storage, QueryFilter({name: Ne(None), "id": "mine"}))
            assert [record.id for record in found] == ["mine"]
            wrong = [*(QueryFilter({name: value}) for value in WITHOUT_PATHS), QueryFilter(order_by=OrderBy(name))]
            for query in wrong:
                for call in listing.calls:
                    await check_raises(ValidationError, f"{listing.name}() with {query!r}", call, storage, query)

    @clause("QRY-9", "QRY-10")
    @every_listing
    async def test_nested_conditions_count_towards_the_limits(self, storage: StorageAdapter, listing: Listing) -> None:
        await prepare_scopes(storage)
        await listing.store(storage, listing.make(id="mine"))
        many = [str(number) for number in range(MAX_CONDITIONS)]
        deepest: Any = "mine"
        for level in range(MAX_LEVELS):
            deepest = AnyOf(deepest, "x") if level % 2 else All(deepest, Ne("y"))
        shared: Any = Not("mine")
        for _ in range(64):
            shared = All(shared, shared)
        half = "x" * (MAX_TEXT_LENGTH // 2)
        largest = [
            QueryFilter({"id": AnyOf("mine", *many[2:])}),
            QueryFilter({"id": "mine"}, any_of=[{"id": each} for each in ("mine", *many[2:])]),
            QueryFilter({"id": deepest}),
            QueryFilter({"id": AnyOf("mine", In(many * 99))}, any_of=[{"id": "mine"}, {"id": In(many[:96])}]),
            QueryFilter({"id": AnyOf("mine", half)}),
        ]
        for query in largest:
            for call in listing.calls:
                found = await call(storage, query)
                assert [record.id for record in found] == ["mine"] if isinstance(found, list) else found == 1
        too_large: list[tuple[int, QueryFilter]] = [
            (MAX_CONDITIONS, QueryFilter({"id": AnyOf(*many)})),
            (MAX_CONDITIONS, QueryFilter({"id": Not(All(*many[1:]))})),
            (MAX_CONDITIONS, QueryFilter({"id": "mine"}, any_of=[{"id": each} for each in many])),
            (MAX_CONDITIONS, QueryFilter(any_of=[{"id": AnyOf(*many[:50])}, {"id": AnyOf(*many[:50])}])),
            (MAX_CONDITIONS, QueryFilter(any_of=[{}] * (MAX_CONDITIONS + 1))),
            (MAX_CONDITIONS, QueryFilter({"id": shared})),
            (MAX_LEVELS, QueryFilter({"id": Not(deepest)})),
            (MAX_VALUES, QueryFilter({"id": Not(In(many * 100))}, any_of=[{"id": In(["x"])}])),
            (MAX_TEXT_LENGTH, QueryFilter({"id": Between(half, half + "x")})),
            (MAX_TEXT_LENGTH, QueryFilter({"id": Not(half)}, any_of=[{"id": half + "x"}])),
        ]
        for limit, query in too_large:
            for call in listing.calls:
                what = f"{listing.name}() with a filter above the limit {limit}"
                error = await check_raises(ValidationError, what, call, storage, query)
                assert f"at most {limit} are allowed; " in str(error)

    @clause("QRY-12")
    @pytest.mark.parametrize("table", COUNT_TABLES, ids=lambda table: table.name)
    async def test_counts_compare_exactly(self, storage: StorageAdapter, table: QueryTable) -> None:
        await _check_table(storage, table)

    @clause("QRY-12")
    async def test_each_token_figure_is_its_own_field(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        for number, name in enumerate(FIGURES):
            counts = {each: 10 * number + place for place, each in enumerate(FIGURES)}
            await samples.stored_execution(storage, SESSION_ID, id=name, usage=TokenUsage(**counts))
        await samples.stored_execution(storage, SESSION_ID, id="unused", usage=None)
        for place, name in enumerate(FIGURES):
            for number, expected in enumerate(FIGURES):
                found = await storage.get_llm_executions(SESSION_ID, QueryFilter({name: 10 * number + place}))
                assert [execution.id for execution in found] == [expected]
            found = await storage.get_llm_executions(SESSION_ID, QueryFilter(order_by=OrderBy(name, "desc")))
            assert [execution.id for execution in found] == [*reversed(FIGURES), "unused"]

    @clause("QRY-12")
    @pytest.mark.parametrize("field", ["attempt", "total_tokens"])
    async def test_large_counts_order_a_list_and_its_pages(self, storage: StorageAdapter, field: str) -> None:
        session = await samples.stored_session(storage)
        counts = [2**53 + 1, 2**63 - 1, 0, 2**53, 2**63 - 2, 2**53 + 2]
        for count in counts:
            usage = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=count)
            result = LLMExecutionResult(id=f"{count}", timestamp=samples.EPOCH, attempt=count, usage=usage)
            await storage.save_llm_execution(session.id, "draft", result)
        for direction in Direction:
            expected = sorted(counts, reverse=direction is Direction.DESCENDING)
            query, walked = QueryFilter(order_by=OrderBy(field, direction), limit=2), []
            while page := await storage.get_llm_executions(session.id, query):
                walked += [int(execution.id) for execution in page]
                assert walked == expected[: len(walked)]
                query = query.after(page[-1])
            assert walked == expected

    @clause("QRY-12")
    async def test_a_count_is_compared_with_an_int_alone(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for field in ("attempt", *FIGURES):
            for wrong in NO_COUNTS:
                query = QueryFilter({field: wrong})
                with pytest.raises(ValidationError):
                    await storage.get_llm_executions(session.id, query)


async def _check_table(storage: StorageAdapter, table: QueryTable) -> None:
    await table.fill(storage)
    for condition, expected in table.cases:
        found = await table.find(storage, QueryFilter({table.field: condition}))
        assert (condition, " ".join(sorted(record.id for record in found))) == (condition, expected)
