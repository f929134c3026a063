"""Closing finishes accepted calls and rolls back open transactions; calls on an adapter that is not open raise."""

import asyncio
from typing import Any

import pytest

from aaow_storage import (
    AdapterClosedError,
    Capability,
    StorageAdapter,
    StorageError,
    StorageOperations,
    StoredWorkflow,
    Transaction,
    TransactionError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import STREAM_ID, fill_store
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.refusals import check_closed, check_over
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S


class ClosingTests:
    """Calls before the adapter is open, while it closes, and after."""

    @clause("LIF-2")
    async def test_every_call_before_initialize_raises(self, store: Store) -> None:
        adapter = store.adapter()
        await check_closed(adapter)
        await adapter.initialize()
        assert not any((await everything_in(adapter, streams=[STREAM_ID])).values())

    @clause("LIF-2")
    async def test_every_call_after_close_raises_and_changes_nothing(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        before = await fill_store(adapter)
        await adapter.close()
        await check_closed(adapter)
        assert_identical(await everything_in(storage, streams=[STREAM_ID]), before)

    @clause("LIF-2")
    async def test_closing_what_is_not_open_does_nothing(self, store: Store) -> None:
        adapter = store.adapter()
        for _ in range(2):
            await adapter.close()
        await check_closed(adapter)
        await adapter.initialize()
        await samples.stored_workflow(adapter)
        for _ in range(3):
            await adapter.close()
        await check_closed(adapter)

    @clause("LIF-2")
    async def test_one_close_ends_any_number_of_initializes(self, store: Store) -> None:
        adapter = store.adapter()
        for _ in range(3):
            await adapter.initialize()
        await adapter.close()
        await check_closed(adapter)

    @clause("LIF-2")
    async def test_many_tasks_may_close_at_once(self, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        await samples.stored_workflow(adapter)
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*(adapter.close() for _ in range(10)))
        await check_closed(adapter)

    @clause("LIF-2")
    async def test_opening_and_closing_at_once_ends_in_one_or_the_other(self, store: Store) -> None:
        adapter = store.adapter()
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*(adapter.close() if turn % 2 else adapter.initialize() for turn in range(10)))
        await adapter.initialize()
        await samples.stored_workflow(adapter)
        await adapter.close()
        await check_closed(adapter)

    @clause("LIF-2")
    async def test_calls_that_began_before_closing_are_finished(self, storage: StorageAdapter, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        workflows = [samples.a_workflow() for _ in range(50)]
        saving = [asyncio.create_task(adapter.save_workflow(workflow)) for workflow in workflows]
        await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            await adapter.close()
            await asyncio.gather(*saving)
        assert_identical(await storage.list_workflows(), workflows)
        await check_closed(adapter)

    @clause("LIF-2")
    @pytest.mark.parametrize("turns", [0, 1, 2, 5])
    async def test_a_call_beside_closing_is_stored_or_refused(
        self, storage: StorageAdapter, store: Store, turns: int
    ) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        ids = [f"{number:02}" for number in range(60)]
        tasks = {}
        for number, name in enumerate(ids):
            tasks[name] = asyncio.create_task(_save(adapter, name))
            if number == 30:
                closing = asyncio.create_task(adapter.close())
            if number % 10 == 0:
                for _ in range(turns):
                    await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            await closing
            was_saved = {name: await _succeeds(task, AdapterClosedError) for name, task in tasks.items()}
        assert await subprocess_functions.workflow_ids(storage) == [name for name in ids if was_saved[name]]

    @clause("LIF-2")
    async def test_a_read_beside_closing_is_whole_or_refused(self, storage: StorageAdapter, store: Store) -> None:
        await samples.stored_workflow(storage, id="stored")
        adapter = store.adapter()
        await adapter.initialize()
        reading = [asyncio.create_task(subprocess_functions.workflow_ids(adapter)) for _ in range(30)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(adapter.close())
        reading += [asyncio.create_task(subprocess_functions.workflow_ids(adapter)) for _ in range(30)]
        async with asyncio.timeout(SOON_S):
            await closing
            found = [task.result() for task in reading if await _succeeds(task, AdapterClosedError)]
        assert found[:30] == [["stored"]] * 30
        assert all(ids == ["stored"] for ids in found)

    @clause("LIF-2")
    @requires(Capability.WRITERS_WAIT)
    async def test_closing_waits_for_what_another_adapter_holds_up(self, storage: StorageAdapter, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        async with storage.transaction() as transaction:
            await samples.stored_workflow(transaction, id="first")
            saving = asyncio.create_task(_save(adapter, "first"))
            await asyncio.sleep(0)
            closing = asyncio.create_task(adapter.close())
            for _ in range(20):
                assert await subprocess_functions.workflow_ids(transaction) == ["first"]
            assert saving.done() or not closing.done()
        async with asyncio.timeout(SOON_S):
            saved, _ = await asyncio.gather(saving, closing)
        assert_identical(await storage.list_workflows(), [saved])

    @clause("LIF-2", "TXN-3")
    async def test_closing_rolls_back_open_transactions(self, storage: StorageAdapter, store: Store) -> None:
        before = await fill_store(storage)
        adapter = store.adapter()
        await adapter.initialize()
        transaction = await adapter.begin_transaction()
        await samples.stored_workflow(transaction)
        await transaction.delete_session(before["sessions"][0].id)
        await adapter.close()
        await check_over(transaction)
        await check_closed(adapter)
        assert_identical(await everything_in(storage, streams=[STREAM_ID]), before)
        async with asyncio.timeout(SOON_S):
            await samples.stored_workflow(storage)

    @clause("LIF-2", "TXN-1")
    @pytest.mark.parametrize("has_savepoint", [False, True], ids=["transaction", "savepoint"])
    async def test_a_block_whose_adapter_was_closed_does_not_pass_for_committed(
        self, storage: StorageAdapter, store: Store, has_savepoint: bool
    ) -> None:
        async def work(adapter: StorageAdapter) -> None:
            async with adapter.transaction() as transaction:
                await samples.stored_workflow(transaction)
                if has_savepoint:
                    async with transaction.savepoint():
                        await adapter.close()
                await adapter.close()

        async with store.open() as adapter:
            with pytest.raises(TransactionError):
                await work(adapter)
        assert await storage.list_workflows() == []

    @clause("LIF-2")
    async def test_a_transaction_that_begins_beside_closing_ends_with_it(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        async with storage.transaction():
            beginning = start_in_fresh_context(adapter.begin_transaction())
            await asyncio.sleep(0)
            closing = asyncio.create_task(adapter.close())
            await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            await closing
            if await _succeeds(beginning, *_OVER):
                await check_over(beginning.result())
            await samples.stored_workflow(storage)

    @clause("LIF-2")
    async def test_closing_leaves_nobody_waiting(self, storage: StorageAdapter, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        holding = await adapter.begin_transaction()
        await samples.stored_workflow(holding, id="held")
        transactions = {f"in {n}": start_in_fresh_context(_save_in_transaction(adapter, f"in {n}")) for n in range(3)}
        saves = {f"out {n}": start_in_fresh_context(_save(adapter, f"out {n}")) for n in range(3)}
        await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            await asyncio.create_task(adapter.close())
            await asyncio.gather(*saves.values())
            committed = [name for name, task in transactions.items() if await _succeeds(task, *_OVER)]
        await check_over(holding)
        assert await subprocess_functions.workflow_ids(storage) == [*committed, *saves]

    @clause("LIF-2")
    async def test_closing_one_adapter_leaves_the_others_open(self, storage: StorageAdapter, store: Store) -> None:
        async with storage.transaction() as transaction:
            await samples.stored_workflow(transaction, id="kept")
            async with store.open() as other:
                assert await subprocess_functions.workflow_ids(other) == []
            await samples.stored_workflow(transaction, id="kept too")
        await samples.stored_session(storage)
        assert await subprocess_functions.workflow_ids(storage) == ["kept", "kept too"]

    @clause("LIF-2", "LIF-3")
    async def test_an_adapter_works_again_after_closing_and_its_old_transactions_do_not(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        adapter = store.adapter()
        old: list[Transaction] = []
        for turn in range(3):
            await adapter.initialize()
            await samples.stored_workflow(adapter, id=f"{turn} saved")
            await _save_in_transaction(adapter, f"{turn} committed")
            for transaction in old:
                await check_over(transaction)
            old.append(await adapter.begin_transaction())
            await samples.stored_workflow(old[-1])
            await adapter.close()
        ids = [f"{turn} {word}" for turn in range(3) for word in ("committed", "saved")]
        assert await subprocess_functions.workflow_ids(storage) == ids

    @clause("LIF-2", "CON-2")
    @pytest.mark.parametrize("turns", [0, 1, 3])
    async def test_closing_that_was_cancelled_can_be_repeated(
        self, storage: StorageAdapter, store: Store, turns: int
    ) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        await samples.stored_workflow(adapter, id="stored")
        closing = asyncio.create_task(adapter.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        async with asyncio.timeout(SOON_S):
            await adapter.close()
        await check_closed(adapter)
        assert await subprocess_functions.workflow_ids(storage) == ["stored"]


_OVER = (AdapterClosedError, TransactionError)


async def _save(storage: StorageOperations, id: str) -> StoredWorkflow:
    return await samples.stored_workflow(storage, id=id)


async def _save_in_transaction(storage: StorageAdapter, id: str) -> None:
    async with storage.transaction() as transaction:
        await samples.stored_workflow(transaction, id=id)


async def _succeeds(task: asyncio.Task[Any], *refusals: type[StorageError]) -> bool:
    """Wait for a task; return whether it succeeded rather than raised one of the refusals."""
    try:
        await task
    except refusals:
        return False
    return True
