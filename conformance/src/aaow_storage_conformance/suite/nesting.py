"""Nested savepoints: one that fails undoes its own writes and those inside it, and none around it."""

from contextlib import suppress

import attrs

from aaow_storage import StorageAdapter, Transaction
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.stop import Stop

DEPTHS = (1, 3, 6)
FAILING = tuple((depth, failing) for depth in DEPTHS for failing in range(1, depth + 2))
"""Pairs: how many savepoints nest, and which of them fails; one more than nest means none."""


class NestingTests:
    """What a savepoint that fails undoes."""

    @clause("TXN-4")
    async def test_a_savepoint_that_fails_at_any_depth_undoes_what_is_in_it_and_no_more(
        self, storage: StorageAdapter
    ) -> None:
        old = [await samples.stored_workflow(storage, id=f"old {level}") for level in range(max(DEPTHS) + 1)]
        pool = await samples.stored_pool(storage, total_budget=100, used_budget=0)
        before = await everything_in(storage)
        for depth, failing in FAILING:
            transaction = await storage.begin_transaction()
            with suppress(Stop):
                await _nest(transaction, 1, depth, failing, pool.id)
            kept = range(1, min(failing, depth + 1))
            expected_ids = [
                *(workflow.id for workflow in old if workflow.id not in {f"old {level}" for level in kept}),
                *(f"in {level}" for level in kept),
                *(f"out {level}" for level in kept),
            ]
            workflows = await transaction.list_workflows()
            assert sorted(workflow.id for workflow in workflows) == sorted(expected_ids)
            assert_identical(
                [each for each in workflows if each.id.startswith("old")],
                [workflow for workflow in old if workflow.id in expected_ids],
            )
            spent = attrs.evolve(pool, used_budget=2 * len(kept))
            assert_identical(await transaction.get_budget_pool(pool.id), spent)
            await samples.stored_workflow(transaction, id="usable")
            await transaction.rollback()
            assert_identical(await everything_in(storage), before)


async def _nest(transaction: Transaction, level: int, depth: int, failing: int, pool_id: str) -> None:
    """Write before and after the next inner savepoint, and raise at the end of savepoint `failing`."""
    async with transaction.savepoint():
        await samples.stored_workflow(transaction, id=f"in {level}")
        await transaction.delete_workflow(f"old {level}")
        await transaction.consume_budget(pool_id, 1)
        if level < depth:
            with suppress(Stop):
                await _nest(transaction, level + 1, depth, failing, pool_id)
        await samples.stored_workflow(transaction, id=f"out {level}")
        await transaction.consume_budget(pool_id, 1)
        if level == failing:
            raise Stop
