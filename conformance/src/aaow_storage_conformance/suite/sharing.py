"""Concurrent transactions that store equal documents do not wait for each other."""

import asyncio

from aaow_storage import StorageAdapter, Transaction
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import AT_ONCE_S

BEGINS_WITHIN_S = 0.2


class SharingTests:
    """Different records are different, however a backend stores what they have in common."""

    @clause("CON-1")
    async def test_open_transactions_store_equal_documents_in_any_order_and_do_not_wait(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        one, other = {"text": "one"}, {"text": "other"}
        async with store.open() as beside:
            first, second = await _begun_beside_each_other(storage, beside)
            await first.create_session(samples.a_session(id="1", workflow_snapshot=one))
            async with asyncio.timeout(AT_ONCE_S):
                await second.create_session(samples.a_session(id="2", workflow_snapshot=other))
                await asyncio.gather(
                    first.create_session(samples.a_session(id="3", workflow_snapshot=other)),
                    second.create_session(samples.a_session(id="4", workflow_snapshot=one)),
                )
                await second.save_workflow(samples.a_workflow(id="w", definition=one))
            for transaction in {first, second}:
                await transaction.commit()
        stored = {each.id: each.workflow_snapshot for each in await storage.list_sessions()}
        assert stored == {"1": one, "2": other, "3": other, "4": one}

    @clause("CON-1")
    async def test_a_session_is_deleted_beside_a_transaction_that_stores_an_equal_snapshot(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        shared = {"text": "shared"}
        await storage.create_session(samples.a_session(id="old", workflow_snapshot=shared))
        async with store.open() as beside:
            creating, deleting = await _begun_beside_each_other(storage, beside)
            await creating.create_session(samples.a_session(id="new", workflow_snapshot=shared))
            async with asyncio.timeout(AT_ONCE_S):
                await deleting.delete_session("old")
                await creating.create_session(samples.a_session(id="newer", workflow_snapshot=shared))
            for transaction in {creating, deleting}:
                await transaction.commit()
        stored = {each.id: each.workflow_snapshot for each in await storage.list_sessions()}
        assert stored == {"new": shared, "newer": shared}


async def _begun_beside_each_other(one: StorageAdapter, other: StorageAdapter) -> tuple[Transaction, Transaction]:
    """Begin two transactions; if the store opens only one at a time, return that one twice."""
    first = await start_in_fresh_context(one.begin_transaction())
    beginning = start_in_fresh_context(other.begin_transaction())
    await asyncio.wait([beginning], timeout=BEGINS_WITHIN_S)
    if not beginning.done():
        beginning.cancel()
        await asyncio.wait([beginning])
        return first, first
    return first, await beginning
