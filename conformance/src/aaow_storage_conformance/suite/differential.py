"""Random filters on random records: a store must list what the query plan selects from all records."""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from aaow_storage import (
    All,
    AnyOf,
    Between,
    Capability,
    Contains,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    Lt,
    Ne,
    NodeExecutionStatus,
    NodeState,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    SessionStatus,
    StartsWith,
    StorageAdapter,
    StreamEvent,
    StreamSummary,
    TokenUsage,
    ValidationError,
    WorkflowExecutionState,
)
from aaow_storage.authoring import QUERY_FIELDS, TOKEN_FIGURES, FieldKind, plan_query, resolve_field
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import random_filters, random_records, samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.data.seed import rng_for
from aaow_storage_conformance.data.versions import is_tested_since, later_fields
from aaow_storage_conformance.harness.refusals import check_raises
from aaow_storage_conformance.harness.shrink_limit import ShrinkLimit
from aaow_storage_conformance.harness.watchdog import run_in_loop

TEXTS = ("", "a", "A", "ab", "b", "a%", "a_", "%", "é", "\ue000", "\U00010000", "it's", '"', "\\")
WITH_NUL = ("\0", "a\0b", "a\0", "\1", "\1\2\2")
NUMBERS = (-1, 0, 1, 2, 10, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, 1e300)
AMOUNTS = tuple(map(Decimal, ("0", "0.3", "0.30", "1", "1.00", "9", "10", "1e-9", "123456789012345", "9e-18")))
WIDE_AMOUNTS = tuple(map(Decimal, ("123456789012345.000000000000000001", "0.300000000000000001", "999999999999999999")))
"""Amounts that the contract has since 1.1."""
CURRENCIES = ("EUR", "JPY", "USD")
COUNTS = (0, 1, 2, 9, 10, 2**53, 2**53 + 1, 2**63 - 1)
DURATIONS = (0.0, 0.5, 5.0, 40.0, 1e300)
ANY = (None, True, False, 0, 1, 1.0, "", "1", "true", "a", [1], {"a": 1})
JSON_VALUES: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("rank",): NUMBERS,
    ("a.b",): (*TEXTS, *WITH_NUL),
    ("deep", "er"): TEXTS,
    ("any",): ANY,
}
"""Values at each path in a document. Lists are ordered only by paths that hold one type of value."""
UNORDERED = ("any",)
EXAMPLES, FEW_EXAMPLES = 150, 60
MAX_KEYS = 16
MAX_LEVELS = 3
MAX_VALUES = 40
RECORDS = 40
SESSIONS, EVENTS = 8, 12
DEFAULT_ORDER: dict[type, str] = {
    WorkflowExecutionState: "session_id",
    NodeState: "session_id",
    StreamEvent: "timestamp",
    StreamSummary: "first_event_at",
}
"""The field that each list is ordered by without a filter, before its key."""
_HOW: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "max_examples": EXAMPLES,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
"""Settings of hypothesis."""


class DifferentialTests:
    """The store and the query plan agree."""

    @clause("QRY-1", "QRY-2", "QRY-5", "QRY-6", "QRY-7")
    @every_listing
    async def test_random_filters_find_what_their_plan_selects(self, storage: StorageAdapter, listing: Listing) -> None:
        await _check_random_filters(storage, listing, "random filters", _filters)

    @clause("QRY-9", "QRY-10", "QRY-11", "QRY-12")
    @every_listing
    async def test_random_filters_of_combined_conditions_find_what_their_plan_selects(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await _check_random_filters(storage, listing, "random combinations", _combined_filters)

    @clause("OPS-12", "QRY-3", "QRY-10", "QRY-11")
    @pytest.mark.parametrize(
        "name",
        [
            *("list_execution_states", "list_node_states"),
            *(
                pytest.param(name, marks=requires(Capability.STREAM_EVENTS))
                for name in ("list_stream_events", "list_streams")
            ),
        ],
    )
    async def test_random_filters_of_states_and_streams_find_what_their_plan_selects(
        self, storage: StorageAdapter, name: str
    ) -> None:
        rng = rng_for("random filters of states and streams")
        await _store_states_and_events(storage, rng, has_streams=Capability.STREAM_EVENTS in storage.capabilities)
        lists: dict[str, type] = {
            "list_execution_states": WorkflowExecutionState,
            "list_node_states": NodeState,
            "list_stream_events": StreamEvent,
            "list_streams": StreamSummary,
        }
        kind, listed = lists[name], getattr(storage, name)
        whole = await listed()
        assert len(whole) > 1
        for query in random_filters.filters_of(whole[-1]):
            expected = plan_query(kind, query, DEFAULT_ORDER[kind]).select(whole)
            assert_identical(await listed(query), expected)
        for query in (QueryFilter(limit=2), QueryFilter(order_by=OrderBy(DEFAULT_ORDER[kind], Direction.DESCENDING))):
            for record in whole:
                behind = plan_query(kind, query.after(record), DEFAULT_ORDER[kind]).select(whole)
                assert_identical(await listed(query.after(query.cursor(record))), behind)
        for wrong in (QueryFilter({"nothing": 1}), QueryFilter().after("x"), QueryFilter(order_by=OrderBy("nothing"))):
            await check_raises(ValidationError, f"{name}() with {wrong!r}", listed, wrong)
        loop, shrink_limit = asyncio.get_running_loop(), ShrinkLimit()

        async def find(query: QueryFilter | None) -> list[Any]:
            return list(await listed(query))

        @seed(rng.getrandbits(64))
        @settings(**{**_HOW, "max_examples": FEW_EXAMPLES})
        @given(random_filters.filters(kind), st.none() | st.integers(0, len(whole) - 1))
        def check(query: QueryFilter | None, number: int | None) -> None:
            shrink_limit.begin_example()
            try:
                asked = query if number is None else (query or QueryFilter()).after(whole[number])
                expected = plan_query(kind, asked, DEFAULT_ORDER[kind]).select(whole)
                assert_identical(run_in_loop(find(asked), loop), expected)
            except Exception as error:
                shrink_limit.record_failure(error, [f"{name}({query}) after record {number}"])
                raise

        with shrink_limit.applied():
            await asyncio.to_thread(check)


Filters = tuple[QueryFilter, QueryFilter]
"""A filter that is passed to the store, and the one, with a record in place of a cursor, that says what is right."""
Draw = Callable[[type, list[Any]], st.SearchStrategy[Filters]]


async def _check_random_filters(storage: StorageAdapter, listing: Listing, name: str, filters: Draw) -> None:
    await prepare_scopes(storage)
    rng = rng_for(name, listing.name)
    for record in _random_records(listing, rng):
        await listing.store(storage, record)
    records = await listing.list(storage, None)
    assert len(records) >= RECORDS
    kind = type(records[0])
    loop, shrink_limit = asyncio.get_running_loop(), ShrinkLimit()

    @seed(rng.getrandbits(64))
    @settings(**_HOW)
    @given(filters(kind, records))
    def check(drawn: Filters) -> None:
        asked, meant = drawn
        shrink_limit.begin_example()
        try:
            found = run_in_loop(_list(storage, listing, asked), loop)
            expected = plan_query(kind, meant, listing.time).select(records)
            assert [record.id for record in found] == [record.id for record in expected]
        except Exception as error:
            shrink_limit.record_failure(error, [f"{listing.name}({asked})"])
            raise

    with shrink_limit.applied():
        await asyncio.to_thread(check)


async def _store_states_and_events(storage: StorageAdapter, rng: random.Random, *, has_streams: bool) -> None:
    """Store sessions with states and nodes, and events of two streams, of values that the filters name."""
    ids = [*random_records.SESSIONS, *(f"session {number}" for number in range(SESSIONS - 2))]
    instants: tuple[Any, ...] = (None, *random_records.INSTANTS)
    for session_id in ids:
        nodes = {
            node_id: samples.a_node_state(
                node_id,
                status=rng.choice(list(NodeExecutionStatus)),
                retry_count=rng.randrange(3),
                output=rng.choice(({"a": rng.choice(random_records.SCALARS)}, None, [], {})),
            )
            for node_id in random_records.NODES
            if rng.random() < 0.8
        }
        state = samples.a_state(
            session_id,
            status=rng.choice(list(SessionStatus)),
            current_node_id=rng.choice((None, *random_records.NODES)),
            started_at=rng.choice(instants),
            metadata=rng.choice(({"a": rng.choice(random_records.SCALARS)}, None, {})),
            node_states=nodes,
        )
        await samples.stored_session(storage, id=session_id)
        await storage.save_execution_state(state)
    if has_streams:
        streams = (*random_records.STREAMS, "of nobody")
        await storage.save_stream_events(
            [
                samples.an_event(
                    streams[number % 3],
                    node_id=rng.choice(random_records.NODES),
                    timestamp=rng.choice(random_records.INSTANTS),
                    session_id=None if number % 3 == 2 else rng.choice((None, *random_records.SESSIONS)),
                )
                for number in range(EVENTS)
            ]
        )


async def _list(storage: StorageAdapter, listing: Listing, filter: QueryFilter) -> list[Any]:
    return list(await listing.list(storage, filter))


def _random_records(listing: Listing, rng: random.Random) -> Iterator[Any]:
    for number in rng.sample(range(RECORDS), RECORDS):
        fields: dict[str, Any] = {"id": f"{rng.choice('aAbé')}{number}"}
        template = listing.make()
        for name, kind in _fields(type(template)).items():
            if (
                name in TOKEN_FIGURES
                or name in listing.scope
                or name in {"id", "sequence"}
                or (name.endswith("_id") and name != "tool_call_id")
            ):
                continue
            is_optional = attrs.fields_dict(type(template))[name].default is None
            if is_optional and rng.random() < 0.2:
                fields[name] = None
            elif name == "status" and listing.name == "list_pending_approvals":
                fields[name] = "pending"
            elif name == "expires_at":
                fields[name] = template.expires_at + timedelta(microseconds=rng.randrange(-9, 0))
            else:
                fields[name] = _random_value(kind, rng)
        if "cost" in fields:  # there are both, or none
            fields["currency"] = None if fields["cost"] is None else rng.choice(CURRENCIES)
        if isinstance(template, LLMExecution):
            fields["usage"] = _random_usage(rng)
        yield listing.make(**fields)


def _random_usage(rng: random.Random) -> TokenUsage | None:
    later = later_fields(TokenUsage)
    figures: dict[str, Any] = {name: rng.choice(COUNTS) for name in TOKEN_FIGURES if name not in later}
    optional = [name for name in figures if attrs.fields_dict(TokenUsage)[name].default is None]
    missing: dict[str, None] = {name: None for name in optional if rng.random() < 0.5}
    return None if rng.random() < 0.2 else TokenUsage(**{**figures, **missing})


def _fields(kind: type) -> dict[str, FieldKind | type[StrEnum]]:
    """Return the fields that the backend under test can filter by."""
    later = later_fields(kind)
    if later:  # a filter could not name token figures either
        later |= set(TOKEN_FIGURES)
    return {name: of for name, of in QUERY_FIELDS[kind].items() if name not in later}


def _random_value(kind: FieldKind | type[StrEnum], rng: random.Random) -> Any:
    if not isinstance(kind, FieldKind):
        return rng.choice(list(kind))
    if kind is FieldKind.INSTANT:
        return samples.instant(rng.randrange(8)) + timedelta(microseconds=rng.randrange(3))
    if kind is not FieldKind.JSON:
        choices: dict[FieldKind, tuple[Any, ...]] = {
            FieldKind.TEXT: TEXTS[1:],
            FieldKind.NUMBER: DURATIONS,
            FieldKind.COUNT: COUNTS,
            FieldKind.AMOUNT: (*AMOUNTS, *WIDE_AMOUNTS) if is_tested_since("1.1") else AMOUNTS,
            FieldKind.BOOL: (True, False),
        }
        return rng.choice(choices[kind])
    document: dict[str, Any] = {}
    for (first, *rest), values in JSON_VALUES.items():
        if rng.random() < 0.8:
            value = rng.choice((None, *values))
            document[first] = {rest[0]: value} if rest else value
    return document


def _filters(kind: type, records: list[Any]) -> st.SearchStrategy[Filters]:
    names = _conditions_by_field(kind, records, is_ranged=False)
    return _drawn(names, records, where=_wheres(names, 3), any_of=st.none()).map(lambda drawn: (drawn, drawn))


def _combined_filters(kind: type, records: list[Any]) -> st.SearchStrategy[Filters]:
    simple = _conditions_by_field(kind, records, is_ranged=True)
    names = {name: _combined(conditions) for name, conditions in simple.items()}
    whole = _combined(st.sampled_from((None, Ne(None))))
    wheres = _wheres(names | {(name,): whole for name, of in _fields(kind).items() if of is FieldKind.JSON}, 2)
    drawn = _drawn(names, records, where=wheres, any_of=st.none() | st.lists(wheres, max_size=2))
    return st.tuples(drawn, st.booleans()).map(lambda pair: (_with_cursor(pair[0]) if pair[1] else pair[0], pair[0]))


def _with_cursor(filter: QueryFilter) -> QueryFilter:
    record = filter.after_record
    return filter if record is None else attrs.evolve(filter, after_record=filter.cursor(record))


def _combined(conditions: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    for _ in range(MAX_LEVELS):
        some = st.lists(conditions, max_size=2)
        conditions = st.one_of(
            conditions,
            st.builds(Not, conditions),
            some.map(lambda each: All(*each)),
            some.map(lambda each: AnyOf(*each)),
        )
    return conditions


def _conditions_by_field(kind: type, records: list[Any], *, is_ranged: bool) -> dict[Any, st.SearchStrategy[Any]]:
    names: dict[Any, st.SearchStrategy[Any]] = {}
    for name, field_kind in _fields(kind).items():
        if field_kind is FieldKind.JSON:
            for path, scalars in JSON_VALUES.items():
                operands = [value for value in scalars if not isinstance(value, list | dict)]
                names[name, *path] = _conditions(operands, is_text=True, is_ordered=True, is_ranged=is_ranged)
        else:
            found = map(resolve_field(kind, name).value_of, records)
            values = [value for value in dict.fromkeys(found) if value is not None]
            is_text = field_kind is FieldKind.TEXT or not isinstance(field_kind, FieldKind)
            if field_kind is FieldKind.INSTANT:
                values += [value + timedelta(microseconds=1) for value in values]
            is_ordered = field_kind is not FieldKind.BOOL
            names[name] = _conditions(values, is_text=is_text, is_ordered=is_ordered, is_ranged=is_ranged)
    return names


def _wheres(names: dict[Any, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[Any, Any]]:
    return st.lists(st.sampled_from(list(names)), max_size=most, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: names[name] for name in chosen})
    )


def _drawn(
    names: dict[Any, st.SearchStrategy[Any]], records: list[Any], **parts: st.SearchStrategy[Any]
) -> st.SearchStrategy[QueryFilter]:
    ordered = [name for name in names if not isinstance(name, tuple) or name[1:] != UNORDERED]
    orders = st.lists(st.builds(OrderBy, st.sampled_from(ordered), st.sampled_from(Direction)), max_size=MAX_KEYS)
    places = st.integers(0, len(records))
    return st.builds(
        QueryFilter,
        order_by=orders,
        limit=st.none() | places,
        offset=st.just(0) | places,
        documents=st.booleans(),
        after_record=st.none() | st.sampled_from(records),
        **parts,
    )


def _conditions(values: list[Any], *, is_text: bool, is_ordered: bool, is_ranged: bool) -> st.SearchStrategy[Any]:
    one = st.sampled_from([None, *values]) if values else st.none()
    some = st.lists(one, max_size=4) | st.lists(one, min_size=17, max_size=MAX_VALUES)
    kinds: list[st.SearchStrategy[Any]] = [one, st.builds(Ne, one), st.builds(In, some), st.builds(NotIn, some)]
    comparable = [value for value in values if value is not None and not isinstance(value, bool)]
    if is_ordered and comparable:
        end = st.sampled_from(comparable)
        kinds += [st.builds(each, end) for each in (Lt, Le, Gt, Ge)]
        kinds += [st.builds(Between, end, end)] if is_ranged else []
    if is_text:
        texts = st.sampled_from((*TEXTS, *WITH_NUL))
        kinds += [st.builds(each, texts) for each in (Contains, StartsWith)]
        if any(isinstance(value, str) and not isinstance(value, StrEnum) for value in values):
            kinds += [texts, *(st.builds(each, texts) for each in (Ne, Lt, Le, Gt, Ge)), st.builds(In, st.lists(texts))]
    return st.one_of(kinds)
