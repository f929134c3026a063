"""The write lock: it is granted in the order of requests, and no holder blocks the others for ever."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import pytest

from aaow_storage import BudgetPool, StorageAdapter, StoredWorkflow, TransactionOutcome, create_adapter
from aaow_storage.errors import AdapterClosedError, TransactionError
from aaow_storage_memory._write_lock import FairLock

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0
SOON_S = 0.05


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


async def in_a_thread(function: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> Any:
    """Run the coroutine function on an event loop of another thread."""
    return await asyncio.to_thread(lambda: asyncio.run(function(*args)))


async def start(*coroutines: Coroutine[Any, Any, Any]) -> list[asyncio.Task]:
    """Start tasks and let each run to its first wait."""
    tasks = [asyncio.create_task(coroutine, context=Context()) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


async def test_the_lock_is_granted_in_the_order_of_requests():
    lock, order = FairLock(), []

    async def write(number: int) -> None:
        ticket = await lock.acquire(owner=None)
        order.append(number)
        await asyncio.sleep(0)
        lock.release(ticket)

    first = await lock.acquire(owner=None)
    tasks = await start(*(write(number) for number in range(10)))
    assert order == []
    lock.release(first)
    await asyncio.gather(*tasks)
    assert order == list(range(10))


async def test_a_request_cancelled_while_it_waits_does_not_block_the_next():
    lock = FairLock()
    first = await lock.acquire(owner=None)
    second, third = await start(lock.acquire(owner=None), lock.acquire(owner=None))
    second.cancel()
    await asyncio.wait([second])
    lock.release(first)
    lock.release(await asyncio.wait_for(third, PATIENCE_S))
    assert not lock._tickets


async def test_a_request_cancelled_just_when_it_is_granted_releases_the_lock():
    lock = FairLock()
    first = await lock.acquire(owner=None)
    second, third = await start(lock.acquire(owner=None), lock.acquire(owner=None))
    lock.release(first)
    second.cancel()
    lock.release(await asyncio.wait_for(third, PATIENCE_S))
    assert second.cancelled()
    assert not lock._tickets


async def test_releasing_a_ticket_twice_grants_the_lock_once():
    lock = FairLock()
    first = await lock.acquire(owner=None)
    second, third = await start(lock.acquire(owner=None), lock.acquire(owner=None))
    lock.release(first)
    lock.release(first)
    await asyncio.wait_for(second, PATIENCE_S)
    assert not third.done()
    lock.release(second.result())
    lock.release(await third)


async def test_threads_with_event_loops_of_their_own_lose_no_write(storage: StorageAdapter, url: str):
    await storage.create_budget_pool(BudgetPool(id="p", total_budget=1000))

    async def consume_from_many_tasks() -> None:
        async with create_adapter(url) as adapter:
            await asyncio.gather(*(consume_and_read_then_write(adapter) for _ in range(20)))

    async def consume_and_read_then_write(adapter: StorageAdapter) -> None:
        await adapter.consume_budget("p", 1)
        async with adapter.transaction() as transaction:
            pool = await transaction.get_budget_pool("p")
            await transaction.update_budget_pool("p", used_budget=pool.used_budget + 1)

    await asyncio.gather(*(in_a_thread(consume_from_many_tasks) for _ in range(4)))
    pool = await storage.get_budget_pool("p")
    assert pool is not None
    assert pool.used_budget == 4 * 20 * 2


async def test_one_adapter_serves_the_event_loops_of_several_threads(storage: StorageAdapter):
    async def save(id: str) -> None:
        async with storage.transaction() as transaction:
            await transaction.save_workflow(a_workflow(id))

    await asyncio.gather(*(in_a_thread(save, str(number)) for number in range(4)))
    assert await storage.count_workflows() == 4


async def test_a_transaction_whose_event_loop_is_blocked_times_out(storage: StorageAdapter, url: str):
    has_begun, may_go_on = threading.Event(), threading.Event()

    async def hold_on() -> TransactionOutcome | None:
        async with create_adapter(url) as adapter:
            transaction = await adapter.begin_transaction(timeout=SOON_S)
            await transaction.save_workflow(a_workflow("held"))
            has_begun.set()
            may_go_on.wait(PATIENCE_S)
            with pytest.raises(TransactionError, match="open for longer than"):
                await transaction.commit()
            return transaction.outcome

    holding = asyncio.create_task(in_a_thread(hold_on))
    await asyncio.to_thread(has_begun.wait, PATIENCE_S)
    await asyncio.wait_for(storage.save_workflow(a_workflow("waited")), PATIENCE_S)
    may_go_on.set()
    assert await holding is TransactionOutcome.TIMED_OUT
    assert [workflow.id for workflow in await storage.list_workflows()] == ["waited"]


async def test_a_transaction_whose_event_loop_is_closed_times_out(storage: StorageAdapter, url: str):
    adapter = create_adapter(url)

    async def begin_and_forget() -> None:
        await adapter.initialize()
        await adapter.begin_transaction(timeout=SOON_S)

    await in_a_thread(begin_and_forget)
    await asyncio.wait_for(storage.save_workflow(a_workflow("waited")), PATIENCE_S)
    await adapter.close()


async def test_every_waiting_writer_notices_each_transaction_that_times_out(storage: StorageAdapter, url: str):
    adapters = []

    async def begin_and_forget() -> None:
        adapter = create_adapter(url)
        adapters.append(adapter)
        await adapter.initialize()
        await adapter.begin_transaction(timeout=SOON_S)

    saves = (storage.save_workflow(a_workflow(str(number))) for number in range(3))
    tasks = [asyncio.create_task(each) for save in saves for each in (begin_and_forget(), begin_and_forget(), save)]
    await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
    assert await storage.count_workflows() == 3
    for adapter in adapters:
        await adapter.close()


async def test_the_timeout_of_a_transaction_starts_when_it_gets_the_lock(storage: StorageAdapter, url: str):
    async with create_adapter(url) as other:
        forgotten = await other.begin_transaction(timeout=SOON_S)
        async with storage.transaction(timeout=PATIENCE_S) as transaction:
            await transaction.save_workflow(a_workflow("w"))
        assert forgotten.outcome is TransactionOutcome.TIMED_OUT
    assert await storage.count_workflows() == 1


async def test_a_transaction_may_stay_open_for_ever(storage: StorageAdapter):
    async with storage.transaction(timeout=float("inf")) as transaction:
        (task,) = await start(storage.save_workflow(a_workflow("later")))
        await transaction.save_workflow(a_workflow("w"))
    await asyncio.wait_for(task, PATIENCE_S)
    assert await storage.count_workflows() == 2


async def test_closing_waits_for_writes_that_wait_for_another_adapters_transaction(storage: StorageAdapter, url: str):
    async with create_adapter(url) as other:
        holding = await other.begin_transaction()
        saving, beginning = await start(storage.save_workflow(a_workflow("w")), storage.begin_transaction())
        (closing,) = await start(storage.close())
        assert not closing.done()
        await holding.commit()
        await asyncio.wait_for(closing, PATIENCE_S)
        assert saving.done()
        with pytest.raises(AdapterClosedError):
            await beginning
        assert await other.get_workflow("w") is not None
        await other.save_workflow(a_workflow("next"))


async def test_closing_an_idle_adapter_does_not_wait_for_another_adapters_transaction(
    storage: StorageAdapter, url: str
):
    async with create_adapter(url) as other, other.transaction():
        await asyncio.wait_for(storage.close(), PATIENCE_S)


async def test_each_call_lets_other_tasks_run(storage: StorageAdapter):
    (other,) = await start(asyncio.sleep(0))
    for _ in range(10):
        await storage.get_workflow("w")
    assert other.done()
