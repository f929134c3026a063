"""The change feed of PostgreSQL: triggers record it, and its order is that of the server's transactions."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aaow_storage import (
    Capability,
    ChangesLostError,
    StorageAdapter,
    StorageOperations,
    UnsupportedOperationError,
    create_adapter,
)
from aaow_storage_conformance.data import samples
from aaow_storage_postgresql.testing import temporary_database

pytestmark = pytest.mark.asyncio

Raw = Callable[..., list[tuple[Any, ...]]]


async def write(storage: StorageOperations, *ids: str) -> None:
    """Make a change for each of the ids, each in a transaction of its own."""
    for name in ids:
        await storage.create_budget_pool(samples.a_pool(id=name))


async def test_what_other_programs_write_is_in_the_feed(storage: StorageAdapter, raw: Raw):
    await write(storage, "a", "b")
    (*_, last) = await storage.get_changes()
    raw("UPDATE budget_pools SET metadata = '{}'")
    raw("DELETE FROM budget_pools WHERE id = 'a'")
    found = [(change.id, change.action.value) for change in await storage.get_changes(last.position)]
    assert sorted(found[:2]) == [("a", "updated"), ("b", "updated")]
    assert found[2:] == [("a", "deleted")]


async def test_a_server_that_counts_its_transactions_anew_begins_another_feed(url: str, raw: Raw):
    async with create_adapter("postgresql", url) as storage:
        await write(storage, "a", "b")
        positions = [change.position for change in await storage.get_changes()]
    raw(
        "UPDATE changes SET transaction_id = transaction_id + 1000000"
    )  # as a dump of a server that has counted further
    async with create_adapter("postgresql", url) as storage:
        for lost in positions:
            with pytest.raises(ChangesLostError):
                await storage.get_changes(lost)
        assert await storage.get_changes() == []
        await write(storage, "c")
        assert [change.id for change in await storage.get_changes()] == ["c"]


async def test_a_position_at_which_another_change_is_now_is_refused(storage: StorageAdapter, raw: Raw):
    await write(storage, "a", "b", "c")
    first, second, _ = [change.position for change in await storage.get_changes()]
    raw("UPDATE changes SET at = at + interval '1 second' WHERE changes LIKE '%%\"b\"%%'")
    for call in (storage.get_changes, storage.prune_changes):
        with pytest.raises(ChangesLostError):
            await call(second)
    assert [change.id for change in await storage.get_changes(first)] == ["b", "c"]


async def test_a_transaction_in_another_database_holds_the_feed_back_and_loses_nothing(
    storage: StorageAdapter,
):
    with temporary_database() as elsewhere:
        async with create_adapter("postgresql", elsewhere) as other:
            transaction = await other.begin_transaction()
            await write(transaction, "elsewhere")
            await write(storage, "a")
            last = await storage.last_change()
            assert last is None
            assert await storage.get_changes() == []
            waiting = asyncio.ensure_future(anext(storage.changes()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await transaction.rollback()
            assert (await asyncio.wait_for(waiting, 20)).id == "a"


async def test_the_triggers_of_a_store_whose_feed_is_off_are_disabled(url: str, raw: Raw):
    async with create_adapter("postgresql", url) as before:
        enabled = raw("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'aaow_%%' AND tgenabled = 'O'")
        async with create_adapter("postgresql", url, changes=False) as storage:
            assert Capability.CHANGES not in storage.capabilities
            assert raw("SELECT DISTINCT tgenabled::text FROM pg_trigger WHERE tgname LIKE 'aaow_%%'") == [("D",)]
            await write(before, "a")
            await write(storage, "b")
            with pytest.raises(UnsupportedOperationError):
                await before.get_changes()
        assert raw("SELECT count(*) FROM changes") == [(0,)]
        async with create_adapter("postgresql", url, changes=True):
            assert raw("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'aaow_%%' AND tgenabled = 'O'") == enabled
            await write(before, "c")
        assert [change.id for change in await before.get_changes()] == ["c"]
