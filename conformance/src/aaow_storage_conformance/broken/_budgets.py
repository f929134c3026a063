"""Mistakes with budgets: consuming, increasing, exhaustion, and updates of pools."""

from contextlib import suppress
from decimal import Decimal

import attrs

from aaow_storage import BudgetExceededError, BudgetPoolStatus, ConflictError, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating

ACTIVE, EXHAUSTED, SUSPENDED = BudgetPoolStatus.ACTIVE, BudgetPoolStatus.EXHAUSTED, BudgetPoolStatus.SUSPENDED


class ReadsAncestors(Delegating):
    """Can read the ancestors of a pool."""

    async def ancestors(self, pool_id):
        """Return the pools above a pool, the nearest first."""
        pool = await self.get_budget_pool(pool_id)
        above = []
        while pool is not None and pool.parent_pool_id is not None:
            pool = await self.get_budget_pool(pool.parent_pool_id)
            above.append(pool)
        return above


@breaks("BUD-1")
class ConsumesFromThePoolAlone(ReadsAncestors):
    """Does not add to the use of the ancestors."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        consumed = await super().consume_budget(pool_id, amount)
        for pool in above:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget, status=pool.status)
        return consumed


@breaks("BUD-1")
class ConsumesFromPoolAndParent(ReadsAncestors):
    """Does not add to the use of the ancestors above the parent."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        consumed = await super().consume_budget(pool_id, amount)
        for pool in above[1:]:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget, status=pool.status)
        return consumed


@breaks("BUD-1")
class ConsumesThroughTenLevels(ReadsAncestors):
    """Adds to the use of at most ten ancestors."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        consumed = await super().consume_budget(pool_id, amount)
        for pool in above[10:]:
            await self.update_budget_pool(pool.id, used_budget=pool.used_budget, status=pool.status)
        return consumed


@breaks("BUD-1")
class ConsumesFromChildrenToo(Delegating):
    """Adds to the use of the children, too."""

    async def consume_budget(self, pool_id, amount):
        consumed = await super().consume_budget(pool_id, amount)
        for child in await self.get_child_budget_pools(pool_id):
            await self.update_budget_pool(child.id, used_budget=child.used_budget + Decimal(str(amount)))
        return consumed


@breaks("BUD-1")
class ChecksThePoolAlone(ReadsAncestors):
    """Does not check what the ancestors have left."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError as error:
            if error.pool.id == pool_id:
                raise
            pool = await self.get_budget_pool(pool_id)
            return await self.update_budget_pool(pool_id, used_budget=pool.used_budget + Decimal(str(amount)))


@breaks("BUD-1")
class ConsumesBeforeItChecksAbove(ReadsAncestors):
    """Adds to the use of the pool even if an ancestor has too little left."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError as error:
            if error.pool.id != pool_id:
                pool = await self.get_budget_pool(pool_id)
                await self.update_budget_pool(pool_id, used_budget=pool.used_budget + Decimal(str(amount)))
            raise


@breaks("BUD-1")
class NamesThePoolThatWasAsked(Delegating):
    """Names the pool that was passed in the error, whichever pool has too little."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError as error:
            raise BudgetExceededError(str(error), await self.get_budget_pool(pool_id)) from error


@breaks("BUD-1")
class IgnoresSuspendedAncestors(ReadsAncestors):
    """Consumes from a pool below a suspended one."""

    async def consume_budget(self, pool_id, amount):
        above = await self.ancestors(pool_id)
        for pool in above:
            await self.update_budget_pool(pool.id, status=ACTIVE)
        consumed = await super().consume_budget(pool_id, amount)
        for pool in above:
            if pool.status is SUSPENDED:
                await self.update_budget_pool(pool.id, status=SUSPENDED)
        return consumed


@breaks("BUD-1")
class IgnoresASuspendedPool(Delegating):
    """Consumes from a suspended pool."""

    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is None or pool.status is not SUSPENDED:
            return await super().consume_budget(pool_id, amount)
        await self.update_budget_pool(pool_id, status=ACTIVE)
        await super().consume_budget(pool_id, amount)
        return await self.update_budget_pool(pool_id, status=SUSPENDED)


@breaks("BUD-1")
class TakesSuspendedForExhausted(Delegating):
    """Raises BudgetExceededError, not ConflictError, for a suspended pool."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except ConflictError as error:
            raise BudgetExceededError(str(error), error.current) from error


@breaks("BUD-1")
class IgnoresNegativeAmounts(Delegating):
    """Ignores a negative amount in place of refusing it."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except ValidationError:
            if type(amount) is not int or amount >= 0:
                raise
            return await self.get_budget_pool(pool_id)


@breaks("BUD-1")
class TakesNothingForAnAmount(Delegating):
    """Accepts an amount of zero."""

    async def consume_budget(self, pool_id, amount):
        if isinstance(amount, int) and amount == 0:
            return await self.get_budget_pool(pool_id)
        return await super().consume_budget(pool_id, amount)


@breaks("BUD-1")
class ReturnsThePoolAsItWas(Delegating):
    """Returns the pool as it was before."""

    async def consume_budget(self, pool_id, amount):
        before = await self.get_budget_pool(pool_id)
        await super().consume_budget(pool_id, amount)
        return before


@breaks("BUD-2")
class KeepsSomethingBack(Delegating):
    """Refuses to consume all that a pool has left."""

    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        if pool is not None and pool.remaining_budget == Decimal(str(amount)):
            raise BudgetExceededError("there has to be more than that", pool)
        return await super().consume_budget(pool_id, amount)


@breaks("BUD-2")
class NeverExhausts(Delegating):
    """Leaves a pool active that has nothing left."""

    async def consume_budget(self, pool_id, amount):
        consumed = await super().consume_budget(pool_id, amount)
        return await self.update_budget_pool(pool_id, status=ACTIVE) if consumed.status is EXHAUSTED else consumed


@breaks("BUD-2")
class ExhaustsThePoolAlone(ReadsAncestors):
    """Leaves an ancestor active that has nothing left."""

    async def consume_budget(self, pool_id, amount):
        consumed = await super().consume_budget(pool_id, amount)
        for pool in await self.ancestors(pool_id):
            await self.update_budget_pool(pool.id, status=ACTIVE)
        return consumed


@breaks("BUD-2")
class ExhaustsAllAtOnce(ReadsAncestors):
    """Marks the ancestors of an exhausted pool as exhausted, too."""

    async def consume_budget(self, pool_id, amount):
        consumed = await super().consume_budget(pool_id, amount)
        for pool in await self.ancestors(pool_id):
            if consumed.status is EXHAUSTED:
                await self.update_budget_pool(pool.id, status=EXHAUSTED)
        return consumed


@breaks("BUD-2")
class StaysExhausted(Delegating):
    """Leaves a pool exhausted when its total is increased."""

    async def increase_budget(self, pool_id, amount):
        before = await self.get_budget_pool(pool_id)
        increased = await super().increase_budget(pool_id, amount)
        return await self.update_budget_pool(pool_id, status=before.status) if before else increased


@breaks("BUD-2")
class WakesSuspendedPools(Delegating):
    """Makes a suspended pool active when it is increased."""

    async def increase_budget(self, pool_id, amount):
        await super().increase_budget(pool_id, amount)
        return await self.update_budget_pool(pool_id, status=ACTIVE)


@breaks("BUD-2")
class IncreasesAncestorsToo(ReadsAncestors):
    """Increases the ancestors of the pool, too."""

    async def increase_budget(self, pool_id, amount):
        for pool in await self.ancestors(pool_id):
            await super().increase_budget(pool.id, amount)
        return await super().increase_budget(pool_id, amount)


@breaks("BUD-2")
class IncreasesByConsumingLess(Delegating):
    """Lowers the use of a pool in place of raising its total."""

    async def increase_budget(self, pool_id, amount):
        increased = await super().increase_budget(pool_id, amount)
        amount = Decimal(str(amount))
        fields = {"total_budget": increased.total_budget - amount, "used_budget": increased.used_budget - amount}
        return await self.update_budget_pool(pool_id, **fields)


@breaks("BUD-4")
class DeletesChildPools(Delegating):
    """Deletes the children of a deleted pool."""

    async def delete_budget_pool(self, id):
        for child in await self.get_child_budget_pools(id):
            await self.delete_budget_pool(child.id)
        await super().delete_budget_pool(id)


@breaks("BUD-4")
class OrphansChildPools(Delegating):
    """Deletes a pool with children, and leaves the children without a parent."""

    async def delete_budget_pool(self, id):
        children = await self.get_child_budget_pools(id)
        for child in children:
            await self.delete_budget_pool(child.id)
        await super().delete_budget_pool(id)
        for child in children:
            await self.create_budget_pool(attrs.evolve(child, parent_pool_id=None))


@breaks("BUD-4")
class KeepsParentsInSilence(Delegating):
    """Does not delete a pool with children, and raises no error."""

    async def delete_budget_pool(self, id):
        with suppress(ConflictError):
            await super().delete_budget_pool(id)


@breaks("BUD-4")
class DoesNotShowTheParent(Delegating):
    """Raises ConflictError without the stored pool."""

    async def delete_budget_pool(self, id):
        try:
            await super().delete_budget_pool(id)
        except ConflictError as error:
            raise ConflictError(str(error)) from error


@breaks("BUD-5")
class DropsTheRemainingBudget(Delegating):
    """Ignores `remaining_budget` in an update in place of refusing it."""

    async def update_budget_pool(self, id, /, **changes):
        changes.pop("remaining_budget", None)
        return await super().update_budget_pool(id, **changes)


@breaks("BUD-5")
class DropsTheParent(Delegating):
    """Ignores `parent_pool_id` in an update in place of refusing it."""

    async def update_budget_pool(self, id, /, **changes):
        changes.pop("parent_pool_id", None)
        return await super().update_budget_pool(id, **changes)


@breaks("BUD-5")
class RefusesTotalsBelowUse(Delegating):
    """Refuses an update to a total below what was used."""

    async def update_budget_pool(self, id, /, **changes):
        pool = await self.get_budget_pool(id)
        if pool is not None and "total_budget" in changes and Decimal(str(changes["total_budget"])) < pool.used_budget:
            raise ValidationError("update_budget_pool", "total_budget", "is below what was used")
        return await super().update_budget_pool(id, **changes)


@breaks("BUD-5")
class DerivesTheStatusOfUpdates(Delegating):
    """Derives the status of a pool from the amounts in an update."""

    async def update_budget_pool(self, id, /, **changes):
        updated = await super().update_budget_pool(id, **changes)
        if updated.remaining_budget <= 0 and "status" not in changes:
            return await super().update_budget_pool(id, status=EXHAUSTED)
        return updated


@breaks("BUD-5")
class SumsUpdatesUpInAncestors(ReadsAncestors):
    """Adds a change of `used_budget` to the ancestors."""

    async def update_budget_pool(self, id, /, **changes):
        before = await self.get_budget_pool(id)
        updated = await super().update_budget_pool(id, **changes)
        for pool in await self.ancestors(id):
            more = updated.used_budget - before.used_budget
            await super().update_budget_pool(pool.id, used_budget=pool.used_budget + more)
        return updated
