"""Mistakes with amounts: fewer digits than they have, other sums, and another order."""

from decimal import ROUND_HALF_UP, Context, Decimal

import attrs

from aaow_storage import ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying

FIFTEEN, USUAL, WIDE = Context(prec=15), Context(prec=28), Context(prec=60)
SEVENTEENTH, EIGHTEENTH = Decimal("1E-17"), Decimal("1E-18")


class _Rounds(Delegating):
    """Stores a rounded amount wherever it stores one."""

    def rounded(self, amount):
        raise NotImplementedError

    async def create_budget_pool(self, pool):
        amounts = {name: self.rounded(getattr(pool, name)) for name in ("total_budget", "used_budget")}
        await super().create_budget_pool(attrs.evolve(pool, **amounts))


@breaks("REC-8")
class KeepsFifteenDigits(_Rounds):
    """Stores fifteen digits of an amount, which is what a float keeps."""

    def rounded(self, amount):
        return FIFTEEN.plus(amount)


@breaks("REC-8")
class KeepsSeventeenPlaces(_Rounds):
    """Stores seventeen places of an amount."""

    def rounded(self, amount):
        return amount.quantize(SEVENTEENTH, context=WIDE)


@breaks("REC-8")
class KeepsTwentyEightDigits(_Rounds):
    """Rounds amounts to the digits of the usual decimal context."""

    def rounded(self, amount):
        return min(USUAL.plus(amount), Decimal(10**18 - 1))


@breaks("REC-8")
class KeepsCostsAsFloats(Delegating):
    """Stores the cost of a model call as a float."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.cost is not None:
            result = attrs.evolve(result, cost=min(float(result.cost), 1e17))
        await super().save_llm_execution(session_id, node_id, result)


class _AddsItself(Delegating):
    """Computes the sums itself."""

    def sum(self, before, amount):
        raise NotImplementedError

    async def consume_budget(self, pool_id, amount):
        before = await self.get_budget_pool(pool_id)
        pool = await super().consume_budget(pool_id, amount)
        total = self.sum(before.used_budget, pool.used_budget - before.used_budget)
        return pool if total == pool.used_budget else await super().update_budget_pool(pool_id, used_budget=total)

    async def increase_budget(self, pool_id, amount):
        before = await self.get_budget_pool(pool_id)
        pool = await super().increase_budget(pool_id, amount)
        total = self.sum(before.total_budget, pool.total_budget - before.total_budget)
        return pool if total == pool.total_budget else await super().update_budget_pool(pool_id, total_budget=total)


@breaks("REC-8")
class AddsToFifteenDigits(_AddsItself):
    """Rounds sums of amounts to fifteen digits."""

    def sum(self, before, amount):
        return min(FIFTEEN.add(before, amount), Decimal(10**18 - 1))


@breaks("REC-8")
class AddsAsFloats(_AddsItself):
    """Adds amounts as floats."""

    def sum(self, before, amount):
        return min(float(before) + float(amount), 1e17)


@breaks("REC-8")
class AddsInTheUsualContext(_AddsItself):
    """Adds amounts in the usual decimal context, which rounds to 28 digits."""

    def sum(self, before, amount):
        return min(USUAL.add(before, amount), Decimal(10**18 - 1))


@breaks("REC-8")
class RefusesSumsOfManyDigits(Delegating):
    """Refuses a sum of more than fifteen digits, as the contract 1.0 did."""

    async def consume_budget(self, pool_id, amount):
        pool = await self.get_budget_pool(pool_id)
        added = Decimal(str(amount))
        if pool is not None and pool.remaining_budget >= added:
            total = WIDE.add(pool.used_budget, added)
            if FIFTEEN.plus(total) != total:
                raise ValidationError("consume_budget", "amount", "makes a sum of too many digits")
        return await super().consume_budget(pool_id, amount)


@breaks("REC-8")
class StopsAtTheLargestTotal(Delegating):
    """Raises a total to the largest amount if the sum is larger, without an error."""

    async def increase_budget(self, pool_id, amount):
        try:
            return await super().increase_budget(pool_id, amount)
        except ValidationError:
            pool = await self.get_budget_pool(pool_id)
            if not isinstance(amount, str | int) or not 0 < Decimal(amount) < 10**18 or pool is None:
                raise
            return await self.update_budget_pool(pool_id, total_budget="999999999999999999.999999999999999999")


class _TakesFloats(Delegating):
    """Makes amounts of floats itself."""

    def amount(self, value):
        raise NotImplementedError

    async def consume_budget(self, pool_id, amount):
        return await super().consume_budget(pool_id, self.amount(amount) if type(amount) is float else amount)


@breaks("REC-8")
class TakesFloatsWithEveryBit(_TakesFloats):
    """Takes a float for the decimal that is exactly equal to it, rounded."""

    def amount(self, value):
        if not 0 < value < 10**18:
            return value
        return Decimal(value).quantize(EIGHTEENTH, context=WIDE)


@breaks("REC-8")
class RoundsFloatsHalfUp(_TakesFloats):
    """Rounds a float half up at the 18th place."""

    def amount(self, value):
        if not 0 < value < 10**18:
            return value
        return Decimal(repr(value)).quantize(EIGHTEENTH, rounding=ROUND_HALF_UP, context=WIDE)


@breaks("REC-8")
class RefusesFineFloats(_TakesFloats):
    """Refuses a float with more than 18 places after the point, in place of rounding it."""

    def amount(self, value):
        return repr(value)


@breaks("REC-8")
class KeepsTrailingZeros(Delegating):
    """Reads an amount with as many places as its column has."""

    async def get_budget_pool(self, id):
        pool = await super().get_budget_pool(id)
        if pool is not None:
            for name in ("total_budget", "used_budget"):
                object.__setattr__(pool, name, getattr(pool, name).quantize(EIGHTEENTH, context=WIDE))
        return pool


@breaks("QRY-1")
class ComparesAmountsAsFloats(Querying):
    """Compares amounts as floats."""

    def meets(self, condition, value):
        if isinstance(value, Decimal) and isinstance(condition.operand, Decimal):
            condition, value = attrs.evolve(condition, operand=float(condition.operand)), float(value)
        return super().meets(condition, value)


@breaks("QRY-5")
class SortsAmountsInANarrowColumn(Querying):
    """Sorts amounts as text of one width, which is too narrow for the largest."""

    def key(self, value):
        return super().key(f"{value:0>35.18f}" if isinstance(value, Decimal) else value)


@breaks("QRY-1")
class ComparesNegativeBoundsAsText(Querying):
    """Compares amounts as padded text in which a sign counts as a digit above nine."""

    def meets(self, condition, value):
        if isinstance(value, Decimal) and isinstance(condition.operand, Decimal):
            texts = [f"{each:037.18f}".replace("-", "~") for each in (value, condition.operand)]
            condition, value = attrs.evolve(condition, operand=texts[1]), texts[0]
        return super().meets(condition, value)


@breaks("REC-8")
class ExhaustsPoolsAlmostEmpty(Delegating):
    """Takes a pool for exhausted that has less than 1e-9 left."""

    async def consume_budget(self, pool_id, amount):
        pool = await super().consume_budget(pool_id, amount)
        if 0 < pool.remaining_budget < Decimal("1E-9"):
            return await super().update_budget_pool(pool_id, status="exhausted")
        return pool


@breaks("REC-8")
class ReturnsTotalsWithAnExponent(Delegating):
    """Returns a total as it computed it, with another exponent than the one that is read later."""

    async def increase_budget(self, pool_id, amount):
        pool = await super().increase_budget(pool_id, amount)
        object.__setattr__(pool, "total_budget", pool.total_budget.normalize(WIDE))
        return pool
