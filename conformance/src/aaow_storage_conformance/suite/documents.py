"""JSON documents come back unchanged: with their types, at any size, and as copies of what is stored."""

import asyncio
from typing import Any

import attrs
import pytest

from aaow_storage import JSON, StorageAdapter, ValidationError
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples, values
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import EXECUTION_STATE, KINDS, SESSION_ID, Kind, each, prepare
from aaow_storage_conformance.harness.refusals import check_raises
from aaow_storage_conformance.harness.store import Store

MEBIBYTE = 1024 * 1024


class DocumentTests:
    """The JSON inside records."""

    @clause("REC-4")
    @each(KINDS)
    async def test_json_values_come_back_with_their_types(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        for value in values.DOCUMENTS:
            record = _with_documents(kind, value)
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-4")
    @each(tuple(kind for kind in KINDS if kind.objects))
    async def test_an_empty_object_is_not_an_absent_one(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        documents: tuple[dict[str, None] | None, ...] = ({}, None, {"": None})
        for document in documents:
            fields = [field for field in kind.objects if field == "metadata" or document is not None]
            record = kind.make(**dict.fromkeys(fields, document))
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-4")
    async def test_documents_that_python_calls_equal_stay_apart(self, storage: StorageAdapter) -> None:
        twins: list[dict[str, Any]] = [
            *({"value": 1}, {"value": 1.0}, {"value": True}, {"value": 0}, {"value": False}, {"value": -0.0}),
            *({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"value": 2**63}, {"value": 2.0**63}),
        ]
        records = [samples.a_workflow(definition=twin, metadata=twin) for twin in twins]
        sessions = [samples.a_session(workflow_snapshot=twin, metadata=twin) for twin in twins]
        for workflow, session in zip(records, sessions, strict=True):
            await storage.save_workflow(workflow)
            await storage.create_session(session)
        assert_identical(await storage.list_workflows(), records)
        assert_identical(await storage.list_sessions(), sessions)

    @clause("REC-4", "REC-1")
    async def test_an_update_that_is_not_json_says_where_and_changes_nothing(self, storage: StorageAdapter) -> None:
        workflow, pool = await samples.stored_workflow(storage), await samples.stored_pool(storage)
        session = await samples.stored_session(storage)
        request = await samples.stored_request(storage, session.id)
        before = await everything_in(storage)
        calls = (
            ("definition", lambda document: storage.update_workflow(workflow.id, definition=document)),
            ("metadata", lambda document: storage.update_workflow(workflow.id, metadata=document)),
            ("metadata", lambda document: storage.update_session(session.id, metadata=document)),
            ("metadata", lambda document: storage.update_budget_pool(pool.id, metadata=document)),
            ("context", lambda document: storage.update_approval_request(request.id, context=document)),
        )
        for field, call in calls:
            for wrong in values.NOT_DOCUMENTS:
                what = f"an update of {field} with {wrong!r} inside"
                error = await check_raises(ValidationError, what, call, {"root": {"nodes": [0, wrong]}})
                assert error.field.startswith(f"{field}.root.nodes[1]")
        assert_identical(await everything_in(storage), before)

    @clause("REC-4", "REC-1")
    @each(tuple(kind for kind in KINDS if kind.documents))
    async def test_what_is_not_json_cannot_be_built_into_a_record(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        for field in kind.documents:
            for wrong in values.NOT_DOCUMENTS:
                with pytest.raises(ValidationError) as raised:
                    kind.make(**{field: {"root": {"nodes": [0, wrong]}}})
                assert raised.value.field.startswith(f"{field}.root.nodes[1]")
                spoiled = kind.make(**{field: {"root": {"nodes": [0]}}})
                getattr(spoiled, field)["root"]["nodes"].append(wrong)
                with pytest.raises(ValidationError) as raised:
                    await kind.store(storage, spoiled)
                assert raised.value.field.startswith(f"{field}.root.nodes[1]")
                assert await kind.find(storage, spoiled) is None

    @clause("REC-6")
    @each(KINDS)
    async def test_changing_what_was_passed_changes_nothing_stored(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record, twin = _make_equal_records(kind)
        await kind.store(storage, record)
        _change_documents(kind, record)
        assert_identical(await kind.find(storage, twin), twin)

    @clause("REC-6")
    @each(KINDS)
    async def test_changing_what_was_read_changes_nothing_stored(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record, twin = _make_equal_records(kind)
        await kind.store(storage, record)
        for _ in range(2):
            _change_documents(kind, await kind.find(storage, record))
        assert_identical(await kind.find(storage, twin), twin)

    @clause("REC-6", "TXN-2")
    @each(KINDS)
    async def test_a_transaction_hands_out_copies_too(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record, twin = _make_equal_records(kind)
        async with storage.transaction() as transaction:
            await kind.store(transaction, record)
            _change_documents(kind, record)
            _change_documents(kind, await kind.find(transaction, twin))
            assert_identical(await kind.find(transaction, twin), twin)
        assert_identical(await kind.find(storage, twin), twin)

    @clause("REC-6", "OPS-4")
    async def test_changing_what_an_update_took_or_gave_changes_nothing_stored(self, storage: StorageAdapter) -> None:
        workflow, pool = await samples.stored_workflow(storage), await samples.stored_pool(storage)
        session = await samples.stored_session(storage)
        request = await samples.stored_request(storage, session.id)
        passed: dict[str, Any] = {"list": [1], "object": {"a": 1}}
        returned = (
            (await storage.update_workflow(workflow.id, definition=passed, metadata=passed)).definition,
            (await storage.update_session(session.id, metadata=passed)).metadata,
            (await storage.update_budget_pool(pool.id, metadata=passed)).metadata,
            (await storage.update_approval_request(request.id, context=passed)).context,
            (await storage.consume_budget(pool.id, 1)).metadata,
            (await storage.approve_request(request.id, "ann")).context,
        )
        _change_in_place(passed)
        for document in returned:
            _change_in_place(document)
        stored = await everything_in(storage)
        (stored_workflow,), (stored_session,) = stored["workflows"], stored["sessions"]
        (stored_pool,), (stored_request,) = stored["budget_pools"], stored["approval_requests"]
        expected = {"list": [1], "object": {"a": 1}}
        assert_identical([stored_workflow.definition, stored_workflow.metadata], [expected, expected])
        assert_identical([stored_session.metadata, stored_pool.metadata], [expected, expected])
        assert_identical(stored_request.context, expected)

    @clause("REC-6", "OPS-6")
    @each(KINDS)
    async def test_changing_what_was_passed_while_its_operation_waits_changes_nothing_stored(
        self, store: Store, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        record, twin = _make_equal_records(kind)
        async with store.open() as other:
            before = await other.begin_transaction()
            await before.save_workflow(samples.a_workflow())
            waiting = asyncio.ensure_future(kind.store(storage, record))
            await asyncio.sleep(0)
            _change_documents(kind, record)
            await before.rollback()
            await waiting
        assert_identical(await kind.find(storage, twin), twin)

    @clause("REC-6", "OPS-1")
    async def test_changing_a_list_that_was_returned_changes_nothing_stored(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        workflow = await samples.stored_workflow(storage)
        await samples.stored_tool_call(storage, (await storage.get_llm_executions(SESSION_ID))[0].id)
        await storage.update_node_state(SESSION_ID, "draft", samples.a_node_state("draft"))
        before = await everything_in(storage)
        for records in (await everything_in(storage)).values():
            for record in records:
                for field in ("definition", "metadata", "args", "node_states"):
                    _change_in_place(getattr(record, field, None))
            records.clear()
        assert_identical(await everything_in(storage), before)
        assert_identical(await storage.get_workflow(workflow.id), workflow)

    @clause("REC-7")
    @each(KINDS)
    async def test_a_document_of_eight_mebibytes_comes_back(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        letters = '\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}"\\ab'
        value: JSON = [letters * (8 * MEBIBYTE // len(letters.encode())), *range(1000), "x" * 100]
        field = (*kind.documents, *kind.objects)[0]
        record = kind.make(**{field: {"value": value}})
        await kind.store(storage, record)
        assert_identical(await kind.find(storage, record), record)

    @clause("REC-7")
    async def test_a_text_of_eight_mebibytes_comes_back(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        execution = await samples.stored_execution(storage, session.id, text="\N{SNOWMAN}ab\n" * (8 * MEBIBYTE // 6))
        assert_identical(await storage.get_llm_executions(session.id), [execution])

    @clause("REC-7")
    @each(KINDS)
    async def test_every_document_may_be_long(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record = _with_documents(kind, "\N{LATIN SMALL LETTER E WITH ACUTE}\n" * 100_000)
        await kind.store(storage, record)
        assert_identical(await kind.find(storage, record), record)

    @clause("REC-7")
    @each(KINDS)
    async def test_a_document_of_two_hundred_levels_comes_back(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        cores: tuple[JSON, ...] = (None, {}, [], "text")
        for innermost in cores:
            record = kind.make(**dict.fromkeys((*kind.documents, *kind.objects), values.nest(201, innermost)))
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-7", "STA-1")
    async def test_a_state_of_a_thousand_nodes_comes_back(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        nodes = {f"node {index}": samples.a_node_state(f"node {index}") for index in range(1000)}
        state = samples.a_state(session.id, node_states=nodes)
        await storage.save_execution_state(state)
        assert_identical(await storage.get_execution_state(session.id), state)


def _with_documents(kind: Kind, value: JSON) -> Any:
    """Make a record with that value in every JSON field."""
    fields: dict[str, Any] = {field: {"value": value, "more": [value]} for field in kind.objects}
    return kind.make(**fields, **dict.fromkeys(kind.documents, value))


def _make_equal_records(kind: Kind) -> tuple[Any, Any]:
    """Make two equal records that share no mutable object."""
    fields = (*kind.documents, *kind.objects)
    record = kind.make(**{field: _changeable() for field in fields})
    twin = attrs.evolve(record, **{field: _changeable() for field in fields})
    if kind is EXECUTION_STATE:
        node = samples.a_node_state("draft", input=_changeable())
        record = attrs.evolve(record, node_states={"draft": node})
        twin = attrs.evolve(twin, node_states={"draft": attrs.evolve(node, input=_changeable())})
    return record, twin


def _changeable() -> dict[str, Any]:
    return {"list": [1, [2]], "object": {"a": {"b": 1}}}


def _change_documents(kind: Kind, record: Any) -> None:
    for field in (*kind.documents, *kind.objects):
        _change_in_place(getattr(record, field))
    if kind is EXECUTION_STATE:
        _change_in_place(record.node_states["draft"].input)
        _change_in_place(record.node_states)


def _change_in_place(value: Any) -> None:
    """Change every dict and list inside a value."""
    if isinstance(value, dict):
        for part in value.values():
            _change_in_place(part)
        value["added"] = "later"
    elif isinstance(value, list):
        for part in value:
            _change_in_place(part)
        value.append("later")
