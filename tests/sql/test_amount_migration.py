"""Amounts of old stores, up to the wider form and down again: equal, or refused with the pool and nothing changed."""

import random
import re
import sqlite3
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaow_storage import BudgetPool, LLMExecutionResult, create_adapter
from aaow_storage.errors import StorageError
from aaow_storage_conformance.data import samples
from aaow_storage_sql import HEAD, SQLConnection
from aaow_storage_sql._migrations.versions.v0006_amounts import FIELDS
from aaow_storage_sqlite._upgrade import migrate_store, version

PATIENCE_S = 5.0
OLD, NEW = "0005", "0006"
INSERT = "INSERT INTO budget_pools (id, total_budget, used_budget, status, created_at) VALUES (?, ?, ?, 'active', 0)"
SELECT = "SELECT id, total_budget, used_budget FROM budget_pools ORDER BY id"
REPEATED = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEPT = ("0", "-0", "0E-9", "0E+500", "1E-9", "1E+3", "1.5E+17", "1E-18", "12.50", "100", "0.1", "999999999999999E+3")
REFUSED = ("1E+18", "1E+500", "999999999999999E+4", "1E-19", "1E-500", "1.23456789012345E-5")


@st.composite
def old_numerals(draw: st.DrawFn) -> str:
    """A numeral as the older release stored it: the text of a Decimal of at most 15 digits."""
    digits, exponent = draw(st.integers(0, 10**15 - 1)), draw(st.integers(-24, 8))
    return str(
        Decimal(digits).scaleb(exponent).normalize() if draw(st.booleans()) else Decimal(digits).scaleb(exponent)
    )


def is_kept(numeral: str) -> bool:
    value = Decimal(numeral)
    return value < 10**18 and value * 10**18 == int(value * 10**18)


def fill(connection: SQLConnection, rows: list[tuple[str, object, object]]) -> None:
    """Put pools into a store of the older release."""
    raw = connection.driver_connection
    if version(connection) not in {None, OLD}:
        raw.execute("DELETE FROM budget_pools")
    migrate_store(connection, OLD, PATIENCE_S)
    raw.executemany(INSERT, rows)


def rows_of(connection: SQLConnection) -> list[tuple[str, str, str]]:
    return list(connection.driver_connection.execute(SELECT).fetchall())


def values_of(rows: list[tuple[str, str, str]]) -> list[tuple[str, Decimal, Decimal]]:
    return [(key, Decimal(total), Decimal(used)) for key, total, used in rows]


@REPEATED
@given(st.lists(st.tuples(old_numerals(), old_numerals()), max_size=8))
def test_random_amounts_stay_equal_both_ways_or_keep_the_store_as_it_was(
    connection: SQLConnection, amounts: list[tuple[str, str]]
):
    rows = [(f"{number}", *each) for number, each in enumerate(amounts)]
    fill(connection, rows)
    if not all(is_kept(numeral) for each in amounts for numeral in each):
        with pytest.raises(StorageError, match="which the other version cannot keep"):
            migrate_store(connection, NEW, PATIENCE_S)
        assert (rows_of(connection), version(connection)) == (rows, OLD)
        connection.driver_connection.execute("DELETE FROM budget_pools")
        return
    migrate_store(connection, NEW, PATIENCE_S)
    wide = rows_of(connection)
    assert values_of(wide) == values_of(rows)
    assert all(re.fullmatch(r"[0-9]{18}\.[0-9]{18}", text) for _, *texts in wide for text in texts)
    in_order = sorted(text for _, *texts in wide for text in texts)
    assert [Decimal(text) for text in in_order] == sorted(map(Decimal, in_order))
    migrate_store(connection, OLD, PATIENCE_S)
    assert values_of(rows_of(connection)) == values_of(rows)
    connection.driver_connection.execute("DELETE FROM budget_pools")


@pytest.mark.parametrize("numeral", KEPT)
def test_an_amount_that_both_have_stays_equal(connection: SQLConnection, numeral: str):
    fill(connection, [("p", numeral, "0")])
    migrate_store(connection, HEAD, PATIENCE_S)
    assert values_of(rows_of(connection)) == [("p", Decimal(numeral), 0)]
    migrate_store(connection, OLD, PATIENCE_S)
    assert values_of(rows_of(connection)) == [("p", Decimal(numeral), 0)]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("numeral", REFUSED)
def test_an_amount_that_the_newer_has_not_is_named_and_nothing_is_migrated(
    connection: SQLConnection, numeral: str, field: str
):
    rows = [("a", "1E+3", "0.50"), ("p", *("7" if each != field else numeral for each in FIELDS)), ("z", "1", "0")]
    fill(connection, rows)
    problem = f"the budget pool 'p' has the {field} {numeral}, which the other version cannot keep"
    with pytest.raises(StorageError, match=re.escape(problem)) as caught:
        migrate_store(connection, HEAD, PATIENCE_S)
    assert "call update_budget_pool with an amount below 10**18" in str(caught.value)
    assert (rows_of(connection), version(connection)) == (rows, OLD)
    connection.driver_connection.execute(f"UPDATE budget_pools SET {field} = '5' WHERE id = 'p'")
    migrate_store(connection, HEAD, PATIENCE_S)


@pytest.mark.parametrize(
    "numeral", ["12345.67000001875", "1000000000000001.5", "999999999999999999.999999999999999999"]
)
def test_an_amount_of_too_many_digits_for_the_older_is_named_and_nothing_is_migrated(
    connection: SQLConnection, numeral: str
):
    fill(connection, [("a", "12345.6700000187", "1"), ("p", "1", "0")])
    migrate_store(connection, NEW, PATIENCE_S)
    wide = f"{Decimal(numeral):037.18f}"
    connection.driver_connection.execute("UPDATE budget_pools SET used_budget = ? WHERE id = 'p'", (wide,))
    before = rows_of(connection)
    with pytest.raises(StorageError, match=rf"'p' has the used_budget {re.escape(numeral)}, which"):
        migrate_store(connection, OLD, PATIENCE_S)
    assert (rows_of(connection), version(connection)) == (before, NEW)


@pytest.mark.parametrize("damaged", ["abc", "", "NaN", "-1", "Infinity", b"1"])
def test_what_is_no_amount_stays_as_unreadable_as_it_was(connection: SQLConnection, damaged: object):
    fill(connection, [("p", damaged, "1"), ("q", "2", "1")])
    migrate_store(connection, NEW, PATIENCE_S)
    assert rows_of(connection)[0][1] == damaged
    migrate_store(connection, OLD, PATIENCE_S)
    assert rows_of(connection) == [("p", damaged, "1"), ("q", "2", "1")]


def test_a_process_of_an_older_release_that_still_runs_cannot_write_a_numeral(connection: SQLConnection):
    fill(connection, [("p", "1", "0")])
    migrate_store(connection, HEAD, PATIENCE_S)
    with pytest.raises(sqlite3.IntegrityError, match="ck_budget_pools_used_budget"):
        connection.driver_connection.execute("UPDATE budget_pools SET used_budget = '0.5'")


@pytest.mark.asyncio
async def test_a_migrated_store_is_read_and_consumed_from(connection: SQLConnection, tmp_path):
    rng = random.Random(6)
    amounts = {f"p{number}": Decimal(rng.randrange(10**15)).scaleb(rng.randrange(-15, 4)) for number in range(200)}
    fill(connection, [(key, str(amount), "0E-9") for key, amount in amounts.items()])
    async with create_adapter("sqlite", str(tmp_path / "store.db")) as storage:
        pools = await storage.list_budget_pools()
        assert {pool.id: pool.total_budget for pool in pools} == amounts
        for pool in pools:
            if pool.total_budget > 1:
                assert (await storage.consume_budget(pool.id, "1E-18")).used_budget == Decimal("1E-18")


@pytest.mark.asyncio
async def test_costs_come_through_a_downgrade_to_the_revision_that_has_them(connection: SQLConnection, tmp_path):
    path = str(tmp_path / "store.db")
    costs = [None, *map(Decimal, ("0.25", "1E-18", "12345.67000001875"))]
    async with create_adapter("sqlite", path) as storage:
        await samples.stored_session(storage, id="s")
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=1))
        for cost in costs:
            await storage.save_llm_execution(
                "s", "n", LLMExecutionResult(cost=cost, currency=None if cost is None else "EUR")
            )
    migrate_store(connection, OLD, PATIENCE_S)
    stored = connection.driver_connection.execute("SELECT cost FROM llm_executions ORDER BY timestamp").fetchall()
    assert [text and Decimal(text) for (text,) in stored] == costs
    assert all(text is None or len(text) < 37 for (text,) in stored)
    migrate_store(connection, HEAD, PATIENCE_S)
    async with create_adapter("sqlite", path) as storage:
        assert [execution.cost for execution in await storage.get_llm_executions("s")] == costs
