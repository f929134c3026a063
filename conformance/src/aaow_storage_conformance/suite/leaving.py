"""Adapters that nothing closes: garbage-collected, or inherited by a forked process."""

import asyncio
import gc
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path

import pytest

from aaow_storage import AdapterClosedError, ApprovalRequest, Capability, StorageAdapter, TransactionError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import calls_with
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.leaks import find_leaks, open_resources, watched_folders
from aaow_storage_conformance.harness.refusals import check_closed, check_raises
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S, SOON_S

forks = pytest.mark.skipif(sys.platform != "linux", reason="forks a process with threads, which is safe on Linux only")


class LeavingTests:
    """A dropped adapter frees its resources; an inherited one refuses calls, and the parent's goes on."""

    @clause("LIF-2")
    async def test_an_adapter_that_is_dropped_while_it_is_open_is_released_and_says_so(
        self, store: Store, tmp_path: Path
    ) -> None:
        gc.collect()
        folders = watched_folders(store.url, tmp_path)
        before = open_resources(folders)
        assert await _resource_warnings_of(_open_and_drop(store)) == 1
        assert await find_leaks(before, folders) == []

    @clause("LIF-2")
    async def test_an_adapter_that_was_closed_is_dropped_without_a_word(self, store: Store) -> None:
        assert await _resource_warnings_of(_open_close_and_drop(store)) == 0

    @clause("CON-1")
    @forks
    async def test_an_adapter_that_was_open_when_the_process_was_forked_refuses_at_once(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage)

        async def in_child() -> None:
            await check_closed(storage)
            with pytest.raises(AdapterClosedError):
                await storage.initialize()
            for _ in range(2):
                await storage.close()
            with pytest.raises(AdapterClosedError):
                await storage.initialize()
            await check_closed(storage)

        await in_forked_process(in_child)
        assert await storage.get_workflow(workflow.id) == workflow
        await samples.stored_workflow(storage)

    @clause("CON-1")
    @forks
    async def test_a_transaction_that_was_open_when_the_process_was_forked_is_the_parents(
        self, storage: StorageAdapter
    ) -> None:
        tx = await storage.begin_transaction()
        workflow = await samples.stored_workflow(tx)

        async def in_child() -> None:
            for call in calls_with(storage.capabilities):
                await check_raises(TransactionError, f"{call.name}() on the parent's transaction", call.on, tx)
            for end in (tx.commit, tx.rollback):
                with pytest.raises(TransactionError):
                    await end()

        await in_forked_process(in_child)
        assert tx.outcome is None
        await tx.commit()
        assert await storage.get_workflow(workflow.id) == workflow

    @clause("CON-1")
    @forks
    async def test_a_forked_process_makes_adapters_of_its_own(self, storage: StorageAdapter, store: Store) -> None:
        workflow = await samples.stored_workflow(storage)
        own = samples.a_workflow()
        is_shared = Capability.DURABLE in store.capabilities

        async def in_child() -> None:
            async with Store(store.backend, store.url, store.options).open() as adapter:
                found = await adapter.list_workflows()
                assert [each.id for each in found] == ([workflow.id] if is_shared else [])
                await adapter.save_workflow(own)
                assert await adapter.get_workflow(own.id) == own

        await in_forked_process(in_child)
        expected = {workflow.id, own.id} if is_shared else {workflow.id}
        assert {each.id for each in await storage.list_workflows()} == expected

    @clause("CON-1", "APR-6")
    @forks
    async def test_a_fork_while_a_decision_is_waited_for_leaves_the_wait_to_the_parent(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_session(storage, id="s")
        for name in ("by the parent", "by the child"):
            await storage.create_approval_request(_a_pending_request(name))
        waiting = [start_in_fresh_context(storage.wait_for_approval(f"by the {who}")) for who in ("parent", "child")]
        await asyncio.sleep(0.02)
        is_shared = Capability.DURABLE in store.capabilities

        async def in_child() -> None:
            with pytest.raises(AdapterClosedError):
                await storage.wait_for_approval("by the parent")
            async with Store(store.backend, store.url, store.options).open() as own:
                if not is_shared:
                    await samples.stored_session(own, id="s")
                    await own.create_approval_request(_a_pending_request("by the child"))
                its = start_in_fresh_context(own.wait_for_approval("by the child"))
                await asyncio.sleep(0.02)
                await own.approve_request("by the child", "its child")
                assert (await asyncio.wait_for(its, SOON_S)).resolved_by == "its child"

        await in_forked_process(in_child)
        await storage.approve_request("by the parent", "ann")
        assert (await asyncio.wait_for(waiting[0], SOON_S)).resolved_by == "ann"
        if not is_shared:
            await storage.approve_request("by the child", "ann")
        by = "its child" if is_shared else "ann"
        assert (await asyncio.wait_for(waiting[1], SOON_S)).resolved_by == by

    @clause("CON-1", "CHG-4")
    @requires(Capability.CHANGES)
    @forks
    async def test_a_fork_while_changes_are_followed_leaves_the_followers_to_the_parent(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await storage.create_budget_pool(samples.a_pool(id="before"))
        begun, followed = storage.changes(), storage.changes()
        async with aclosing(begun), aclosing(followed), asyncio.timeout(SOON_S):
            assert (await anext(begun)).id == (await anext(followed)).id == "before"
            waiting = asyncio.ensure_future(anext(followed))
            await asyncio.sleep(0.02)

            async def in_child() -> None:
                with pytest.raises(AdapterClosedError):
                    await anext(storage.changes())
                with pytest.raises((AdapterClosedError, StopAsyncIteration)):
                    await anext(begun)
                async with Store(store.backend, store.url, store.options).open() as own, aclosing(own.changes()) as its:
                    await own.create_budget_pool(samples.a_pool(id="by the child"))
                    ids = [(await anext(its)).id]
                    while ids[-1] != "by the child":
                        ids.append((await anext(its)).id)

            await in_forked_process(in_child)
            await storage.create_budget_pool(samples.a_pool(id="by the parent"))
            new = ["by the child", "by the parent"] if Capability.DURABLE in store.capabilities else ["by the parent"]
            found = [(await waiting).id]
            found += [(await anext(followed)).id for _ in new[1:]]
            assert found == new == [(await anext(begun)).id for _ in new]


def _a_pending_request(id: str) -> ApprovalRequest:
    return samples.a_request(
        "s", id=id, status="pending", expires_at=None, resolved_at=None, resolved_by=None, resolution_notes=None
    )


async def _resource_warnings_of(leaving: Coroutine[None, None, None]) -> int:
    """Run a coroutine, collect garbage, and count the ResourceWarnings."""
    gc.collect()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        await asyncio.create_task(leaving)
        await asyncio.sleep(0)  # the loop drops its reference to the task
        gc.collect()
    return sum(issubclass(each.category, ResourceWarning) for each in heard)


async def _open_and_drop(store: Store) -> None:
    adapter = Store(store.backend, store.url, store.options).adapter()
    await adapter.initialize()
    await samples.stored_workflow(adapter)
    await adapter.list_workflows()


async def _open_close_and_drop(store: Store) -> None:
    async with Store(store.backend, store.url, store.options).adapter() as adapter:
        await samples.stored_workflow(adapter)


async def in_forked_process(function: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function in a forked process with a new event loop; fail if it fails."""
    with tempfile.TemporaryFile("w+") as problems:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is tested here
            process = os.fork()
        if not process:
            _exit_with(function, problems.fileno())
        status = os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, process, 0))[1])
        problems.seek(0)
        if status:
            pytest.fail(f"the forked process ended with status {status}, expected 0:\n{problems.read()}", pytrace=False)


def _exit_with(function: Callable[[], Awaitable[None]], problems: int) -> None:
    status = 1
    try:
        signal.alarm(int(MANY_END_WITHIN_S))
        asyncio.run(_in_time(function))
        status = 0
    except BaseException:  # noqa: BLE001 - the test must not go on in the child process
        os.write(problems, traceback.format_exc().encode())
    finally:
        os._exit(status)


async def _in_time(function: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(MANY_END_WITHIN_S / 2):
        await function()
