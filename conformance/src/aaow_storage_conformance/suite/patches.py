"""Updates with a `Patch`: they change single keys of a JSON object as it is stored then, and no other key."""

import asyncio
from typing import Any

import attrs
import pytest

from aaow_storage import Capability, JSONObject, Patch, StorageAdapter, StorageOperations, ValidationError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import APPROVAL_REQUEST, BUDGET_POOL, SESSION, WORKFLOW, Kind, prepare
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S

TASKS = 64
PROCESSES = 4
KEYS = 8

PATCHED = [(WORKFLOW, "definition"), (WORKFLOW, "metadata"), (SESSION, "metadata"), (BUDGET_POOL, "metadata")]
PATCHED += [(APPROVAL_REQUEST, "context")]
"""Every field that a patch may change."""

each_field = pytest.mark.parametrize(
    ("kind", "field"), [pytest.param(kind, field, id=f"{kind.name}-{field}") for kind, field in PATCHED]
)

CASES: tuple[tuple[JSONObject, JSONObject, JSONObject], ...] = (
    ({"a": "b"}, {}, {"a": "b"}),
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"a": [1, None]}, {"a": [None, {"b": None}]}, {"a": [None, {"b": None}]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({"e": None}, {"e": None}, {}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": {"b": {"c": 1, "d": 2}, "e": 3}}, {"a": {"b": {"c": None}}}, {"a": {"b": {"d": 2}, "e": 3}}),
    ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ({"a": {"b": 2}}, {"a": {}}, {"a": {"b": 2}}),
    ({"a": {"b": 2}}, {"a": None}, {}),
    ({"c": 1, "a": 2, "b": 3}, {"b": 4, "z": 0, "c": 5}, {"c": 5, "a": 2, "b": 4, "z": 0}),
    ({"a": 1}, {"a": True, "b": 1.0}, {"a": True, "b": 1.0}),
    ({"a.b": 1, "a": {"b": 2}}, {"a.b": None}, {"a": {"b": 2}}),
    ({"": 1, "é\0": {"😀": 1}}, {"": None, "é\0": {"😀": "x"}}, {"é\0": {"😀": "x"}}),
)
"""What is stored, a patch, and what is stored then; most are of RFC 7396."""


async def patch(storage: StorageOperations, kind: Kind, id: str, field: str, changes: JSONObject) -> Any:
    """Patch a field of the record of that kind."""
    return await getattr(storage, f"update_{kind.name}")(id, **{field: Patch(changes)})


class PatchTests:
    """`Patch` as the value of a change."""

    @clause("OPS-11")
    @each_field
    async def test_a_patch_sets_and_removes_the_keys_it_names_and_no_other(
        self, storage: StorageAdapter, kind: Kind, field: str
    ) -> None:
        await prepare(storage)
        for stored, changes, expected in CASES:
            record = kind.make(**{field: stored})
            await kind.store(storage, record)
            returned = await patch(storage, kind, record.id, field, changes)
            stamp = {"updated_at": returned.updated_at} if hasattr(record, "updated_at") else {}
            assert_identical(returned, attrs.evolve(record, **{field: expected}, **stamp))
            assert_identical(await kind.find(storage, record), returned)

    @clause("OPS-11")
    @pytest.mark.parametrize("kind", [WORKFLOW, SESSION, BUDGET_POOL], ids=lambda kind: kind.name)
    async def test_a_patch_of_a_field_that_is_null_makes_an_object(self, storage: StorageAdapter, kind: Kind) -> None:
        for changes, expected in (({"a": {"b": 1}, "c": None}, {"a": {"b": 1}}), ({}, {}), ({"a": None}, {})):
            record = kind.make(metadata=None)
            await kind.store(storage, record)
            assert_identical((await patch(storage, kind, record.id, "metadata", changes)).metadata, expected)
            assert_identical((await kind.find(storage, record)).metadata, expected)

    @clause("OPS-11")
    async def test_a_patch_may_stand_beside_other_changes_and_a_condition(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage, metadata={"a": 1}, definition={"nodes": [1], "edges": []})
        returned = await storage.update_workflow(
            workflow.id,
            only_if={"metadata.a": 1},
            name="renamed",
            metadata=Patch({"b": 2}),
            definition=Patch({"edges": None}),
            updated_at=samples.EPOCH,
        )
        expected = attrs.evolve(
            workflow, name="renamed", metadata={"a": 1, "b": 2}, definition={"nodes": [1]}, updated_at=samples.EPOCH
        )
        assert_identical(returned, expected)
        assert_identical(await storage.get_workflow(workflow.id), expected)

    @clause("OPS-11")
    @pytest.mark.parametrize(
        ("kind", "field"),
        [
            (WORKFLOW, "name"),
            (WORKFLOW, "updated_at"),
            (SESSION, "status"),
            (SESSION, "workflow_snapshot"),
            (BUDGET_POOL, "total_budget"),
            (APPROVAL_REQUEST, "status"),
            (APPROVAL_REQUEST, "expires_at"),
        ],
        ids=lambda part: part if isinstance(part, str) else part.name,
    )
    async def test_a_patch_of_another_field_is_refused_and_changes_nothing(
        self, storage: StorageAdapter, kind: Kind, field: str
    ) -> None:
        await prepare(storage)
        record = kind.make()
        await kind.store(storage, record)
        before = await everything_in(storage)
        for beside in ({}, {"context" if kind is APPROVAL_REQUEST else "metadata": Patch({"a": 1})}):
            with pytest.raises(ValidationError) as raised:
                await getattr(storage, f"update_{kind.name}")(record.id, **beside, **{field: Patch({})})
            assert raised.value.field == field
        assert_identical(await everything_in(storage), before)

    @clause("OPS-11")
    async def test_a_patch_inside_a_document_is_not_json(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        for wrong in ({"a": Patch({})}, {"a": [Patch({})]}):
            with pytest.raises(ValidationError):
                await storage.update_session(session.id, metadata=wrong)
        assert await storage.get_session(session.id) == session

    @clause("OPS-11")
    async def test_changing_the_patch_later_has_no_effect(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage, metadata={})
        changes: JSONObject = {"a": {"b": [1]}, "c": None}
        updating = asyncio.create_task(patch(storage, SESSION, session.id, "metadata", changes))
        await asyncio.sleep(0)
        changes["a"]["b"].append(2)
        changes["d"] = 1
        returned = await updating
        changes["a"]["b"].append(3)
        returned.metadata["a"]["b"].append(4)
        found = await storage.get_session(session.id)
        assert found is not None
        assert_identical(found.metadata, {"a": {"b": [1]}})

    @clause("OPS-11")
    async def test_a_patch_in_a_transaction_changes_what_the_transaction_sees(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage, metadata={"a": 1})
        async with storage.transaction() as transaction:
            await transaction.update_session(session.id, metadata=Patch({"b": 2}))
            await transaction.update_session(session.id, metadata=Patch({"a": None, "c": 3}))
        found = await storage.get_session(session.id)
        assert found is not None
        assert_identical(found.metadata, {"b": 2, "c": 3})

    @clause("OPS-11")
    @each_field
    async def test_sixty_four_patches_of_different_keys_at_once_lose_nothing(
        self, storage: StorageAdapter, kind: Kind, field: str
    ) -> None:
        await prepare(storage)
        record = kind.make(**{field: {"old": {"kept": True}}})
        await kind.store(storage, record)
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(
                *(patch(storage, kind, record.id, field, {"old": {f"key {number}": number}}) for number in range(TASKS))
            )
        patched = getattr(await kind.find(storage, record), field)
        assert patched == {"old": {"kept": True} | {f"key {number}": number for number in range(TASKS)}}

    @clause("OPS-11")
    @requires(Capability.DURABLE)
    async def test_patches_of_several_processes_lose_nothing(self, storage: StorageAdapter, store: Store) -> None:
        session = await samples.stored_session(storage, metadata={"kept": True})
        names = [f"process {number}" for number in range(PROCESSES)]
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(store.run_in_subprocess(patch_keys, session.id, name) for name in names))
        found = await storage.get_session(session.id)
        assert found is not None
        assert found.metadata == {"kept": True} | {name: dict.fromkeys(map(str, range(KEYS)), True) for name in names}


async def patch_keys(storage: StorageAdapter, session_id: str, name: str) -> None:
    """Patch the metadata of a session key by key, below the name."""
    for number in range(KEYS):
        await storage.update_session(session_id, metadata=Patch({name: {str(number): True}}))
