"""Cancellation at every await point: the operation happens whole or not at all, and no lock is kept."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from aaow_storage import Capability, ConflictError, StorageAdapter, StorageOperations, Transaction, TransactionOutcome
from aaow_storage_conformance._contract import clause, requires, since
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import STREAM_OPERATIONS, Call, calls_with
from aaow_storage_conformance.data.steps import READS
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.cancellation_points import (
    DELAYS_S,
    LATER_WRITES,
    MAX_WAITS,
    WRITES,
    Scenario,
    possible_outcomes,
    run_cancelled_at,
    wait_until_done,
)
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.leaks import find_leaks, open_resources
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import CANCELLED_WITHIN_S

TOGETHER = ("save_workflow", "create_session", "save_execution_state", "consume_budget")
"""The operations of the transactions in these tests."""
each_write = pytest.mark.parametrize(
    "operation",
    [
        pytest.param(
            name,
            marks=(
                *((requires(Capability.STREAM_EVENTS),) if name in STREAM_OPERATIONS else ()),
                *((since("1.1"),) if name in LATER_WRITES else ()),
            ),
        )
        for name in (*WRITES, *LATER_WRITES)
    ],
)


class CancellationTests:
    """Cancelled tasks, and what they leave behind."""

    @each_write
    @clause("CON-2", "OPS-6")
    async def test_an_operation_cancelled_wherever_it_waits_happens_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store, operation: str
    ) -> None:
        async with store.open() as other:
            scenario = Scenario(storage, other)
            await scenario.set_up()
            for at in range(MAX_WAITS):
                call = scenario.call(operation)
                task, was_reached = await run_cancelled_at(lambda: call.on(storage), at)  # noqa: B023 - awaited here
                what = f"{operation}() cancelled at await point {at}"
                if await scenario.check(what, *possible_outcomes(task, [call])):
                    await scenario.set_up()
                if not was_reached:
                    break

    @each_write
    @clause("CON-2", "OPS-6")
    async def test_an_operation_that_runs_out_of_time_happens_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store, operation: str
    ) -> None:
        async def hurry(call: Call, delay_s: float) -> None:
            async with asyncio.timeout(delay_s):
                await call.on(storage)

        async with store.open() as other:
            scenario = Scenario(storage, other)
            await scenario.set_up()
            for delay_s in DELAYS_S:
                call = scenario.call(operation)
                alternatives = [[call]]
                try:
                    await hurry(call, delay_s)
                except TimeoutError:
                    alternatives.append([])
                if await scenario.check(f"{operation}() with a timeout of {delay_s:g} s", *alternatives):
                    await scenario.set_up()

    @clause("CON-2", "OPS-6")
    async def test_an_operation_cancelled_again_and_again_happens_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            scenario = Scenario(storage, other)
            for turns in (0, 1, 2, 5, 20):
                await scenario.set_up()
                call = scenario.call("save_execution_state")
                task = asyncio.create_task(_make_call(call, storage))
                for turn in itertools.count():
                    await asyncio.sleep(0)
                    if task.done():
                        break
                    if turn >= turns:
                        task.cancel()
                await wait_until_done(task)
                await scenario.check(
                    f"save_execution_state() cancelled at each turn of the loop from {turns} on",
                    *possible_outcomes(task, [call]),
                )

    @clause("CON-2", "OPS-6")
    async def test_the_siblings_of_a_task_that_fails_happen_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def save_together(calls: Sequence[Call]) -> None:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(_make_call(call, storage))
                for _ in range(3):
                    await asyncio.sleep(0)
                raise ZeroDivisionError

        async with store.open() as other:
            saved = {f"{number:02}": samples.a_workflow(id=f"{number:02}") for number in range(50)}
            with pytest.raises(ExceptionGroup) as caught:
                await save_together([Call("save_workflow", (workflow,)) for workflow in saved.values()])
            assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
            found = await storage.list_workflows()
            async with asyncio.timeout(CANCELLED_WITHIN_S):
                await samples.stored_workflow(other, id="barrier")
            assert await subprocess_functions.workflow_ids(storage) == [*(workflow.id for workflow in found), "barrier"]
            assert all(saved[workflow.id] == workflow for workflow in found)

    @clause("CON-2")
    async def test_reads_that_are_cancelled_leave_the_adapter_able_to_read(self, storage: StorageAdapter) -> None:
        await samples.stored_workflow(storage, id="w")
        reads = [call for call in calls_with(storage.capabilities) if call.name.startswith(READS)]
        for call in reads:
            for at in range(MAX_WAITS):
                _, was_reached = await run_cancelled_at(lambda: call.on(storage), at)  # noqa: B023 - awaited here
                if not was_reached:
                    break
        tasks = [asyncio.create_task(_make_call(call, storage)) for call in reads * 4]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await wait_until_done(*tasks)
        async with asyncio.timeout(CANCELLED_WITHIN_S):
            assert (
                await asyncio.gather(*(subprocess_functions.workflow_ids(storage) for _ in range(20))) == [["w"]] * 20
            )

    @clause("CON-2", "TXN-1")
    async def test_a_block_cancelled_wherever_it_waits_is_committed_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            scenario = Scenario(storage, other)
            await scenario.set_up()
            cancelled = []
            for at in range(MAX_WAITS):
                calls = [scenario.call(operation) for operation in TOGETHER]
                task, was_reached = await run_cancelled_at(lambda: _make_calls_in_a_block(storage, calls), at)  # noqa: B023 - awaited here
                cancelled.append(task.cancelled())
                if await scenario.check(
                    f"transaction block cancelled at await point {at}", *possible_outcomes(task, calls)
                ):
                    await scenario.set_up()
                if not was_reached:
                    break
            assert any(cancelled)
            assert not cancelled[-1]

    @clause("CON-2", "TXN-1")
    async def test_a_commit_cancelled_wherever_it_waits_is_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            scenario = Scenario(storage, other)
            await scenario.set_up()
            for at in range(MAX_WAITS):
                calls = [scenario.call(operation) for operation in TOGETHER]
                transaction = await storage.begin_transaction()
                for call in calls:
                    await call.on(transaction)
                task, was_reached = await run_cancelled_at(transaction.commit, at)
                outcome = transaction.outcome
                if outcome is None:
                    await transaction.rollback()
                was_committed = await scenario.check(
                    f"commit() cancelled at await point {at}", *possible_outcomes(task, calls)
                )
                assert was_committed == (outcome is TransactionOutcome.COMMITTED)
                if was_committed:
                    await scenario.set_up()
                if not was_reached:
                    break

    @clause("CON-2", "TXN-4", "TXN-5")
    @pytest.mark.parametrize("has_savepoint", [False, True], ids=["operation", "savepoint"])
    async def test_a_part_of_a_transaction_cancelled_wherever_it_waits_leaves_the_rest_usable(
        self, storage: StorageAdapter, store: Store, has_savepoint: bool
    ) -> None:
        async with store.open() as other:
            scenario = Scenario(storage, other)
            for at in range(MAX_WAITS):
                await scenario.set_up()
                part = [scenario.call("save_execution_state")] + [scenario.call("consume_budget")] * has_savepoint
                rest = [scenario.call("create_budget_pool")]
                async with storage.transaction() as transaction:
                    work = _make_calls_in_a_savepoint if has_savepoint else _make_calls
                    task, was_reached = await run_cancelled_at(lambda: work(transaction, part), at)  # noqa: B023 - awaited here
                    await _make_calls(transaction, rest)
                await scenario.check(
                    f"part of a transaction cancelled at await point {at}", *possible_outcomes(task, part, rest)
                )
                if not was_reached:
                    break

    @clause("CON-2", "TXN-6")
    async def test_a_task_cancelled_while_it_begins_a_transaction_holds_none(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def begin() -> Transaction:
            try:
                return await storage.begin_transaction()
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()  # type: ignore[union-attr]  # this is a task
                await samples.stored_workflow(storage, id="not refused")
                raise

        async with store.open() as other:
            for at in range(MAX_WAITS):
                task, was_reached = await run_cancelled_at(begin, at)
                if not task.cancelled():
                    await task.result().rollback()
                async with asyncio.timeout(CANCELLED_WITHIN_S):
                    await samples.stored_workflow(other, id=f"{at:03} other")
                    await samples.stored_workflow(storage, id=f"{at:03} same")
                if not was_reached:
                    break
            else:
                pytest.fail(f"begin_transaction() does not end: it still waits at await point {MAX_WAITS}")

    @clause("CON-2")
    @requires(Capability.WRITERS_WAIT)
    async def test_tasks_cancelled_in_the_line_behind_a_transaction_never_write(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            async with storage.transaction() as transaction:
                await samples.stored_workflow(transaction, id="held")
                waiting = [
                    start_in_fresh_context(
                        work(adapter, [Call("save_workflow", (samples.a_workflow(id="held", name="cancelled"),))])
                    )
                    for work in (_make_calls, _make_calls_in_a_block)
                    for adapter in (storage, other) * 3
                ]
                for _ in range(20):
                    await other.count_workflows()
                for task in waiting:
                    task.cancel()
                await wait_until_done(*waiting)
                assert all(task.cancelled() for task in waiting)
                await samples.stored_workflow(transaction, id="held too")
            found = await subprocess_functions.workflow_ids(storage)
            assert [workflow.name for workflow in await storage.list_workflows()].count("cancelled") == 0
            async with asyncio.timeout(CANCELLED_WITHIN_S):
                for number, adapter in enumerate((other, storage)):
                    async with adapter.transaction() as following:
                        await samples.stored_workflow(following, id=f"later {number}")
            assert found == ["held", "held too"]
            assert await subprocess_functions.workflow_ids(other) == [*found, "later 0", "later 1"]

    @clause("CON-2")
    @requires(Capability.WRITERS_WAIT)
    async def test_those_behind_a_task_cancelled_in_the_line_get_their_turn(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            async with storage.transaction() as transaction:
                await samples.stored_workflow(transaction, id="held")
                tasks = {
                    f"{number:02}": start_in_fresh_context(
                        _save_in_a_block((storage, other)[number % 2], "held", f"{number:02}")
                    )
                    for number in range(20)
                }
                for _ in range(20):
                    await other.count_workflows()
                for name in ("00", "01", "05", "10", "19"):
                    tasks.pop(name).cancel()
            await wait_until_done(*tasks.values())
            assert await subprocess_functions.workflow_ids(storage) == [*tasks, "held"]

    @clause("CON-2", "LIF-2")
    async def test_cancelled_tasks_leave_no_task_and_no_thread_behind(self, store: Store) -> None:
        before = open_resources()
        async with store.open() as adapter:
            scenario = Scenario(adapter, adapter)
            await scenario.set_up()
            works: list[Callable[[], Awaitable[Any]]] = [
                adapter.list_workflows,
                lambda: _make_calls(adapter, [scenario.call("save_workflow")]),
                lambda: _make_calls_in_a_block_unless_they_conflict(
                    adapter, [scenario.call("save_workflow"), scenario.call("save_execution_state")]
                ),
            ]
            for at in range(20):
                for work in works:
                    await run_cancelled_at(work, at)
                tasks = [asyncio.create_task(_run_work(work)) for work in works * 4]
                for _ in range(at):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await wait_until_done(*tasks)
                assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await find_leaks(before, ()) == []


async def _run_work(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


async def _make_call(call: Call, storage: StorageOperations) -> Any:
    return await call.on(storage)


async def _make_calls(storage: StorageOperations, calls: Sequence[Call]) -> None:
    for call in calls:
        await call.on(storage)


async def _make_calls_in_a_block(storage: StorageAdapter, calls: Sequence[Call]) -> None:
    async with storage.transaction() as transaction:
        await asyncio.sleep(0)  # an await point even if the backend never waits
        await _make_calls(transaction, calls)


async def _make_calls_in_a_block_unless_they_conflict(storage: StorageAdapter, calls: Sequence[Call]) -> None:
    with suppress(ConflictError):
        await _make_calls_in_a_block(storage, calls)


async def _make_calls_in_a_savepoint(transaction: Transaction, calls: Sequence[Call]) -> None:
    async with transaction.savepoint():
        await _make_calls(transaction, calls)


async def _save_in_a_block(storage: StorageAdapter, *ids: str) -> None:
    await _make_calls_in_a_block(storage, [Call("save_workflow", (samples.a_workflow(id=each),)) for each in ids])
