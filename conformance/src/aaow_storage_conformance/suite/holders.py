"""Which tasks may call an adapter while a transaction of it is open."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aaow_storage import StorageAdapter, Transaction, TransactionError, TransactionOutcome
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context

OPEN_S = 8.0
"""Timeout of the transactions in these tests: longer than a refusal takes on a busy machine."""

Call = Callable[[], Awaitable[Any]]


async def _gather(*calls: Call) -> None:
    await asyncio.gather(*(call() for call in calls))


async def _wait_for(*calls: Call) -> None:
    for call in calls:
        await asyncio.wait_for(call(), OPEN_S)


async def _in_a_group(*calls: Call) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(_await_call(call()))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _in_a_task_of_a_task(*calls: Call) -> None:
    await asyncio.create_task(_gather(*calls))


WAYS = [_gather, _wait_for, _in_a_group, _in_a_task_of_a_task]


class HolderTests:
    """A transaction is held by the tasks that began it, use it, or were started by one of these since."""

    @clause("TXN-6")
    @pytest.mark.parametrize("way", WAYS, ids=[way.__name__.strip("_") for way in WAYS])
    async def test_calls_on_the_adapter_from_tasks_that_were_started_inside_a_transaction_are_refused(
        self, storage: StorageAdapter, way: Callable[..., Awaitable[None]]
    ) -> None:
        transaction = await storage.begin_transaction(timeout=OPEN_S)
        await samples.stored_workflow(transaction, id="inside")
        with pytest.raises(TransactionError):
            await way(lambda: samples.stored_workflow(storage, id="a"), storage.count_workflows)
        with pytest.raises(TransactionError):
            await way(lambda: storage.begin_transaction(timeout=OPEN_S))
        assert transaction.outcome is None
        await way(lambda: samples.stored_workflow(transaction, id="through it"))
        await transaction.rollback()
        assert await storage.list_workflows() == []

    @clause("TXN-6")
    @pytest.mark.parametrize("enters", [True, False], ids=["block", "first use"])
    async def test_a_transaction_that_a_helper_task_began_is_held_by_the_task_that_uses_it(
        self, storage: StorageAdapter, enters: bool
    ) -> None:
        transaction = await asyncio.create_task(storage.begin_transaction(timeout=OPEN_S))
        if enters:
            await transaction.__aenter__()
        else:
            await samples.stored_workflow(transaction, id="inside")
        with pytest.raises(TransactionError):
            await samples.stored_workflow(storage, id="outside")
        with pytest.raises(TransactionError):
            await _gather(storage.list_workflows)
        await transaction.rollback()
        assert await storage.list_workflows() == []

    @clause("TXN-6")
    async def test_a_task_that_was_lent_a_transaction_holds_it(self, storage: StorageAdapter) -> None:
        lent: asyncio.Queue[Transaction] = asyncio.Queue()

        async def use() -> None:
            transaction = await lent.get()
            await samples.stored_workflow(transaction, id="inside")
            async with transaction.savepoint():
                await samples.stored_workflow(storage, id="outside")

        using = asyncio.create_task(use())
        await asyncio.sleep(0)
        async with storage.transaction(timeout=OPEN_S) as transaction:
            await lent.put(transaction)
            with pytest.raises(TransactionError):
                await using
        assert [workflow.id for workflow in await storage.list_workflows()] == ["inside"]

    @clause("TXN-6")
    @pytest.mark.parametrize("ending", list(TransactionOutcome)[:3])
    async def test_a_task_that_was_started_inside_may_call_the_adapter_after_the_end(
        self, storage: StorageAdapter, ending: TransactionOutcome
    ) -> None:
        is_over = asyncio.Event()

        async def wait_and_store() -> None:
            await is_over.wait()
            await samples.stored_workflow(storage, id="later")
            async with storage.transaction() as following:
                await samples.stored_workflow(following, id="later still")

        transaction = await storage.begin_transaction(timeout=0.2 if ending is TransactionOutcome.TIMED_OUT else OPEN_S)
        waiting = asyncio.create_task(wait_and_store())
        if ending is TransactionOutcome.COMMITTED:
            await transaction.commit()
        elif ending is TransactionOutcome.ROLLED_BACK:
            await transaction.rollback()
        while transaction.outcome is None:  # noqa: ASYNC110 - no event tells that it timed out
            await asyncio.sleep(0.01)
        is_over.set()
        async with asyncio.timeout(OPEN_S):
            await waiting
        assert transaction.outcome is ending
        assert [workflow.id for workflow in await storage.list_workflows()] == ["later", "later still"]

    @clause("TXN-6")
    async def test_tasks_that_have_nothing_to_do_with_a_transaction_are_not_refused(
        self, storage: StorageAdapter
    ) -> None:
        has_begun = asyncio.Event()

        async def count_when_it_has_begun() -> int:
            await has_begun.wait()
            return await storage.count_workflows()

        started_before = asyncio.create_task(count_when_it_has_begun())
        async with storage.transaction(timeout=OPEN_S) as transaction:
            await samples.stored_workflow(transaction)
            has_begun.set()
            assert await started_before == 0
            assert await start_in_fresh_context(storage.count_workflows()) == 0


async def _await_call(call: Awaitable[Any]) -> Any:
    return await call
