"""The positions of the change feed: what is pruned and switched off is lost, and a store without a feed refuses all."""

from datetime import timedelta

import pytest

from aaow_storage import (
    Capability,
    ChangesLostError,
    StorageAdapter,
    StorageError,
    UnsupportedOperationError,
    ValidationError,
    now,
)
from aaow_storage_conformance._contract import clause, lacks, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.store import Store

LONG_AGO = timedelta(days=3650)


async def positions_of(storage: StorageAdapter, count: int) -> list[str]:
    """Create so many pools, each in a transaction of its own, and return the positions of the changes."""
    for _ in range(count):
        await storage.create_budget_pool(samples.a_pool())
    return [change.position for change in (await storage.get_changes())[-count:]]


@requires(Capability.CHANGES)
class LostChangeTests:
    """What pruning and a pause take from the feed, and the positions that are refused from then on."""

    @clause("CHG-3")
    async def test_changes_before_a_position_are_pruned(self, storage: StorageAdapter) -> None:
        positions = await positions_of(storage, 6)
        assert await storage.prune_changes(positions[3]) == 3
        assert [change.position for change in await storage.get_changes()] == positions[3:]
        for lost in positions[:2]:
            with pytest.raises(ChangesLostError) as caught:
                await storage.get_changes(lost)
            assert caught.value.position == lost
        for kept in range(3, 6):
            found = await storage.get_changes(positions[kept])
            assert [change.position for change in found] == positions[kept + 1 :]
        assert await storage.prune_changes(positions[3]) == 0
        with pytest.raises(ChangesLostError):
            await storage.prune_changes(positions[0])
        with pytest.raises(ChangesLostError):
            await anext(storage.changes(positions[0]))

    @clause("CHG-3")
    async def test_changes_before_an_instant_are_pruned(self, storage: StorageAdapter) -> None:
        positions = await positions_of(storage, 3)
        assert await storage.prune_changes(now() - LONG_AGO) == 0
        assert len(await storage.get_changes(positions[0])) == 2
        assert await storage.prune_changes(now() + LONG_AGO) == 3
        assert await storage.get_changes() == []
        assert await storage.last_change() is None

    @clause("CHG-3")
    async def test_a_position_that_was_pruned_is_refused_after_reopening_and_when_nothing_is_left(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        positions = await positions_of(storage, 4)
        await storage.prune_changes(now() + LONG_AGO)
        await storage.close()
        async with store.open() as reopened:
            for lost in positions[:3]:
                with pytest.raises(ChangesLostError):
                    await reopened.get_changes(lost)
            assert await reopened.get_changes(positions[3]) == []
            (new,) = await positions_of(reopened, 1)
            assert new not in positions
            assert [change.position for change in await reopened.get_changes(positions[3])] == [new]
            with pytest.raises(ChangesLostError):
                await reopened.get_changes(positions[2])
            assert await reopened.prune_changes(now() + LONG_AGO) == 1
            for lost in positions:
                with pytest.raises(ChangesLostError):
                    await reopened.get_changes(lost)
            assert await reopened.get_changes(new) == []

    @clause("CHG-3", "TXN-1")
    async def test_what_a_transaction_pruned_comes_back_with_its_rollback(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        positions = await positions_of(storage, 3)
        if Capability.DURABLE in store.capabilities:
            transaction = await storage.begin_transaction()
            await transaction.prune_changes(positions[2])
            await transaction.rollback()
            assert len(await storage.get_changes(positions[0])) == 2
        await storage.prune_changes(positions[2])
        with pytest.raises(ChangesLostError):
            await storage.get_changes(positions[0])

    @clause("CHG-3")
    async def test_what_is_no_position_is_refused(self, storage: StorageAdapter) -> None:
        (position,) = await positions_of(storage, 1)
        for wrong in ("", "0", "x" * 300, position + "0" * 300, " " + position, 7, b"1"):
            with pytest.raises(ValidationError):
                await storage.get_changes(wrong)  # type: ignore[arg-type]  # on purpose
            with pytest.raises(ValidationError):
                await storage.prune_changes(wrong)  # type: ignore[arg-type]  # as above
            with pytest.raises(ValidationError):
                storage.changes(wrong)  # type: ignore[arg-type]  # as above
        with pytest.raises(ValidationError):
            await storage.prune_changes(now().replace(tzinfo=None))
        for limit in (0, -1, 1.5, True, 2**63):
            with pytest.raises(ValidationError):
                await storage.get_changes(limit=limit)  # type: ignore[arg-type]  # as above
        for kinds in ("session", ["Session"], [7], 7):
            with pytest.raises(ValidationError):
                await storage.get_changes(kinds=kinds)  # type: ignore[arg-type]  # as above
        with pytest.raises(ValidationError):
            await storage.get_changes(session_id="")

    @clause("CHG-5")
    async def test_a_store_whose_feed_is_switched_off_records_nothing_and_says_so(self, store: Store) -> None:
        assert "changes" in store.backend.options
        async with store.open(changes=False) as storage:
            assert Capability.CHANGES not in storage.capabilities
            await storage.create_budget_pool(samples.a_pool())
            await _assert_unsupported(storage)
        async with store.open() as storage:  # the setting is the store's
            assert Capability.CHANGES not in storage.capabilities
            await _assert_unsupported(storage)

    @clause("CHG-5", "CHG-3")
    async def test_positions_from_before_a_pause_are_refused(self, store: Store) -> None:
        async with store.open() as storage:
            positions = await positions_of(storage, 3)
        async with store.open(changes=False) as storage:
            await storage.create_budget_pool(samples.a_pool(id="not recorded"))
        async with store.open(changes=True) as storage:
            assert Capability.CHANGES in storage.capabilities
            for lost in positions:
                with pytest.raises(ChangesLostError):
                    await storage.get_changes(lost)
            assert await storage.get_changes() == []
            (new,) = await positions_of(storage, 1)
            assert new not in positions
            with pytest.raises(ChangesLostError):
                await storage.get_changes(positions[2])

    @clause("CHG-5")
    async def test_an_adapter_that_is_open_when_the_feed_is_switched_on_records_too(self, store: Store) -> None:
        async with store.open(changes=False) as first, store.open(changes=True) as second:
            await first.create_budget_pool(samples.a_pool(id="by the first"))
            async with first.transaction() as transaction:
                await transaction.create_budget_pool(samples.a_pool(id="in a transaction"))
            await second.create_budget_pool(samples.a_pool(id="by the second"))
            found = await second.get_changes()
            assert [change.id for change in found] == ["by the first", "in a transaction", "by the second"]

    @clause("CHG-5")
    async def test_a_reader_is_refused_once_the_feed_is_switched_off(self, store: Store) -> None:
        async with store.open() as reader:
            (position,) = await positions_of(reader, 1)
            async with store.open(changes=False) as storage:
                await storage.create_budget_pool(samples.a_pool())
                with pytest.raises(UnsupportedOperationError):
                    await reader.get_changes(position)


class UnsupportedChangeTests:
    """Stores without the feed."""

    @clause("CHG-5")
    @lacks(Capability.CHANGES)
    async def test_without_the_capability_the_operations_on_changes_are_refused(self, storage: StorageAdapter) -> None:
        await _assert_unsupported(storage)


async def _assert_unsupported(storage: StorageAdapter) -> None:
    for call in (storage.get_changes, storage.last_change, lambda: storage.prune_changes(now())):
        with pytest.raises(UnsupportedOperationError) as caught:
            await call()
        assert caught.value.capability == Capability.CHANGES
    with pytest.raises(StorageError):
        await anext(storage.changes())
