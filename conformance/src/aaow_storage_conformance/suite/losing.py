"""Stores whose writers do not wait: a transaction that another is in the way of loses, and says so.

A backend may wait without claiming it, so each of these tests is also kept by a store whose writers wait.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from aaow_storage import (
    Capability,
    ConflictError,
    ContentionError,
    StorageAdapter,
    StorageError,
    StorageOperations,
    Transaction,
    TransactionError,
    TransactionOutcome,
)
from aaow_storage_conformance._contract import clause, lacks
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.refusals import check_calls_raise
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import CANCELLED_WITHIN_S, SOON_S

SHORT_S = 0.3
"""Timeout of a transaction that has to run out of time."""
BESIDE_S = 0.2
"""How long a rival is given to go first; it waits on, if writers wait after all."""
TURNS = 4


@lacks(Capability.WRITERS_WAIT)
class LosingTests:
    """A transaction that lost is stored in no part; what is no transaction never loses."""

    @clause("TXN-8", "TXN-3")
    @pytest.mark.parametrize("told_by", ["operation", "commit", "rollback"])
    async def test_a_transaction_that_lost_says_so_once_and_is_over(
        self, storage: StorageAdapter, store: Store, told_by: str
    ) -> None:
        await samples.stored_session(storage, id="s", metadata={"by": "nobody"})
        async with store.open() as other:
            transaction = await storage.begin_transaction()
            assert await transaction.get_session("s") is not None
            await transaction.update_session("s", metadata={"by": "the transaction"})
            rival = start_in_fresh_context(other.update_session("s", metadata={"by": "the rival"}))
            await asyncio.wait([rival], timeout=BESIDE_S)
            has_lost = rival.done()
            if told_by == "rollback":
                await transaction.rollback()
                assert transaction.outcome is TransactionOutcome.ROLLED_BACK
            else:
                error = await _error_of(transaction.get_session("s")) if told_by == "operation" else None
                error = error or await _error_of(transaction.commit())
                assert type(error) is (ContentionError if has_lost else type(None))
                assert error is None or error.is_retryable
                expected = TransactionOutcome.ABORTED if has_lost else TransactionOutcome.COMMITTED
                assert transaction.outcome is expected
            await check_calls_raise(transaction, "a transaction that is over")
            await _soon(rival)
        found = await storage.get_session("s")
        assert found is not None
        assert found.metadata == {"by": "the rival"}

    @clause("TXN-8", "TXN-9")
    async def test_transact_runs_a_transaction_again_that_lost(self, storage: StorageAdapter, store: Store) -> None:
        rivals: list[asyncio.Task[None]] = []

        async def count_up(transaction: Transaction) -> None:
            count = await _count_in(transaction)
            if not rivals:
                rivals.append(start_in_fresh_context(_count_up(other)))
                await asyncio.wait(rivals, timeout=BESIDE_S)
            await transaction.update_session("counter", metadata={"count": count + 1})

        await samples.stored_session(storage, id="counter", metadata={"count": 0})
        async with store.open() as other:
            await storage.transact(count_up)
            await _soon(rivals[0])
        assert await _count_in(storage) == 2

    @clause("TXN-8", "CON-1", "BUD-3")
    async def test_single_operations_never_lose_to_open_transactions(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        pool = await samples.stored_pool(storage, total_budget=1000, used_budget=0)
        await samples.stored_session(storage, id="s")
        used = 0
        async with store.open() as other:
            for _ in range(TURNS):
                transaction = await storage.begin_transaction()
                await transaction.consume_budget(pool.id, 1)
                await transaction.save_llm_execution("s", "node", samples.a_result(id="hot"))
                calls: list[Awaitable[Any]] = [each.consume_budget(pool.id, 1) for each in (storage, other) * 3]
                calls += [
                    each.save_llm_execution("s", "node", samples.a_result(id="hot")) for each in (storage, other) * 3
                ]
                working = [start_in_fresh_context(call) for call in calls]
                await asyncio.wait(working, timeout=BESIDE_S)
                with suppress(ContentionError):
                    await transaction.commit()
                await _soon(asyncio.gather(*working))
                used += 6 + (transaction.outcome is TransactionOutcome.COMMITTED)
        found = await storage.get_budget_pool(pool.id)
        assert found is not None
        assert found.used_budget == Decimal(used)

    @clause("TXN-7", "TXN-3")
    async def test_a_transaction_that_nobody_disturbs_is_rolled_back_when_its_time_is_over(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        transaction = await storage.begin_transaction(timeout=SHORT_S)
        await samples.stored_workflow(transaction, id="late")
        async with asyncio.timeout(SOON_S):
            while transaction.outcome is None:  # noqa: ASYNC110 - no event tells that it timed out
                await asyncio.sleep(0.01)
        assert transaction.outcome is TransactionOutcome.TIMED_OUT
        await check_calls_raise(transaction, "a transaction that timed out")
        async with store.open() as other:
            assert await other.list_workflows() == []
            await _soon(samples.stored_workflow(other, id="late"))
        assert await subprocess_functions.workflow_ids(storage) == ["late"]

    @clause("TXN-7", "TXN-8")
    async def test_a_block_whose_transaction_lost_does_not_pass_for_committed(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def outstay(other: StorageAdapter, id: str, error: Exception | None) -> None:
            async with storage.transaction(timeout=SHORT_S) as transaction:
                await samples.stored_workflow(transaction, id=id, name="late")
                await _soon(samples.stored_workflow(other, id=id, name="first"))
                if error is not None:
                    raise error

        async with store.open() as other:
            with pytest.raises((TransactionError, ContentionError)):
                await outstay(other, "a", None)
            with pytest.raises(ZeroDivisionError):
                await outstay(other, "b", ZeroDivisionError())
        assert [workflow.name for workflow in await storage.list_workflows()] == ["first", "first"]

    @clause("LIF-2")
    async def test_closing_finishes_what_is_in_the_way_of_an_open_transaction(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        transaction = await storage.begin_transaction()
        await samples.stored_workflow(transaction, id="w", name="of the transaction")
        saving = start_in_fresh_context(samples.stored_workflow(adapter, id="w", name="saved"))
        await asyncio.sleep(0)
        closing = start_in_fresh_context(adapter.close())
        await asyncio.wait([saving, closing], timeout=BESIDE_S)
        with suppress(ContentionError):
            await transaction.commit()
        await _soon(asyncio.gather(saving, closing))
        assert [workflow.name for workflow in await storage.list_workflows()] == ["saved"]

    @clause("CON-2")
    async def test_tasks_cancelled_beside_an_open_transaction_leave_nothing_behind(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def save_in_a_block(adapter: StorageAdapter) -> None:
            async with adapter.transaction() as transaction:
                await samples.stored_workflow(transaction, id="held", name="beside")
                await samples.stored_workflow(transaction, id="held too", name="beside")

        async with store.open() as other:
            transaction = await storage.begin_transaction()
            await samples.stored_workflow(transaction, id="held", name="inside")
            beside = [start_in_fresh_context(save_in_a_block(adapter)) for adapter in (storage, other) * 4]
            for _ in range(10):
                await start_in_fresh_context(other.count_workflows())
            for task in beside:
                task.cancel()
            await asyncio.wait(beside, timeout=CANCELLED_WITHIN_S)
            assert all(task.done() for task in beside)
            with suppress(ConflictError):
                await samples.stored_workflow(transaction, id="held too", name="inside")
                await transaction.commit()
            names = {workflow.name for workflow in await storage.list_workflows()}
            stored = await storage.count_workflows()
            is_committed = transaction.outcome is TransactionOutcome.COMMITTED
            assert (names, stored) == ({"inside"}, 2) if is_committed else stored in {0, 2} and names <= {"beside"}
            async with asyncio.timeout(CANCELLED_WITHIN_S):
                for number, adapter in enumerate((other, storage)):
                    async with adapter.transaction() as following:
                        await samples.stored_workflow(following, id=f"later {number}")
            assert await other.count_workflows() == stored + 2


async def _soon(call: Awaitable[Any]) -> Any:
    """Await a call that must end before a transaction with the default timeout expires."""
    async with asyncio.timeout(SOON_S):
        return await call


async def _error_of(call: Awaitable[Any]) -> StorageError | None:
    try:
        await call
    except StorageError as error:
        return error
    return None


async def _count_in(storage: StorageOperations) -> int:
    counter = await storage.get_session("counter")
    assert counter is not None
    assert counter.metadata is not None
    return int(str(counter.metadata["count"]))


async def _count_up(storage: StorageAdapter) -> None:
    """Increment the counter, and retry on a conflict."""
    while True:
        with suppress(ConflictError):
            async with storage.transaction() as transaction:
                await transaction.update_session("counter", metadata={"count": await _count_in(transaction) + 1})
            return
