"""Budget pools: consumption, its limits, and its effect on all ancestors."""

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    BudgetExceededError,
    BudgetPool,
    BudgetPoolStatus,
    Capability,
    ConflictError,
    NotFoundError,
    StorageAdapter,
    StorageOperations,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.store import Store

ACTIVE, EXHAUSTED, SUSPENDED = BudgetPoolStatus.ACTIVE, BudgetPoolStatus.EXHAUSTED, BudgetPoolStatus.SUSPENDED
INVALID_AMOUNTS: tuple[Any, ...] = (
    *(0, 0.0, Decimal(0), "0", -1, -0.5, Decimal("-0.01"), "-1"),
    *(float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), "NaN", "inf"),
    *("", "ten", None, True, [1], 1j, b"1", "1234567890.1234567890123456789"),
)


class BudgetTests:
    """Consuming from and increasing pools in a tree."""

    @clause("BUD-1")
    async def test_consuming_adds_to_the_pool_and_all_its_ancestors_and_nowhere_else(
        self, storage: StorageAdapter
    ) -> None:
        root, middle, leaf = await _chain(storage, 100, 50, 20)
        beside = await samples.stored_pool(storage, parent_pool_id=middle.id)
        below = await samples.stored_pool(storage, parent_pool_id=leaf.id)
        apart = await samples.stored_pool(storage)
        returned = await storage.consume_budget(leaf.id, Decimal("7.25"))
        used = [attrs.evolve(pool, used_budget=Decimal("7.25")) for pool in (root, middle, leaf)]
        assert_identical(returned, used[-1])
        assert_identical(await _read(storage, root, middle, leaf), used)
        assert_identical(await _read(storage, beside, below, apart), [beside, below, apart])

    @clause("BUD-1", "REC-8")
    async def test_amounts_of_every_type_add_up_exactly_in_every_pool(self, storage: StorageAdapter) -> None:
        chain = await _chain(storage, 100, 100, 100)
        amounts: tuple[Decimal | float | str, ...] = (0.1, "0.2", Decimal("0.30"), 1, 0.7, "1e-9", 1.1, 2.2)
        for amount in amounts * 3:
            await storage.consume_budget(chain[-1].id, amount)
        for pool in await _read(storage, *chain):
            assert pool.used_budget == Decimal("16.800000003")
            assert pool.remaining_budget == Decimal("83.199999997")

    @clause("BUD-1")
    @pytest.mark.parametrize("short", [0, 1, 2, 3], ids=["root", "upper", "lower", "pool itself"])
    async def test_a_pool_with_too_little_is_named_and_none_of_them_changes(
        self, storage: StorageAdapter, short: int
    ) -> None:
        totals = [Decimal(10)] * 4
        totals[short] = Decimal("9.999999")
        chain = await _chain(storage, *totals)
        before = await everything_in(storage)
        with pytest.raises(BudgetExceededError) as caught:
            await storage.consume_budget(chain[-1].id, 10)
        assert_identical(caught.value.pool, chain[short])
        assert_identical(caught.value.current, chain[short])
        assert_identical(await everything_in(storage), before)

    @clause("BUD-1")
    async def test_what_siblings_consumed_counts_against_their_parent(self, storage: StorageAdapter) -> None:
        (parent,) = await _chain(storage, 10)
        one, other = [
            await samples.stored_pool(storage, parent_pool_id=parent.id, total_budget=8, used_budget=0)
            for _ in range(2)
        ]
        await storage.consume_budget(one.id, 6)
        with pytest.raises(BudgetExceededError) as caught:
            await storage.consume_budget(other.id, 5)
        assert (caught.value.pool.id, caught.value.pool.remaining_budget) == (parent.id, Decimal(4))
        assert (await storage.consume_budget(other.id, 4)).used_budget == 4

    @clause("BUD-1")
    async def test_an_amount_that_is_not_a_number_above_zero_is_refused(self, storage: StorageAdapter) -> None:
        chain = await _chain(storage, 100, 50)
        before = await everything_in(storage)
        for amount in INVALID_AMOUNTS:
            for change in (storage.consume_budget, storage.increase_budget):
                with pytest.raises(ValidationError):
                    await change(chain[-1].id, amount)
        assert_identical(await everything_in(storage), before)

    @clause("BUD-1")
    @pytest.mark.parametrize("suspended", [0, 1, 2], ids=["root", "parent", "pool itself"])
    async def test_nothing_is_consumed_from_or_below_a_suspended_pool(
        self, storage: StorageAdapter, suspended: int
    ) -> None:
        chain = await _chain(storage, 100, 100, 100)
        stopped = await storage.update_budget_pool(chain[suspended].id, status=SUSPENDED)
        before = await everything_in(storage)
        with pytest.raises(ConflictError) as caught:
            await storage.consume_budget(chain[-1].id, 1)
        assert not isinstance(caught.value, BudgetExceededError)
        assert_identical(caught.value.current, stopped)
        assert_identical(await everything_in(storage), before)
        await storage.update_budget_pool(stopped.id, status=ACTIVE)
        assert (await storage.consume_budget(chain[-1].id, 1)).used_budget == 1

    @clause("BUD-1")
    async def test_a_suspended_pool_stops_neither_its_ancestors_nor_its_siblings(self, storage: StorageAdapter) -> None:
        root, middle, leaf = await _chain(storage, 100, 100, 100)
        await storage.update_budget_pool(leaf.id, status=SUSPENDED)
        beside = await samples.stored_pool(storage, parent_pool_id=middle.id, used_budget=0)
        await storage.consume_budget(beside.id, 3)
        await storage.consume_budget(middle.id, 4)
        assert [pool.used_budget for pool in await _read(storage, root, middle, leaf, beside)] == [7, 7, 0, 3]

    @clause("BUD-1")
    async def test_a_consumption_reaches_through_forty_levels(self, storage: StorageAdapter) -> None:
        chain = await _chain(storage, *[100] * 40)
        await storage.consume_budget(chain[-1].id, "0.5")
        await storage.consume_budget(chain[20].id, "0.25")
        used = [pool.used_budget for pool in await _read(storage, *chain)]
        assert used == [Decimal("0.75")] * 21 + [Decimal("0.5")] * 19

    @clause("BUD-2")
    async def test_each_pool_with_nothing_left_becomes_exhausted(self, storage: StorageAdapter) -> None:
        chain = await _chain(storage, 10, 20, 10)
        returned = await storage.consume_budget(chain[-1].id, "9.99")
        assert returned.status is ACTIVE
        assert [pool.status for pool in await _read(storage, *chain)] == [ACTIVE] * 3
        returned = await storage.consume_budget(chain[-1].id, "0.01")
        assert returned.status is EXHAUSTED
        assert [pool.status for pool in await _read(storage, *chain)] == [EXHAUSTED, ACTIVE, EXHAUSTED]
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(chain[1].id, "0.01")

    @clause("BUD-2")
    async def test_an_increase_makes_that_exhausted_pool_active_and_changes_no_other(
        self, storage: StorageAdapter
    ) -> None:
        root, leaf = await _chain(storage, 10, 10)
        await storage.consume_budget(leaf.id, 10)
        increased = await storage.increase_budget(leaf.id, "2.5")
        assert_identical(
            increased, attrs.evolve(leaf, total_budget=increased.total_budget, used_budget=increased.used_budget)
        )
        assert (increased.total_budget, increased.used_budget, increased.status) == (
            Decimal("12.5"),
            Decimal(10),
            ACTIVE,
        )
        assert_identical(await storage.get_budget_pool(leaf.id), increased)
        (above,) = await _read(storage, root)
        assert (above.total_budget, above.status) == (Decimal(10), EXHAUSTED)
        with pytest.raises(BudgetExceededError) as caught:
            await storage.consume_budget(leaf.id, 1)
        assert caught.value.pool.id == root.id
        await storage.increase_budget(root.id, 1)
        assert (await storage.consume_budget(leaf.id, 1)).used_budget == 11

    @clause("BUD-2")
    async def test_an_increase_leaves_a_suspended_pool_suspended(self, storage: StorageAdapter) -> None:
        (pool,) = await _chain(storage, 10)
        await storage.consume_budget(pool.id, 10)
        await storage.update_budget_pool(pool.id, status=SUSPENDED)
        increased = await storage.increase_budget(pool.id, 5)
        assert (increased.total_budget, increased.status) == (Decimal(15), SUSPENDED)
        assert_identical(await storage.get_budget_pool(pool.id), increased)

    @clause("BUD-3")
    async def test_sixty_tasks_on_two_adapters_never_overspend_and_lose_nothing(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        (root,) = await _chain(storage, "10.5")
        children = [
            await samples.stored_pool(storage, parent_pool_id=root.id, total_budget=100, used_budget=0)
            for _ in range(3)
        ]
        async with store.open() as other:
            outcomes = await asyncio.gather(
                *((storage, other)[turn % 2].consume_budget(children[turn % 3].id, "0.25") for turn in range(60)),
                return_exceptions=True,
            )
        refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExceededError)]
        assert len(refused) == 18
        assert sum(isinstance(outcome, BudgetPool) for outcome in outcomes) == 42
        assert {error.pool.id for error in refused} == {root.id}
        (spent, *parts) = await _read(storage, root, *children)
        assert (spent.used_budget, spent.status) == (Decimal("10.5"), EXHAUSTED)
        assert sum(pool.used_budget for pool in parts) == Decimal("10.5")

    @clause("BUD-3")
    async def test_increases_and_consumptions_at_once_are_all_kept(self, storage: StorageAdapter, store: Store) -> None:
        root, leaf = await _chain(storage, 100, 100)
        async with store.open() as other:
            await asyncio.gather(
                *(storage.consume_budget(leaf.id, "1.5") for _ in range(20)),
                *(other.consume_budget(root.id, "0.5") for _ in range(20)),
                *(other.increase_budget(leaf.id, "0.1") for _ in range(20)),
                *(storage.increase_budget(root.id, "0.01") for _ in range(20)),
            )
        found = [(pool.total_budget, pool.used_budget) for pool in await _read(storage, root, leaf)]
        assert found == [(Decimal("100.2"), Decimal(40)), (Decimal(102), Decimal(30))]

    @clause("BUD-3")
    @requires(Capability.DURABLE)
    async def test_four_processes_never_overspend_and_lose_nothing(self, storage: StorageAdapter, store: Store) -> None:
        root, leaf = await _chain(storage, 33, 1000)
        spent = await asyncio.gather(
            *(
                store.run_in_subprocess(subprocess_functions.consume_until_refused, leaf.id, "0.5", number, 4)
                for number in range(4)
            )
        )
        assert sum(spent) == 66
        found = [(pool.used_budget, pool.status) for pool in await _read(storage, root, leaf)]
        assert found == [(Decimal(33), EXHAUSTED), (Decimal(33), ACTIVE)]

    @clause("BUD-4")
    async def test_a_pool_with_children_cannot_be_deleted(self, storage: StorageAdapter) -> None:
        root, middle, leaf = await _chain(storage, 100, 50, 20)
        before = await everything_in(storage)
        for pool in (root, middle):
            with pytest.raises(ConflictError) as caught:
                await storage.delete_budget_pool(pool.id)
            assert_identical(caught.value.current, pool)
        assert_identical(await everything_in(storage), before)
        for pool in (leaf, middle, root):
            await storage.delete_budget_pool(pool.id)
        assert await storage.list_budget_pools() == []

    @clause("BUD-4", "OPS-8")
    async def test_a_pool_deleted_while_it_gets_a_child_leaves_no_orphan(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(16):
                parent = await samples.stored_pool(storage)
                child = samples.a_pool(parent_pool_id=parent.id)
                calls = [storage.delete_budget_pool(parent.id), other.create_budget_pool(child)]
                outcomes = await asyncio.gather(*(calls if turn % 2 else calls[::-1]), return_exceptions=True)
                (failure,) = [outcome for outcome in outcomes if outcome is not None]
                assert isinstance(failure, ConflictError | NotFoundError)
                kept = [pool.id for pool in await storage.list_budget_pools() if pool.id in {parent.id, child.id}]
                assert kept == ([parent.id, child.id] if isinstance(failure, ConflictError) else [])

    @clause("BUD-5")
    @pytest.mark.parametrize("field", ["remaining_budget", "parent_pool_id", "created_at", "budget"])
    async def test_other_fields_of_a_pool_cannot_be_updated(self, storage: StorageAdapter, field: str) -> None:
        pool = await samples.stored_pool(storage)
        values = {**attrs.asdict(pool), "remaining_budget": 1, "parent_pool_id": None, "budget": 1}
        change: dict[str, Any] = {field: values[field], "total_budget": 1}
        with pytest.raises(ValidationError) as caught:
            await storage.update_budget_pool(pool.id, **change)
        assert caught.value.field == field
        assert_identical(await storage.get_budget_pool(pool.id), pool)

    @clause("BUD-5")
    async def test_totals_and_what_is_used_can_be_set_and_the_rest_follows(self, storage: StorageAdapter) -> None:
        root, leaf = await _chain(storage, 100, 100)
        changed = await storage.update_budget_pool(leaf.id, total_budget="12.5", used_budget=12, metadata={"by": "ann"})
        assert_identical(
            changed,
            attrs.evolve(leaf, total_budget=Decimal("12.5"), used_budget=Decimal(12), metadata={"by": "ann"}),
        )
        assert_identical(await _read(storage, root, leaf), [root, changed])
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(leaf.id, "0.51")
        lowered = await storage.update_budget_pool(leaf.id, total_budget=10)
        assert (lowered.remaining_budget, lowered.status) == (Decimal(-2), ACTIVE)
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(leaf.id, "0.01")
        reset = await storage.update_budget_pool(leaf.id, used_budget=0, status=SUSPENDED)
        assert (reset.total_budget, reset.used_budget, reset.status) == (Decimal(10), Decimal(0), SUSPENDED)


async def _chain(storage: StorageOperations, *totals: Decimal | float | str) -> list[BudgetPool]:
    """Store pools, each the parent of the next."""
    chain: list[BudgetPool] = []
    for total in totals:
        parent_id = chain[-1].id if chain else None
        chain.append(await samples.stored_pool(storage, parent_pool_id=parent_id, total_budget=total, used_budget=0))
    return chain


async def _read(storage: StorageOperations, *pools: BudgetPool) -> list[BudgetPool]:
    found = [await storage.get_budget_pool(pool.id) for pool in pools]
    return [pool for pool in found if pool is not None]
