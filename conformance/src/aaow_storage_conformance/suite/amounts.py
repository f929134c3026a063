"""Amounts with up to 18 digits before the point and 18 after it: exact, summed exactly, and compared by value."""

from decimal import Context, Decimal, Inexact
from typing import Any

import pytest

from aaow_storage import (
    Between,
    BudgetExceededError,
    BudgetPoolStatus,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, since
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.seed import rng_for

LARGEST = "999999999999999999.999999999999999999"
SMALLEST = "0.000000000000000001"
TOTAL = Decimal(10**18 - 1)
WIDE = (
    *("0", SMALLEST, "2E-18", "0.00000000001875", "0.1", "0.100000000000000001", "0.999999999999999999", "9", "10"),
    *("10.000000000000000001", "12345.67000001875", "9007199254740993", "9007199254740993.000000000000000001"),
    *("99999999999999999.9", "123456789012345678", "123456789012345678.000000000000000001"),
    *("999999999999999999", LARGEST),
)
"""Amounts in ascending order, which neither floats nor decimals of 28 digits can all tell apart."""
FLOATS = (
    *((1.5e-18, "2E-18"), (2.5e-18, "2E-18"), (3.5e-18, "4E-18"), (2.6e-18, "3E-18")),
    *((0.0012345678901234565, "0.001234567890123456"), (0.0012345678901234568, "0.001234567890123457")),
    *((0.1 + 0.2, "0.30000000000000004"), (1e17, "1E+17")),
)
"""Floats, and the amounts that they are taken for."""
SAME = ("12.5", "12.50", "12.500000000000000000000000", "1.25E+1", "125E-1", "0012.5", 12.5, Decimal("12.50"))
THOUSAND = (1000, "1E+3", "1000.000", 1000.0, Decimal("1.0E+3"))


@since("1.1")
class AmountTests:
    """36 digits of an amount."""

    @clause("REC-8")
    async def test_amounts_of_eighteen_digits_on_each_side_come_back(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        for amount in WIDE:
            pool = await samples.stored_pool(storage, total_budget=amount, used_budget=0)
            assert_identical(await storage.get_budget_pool(pool.id), pool)
            updated = await storage.update_budget_pool(pool.id, used_budget=amount)
            assert (updated.total_budget, updated.used_budget) == (Decimal(amount), Decimal(amount))
            assert_identical(await storage.get_budget_pool(pool.id), updated)
            execution = await samples.stored_execution(storage, "s", cost=amount, currency="EUR")
            assert_identical((await storage.get_llm_executions("s"))[-1], execution)

    @clause("REC-8")
    async def test_equal_amounts_come_back_in_one_form(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        for equal, form in ((SAME, "12.5"), (THOUSAND, "1000"), (("0", "0E+9", "0.000", -0.0), "0")):
            for amount in equal:
                pool = await samples.stored_pool(storage, total_budget=amount, used_budget=amount)
                execution = await samples.stored_execution(storage, "s", cost=amount, currency="EUR")
                found = await storage.get_budget_pool(pool.id)
                (listed,) = await storage.list_budget_pools(QueryFilter({"id": pool.id}))
                cost = (await storage.get_llm_executions("s", QueryFilter({"id": execution.id})))[0].cost
                assert found is not None
                forms = {str(each.total_budget) for each in (found, listed)} | {str(found.used_budget), str(cost)}
                assert forms == {form}

    @clause("REC-8", "BUD-1")
    async def test_a_tiny_amount_is_added_to_a_large_one_in_every_pool(self, storage: StorageAdapter) -> None:
        root = await samples.stored_pool(storage, total_budget=TOTAL, used_budget="900000000012345.67")
        leaf = await samples.stored_pool(storage, parent_pool_id=root.id, total_budget=100_000, used_budget="12345.67")
        consumed = await storage.consume_budget(leaf.id, "0.00000001875")
        assert (consumed.used_budget, consumed.remaining_budget) == (
            Decimal("12345.67000001875"),
            Decimal("87654.32999998125"),
        )
        assert_identical(await storage.get_budget_pool(leaf.id), consumed)
        above = await storage.get_budget_pool(root.id)
        assert above is not None
        assert above.used_budget == Decimal("900000000012345.67000001875")

    @clause("REC-8", "BUD-1", "BUD-2")
    @pytest.mark.parametrize(
        ("used", "amount", "total"),
        [
            ("999999999999999998.999999999999999998", SMALLEST, "999999999999999998.999999999999999999"),
            ("0.999999999999999999", SMALLEST, "1"),
            ("99999999999999999.999999999999999999", SMALLEST, "1E+17"),
            (SMALLEST, "999999999999999998", "999999999999999998.000000000000000001"),
            ("123456789012345678.123456789012345678", "111111111.1111111111", "123456789123456789.234567900112345678"),
            ("9007199254740992", 1, "9007199254740993"),
        ],
    )
    async def test_sums_are_exact_to_the_last_digit(
        self, storage: StorageAdapter, used: str, amount: str, total: str
    ) -> None:
        pool = await samples.stored_pool(storage, total_budget=used, used_budget=0)
        increased = await storage.increase_budget(pool.id, amount)
        assert increased.total_budget == Decimal(total)
        assert_identical(await storage.get_budget_pool(pool.id), increased)
        pool = await samples.stored_pool(storage, total_budget=TOTAL, used_budget=used)
        consumed = await storage.consume_budget(pool.id, amount)
        assert consumed.used_budget == Decimal(total)
        assert_identical(await storage.get_budget_pool(pool.id), consumed)

    @clause("REC-8", "BUD-1")
    async def test_an_amount_that_was_changed_is_returned_in_that_form(self, storage: StorageAdapter) -> None:
        pool = await samples.stored_pool(storage, total_budget="900.50", used_budget=0)
        for total in (
            (await storage.increase_budget(pool.id, "99.500")).total_budget,
            (await storage.update_budget_pool(pool.id, total_budget="1E+3")).total_budget,
            (await storage.consume_budget(pool.id, "1E+2")).total_budget,
        ):
            assert str(total) == "1000"
        assert str((await storage.consume_budget(pool.id, "1E+2")).used_budget) == "200"

    @clause("REC-8", "BUD-2")
    async def test_a_pool_with_the_smallest_amount_left_is_not_exhausted(self, storage: StorageAdapter) -> None:
        pool = await samples.stored_pool(storage, total_budget="12345.000000000000000001", used_budget=0)
        assert (await storage.consume_budget(pool.id, 12345)).status is BudgetPoolStatus.ACTIVE
        assert (await storage.consume_budget(pool.id, SMALLEST)).status is BudgetPoolStatus.EXHAUSTED
        increased = await storage.increase_budget(pool.id, SMALLEST)
        assert (increased.status, increased.remaining_budget) == (BudgetPoolStatus.ACTIVE, Decimal(SMALLEST))
        assert_identical(await storage.get_budget_pool(pool.id), increased)

    @clause("REC-8", "BUD-1", "BUD-2")
    async def test_the_rest_of_a_pool_is_consumed_to_the_last_digit_and_not_beyond(
        self, storage: StorageAdapter
    ) -> None:
        pool = await samples.stored_pool(storage, total_budget=LARGEST, used_budget="0.00000001875")
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(pool.id, "999999999999999999.99999998125")
        assert_identical(await storage.get_budget_pool(pool.id), pool)
        consumed = await storage.consume_budget(pool.id, pool.remaining_budget)
        assert (consumed.used_budget, consumed.status) == (Decimal(LARGEST), BudgetPoolStatus.EXHAUSTED)
        with pytest.raises(BudgetExceededError):
            await storage.consume_budget(pool.id, SMALLEST)

    @clause("REC-8", "BUD-2")
    async def test_a_total_of_ten_to_the_eighteenth_is_refused_and_changes_nothing(
        self, storage: StorageAdapter
    ) -> None:
        pools = [
            await samples.stored_pool(storage, total_budget=total, used_budget=0) for total in (LARGEST, TOTAL, "1E-18")
        ]
        before = await everything_in(storage)
        amounts: tuple[Decimal | float | str, ...] = (SMALLEST, 1, LARGEST)
        for pool, amount in zip(pools, amounts, strict=True):
            with pytest.raises(ValidationError) as caught:
                await storage.increase_budget(pool.id, amount)
            assert caught.value.field == "amount"
        assert_identical(await everything_in(storage), before)

    @clause("REC-8")
    async def test_a_float_is_taken_with_its_shortest_form_rounded_half_to_even_at_the_18th_place(
        self, storage: StorageAdapter
    ) -> None:
        for given, taken in FLOATS:
            amount = Decimal(taken)
            pool = await samples.stored_pool(storage, total_budget=TOTAL, used_budget=0)
            consumed = await storage.consume_budget(pool.id, given)
            assert consumed.used_budget == amount
            lower = await storage.update_budget_pool(pool.id, total_budget=given)
            assert lower.total_budget == amount
            assert (await storage.increase_budget(pool.id, given)).total_budget == amount + amount
            assert await _ids(storage, {"used_budget": given, "id": pool.id}) == [pool.id]

    @clause("REC-8", "QRY-1", "QRY-5")
    async def test_wide_amounts_compare_and_sort_to_the_last_digit(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        ids = [f"{number * 7 % len(WIDE):02}" for number in range(len(WIDE))]  # not in the order of the amounts
        for name, amount in zip(ids, WIDE, strict=True):
            await samples.stored_pool(storage, id=name, total_budget=amount, used_budget=0)
            await samples.stored_execution(storage, "s", id=name, cost=amount, currency="EUR")
        for field, found in (("total_budget", _ids), ("cost", _executions)):
            for direction, expected in ((Direction.ASCENDING, ids), (Direction.DESCENDING, ids[::-1])):
                assert await found(storage, {}, order_by=OrderBy(field, direction)) == expected
            for place, amount in enumerate(WIDE):
                conditions: list[tuple[Any, list[str]]] = [
                    (amount, ids[place : place + 1]),
                    (Lt(amount), ids[:place]),
                    (Le(Decimal(amount)), ids[: place + 1]),
                    (Gt(amount), ids[place + 1 :]),
                    (Ge(amount), ids[place:]),
                    (Ne(amount), ids[:place] + ids[place + 1 :]),
                    (In([amount, WIDE[0]]), sorted({ids[0], ids[place]}, key=ids.index)),
                    (NotIn(WIDE[place:]), ids[:place]),
                    (Between(WIDE[0], amount), ids[: place + 1]),
                    (Between(amount, LARGEST), ids[place:]),
                    (Not(Between(WIDE[0], amount)), ids[place + 1 :]),
                ]
                for condition, expected in conditions:
                    assert await found(storage, {field: condition}, order_by=OrderBy(field)) == expected
            assert await found(storage, {field: Gt(-1)}, order_by=OrderBy(field)) == ids
            assert await found(storage, {field: Lt("-0.5")}) == []

    @clause("REC-8", "QRY-7")
    async def test_pages_go_on_after_a_wide_amount(self, storage: StorageAdapter) -> None:
        pools = [await samples.stored_pool(storage, total_budget=amount, used_budget=0) for amount in WIDE]
        for direction, expected in ((Direction.ASCENDING, pools), (Direction.DESCENDING, pools[::-1])):
            page = QueryFilter(order_by=OrderBy("total_budget", direction), limit=4)
            read = []
            while found := await storage.list_budget_pools(page):
                read += found
                assert_identical(read, expected[: len(read)])
                page = page.after(found[-1] if len(read) % 8 else page.cursor(found[-1]))
            assert_identical(read, expected)

    @clause("REC-8", "BUD-1", "BUD-2")
    async def test_random_amounts_add_up_as_whole_numbers_of_the_smallest_do(self, storage: StorageAdapter) -> None:
        rng = rng_for("amounts")
        root = await samples.stored_pool(storage, total_budget=TOTAL, used_budget=0)
        leaf = await samples.stored_pool(storage, parent_pool_id=root.id, total_budget=1, used_budget=0)
        used, total = 0, 10**18
        for _ in range(60):
            number = rng.randrange(1, 10 ** rng.randrange(1, 34))
            increased = await storage.increase_budget(leaf.id, _amount_of(number))
            assert increased.total_budget == _amount_of(total + number)
            total += number
            part = rng.randrange(1, number + 1)
            assert (await storage.consume_budget(leaf.id, _amount_of(part))).used_budget == _amount_of(used + part)
            used += part
        found = [await storage.get_budget_pool(pool.id) for pool in (leaf, root)]
        amounts = [(pool.total_budget, pool.used_budget) for pool in found if pool is not None]
        assert amounts == [(_amount_of(total), _amount_of(used)), (TOTAL, _amount_of(used))]

    @clause("REC-8", "REC-1")
    async def test_what_no_amount_can_be_is_refused_with_the_field(self, storage: StorageAdapter) -> None:
        pool = await samples.stored_pool(storage, total_budget=100, used_budget=0)
        before = await everything_in(storage)
        for wrong in (10**18, 1e18, "1E+18", "1E-19", "0.1234567890123456789", Decimal("1E-400"), 10**400):
            for field in ("total_budget", "used_budget"):
                changes: dict[str, Any] = {field: wrong}
                with pytest.raises(ValidationError) as caught:
                    await storage.update_budget_pool(pool.id, **changes)
                assert caught.value.field == field
                with pytest.raises(ValidationError):
                    await storage.list_budget_pools(QueryFilter({field: Lt(wrong)}))
            for change in (storage.consume_budget, storage.increase_budget):
                with pytest.raises(ValidationError) as caught:
                    await change(pool.id, wrong)
                assert caught.value.field == "amount"
        with pytest.raises(ValidationError):
            await storage.consume_budget(pool.id, 1e-19)
        assert_identical(await everything_in(storage), before)


def _amount_of(number: int) -> Decimal:
    """Return so many of the smallest amount."""
    return Decimal(number).scaleb(-18, context=_EXACT)


_EXACT = Context(prec=60, traps=[Inexact])


async def _ids(storage: StorageAdapter, where: dict[Any, Any], **rest: Any) -> list[str]:
    return [pool.id for pool in await storage.list_budget_pools(QueryFilter(where, **rest))]


async def _executions(storage: StorageAdapter, where: dict[Any, Any], **rest: Any) -> list[str]:
    return [each.id for each in await storage.get_llm_executions("s", QueryFilter(where, **rest))]
