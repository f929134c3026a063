"""Lifecycle: initializing a store, opening it again, and finding what was stored."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Capability, SchemaVersionError, StorageAdapter
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import KINDS, STREAM_ID, Kind, each, fill_store, prepare
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.refusals import check_closed, check_over
from aaow_storage_conformance.harness.stop import Stop
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S


class LifecycleTests:
    """`initialize`, adapter blocks, and stores that are opened again."""

    @clause("LIF-1")
    async def test_initializing_again_keeps_everything(self, store: Store) -> None:
        adapters = [store.adapter() for _ in range(3)]
        for number, adapter in enumerate(adapters):
            for _ in range(2):
                await adapter.initialize()
            await samples.stored_workflow(adapter, id=f"{number}")
        for adapter in adapters:
            await adapter.initialize()
            assert await subprocess_functions.workflow_ids(adapter) == ["0", "1", "2"]

    @clause("LIF-1", "TXN-6")
    async def test_initializing_beside_an_open_transaction_leaves_it_open(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with storage.transaction() as transaction:
            await samples.stored_workflow(transaction, id="first")
            await storage.initialize()
            async with asyncio.timeout(SOON_S), store.open() as other:
                assert await subprocess_functions.workflow_ids(other) == []
            assert transaction.outcome is None
            await samples.stored_workflow(transaction, id="second")
        assert await subprocess_functions.workflow_ids(storage) == ["first", "second"]

    @clause("LIF-1")
    async def test_many_tasks_that_initialize_one_adapter_at_once_find_it_open(self, store: Store) -> None:
        adapter = store.adapter()
        await asyncio.gather(*(_initialize_and_save(adapter, f"{number:02}") for number in range(20)))
        assert await subprocess_functions.workflow_ids(adapter) == [f"{number:02}" for number in range(20)]
        await adapter.close()
        await check_closed(adapter)

    @clause("LIF-1")
    async def test_many_adapters_initialize_an_empty_store_at_once(self, store: Store) -> None:
        adapters = [store.adapter() for _ in range(8)]
        await asyncio.gather(*(_initialize_and_save(adapter, f"{n}") for n, adapter in enumerate(adapters)))
        for adapter in adapters:
            assert await subprocess_functions.workflow_ids(adapter) == [f"{number}" for number in range(8)]

    @clause("LIF-1")
    @requires(Capability.DURABLE)
    async def test_four_processes_initialize_an_empty_store_at_once(self, store: Store, tmp_path: Path) -> None:
        starts = [Barrier(tmp_path, number, 4) for number in range(4)]
        await asyncio.gather(*(store.run_in_subprocess(_save_at_once, start, f"{n}") for n, start in enumerate(starts)))
        async with store.open() as storage:
            assert await subprocess_functions.workflow_ids(storage) == ["0", "1", "2", "3"]

    @clause("LIF-1")
    async def test_a_store_that_is_up_to_date_opens_without_migrating(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_workflow(storage, id="old")
        adapter = store.adapter()
        for _ in range(2):
            await adapter.initialize(migrate=False)
        await samples.stored_workflow(adapter, id="new")
        assert (
            await subprocess_functions.workflow_ids(storage)
            == await subprocess_functions.workflow_ids(adapter)
            == ["new", "old"]
        )

    @clause("LIF-1")
    @requires(Capability.DURABLE)
    async def test_an_empty_store_is_refused_where_it_may_not_be_migrated(self, store: Store) -> None:
        for _ in range(2):
            with pytest.raises(SchemaVersionError):
                await store.adapter().initialize(migrate=False)

    @clause("LIF-1")
    async def test_a_refused_store_stays_as_it_was_and_the_error_says_what_to_run(self, store: Store) -> None:
        """A backend without a schema has nothing to migrate, and may open the store instead."""
        adapter = store.adapter()
        error = await _refusal_of(adapter)
        if error is not None:
            assert error.found is None
            assert error.expected
            assert "initialize" in error.remedy or "migrat" in error.remedy
            assert error.remedy in str(error)
            await check_closed(adapter)
            again = await _refusal_of(adapter)
            assert again is not None
            assert again.args == error.args
            await adapter.initialize()
            await store.adapter().initialize(migrate=False)
        assert not any((await everything_in(adapter, streams=[STREAM_ID])).values())
        await samples.stored_workflow(adapter)

    @clause("LIF-1", "CON-2")
    @pytest.mark.parametrize("turns", [0, 1, 3, 10])
    async def test_initializing_that_was_cancelled_can_be_repeated(self, store: Store, turns: int) -> None:
        adapter = store.adapter()
        initializing = asyncio.create_task(adapter.initialize())
        for _ in range(turns):
            await asyncio.sleep(0)
        initializing.cancel()
        await asyncio.wait([initializing])
        await adapter.initialize()
        await samples.stored_workflow(adapter, id="usable")
        async with store.open() as other:
            assert await subprocess_functions.workflow_ids(other) == ["usable"]

    @clause("LIF-1", "CON-2")
    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_initializing_that_was_cancelled_leaves_the_adapter_closed_however_often(
        self, store: Store, times: int
    ) -> None:
        adapter = store.adapter()
        for turns in (0, 1, 2, 3, 10, 100):
            initializing = asyncio.create_task(adapter.initialize())
            for _ in range(turns):
                await asyncio.sleep(0)
            if not initializing.cancel():  # it was done already
                await initializing
                await adapter.close()
                continue
            for _ in range(1, times):
                await asyncio.sleep(0)
                initializing.cancel()
            ended, _ = await asyncio.wait([initializing], timeout=SOON_S)
            assert ended, f"initialize() was cancelled {times} times, and still waits after {SOON_S:g} s"
            assert initializing.cancelled()
            await check_closed(adapter)
        await adapter.initialize()
        await samples.stored_workflow(adapter, id="usable")
        assert await subprocess_functions.workflow_ids(adapter) == ["usable"]

    @clause("LIF-4")
    async def test_a_block_holds_the_adapter_itself_open_and_closes_it(self, store: Store) -> None:
        adapter = store.adapter()
        async with adapter as entered:
            assert entered is adapter
            await samples.stored_workflow(adapter)
        await check_closed(adapter)

    @clause("LIF-4")
    async def test_an_error_passes_through_a_block_unchanged_and_closes_the_adapter(self, store: Store) -> None:
        error = Stop()

        async def fail(adapter: StorageAdapter) -> None:
            async with adapter:
                raise error

        adapter = store.adapter()
        with pytest.raises(Stop) as caught:
            await fail(adapter)
        assert caught.value is error
        assert (error.__cause__, error.__context__) == (None, None)
        await check_closed(adapter)

    @clause("LIF-4", "CON-2")
    async def test_a_block_that_is_cancelled_closes_the_adapter(self, store: Store) -> None:
        adapter = store.adapter()
        is_inside = asyncio.Event()

        async def work() -> None:
            async with adapter:
                is_inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await is_inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await check_closed(adapter)

    @clause("LIF-4")
    async def test_a_block_that_its_adapter_was_opened_or_closed_around_closes_it(self, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        async with adapter:
            await samples.stored_workflow(adapter)
        await check_closed(adapter)
        async with adapter:
            await adapter.close()
        await check_closed(adapter)

    @clause("LIF-4", "LIF-2")
    async def test_a_block_rolls_back_the_transactions_that_it_left_open(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.adapter() as adapter:
            transaction = await adapter.begin_transaction()
            await samples.stored_workflow(transaction)
        await check_over(transaction)
        assert await storage.list_workflows() == []

    @each(KINDS)
    @clause("LIF-3")
    async def test_a_record_is_found_when_its_adapter_is_closed_and_opened_again(
        self, storage: StorageAdapter, store: Store, kind: Kind
    ) -> None:
        adapter = store.adapter()
        async with adapter:
            await prepare(adapter)
            record = kind.make()
            await kind.store(adapter, record)
        assert_identical(await kind.find(storage, record), record)
        async with adapter:
            assert_identical(await kind.find(adapter, record), record)
        async with store.open() as other:
            assert_identical(await kind.find(other, record), record)

    @clause("LIF-3")
    async def test_what_others_changed_while_an_adapter_was_closed_is_found(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        adapter = store.adapter()
        async with adapter:
            before = await fill_store(adapter)
            workflow, session, pool = (before[kind][0].id for kind in ("workflows", "sessions", "budget_pools"))
            assert_identical(await adapter.get_workflow(workflow), before["workflows"][0])
            assert_identical(await adapter.get_session(session), before["sessions"][0])
        async with store.open() as other:
            await other.update_workflow(workflow, name="renamed")
            await other.delete_session(session)
        await storage.update_budget_pool(pool, metadata=None)
        await samples.stored_session(storage)
        async with adapter:
            assert getattr(await adapter.get_workflow(workflow), "name", None) == "renamed"
            assert await adapter.get_session(session) is None
            after = await everything_in(storage, streams=[STREAM_ID])
            assert_identical(await everything_in(adapter, streams=[STREAM_ID]), after)

    @clause("LIF-3", "OPS-7")
    @requires(Capability.DURABLE)
    async def test_a_durable_store_keeps_everything_while_nobody_has_it_open(self, store: Store) -> None:
        adapter = store.adapter()
        async with adapter:
            stored = await fill_store(adapter)
            transaction = await adapter.begin_transaction()
            await samples.stored_workflow(transaction)
        for _ in range(2):
            async with store.open() as other:
                assert_identical(await everything_in(other, streams=[STREAM_ID]), stored)
        async with adapter:
            assert_identical(await everything_in(adapter, streams=[STREAM_ID]), stored)

    @clause("LIF-3", "OPS-7")
    @requires(Capability.DURABLE)
    async def test_another_process_finds_what_this_one_stored_and_the_other_way_round(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        stored_there = await store.run_in_subprocess(fill_store)
        assert_identical(await everything_in(storage, streams=[STREAM_ID]), stored_there)
        await samples.stored_session(storage)
        await storage.update_workflow(stored_there["workflows"][0].id, metadata=None)
        stored_here = await everything_in(storage, streams=[STREAM_ID])
        assert_identical(await store.run_in_subprocess(everything_in, streams=[STREAM_ID]), stored_here)


class Barrier:
    """A barrier in front of the store: it unpickles in a subprocess only when all subprocesses unpickle theirs."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self._place = (folder, number, count)

    def __reduce__(self) -> tuple[Any, ...]:
        return _wait_at_barrier, self._place


def _wait_at_barrier(folder: Path, number: int, count: int) -> Barrier:
    (folder / f"{number} is ready").touch()
    deadline = time.monotonic() + subprocess_functions.BARRIER_TIMEOUT_S
    while len(list(folder.glob("* is ready"))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"fewer than {count} processes came to the barrier in {folder} in time")
    return Barrier(folder, number, count)


async def _save_at_once(storage: StorageAdapter, start: Barrier, id: str) -> None:
    del start  # unpickling it was the wait
    await samples.stored_workflow(storage, id=id)


async def _initialize_and_save(adapter: StorageAdapter, id: str) -> None:
    await adapter.initialize()
    await samples.stored_workflow(adapter, id=id)


async def _refusal_of(adapter: StorageAdapter) -> SchemaVersionError | None:
    try:
        await adapter.initialize(migrate=False)
    except SchemaVersionError as error:
        return error
    return None
