"""Long ids, texts and keys that differ only at their end, which an index on a prefix mixes up."""

from typing import Any

import attrs
import pytest

from aaow_storage import (
    Contains,
    Direction,
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
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import (
    BUDGET_POOL,
    EXECUTION_STATE,
    KINDS,
    SESSION,
    WORKFLOW,
    Kind,
    each,
    prepare,
)
from aaow_storage_conformance.data.list_calls import LISTINGS, Listing

MAX_ID_LENGTH = 255
ENDS = ("A", "a", "a ", "b", "b\N{COMBINING ACUTE ACCENT}")
"""Endings in code point order."""
LONG_IDS = tuple("i" * (MAX_ID_LENGTH - 2) + end for end in ENDS)
TEXT_LENGTHS = (3_000, 70_000)
KEY_LENGTH = 450
WITH_COUNT = [listing for listing in LISTINGS if listing.kind in (WORKFLOW, SESSION, BUDGET_POOL)]


class EndingTests:
    """Values that differ in their last character are different."""

    @clause("REC-2", "OPS-2")
    @each(tuple(kind for kind in KINDS if kind is not EXECUTION_STATE))
    async def test_long_ids_that_differ_at_their_end_are_different(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        records = [kind.make(**{kind.key: name}) for name in LONG_IDS]
        for record in records:
            assert await kind.find(storage, record) is None
            await kind.store(storage, record)
        assert_identical([await kind.find(storage, record) for record in records], records)
        if kind in (WORKFLOW, SESSION, BUDGET_POOL):
            for number, record in enumerate(records):
                await getattr(storage, f"delete_{kind.name}")(record.id)
                left = [await kind.find(storage, other) for other in records]
                assert_identical(left, [None] * (number + 1) + records[number + 1 :])

    @clause("REC-2", "QRY-4")
    async def test_what_belongs_to_long_ids_that_differ_at_their_end_stays_apart(self, storage: StorageAdapter) -> None:
        held: dict[str, list[Any]] = {}
        for name in LONG_IDS:
            await samples.stored_workflow(storage, id=name)
            session = await samples.stored_session(storage, id=name, workflow_id=name)
            nodes = {node: samples.a_node_state(node) for node in LONG_IDS}
            state = samples.a_state(name, node_states=nodes, budget_pool_id=name, current_node_id=name)
            await storage.save_execution_state(state)
            execution = await samples.stored_execution(storage, name, name, id=name)
            call = await samples.stored_tool_call(storage, name, id=name, tool_call_id=name)
            pool = await samples.stored_pool(storage, id=name)
            child = await samples.stored_pool(storage, id=f"child of {name[-2:]}", parent_pool_id=name)
            request = await samples.stored_request(storage, name, id=name, node_id=name)
            held[name] = [session, state, execution, call, pool, child, request]
        for name, (session, state, execution, call, pool, child, request) in held.items():
            assert_identical(await storage.list_sessions(QueryFilter({"workflow_id": name})), [session])
            assert_identical(await storage.get_execution_state(name), state)
            assert_identical(await storage.get_llm_executions(name), [execution])
            assert_identical(await storage.get_node_llm_executions(name, name), [execution])
            assert_identical(await storage.get_tool_calls(name), [call])
            assert_identical(await storage.get_session_tool_calls(name), [call])
            assert_identical(await storage.get_child_budget_pools(name), [child])
            assert_identical(await storage.list_approval_requests(name), [request])
            consumed = await storage.consume_budget(child.id, 1)
            assert_identical(await storage.get_budget_pool(name), attrs.evolve(pool, used_budget=consumed.used_budget))
        for name, (session, *_) in held.items():
            await storage.delete_workflow(name)
            assert_identical(await storage.get_session(name), attrs.evolve(session, workflow_id=None))
        await storage.delete_session(LONG_IDS[0])
        for name, (_, state, execution, call, *_, request) in [*held.items()][1:]:
            assert_identical(await storage.get_execution_state(name), state)
            assert_identical(await storage.get_llm_executions(name), [execution])
            assert_identical(await storage.get_session_tool_calls(name), [call])
            assert_identical(await storage.list_approval_requests(name), [request])

    @clause("QRY-1", "QRY-2", "QRY-5", "QRY-7")
    @pytest.mark.parametrize(
        ("field", "length"),
        [
            ("id", MAX_ID_LENGTH - 2),
            *((field, length) for field in ("name", "metadata.text") for length in TEXT_LENGTHS),
        ],
    )
    async def test_long_texts_that_differ_at_their_end_are_found_and_ordered_each_by_itself(
        self, storage: StorageAdapter, field: str, length: int
    ) -> None:
        stem = "t" * length
        texts = [stem + end for end in ENDS]
        for number, text in enumerate(texts[1::2] + texts[::2]):
            name = text if field == "id" else f"{number}"
            await samples.stored_workflow(storage, id=name, name=text, metadata={"text": text})

        async def find(where: dict[FieldName, Any], **others: Any) -> list[str]:
            query = QueryFilter(where, OrderBy(field), **others)
            listed = [workflow.name for workflow in await storage.list_workflows(query)]
            assert await storage.count_workflows(query) == len(listed)
            return [text[len(stem) :] for text in listed]

        for place, text in enumerate(texts):
            others = [*ENDS[:place], *ENDS[place + 1 :]]
            assert await find({field: text}) == [ENDS[place]]
            assert await find({field: In([text, stem])}) == [ENDS[place]]
            assert await find({field: Ne(text)}) == others
            assert await find({field: NotIn([text])}) == others
            assert await find({field: Lt(text)}) == [*ENDS[:place]]
            assert await find({field: Gt(text)}) == [*ENDS[place + 1 :]]
            assert await find({field: Ge(text)}) == [*ENDS[place:]]
            assert await find({field: StartsWith(text)}) == [end for end in ENDS if end.startswith(ENDS[place])]
            assert await find({field: Contains(text)}) == [end for end in ENDS if end.startswith(ENDS[place])]
        for direction in Direction:
            query = QueryFilter(order_by=OrderBy(field, direction), limit=1)
            walked = []
            while page := await storage.list_workflows(query):
                walked += [workflow.name for workflow in page]
                query = query.after(page[-1])
                assert len(walked) <= len(ENDS), (
                    f"a walk by after() through {len(ENDS)} records visited {len(walked)}: it does not end"
                )
            assert walked == (texts if direction is Direction.ASCENDING else texts[::-1])

    @clause("QRY-2", "REC-4")
    @pytest.mark.parametrize("listing", WITH_COUNT, ids=lambda listing: listing.name)
    async def test_long_keys_that_differ_at_their_end_lead_to_different_places(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        keys = ["k" * KEY_LENGTH + end for end in ENDS]
        if listing.scope:
            await samples.stored_pool(storage, id="home pool")
        document = {key: {key: place} for place, key in enumerate(keys)}
        await listing.store(storage, listing.make(id="a record", metadata=document))
        for place, key in enumerate(keys):
            for other, another in enumerate(keys):
                expected = ["a record"] if place == other else []
                for path in (("metadata", key, another), ("metadata", another, key)):
                    records = await listing.list(storage, QueryFilter({path: place}))
                    assert [record.id for record in records] == expected
