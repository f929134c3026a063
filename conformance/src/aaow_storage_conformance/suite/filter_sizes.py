"""Filters at the limits of size are answered; larger ones are refused."""

from collections.abc import Iterator
from typing import Any

from aaow_storage import (
    Contains,
    Direction,
    FieldName,
    In,
    Ne,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    StorageAdapter,
    ValidationError,
)
from aaow_storage.authoring import QUERY_FIELDS, FieldKind
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.harness.refusals import check_raises

MAX_KEYS = 16
MAX_CONDITIONS = 100
MAX_VALUES = 10_000
MAX_TEXT_BYTES = 4_000_000
MAX_STEPS = 32
MAX_PATH_LENGTH = 1_000
RECORDS = 12


class FilterSizeTests:
    """Filters at each limit, and one above it."""

    @clause("QRY-3")
    @every_listing
    async def test_a_filter_that_is_too_large_is_refused_with_the_limit(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        await listing.store(storage, listing.make())
        for limit, query in _too_large(_document(listing)):
            for call in listing.calls:
                what = f"{listing.name}() with a filter above the limit {limit}"
                error = await check_raises(ValidationError, what, call, storage, query)
                assert f"at most {limit} are allowed; " in str(error)

    @clause("QRY-3", "QRY-1", "QRY-2")
    @every_listing
    async def test_the_largest_filter_finds_what_it_describes(self, storage: StorageAdapter, listing: Listing) -> None:
        await prepare_scopes(storage)
        field = _document(listing)
        deep = _nest(("d",) * MAX_STEPS, 1)
        long = {"k" * MAX_PATH_LENGTH: 2}
        await listing.store(storage, listing.make(id="deep", **{field: deep}))
        await listing.store(storage, listing.make(id="long", **{field: long}))
        ids = [f"no {number}" for number in range(MAX_VALUES - 1)]
        wheres: list[tuple[dict[FieldName, Any], str]] = [
            ({(field, *("d" * MAX_STEPS)): 1}, "deep"),
            ({(field, *("d" * MAX_STEPS)): In([0, 1])}, "deep"),
            ({(field, "k" * MAX_PATH_LENGTH): 2}, "long"),
            ({"id": In([*ids, "deep"])}, "deep"),
            ({"id": In([*ids[1:], "deep"]), (field, "x"): NotIn([1])}, "deep"),
            ({(field, "k" * MAX_PATH_LENGTH): In([*range(MAX_VALUES - 2)])}, "long"),
            ({"id": "deep", **{(field, f"k{number}"): Ne(1) for number in range(MAX_CONDITIONS - 1)}}, "deep"),
        ]
        for number, (where, expected) in enumerate(wheres):
            for call in listing.calls:
                found = await call(storage, QueryFilter({"id": In(["deep", "long"]), **where}, limit=5))
                ids_found = [record.id for record in found] if isinstance(found, list) else found
                assert (number, ids_found) == (number, [expected] if isinstance(found, list) else 1)

    @clause("QRY-3", "QRY-1")
    async def test_a_filter_may_compare_with_long_texts(self, storage: StorageAdapter) -> None:
        text = "x" * (MAX_TEXT_BYTES // 2)
        session = await samples.stored_session(storage)
        await samples.stored_execution(storage, session.id, "node", id="long", text=text)
        await samples.stored_execution(storage, session.id, "node", id="short", text="x")
        conditions: tuple[tuple[Any, list[str]], ...] = (
            (text, ["long"]),
            (Ne(text), ["short"]),
            (StartsWith(text), ["long"]),
            (Contains(text), ["long"]),
            (In([text, "y"]), ["long"]),
        )
        for condition, expected in conditions:
            found = await storage.get_llm_executions(session.id, QueryFilter({"text": condition}))
            assert [execution.id for execution in found] == expected

    @clause("QRY-5", "QRY-7")
    @every_listing
    async def test_as_many_keys_as_there_may_be_order_a_list_and_its_pages(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        field = _document(listing)
        for number in range(RECORDS):
            # Records differ in the last key only, and their ids sort the other way.
            document = {f"k{key}": 0 for key in range(MAX_KEYS - 1)} | {f"k{MAX_KEYS - 1}": RECORDS - number}
            await listing.store(storage, listing.make(id=f"r{number:02}", **{field: document}))
        order = [OrderBy((field, f"k{key}"), list(Direction)[key % 2]) for key in range(MAX_KEYS)]
        mine: dict[FieldName, Any] = {"id": StartsWith("r")}
        whole = [record.id for record in await listing.list(storage, QueryFilter(mine, order))]
        expected = [f"r{number:02}" for number in range(RECORDS)]
        assert whole == (expected if order[-1].direction is Direction.DESCENDING else expected[::-1])
        query, walked = QueryFilter(mine, order, limit=5), []
        while page := await listing.list(storage, query):
            walked += [record.id for record in page]
            assert walked == whole[: len(walked)]
            query = query.after(page[-1])
        assert walked == whole

    @clause("QRY-5")
    @every_listing
    async def test_a_key_that_repeats_a_field_changes_nothing(self, storage: StorageAdapter, listing: Listing) -> None:
        await prepare_scopes(storage)
        field = _document(listing)
        for number in range(4):
            await listing.store(storage, listing.make(id=f"r{number}", **{field: {"k": number // 2}}))
        order = [OrderBy((field, "k"), "desc"), OrderBy(f"{field}.k"), OrderBy("id"), OrderBy("id", "desc")]
        query = QueryFilter({"id": StartsWith("r")}, order)
        found = await listing.list(storage, query)
        assert [record.id for record in found] == ["r2", "r3", "r0", "r1"]
        behind = await listing.list(storage, query.after(found[0]))
        assert [record.id for record in behind] == ["r3", "r0", "r1"]


def _document(listing: Listing) -> str:
    """Return the name of a JSON field of the listed records."""
    fields = QUERY_FIELDS[type(listing.make())]
    return next(name for name, kind in fields.items() if kind is FieldKind.JSON)


def _too_large(field: str) -> Iterator[tuple[int, QueryFilter]]:
    """Yield limits, each with a filter just above it."""
    yield MAX_KEYS, QueryFilter(order_by=[OrderBy("id")] * (MAX_KEYS + 1))
    yield MAX_KEYS, QueryFilter(order_by=[OrderBy((field, f"k{number}")) for number in range(MAX_KEYS + 1)])
    yield MAX_KEYS, QueryFilter(order_by=[OrderBy((field, f"k{number}")) for number in range(500)])
    yield MAX_CONDITIONS, QueryFilter({(field, f"k{number}"): 1 for number in range(MAX_CONDITIONS + 1)})
    yield MAX_CONDITIONS, QueryFilter({(field, f"k{number}"): Ne(None) for number in range(2_000)})
    ids = [str(number) for number in range(MAX_VALUES + 1)]
    yield MAX_VALUES, QueryFilter({"id": In(ids)})
    yield MAX_VALUES, QueryFilter({(field, "k"): NotIn(ids)})
    yield MAX_VALUES, QueryFilter({"id": In(ids[1:]), (field, "k"): NotIn([1])})
    yield MAX_VALUES, QueryFilter({"id": NotIn(ids * 7)})
    yield MAX_STEPS, QueryFilter({(field, *("d" * (MAX_STEPS + 1))): 1})
    yield MAX_STEPS, QueryFilter(order_by=OrderBy((field, *("d" * 1_000))))
    yield MAX_PATH_LENGTH, QueryFilter({(field, "k" * (MAX_PATH_LENGTH + 1)): 1})
    yield MAX_PATH_LENGTH, QueryFilter(order_by=OrderBy((field, "k", "k" * MAX_PATH_LENGTH)))
    half = "x" * (MAX_TEXT_BYTES // 2)
    yield MAX_TEXT_BYTES, QueryFilter({"id": half, (field, "k"): Contains(half + "x")})
    yield MAX_TEXT_BYTES, QueryFilter({"id": In([half, half, "x"])})
    yield MAX_TEXT_BYTES, QueryFilter({"id": StartsWith(half * 3)})


def _nest(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value
