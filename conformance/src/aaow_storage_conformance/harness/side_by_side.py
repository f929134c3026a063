"""Two transactions that are open at once, where a store opens more than one."""

import asyncio

from aaow_storage import Capability, ContentionError, StorageAdapter, Transaction
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context

BEGINS_WITHIN_S = 0.2


async def begun_beside_each_other(one: StorageAdapter, other: StorageAdapter) -> tuple[Transaction, Transaction]:
    """Begin two transactions; if the store opens only one at a time, return that one twice."""
    first = await start_in_fresh_context(one.begin_transaction())
    beginning = start_in_fresh_context(other.begin_transaction())
    await asyncio.wait([beginning], timeout=BEGINS_WITHIN_S)
    if not beginning.done():
        beginning.cancel()
        await asyncio.wait([beginning])
        return first, first
    return first, await beginning


async def commit_those_that_may(storage: StorageAdapter, *transactions: Transaction) -> set[Transaction]:
    """Commit the transactions, and return those that did not lose; none may where writers wait."""
    stored = set()
    for transaction in dict.fromkeys(transactions):
        try:
            await transaction.commit()
        except ContentionError:
            if Capability.WRITERS_WAIT in storage.capabilities:
                raise
        else:
            stored.add(transaction)
    return stored
