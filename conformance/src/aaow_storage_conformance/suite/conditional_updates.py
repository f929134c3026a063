"""Updates with `only_if`: they change the record if it is stored as the caller expects, and nothing otherwise."""

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from aaow_storage import (
    Capability,
    ConflictError,
    Contains,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    NotFoundError,
    NotIn,
    StartsWith,
    StorageAdapter,
    StorageOperations,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import APPROVAL_REQUEST, BUDGET_POOL, SESSION, WORKFLOW, Kind, each, prepare
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S

UPDATED = (WORKFLOW, SESSION, BUDGET_POOL, APPROVAL_REQUEST)
TASKS = 64
PROCESSES = 4
COUNTED = 8

CHANGE: dict[str, dict[str, Any]] = {
    "workflow": {"name": "renamed"},
    "session": {"status": "failed"},
    "budget_pool": {"total_budget": 77},
    "approval_request": {"context": {"question": "another"}},
}
"""For each kind, a change."""

HOLDING: dict[str, tuple[dict[Any, Any], ...]] = {
    "workflow": (
        {},
        {"name": "original"},
        {"name": StartsWith("orig"), "version": Ne("9")},
        {"metadata.user": "ann", "definition.nodes": Ne(None)},
        {("metadata", "a.b"): 1},
        {"metadata.nowhere": None},
    ),
    "session": (
        {},
        {"status": "paused"},
        {"status": In(["running", "paused"]), "parent_session_id": None},
        {"metadata.user": Contains("nn"), "metadata.count": Lt(8)},
        {"metadata.count": 7.0},
        {"updated_at": Le(samples.EPOCH)},
    ),
    "budget_pool": (
        {},
        {"status": "active"},
        {"metadata.nowhere": None, "metadata": Ne(None)},
        {"used_budget": Lt(3), "total_budget": Ge("10.5")},
        {"used_budget": 2.5, "parent_pool_id": None},
    ),
    "approval_request": (
        {},
        {"status": "pending"},
        {"type": NotIn(["workflow_call"]), "resolved_at": None},
        {"context.user": "ann"},
    ),
}
"""For each kind, conditions that its `RECORDS` meets."""

FAILING: dict[str, tuple[dict[Any, Any], ...]] = {
    "workflow": (
        {"name": "Original"},
        {"name": "original", "version": "9"},
        {"metadata.user": Ne("ann")},
        {"metadata.a.b": 1},
        {"metadata.user": None},
        {"metadata": None},
        {"updated_at": Gt(samples.EPOCH)},
    ),
    "session": (
        {"status": "running"},
        {"status": NotIn(["paused"])},
        {"status": In([])},
        {"metadata.count": True},
        {"metadata.user": None},
        {"metadata": None},
        {"metadata.count": "7"},
        {"parent_session_id": Ne(None)},
    ),
    "budget_pool": (
        {"status": "suspended"},
        {"used_budget": Gt(2.5)},
        {"total_budget": "10.50000001"},
        {"metadata.user": None},
        {"metadata": None},
    ),
    "approval_request": (
        {"type": "workflow_call"},
        {"context.user": "bea"},
        {"expires_at": Ne(None)},
        {"context.user": None},
        {"node_id": None},
    ),
}
"""For each kind, conditions that its `RECORDS` does not meet."""

REFUSED: dict[str, tuple[Any, ...]] = {
    "workflow": ({"status": "running"}, {"definition": "x"}, {"name": 3}, "name", [("name", "n")]),
    "session": ({"status": "done"}, {"state": "running"}, {"created_at": "noon"}, {"parent_session_id": 3}),
    "budget_pool": ({"remaining_budget": 1}, {"used_budget": "much"}, {"total_budget": Lt(None)}),
    "approval_request": ({"": 1}, {"context": {}}, {"status": Gt(None)}),
}
"""For each kind, what `only_if` must refuse."""


def make(kind: Kind) -> Any:
    """Make a record of the kind with known values."""
    metadata = {"user": "ann", "count": 7, "a.b": 1}
    fields: dict[str, dict[str, Any]] = {
        "workflow": {"name": "original", "version": "1", "definition": {"nodes": []}, "metadata": metadata},
        "session": {"status": "paused", "parent_session_id": None, "metadata": metadata},
        "budget_pool": {"total_budget": "10.5", "used_budget": "2.5", "status": "active", "metadata": metadata},
        "approval_request": {
            "type": "human_review",
            "status": "pending",
            "context": metadata,
            "expires_at": None,
            "resolved_at": None,
            "resolved_by": None,
            "resolution_notes": None,
        },
    }
    stamp = {"updated_at": samples.EPOCH} if kind in {WORKFLOW, SESSION} else {}
    return kind.make(**fields[kind.name], **stamp)


async def update(storage: StorageOperations, kind: Kind, id: str, only_if: Any, **changes: Any) -> Any:
    """Update the record of that kind if it meets the condition."""
    return await getattr(storage, f"update_{kind.name}")(id, only_if=only_if, **changes)


class ConditionalUpdateTests:
    """`only_if` of `update_*`."""

    @clause("OPS-10")
    @each(UPDATED)
    async def test_an_update_whose_condition_holds_is_made(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        for only_if in HOLDING[kind.name]:
            record = make(kind)
            await kind.store(storage, record)
            returned = await update(storage, kind, record.id, only_if, **CHANGE[kind.name])
            stamp = {"updated_at": returned.updated_at} if hasattr(record, "updated_at") else {}
            expected = attrs.evolve(record, **CHANGE[kind.name], **stamp)
            assert_identical(returned, expected)
            assert_identical(await kind.find(storage, record), expected)

    @clause("OPS-10", "OPS-4")
    @pytest.mark.parametrize("kind", [WORKFLOW, SESSION], ids=lambda kind: kind.name)
    async def test_an_update_on_a_condition_without_a_change_is_an_update(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        record = make(kind)
        await kind.store(storage, record)
        returned = await update(storage, kind, record.id, HOLDING[kind.name][1])
        assert returned.updated_at > record.updated_at
        assert_identical(returned, attrs.evolve(record, updated_at=returned.updated_at))
        assert_identical(await kind.find(storage, record), returned)

    @clause("OPS-10", "ERR-2")
    @each(UPDATED)
    async def test_an_update_whose_condition_does_not_hold_changes_nothing(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        record = make(kind)
        await kind.store(storage, record)
        before = await everything_in(storage)
        for only_if in FAILING[kind.name]:
            for changes in (CHANGE[kind.name], {}):
                with pytest.raises(ConflictError) as raised:
                    await update(storage, kind, record.id, only_if, **changes)
                assert type(raised.value) is ConflictError  # no contention: another attempt would not help
                assert_identical(raised.value.current, record)
                assert_identical(await everything_in(storage), before)

    @clause("OPS-10")
    @each(UPDATED)
    async def test_a_condition_that_no_filter_may_have_is_refused(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record = make(kind)
        await kind.store(storage, record)
        before = await everything_in(storage)
        for only_if in REFUSED[kind.name]:
            for key in (record.id, "nowhere"):
                with pytest.raises(ValidationError):
                    await update(storage, kind, key, only_if, **CHANGE[kind.name])
        assert_identical(await everything_in(storage), before)

    @clause("OPS-10")
    @each(UPDATED)
    async def test_a_missing_record_is_not_found_whatever_the_condition(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        for only_if in (HOLDING[kind.name][0], FAILING[kind.name][0]):
            with pytest.raises(NotFoundError) as raised:
                await update(storage, kind, "nowhere", only_if, **CHANGE[kind.name])
            assert (raised.value.kind, raised.value.id) == (kind.name, "nowhere")

    @clause("OPS-10")
    async def test_a_decided_request_stays_whatever_the_condition(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        record = make(APPROVAL_REQUEST)
        await storage.create_approval_request(record)
        decided = await storage.approve_request(record.id, "ann")
        for only_if in ({"status": "approved"}, {"status": "pending"}, {}):
            with pytest.raises(ConflictError) as raised:
                await update(storage, APPROVAL_REQUEST, record.id, only_if, context={})
            assert_identical(raised.value.current, decided)

    @clause("OPS-10", "APR-4")
    async def test_a_pending_request_whose_time_is_over_is_updated_on_a_condition(
        self, storage: StorageAdapter
    ) -> None:
        await prepare(storage)
        record = attrs.evolve(make(APPROVAL_REQUEST), expires_at=samples.EPOCH)
        await storage.create_approval_request(record)
        changed = await update(storage, APPROVAL_REQUEST, record.id, {"status": "pending"}, context={"late": True})
        assert_identical(changed, attrs.evolve(record, context={"late": True}))

    @clause("OPS-10")
    async def test_changing_the_condition_later_has_no_effect(self, storage: StorageAdapter) -> None:
        session = make(SESSION)
        await storage.create_session(session)
        only_if: dict[str, Any] = {"status": "paused"}
        updating = asyncio.create_task(update(storage, SESSION, session.id, only_if, status="failed"))
        await asyncio.sleep(0)
        only_if["status"] = "running"
        assert (await updating).status == "failed"

    @clause("OPS-10", "TXN-5")
    async def test_a_transaction_goes_on_after_a_condition_that_does_not_hold(self, storage: StorageAdapter) -> None:
        session = make(SESSION)
        await storage.create_session(session)
        async with storage.transaction() as transaction:
            await transaction.update_session(session.id, only_if={"status": "paused"}, status="running")
            with pytest.raises(ConflictError) as raised:
                await transaction.update_session(session.id, only_if={"status": "paused"}, status="failed")
            assert raised.value.current == await transaction.get_session(session.id)
            await transaction.update_session(session.id, only_if={"status": "running"}, status="completed")
        found = await storage.get_session(session.id)
        assert found is not None
        assert found.status == "completed"

    @clause("OPS-10")
    @each(UPDATED)
    async def test_of_sixty_four_updates_of_one_state_exactly_one_is_made(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        record = make(kind)
        await kind.store(storage, record)
        document = "context" if kind is APPROVAL_REQUEST else "metadata"
        async with asyncio.timeout(MANY_END_WITHIN_S):
            outcomes = await asyncio.gather(
                *(
                    update(storage, kind, record.id, {f"{document}.count": 7}, **{document: {"winner": number}})
                    for number in range(TASKS)
                ),
                return_exceptions=True,
            )
        (winner,) = [each for each in outcomes if not isinstance(each, ConflictError)]
        assert_identical(await kind.find(storage, record), winner)
        assert all(each.current == winner for each in outcomes if isinstance(each, ConflictError))

    @clause("OPS-10")
    async def test_compare_and_set_counts_every_task(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage, metadata={"count": 0})
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(count_up(storage, session.id) for _ in range(COUNTED)))
        assert await count_of(storage, session.id) == COUNTED * COUNTED

    @clause("OPS-10")
    @requires(Capability.DURABLE)
    async def test_compare_and_set_counts_every_process(self, storage: StorageAdapter, store: Store) -> None:
        session = await samples.stored_session(storage, metadata={"count": 0})
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(store.run_in_subprocess(count_up, session.id) for _ in range(PROCESSES)))
        assert await count_of(storage, session.id) == COUNTED * PROCESSES


async def count_up(storage: StorageAdapter, session_id: str) -> None:
    """Add 1 to the count in the session's metadata, a few times, by compare and set."""
    for _ in range(COUNTED):
        expected = await count_of(storage, session_id)
        while True:
            try:
                await storage.update_session(
                    session_id, only_if={"metadata.count": expected}, metadata={"count": expected + 1}
                )
            except ConflictError as conflict:
                expected = metadata_of(conflict.current)["count"]
            else:
                break


async def count_of(storage: StorageOperations, session_id: str) -> int:
    """Return the count in the session's metadata."""
    count: int = metadata_of(await storage.get_session(session_id))["count"]
    return count


def metadata_of(session: Any) -> Mapping[str, Any]:
    """Return the metadata of a session that has some."""
    metadata: Mapping[str, Any] | None = session.metadata
    assert metadata is not None
    return metadata
