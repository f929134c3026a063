"""Amounts of old stores: PostgreSQL keeps its numbers, and refuses those that the other version cannot keep."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from aaow_storage import create_adapter
from aaow_storage.errors import StorageError
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import migrate_store, version
from aaow_storage_sql import HEAD

OLD, NEW = "0005", "0006"
KEPT = ("0", "0.000", "12.50", "1000", "1e17", "0.000000000000000001", "1.5000000000000000000000", "999999999999999000")


@pytest.fixture
def store(url: str) -> Iterator[tuple[PostgreSQLConnection, Settings]]:
    """A store of the older schema."""
    settings = Settings(url)
    opened = connect(settings)
    migrate_store(opened, settings, OLD)
    yield opened, settings
    opened.driver_connection.close()


def insert(raw: Callable[..., list[tuple]], name: str, total: str, used: str = "0") -> None:
    raw(
        "INSERT INTO budget_pools (id, total_budget, used_budget, status, created_at) "
        f"VALUES ('{name}', {total}, {used}, 'active', now())"
    )


@pytest.mark.asyncio
async def test_amounts_that_both_have_stay_and_are_read_in_one_form(
    url: str, store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]]
):
    for number, numeral in enumerate(KEPT):
        insert(raw, f"{number}", numeral, numeral)
    before = raw("SELECT id, total_budget::text, used_budget::text FROM budget_pools ORDER BY id")
    async with create_adapter("postgresql", url) as storage:
        pools = await storage.list_budget_pools()
        forms = {pool.id: str(pool.total_budget) for pool in pools}
        assert forms == {f"{number}": str(Decimal(numeral).normalize() + 0) for number, numeral in enumerate(KEPT)}
    assert raw("SELECT id, total_budget::text, used_budget::text FROM budget_pools ORDER BY id") == before
    migrate_store(*store, OLD)
    assert raw("SELECT id, total_budget::text, used_budget::text FROM budget_pools ORDER BY id") == before


@pytest.mark.parametrize("field", ["total_budget", "used_budget"])
@pytest.mark.parametrize("numeral", ["1e18", "1e500", "0.0000000000000000001", "1e-500"])
def test_an_amount_that_the_newer_has_not_is_named_and_nothing_is_migrated(
    store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]], field: str, numeral: str
):
    insert(raw, "a", "12.50")
    insert(raw, "p", *(("7", numeral) if field == "used_budget" else (numeral, "7")))
    with pytest.raises(StorageError, match=rf"'p' has the {field} [0-9.]+, which .* amount below 10\*\*18"):
        migrate_store(*store, HEAD)
    assert version(*store) == OLD
    raw(f"UPDATE budget_pools SET {field} = 1 WHERE id = 'p'")
    migrate_store(*store, HEAD)


@pytest.mark.parametrize(
    "numeral", ["12345.67000001875", "1000000000000001.5", "999999999999999999.999999999999999999"]
)
def test_an_amount_of_too_many_digits_for_the_older_is_named_and_nothing_is_migrated(
    store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]], numeral: str
):
    insert(raw, "a", "12345.6700000187", "1.00000000000000000000")
    insert(raw, "b", "123456789012345000", "0.000000000000000001")
    insert(raw, "p", numeral)
    migrate_store(*store, NEW)
    with pytest.raises(StorageError, match=rf"'p' has the total_budget {re.escape(numeral)}, which .* 15 digits"):
        migrate_store(*store, OLD)
    assert version(*store) == NEW
    raw("DELETE FROM budget_pools WHERE id = 'p'")
    migrate_store(*store, OLD)


def test_what_is_no_amount_keeps_no_store_from_being_migrated(
    store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]]
):
    insert(raw, "p", "'NaN'")
    migrate_store(*store, HEAD)
    migrate_store(*store, OLD)
    assert raw("SELECT total_budget::text FROM budget_pools") == [("NaN",)]
