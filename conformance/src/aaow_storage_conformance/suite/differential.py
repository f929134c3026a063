"""Random filters on random records: a store must list what the query plan selects from all records."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from aaow_storage import (
    Capability,
    Direction,
    NodeExecutionStatus,
    NodeState,
    OrderBy,
    QueryFilter,
    SessionStatus,
    StorageAdapter,
    StreamEvent,
    StreamSummary,
    ValidationError,
    WorkflowExecutionState,
)
from aaow_storage.authoring import plan_query
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import random_filters, samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.drawn_filters import (
    RECORDS,
    Filters,
    combined_filters,
    random_records_of,
    simple_filters,
    simpler_filters,
)
from aaow_storage_conformance.data.list_calls import Listing, every_listing, prepare_scopes
from aaow_storage_conformance.data.random_records import INSTANTS, NODES, SCALARS, STREAMS
from aaow_storage_conformance.data.random_records import SESSIONS as SESSION_IDS
from aaow_storage_conformance.data.seed import rng_for
from aaow_storage_conformance.harness.refusals import check_raises
from aaow_storage_conformance.harness.shrink_limit import MAX_SHRINK_S, ShrinkLimit
from aaow_storage_conformance.harness.watchdog import run_in_loop

EXAMPLES, FEW_EXAMPLES = 200, 60
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
    "max_examples": FEW_EXAMPLES,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
"""Settings of hypothesis."""


class DifferentialTests:
    """The store and the query plan agree."""

    @clause("QRY-1", "QRY-2", "QRY-5", "QRY-6", "QRY-7")
    @every_listing
    async def test_random_filters_find_what_their_plan_selects(self, storage: StorageAdapter, listing: Listing) -> None:
        await _check_random_filters(storage, listing, "random filters", simple_filters)

    @clause("QRY-9", "QRY-10", "QRY-11", "QRY-12")
    @every_listing
    async def test_random_filters_of_combined_conditions_find_what_their_plan_selects(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await _check_random_filters(storage, listing, "random combinations", combined_filters)

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
        @settings(**_HOW)
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


Draw = Callable[[type, list[Any], random.Random], Iterator[Filters]]


async def _check_random_filters(storage: StorageAdapter, listing: Listing, name: str, draw: Draw) -> None:
    await prepare_scopes(storage)
    rng = rng_for(name, listing.name)
    for record in random_records_of(listing, rng):
        await listing.store(storage, record)
    records = await listing.list(storage, None)
    assert len(records) >= RECORDS
    for filters in itertools.islice(draw(type(records[0]), records, rng), EXAMPLES):
        if (error := await _failure(storage, listing, records, filters)) is not None:
            raise await _simplest_failure(storage, listing, records, filters, error)


async def _failure(storage: StorageAdapter, listing: Listing, records: list[Any], filters: Filters) -> Exception | None:
    """Return how a list differs from what its plan selects, or the error that it raises, or None."""
    asked, meant = filters
    expected = [record.id for record in plan_query(type(records[0]), meant, listing.time).select(records)]
    try:
        found = [record.id for record in await listing.list(storage, asked)]
        assert found == expected
    except Exception as error:  # noqa: BLE001 - a backend under test may raise anything
        error.add_note(f"{listing.name}({asked})")
        return error
    return None


async def _simplest_failure(
    storage: StorageAdapter, listing: Listing, records: list[Any], filters: Filters, error: Exception
) -> Exception:
    """Leave parts of a failing filter out as long as the list fails, and return how it failed last."""
    ends_at = time.monotonic() + MAX_SHRINK_S
    candidates = simpler_filters(filters)
    while time.monotonic() < ends_at and (simpler := next(candidates, None)) is not None:
        failure = await _failure(storage, listing, records, simpler)
        if failure is not None:
            error, candidates = failure, simpler_filters(simpler)
    return error


async def _store_states_and_events(storage: StorageAdapter, rng: random.Random, *, has_streams: bool) -> None:
    """Store sessions with states and nodes, and events of two streams, of values that the filters name."""
    ids = [*SESSION_IDS, *(f"session {number}" for number in range(SESSIONS - 2))]
    instants: tuple[Any, ...] = (None, *INSTANTS)
    for session_id in ids:
        nodes = {
            node_id: samples.a_node_state(
                node_id,
                status=rng.choice(list(NodeExecutionStatus)),
                retry_count=rng.randrange(3),
                output=rng.choice(({"a": rng.choice(SCALARS)}, None, [], {})),
            )
            for node_id in NODES
            if rng.random() < 0.8
        }
        state = samples.a_state(
            session_id,
            status=rng.choice(list(SessionStatus)),
            current_node_id=rng.choice((None, *NODES)),
            started_at=rng.choice(instants),
            metadata=rng.choice(({"a": rng.choice(SCALARS)}, None, {})),
            node_states=nodes,
        )
        await samples.stored_session(storage, id=session_id)
        await storage.save_execution_state(state)
    if has_streams:
        streams = (*STREAMS, "of nobody")
        await storage.save_stream_events(
            [
                samples.an_event(
                    streams[number % 3],
                    node_id=rng.choice(NODES),
                    timestamp=rng.choice(INSTANTS),
                    session_id=None if number % 3 == 2 else rng.choice((None, *SESSION_IDS)),
                )
                for number in range(EVENTS)
            ]
        )
