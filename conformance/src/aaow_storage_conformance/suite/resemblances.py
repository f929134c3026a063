"""Similar documents: of the same length, or equal for Python, with one difference, stay different."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from aaow_storage import StorageAdapter, StorageOperations
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import (
    APPROVAL_REQUEST,
    BUDGET_POOL,
    EXECUTION_STATE,
    KINDS,
    LLM_EXECUTION,
    SAVED,
    SESSION,
    WORKFLOW,
    Kind,
    each,
    prepare,
)

KIBIBYTE = 1024
SIZES = (100, 9 * KIBIBYTE, 140 * KIBIBYTE)
LONG_SIZES = (600 * KIBIBYTE, 2200 * KIBIBYTE)
"""Approximate sizes in bytes, beyond what a backend might compare, hash or cache of a document."""
sizes = pytest.mark.parametrize(
    "sizes", [pytest.param(SIZES, id="short"), pytest.param(LONG_SIZES, id="long", marks=pytest.mark.slow)]
)

EQUAL_FOR_PYTHON: tuple[dict[str, Any], ...] = (
    {"a": 1, "b": [0, {"c": 1}]},
    {"a": 1.0, "b": [0, {"c": 1}]},
    {"a": 1, "b": [0, {"c": True}]},
    {"a": 1, "b": [False, {"c": 1}]},
    {"a": 1, "b": [0.0, {"c": 1}]},
    {"a": 1, "b": [-0.0, {"c": 1}]},
    {"b": [0, {"c": 1}], "a": 1},
    {"a": True, "b": [0, {"c": 1.0}]},
)
"""Eight different documents that `==` calls equal."""

NOT_MERGED: tuple[dict[str, Any], ...] = (
    *({"a": 1}, {"b": 2}, {"b": {"c": 1}}, {"b": {"d": 2}}, {"b": {}}, {}, {"a": [1]}, {"a": [2]}, {"a": []}, {}),
)
"""Documents that each replace the one before, rather than being merged into it."""

Change = Callable[[StorageOperations, str, dict[str, Any]], Awaitable[Any]]
UPDATES: dict[str, tuple[Kind, str, Change]] = {
    "definition": (WORKFLOW, "definition", lambda storage, key, new: storage.update_workflow(key, definition=new)),
    "metadata of a workflow": (
        WORKFLOW,
        "metadata",
        lambda storage, key, new: storage.update_workflow(key, metadata=new),
    ),
    "metadata of a session": (SESSION, "metadata", lambda storage, key, new: storage.update_session(key, metadata=new)),
    "metadata of a pool": (
        BUDGET_POOL,
        "metadata",
        lambda storage, key, new: storage.update_budget_pool(key, metadata=new),
    ),
    "context": (
        APPROVAL_REQUEST,
        "context",
        lambda storage, key, new: storage.update_approval_request(key, context=new),
    ),
}
every_update = pytest.mark.parametrize("name", UPDATES)


def similar_documents(size: int) -> list[dict[str, Any]]:
    """Make documents of the same length, about `size` bytes, each with one difference at another place."""
    length = size // 4
    nodes: list[Any] = ["n" * length, {"rank": 1, "more": 2}, "m" * length, {"rank": 1, "more": 2}, "o" * length]
    places = (
        *((0, "N" + nodes[0][1:]), (0, nodes[0][:-1] + "N"), (1, {"rank": 2, "more": 2}), (1, {"more": 2, "rank": 1})),
        *((2, nodes[2][: length // 2] + "M" + nodes[2][length // 2 + 1 :]), (3, {"more": 2, "rank": 1})),
        *((4, nodes[4][:-1] + "O"), (4, nodes[4][:-2] + "Oo")),
    )
    lists = [nodes, *([*nodes[:index], new, *nodes[index + 1 :]] for index, new in places)]
    documents: list[dict[str, Any]] = [{"nodes": made, "last": 1.0, "end": "00"} for made in lists]
    ends: tuple[dict[str, Any], ...] = ({"last": 1.5}, {"end": "01"}, {"end": "10"}, {"last": 1, "end": "1.0"})
    documents += [{**documents[0], **end} for end in ends]
    return [*documents, {"nodes": nodes, "end": "00", "last": 1.0}]


class ResemblanceTests:
    """Similar documents are stored, replaced and read separately."""

    @clause("REC-4", "REC-7")
    @each(KINDS)
    @sizes
    async def test_documents_that_differ_in_one_place_come_back_each_as_itself(
        self, storage: StorageAdapter, kind: Kind, sizes: tuple[int, ...]
    ) -> None:
        await prepare(storage)
        documents = [document for size in sizes for document in _select(similar_documents(size))]
        records = [_record_with(kind, number, document) for number, document in enumerate(documents)]
        for record in records:
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)
        if kind is WORKFLOW or kind is SESSION:
            for record in records:
                assert_identical(await kind.find(storage, record), record)

    @clause("SES-2", "REC-4")
    @pytest.mark.parametrize("size", [SIZES[-1], LONG_SIZES[-1]], ids=["short", "long"])
    async def test_what_becomes_of_a_document_changes_none_that_is_like_it(
        self, storage: StorageAdapter, size: int
    ) -> None:
        documents = _select(similar_documents(size))
        workflows = [await samples.stored_workflow(storage, definition=document) for document in documents]
        sessions = [await samples.stored_session(storage, workflow_snapshot=document) for document in documents[::-1]]
        assert_identical(await storage.list_workflows(), workflows)
        assert_identical(await storage.list_sessions(), sessions)
        assert_identical([await storage.get_session(session.id) for session in sessions], sessions)
        for place, document in enumerate(documents[1:]):
            changed = await storage.update_workflow(workflows[place].id, definition=document)
            assert_identical(changed.definition, document)
            workflows[place] = changed
            assert_identical([await storage.get_workflow(workflow.id) for workflow in workflows], workflows)
        for workflow in workflows[::2]:
            await storage.delete_workflow(workflow.id)
        await storage.save_workflow(attrs.evolve(workflows[1], definition={"small": True}))
        for session in sessions[::2]:
            await storage.delete_session(session.id)
        assert_identical(await storage.list_sessions(), sessions[1::2])
        assert_identical(
            await storage.list_workflows(), [attrs.evolve(workflows[1], definition={"small": True}), *workflows[3::2]]
        )

    @clause("SES-2", "REC-4")
    async def test_a_snapshot_that_python_calls_equal_to_the_definition_is_not_the_definition(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage, definition=EQUAL_FOR_PYTHON[0])
        sessions = [
            await samples.stored_session(storage, workflow_id=workflow.id, workflow_snapshot=document)
            for document in EQUAL_FOR_PYTHON
        ]
        for document in (*EQUAL_FOR_PYTHON[1:], EQUAL_FOR_PYTHON[0]):
            workflow = attrs.evolve(workflow, definition=document)
            await storage.save_workflow(workflow)
            assert_identical(await storage.get_workflow(workflow.id), workflow)
            assert_identical(await storage.list_workflows(), [workflow])
            assert_identical([await storage.get_session(session.id) for session in sessions], sessions)
            assert_identical(await storage.list_sessions(), sessions)
        updated = [await storage.update_session(session.id, metadata=session.metadata) for session in sessions]
        assert_identical([each.workflow_snapshot for each in updated], list(EQUAL_FOR_PYTHON))

    @clause("OPS-3", "REC-4")
    @each(SAVED)
    async def test_saving_replaces_documents_whole_be_they_equal_for_python(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        first = kind.make()
        for document in (
            *EQUAL_FOR_PYTHON,
            EQUAL_FOR_PYTHON[0],
            *_select(similar_documents(9 * KIBIBYTE)),
            *NOT_MERGED,
        ):
            fields: dict[str, Any] = dict.fromkeys((*kind.objects, *kind.documents), document)
            if kind is LLM_EXECUTION:
                call = samples.a_call(tool_call_id="call", args=document, result=document, error=None)
                fields["tool_calls"] = (call,)
            again = attrs.evolve(first, **fields)
            await kind.store(storage, again)
            assert_identical(await kind.find(storage, first), again)

    @clause("STA-1", "REC-4")
    async def test_saving_a_state_whose_nodes_python_calls_equal_replaces_them_all_the_same(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        node, state = samples.a_node_state("draft"), samples.a_state(session.id)
        for document in EQUAL_FOR_PYTHON:
            node = attrs.evolve(node, input=document, output=document, metadata=document)
            state = attrs.evolve(state, metadata=document, node_states={"draft": node})
            await storage.save_execution_state(state)
            assert_identical(await storage.get_execution_state(session.id), state)

    @clause("OPS-4", "REC-4")
    @every_update
    async def test_updating_replaces_a_document_whole_be_it_equal_for_python(
        self, storage: StorageAdapter, name: str
    ) -> None:
        kind, field, change = UPDATES[name]
        await prepare(storage)
        record = kind.make()
        await kind.store(storage, record)
        for document in (
            *EQUAL_FOR_PYTHON,
            EQUAL_FOR_PYTHON[0],
            *_select(similar_documents(9 * KIBIBYTE)),
            *NOT_MERGED,
        ):
            returned = await change(storage, record.id, document)
            assert_identical(getattr(returned, field), document)
            assert_identical(getattr(await kind.find(storage, record), field), document)

    @clause("REC-4", "OPS-2")
    @each(KINDS)
    async def test_documents_that_python_calls_equal_come_back_each_as_itself(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        records = [_record_with(kind, number, document) for number, document in enumerate(EQUAL_FOR_PYTHON)]
        for record in records:
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)
        if kind is not EXECUTION_STATE:
            for record in reversed(records):
                assert_identical(await kind.find(storage, record), record)


def _record_with(kind: Kind, number: int, document: dict[str, Any]) -> Any:
    """Make a record with a new id and the document in each of its document fields."""
    fields: dict[str, Any] = dict.fromkeys((*kind.objects, *kind.documents), document)
    own: dict[str, Any] = {"node_states": {}} if kind is EXECUTION_STATE else {kind.key: f"record {number:02}"}
    return kind.make(**own, **fields)


def _select(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents, or if they are long, some that differ at the beginning, middle and end."""
    return documents if len(documents[0]["nodes"][0]) < 4 * KIBIBYTE else [*documents[:1], *documents[5::2]]
