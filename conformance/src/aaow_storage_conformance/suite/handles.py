"""Reads through one handle show what was changed through another: no handle keeps a stale cache."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import pytest

from aaow_storage import Capability, StorageAdapter, StorageOperations
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data.contents import assert_identical, first_difference
from aaow_storage_conformance.data.steps import Step, in_groups, read_all, steps_for
from aaow_storage_conformance.harness.stop import Stop
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import ENDS_WITHIN_S

T = TypeVar("T")

PROCESSES = 3


class HandleTests:
    """Read through one handle, change through another, read again."""

    @clause("OPS-7", "CON-1")
    @pytest.mark.parametrize("other", ["same adapter", "another adapter", "another thread"])
    async def test_every_read_shows_each_change_that_another_handle_made(
        self, storage: StorageAdapter, store: Store, other: str
    ) -> None:
        async with _writer(other, storage, store) as change:
            await _check_each_change(storage, change)

    @clause("OPS-7", "CON-1")
    @requires(Capability.DURABLE)
    async def test_every_read_shows_the_changes_that_another_process_made(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        steps = steps_for(storage.capabilities)
        seen = await read_all(storage, storage.capabilities)
        for part in range(PROCESSES):
            first, last = part * len(steps) // PROCESSES, (part + 1) * len(steps) // PROCESSES
            read_there = await store.run_in_subprocess(take_steps, first, last)
            found = await read_all(storage, storage.capabilities)
            assert first_difference(found, seen) is not None
            assert_identical(found, read_there)
            seen = found

    @clause("TXN-2", "TXN-1")
    async def test_every_read_shows_each_change_of_a_transaction_when_it_was_committed_and_not_before(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            seen = await read_all(storage, storage.capabilities)
            for steps in in_groups(steps_for(storage.capabilities)):
                async with other.transaction() as transaction:
                    assert_identical(await read_all(transaction, other.capabilities), seen)
                    inside = await _take(transaction, steps, seen, storage.capabilities)
                    assert_identical(await read_all(storage, storage.capabilities), seen)
                for reader in (other, storage):
                    assert_identical(await read_all(reader, storage.capabilities), inside)
                seen = inside

    @clause("TXN-1", "TXN-4")
    async def test_no_read_shows_a_change_that_was_rolled_back(self, storage: StorageAdapter) -> None:
        seen = await read_all(storage, storage.capabilities)
        for steps in in_groups(steps_for(storage.capabilities)):
            transaction = await storage.begin_transaction()
            with suppress(Stop):
                async with transaction.savepoint():
                    await _take(transaction, steps, seen, storage.capabilities)
                    raise Stop
            assert_identical(await read_all(transaction, storage.capabilities), seen)
            await _take(transaction, steps, seen, storage.capabilities)
            await transaction.rollback()
            assert_identical(await read_all(storage, storage.capabilities), seen)
            seen = await _take(storage, steps, seen, storage.capabilities)

    @clause("LIF-3", "OPS-7")
    async def test_an_adapter_that_is_opened_again_reads_what_was_changed_meanwhile(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for steps in in_groups(steps_for(storage.capabilities)):
                await read_all(storage, storage.capabilities)
                await storage.close()
                for step in steps:
                    await step.change(other)
                await storage.initialize()
                assert_identical(
                    await read_all(storage, storage.capabilities), await read_all(other, other.capabilities)
                )


async def take_steps(storage: StorageAdapter, first: int, last: int) -> dict[str, Any]:
    """Take some of the steps, and return what all reads return then."""
    for step in steps_for(storage.capabilities)[first:last]:
        await step.change(storage)
    return await read_all(storage, storage.capabilities)


async def _check_each_change(storage: StorageAdapter, change: Callable[[Step], Awaitable[dict[str, Any]]]) -> None:
    """Check after each change that both handles read the same, and something else than before."""
    seen = await read_all(storage, storage.capabilities)
    for step in steps_for(storage.capabilities):
        read_there = await change(step)
        found = await read_all(storage, storage.capabilities)
        assert first_difference(found, seen) is not None, f"reads did not change after {step.name}"
        assert_identical(found, read_there)
        seen = found


async def _take(
    storage: StorageOperations, steps: list[Step], seen: dict[str, Any], capabilities: frozenset[Capability]
) -> dict[str, Any]:
    """Take the steps, and return what all reads return then; it must differ from `seen`."""
    for step in steps:
        await step.change(storage)
    found = await read_all(storage, capabilities)
    assert first_difference(found, seen) is not None, f"reads did not change after {[step.name for step in steps]}"
    return found


@asynccontextmanager
async def _writer(
    where: str, storage: StorageAdapter, store: Store
) -> AsyncIterator[Callable[[Step], Awaitable[dict[str, Any]]]]:
    """Yield a function that takes a step through another handle, and returns what it reads there then."""

    async def take(step: Step, writer: StorageAdapter) -> dict[str, Any]:
        await step.change(writer)
        return await read_all(writer, writer.capabilities)

    if where == "same adapter":
        yield lambda step: take(step, storage)
    elif where == "another adapter":
        async with store.open() as other:
            await read_all(other, other.capabilities)
            yield lambda step: take(step, other)
    else:
        async with _loop_of_a_thread() as run:
            other = store.adapter()
            await run(other.initialize())
            try:
                yield lambda step: run(take(step, other))
            finally:
                await run(other.close())


@asynccontextmanager
async def _loop_of_a_thread() -> AsyncIterator[Callable[[Coroutine[Any, Any, T]], Awaitable[T]]]:
    """Yield a function that runs coroutines in the event loop of another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the other loop", daemon=True)
    thread.start()

    async def run(coroutine: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, ENDS_WITHIN_S)
        loop.close()
