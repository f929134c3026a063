"""Isolation: what concurrent transactions and reads see, what waits for what, and for how long."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from aaow_storage import (
    Capability,
    ConflictError,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    Transaction,
    TransactionError,
    TransactionOutcome,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import calls_with
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.refusals import check_calls_raise, check_raises
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S

SHORT_S = 0.2


class IsolationTests:
    """What a transaction sees, and what other tasks and adapters see of it."""

    @clause("TXN-2")
    async def test_a_transaction_sees_its_own_writes_in_every_operation(self, storage: StorageAdapter) -> None:
        workflow, session = samples.a_workflow(), samples.a_session()
        pool, request = samples.a_pool(), samples.a_request(session.id)
        result = samples.a_result()
        async with storage.transaction() as transaction:
            await transaction.save_workflow(workflow)
            assert_identical(await transaction.get_workflow(workflow.id), workflow)
            assert_identical(await transaction.list_workflows(QueryFilter({"name": workflow.name})), [workflow])
            assert await transaction.count_workflows() == 1
            renamed = await transaction.update_workflow(workflow.id, name="renamed")
            assert_identical(await transaction.get_workflow(workflow.id), renamed)
            await transaction.create_session(session)
            assert await transaction.count_sessions() == 1
            state = samples.a_state(session.id)
            await transaction.save_execution_state(state)
            assert_identical(await transaction.get_execution_state(session.id), state)
            await transaction.save_llm_execution(session.id, "draft", result)
            log = await samples.stored_tool_call(transaction, result.id)
            assert_identical(await transaction.get_session_tool_calls(session.id), [log])
            await transaction.create_budget_pool(pool)
            spent = await transaction.consume_budget(pool.id, 1)
            assert_identical(await transaction.get_budget_pool(pool.id), spent)
            await transaction.create_approval_request(request)
            assert_identical(await transaction.list_pending_approvals(), [request])
            approved = await transaction.approve_request(request.id, "ann")
            assert_identical(await transaction.get_approval_request(request.id), approved)
            await transaction.delete_session(session.id)
            assert await transaction.get_llm_executions(session.id) == []

    @clause("TXN-2")
    async def test_nobody_else_sees_anything_before_the_commit_and_everybody_all_of_it_after(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        old = await samples.stored_workflow(storage)
        gone = await samples.stored_session(storage)
        async with store.open() as other:
            before = await everything_in(storage)
            async with storage.transaction() as transaction:
                await transaction.update_workflow(old.id, name="renamed")
                await transaction.delete_session(gone.id)
                await samples.stored_pool(transaction)
                async with transaction.savepoint():
                    await samples.stored_workflow(transaction)
                assert_identical(await _soon(everything_in(other)), before)
                assert_identical(await _soon(_in_another_task(everything_in(storage))), before)
                for reader in (storage, other):
                    assert await _soon(_in_another_task(reader.count_workflows())) == 1
                    assert await _soon(_in_another_task(reader.count_sessions())) == 1
                    assert_identical(await _soon(_in_another_task(reader.get_workflow(old.id))), old)
                    assert_identical(await _soon(_in_another_task(reader.get_session(gone.id))), gone)
                seen = await everything_in(transaction)
            assert_identical(await everything_in(other), seen)
            assert_identical(await everything_in(storage), seen)

    @clause("TXN-2")
    async def test_what_was_rolled_back_was_never_seen(self, storage: StorageAdapter, store: Store) -> None:
        async with store.open() as other:
            transaction = await storage.begin_transaction()
            await samples.stored_workflow(transaction)
            assert await _soon(other.list_workflows()) == []
            await transaction.rollback()
            assert await other.list_workflows() == []
            assert await storage.count_workflows() == 0

    @clause("TXN-2", "STA-2")
    async def test_readers_see_each_transaction_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        is_over = asyncio.Event()

        async def read(reader: StorageAdapter) -> None:
            while True:
                workflows = await reader.list_workflows()
                assert len(workflows) % 5 == 0
                assert len({workflow.version for workflow in workflows}) <= 1
                if is_over.is_set():
                    break
                await asyncio.sleep(0)

        async with store.open() as other:
            readers = [asyncio.create_task(read(reader)) for reader in (storage, other)]
            for turn in range(12):
                async with storage.transaction() as transaction:
                    for workflow in await transaction.list_workflows():
                        await transaction.update_workflow(workflow.id, version=str(turn))
                    for _ in range(5):
                        await samples.stored_workflow(transaction, version=str(turn))
                        await asyncio.sleep(0)
            is_over.set()
            await asyncio.gather(*readers)

    @clause("TXN-2", "TXN-6")
    @requires(Capability.DURABLE)
    async def test_another_process_reads_what_is_committed_while_a_transaction_is_open(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_workflow(storage, id="committed")
        async with storage.transaction() as transaction:
            await samples.stored_workflow(transaction, id="uncommitted")
            assert await store.run_in_subprocess(subprocess_functions.workflow_ids) == ["committed"]

    @clause("TXN-6")
    async def test_a_call_on_the_adapter_by_the_task_that_holds_its_transaction_is_refused_at_once(
        self, storage: StorageAdapter
    ) -> None:
        async with storage.transaction() as transaction:
            for call in calls_with(storage.capabilities):
                what = f"{call.name}() on the adapter by a task that holds a transaction"
                await check_raises(TransactionError, what, lambda: _soon(call.on(storage)))  # noqa: B023 - awaited here
            with pytest.raises(TransactionError):
                await _soon(storage.begin_transaction())
            with pytest.raises(TransactionError):
                async with asyncio.timeout(SOON_S), storage.transaction():
                    pytest.fail(
                        "transaction() by a task that holds one has to raise TransactionError; it began a second one"
                    )
            await samples.stored_workflow(transaction, id="inside")
        assert [workflow.id for workflow in await storage.list_workflows()] == ["inside"]
        assert await storage.list_sessions() == []

    @clause("TXN-6")
    @pytest.mark.parametrize("ending", ["commit", "rollback"])
    async def test_the_task_may_call_the_adapter_again_after_the_end(
        self, storage: StorageAdapter, ending: str
    ) -> None:
        transaction = await storage.begin_transaction()
        await getattr(transaction, ending)()
        workflow = await samples.stored_workflow(storage)
        assert_identical(await storage.get_workflow(workflow.id), workflow)
        async with storage.transaction() as following:
            await following.delete_workflow(workflow.id)

    @clause("TXN-6", "CON-1")
    @requires(Capability.WRITERS_WAIT)
    async def test_another_task_reads_at_once_and_writes_the_same_record_when_the_transaction_has_ended(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            async with storage.transaction() as transaction:
                await samples.stored_workflow(transaction, id="inside")
                writing = [
                    start_in_fresh_context(_store_workflow(each, "inside", "outside")) for each in (storage, other)
                ]
                for _ in range(20):
                    assert await _soon(_in_another_task(storage.list_workflows())) == []
                    assert await _soon(other.count_workflows()) == 0
                await samples.stored_workflow(transaction, id="inside too")
            await _soon(asyncio.gather(*writing))
        assert await subprocess_functions.workflow_ids(storage) == ["inside", "inside too"]
        written = await storage.get_workflow("inside")
        assert written is not None
        assert written.name == "outside"

    @clause("TXN-7")
    @requires(Capability.WRITERS_WAIT)
    @pytest.mark.parametrize("same", [True, False], ids=["same adapter", "another adapter"])
    async def test_a_transaction_open_for_too_long_is_rolled_back_and_others_go_on(
        self, storage: StorageAdapter, store: Store, same: bool
    ) -> None:
        async with store.open() as other:
            transaction = await storage.begin_transaction(timeout=SHORT_S)
            await samples.stored_workflow(transaction, id="late")
            await _soon(_in_another_task(_store_workflow(storage if same else other, "late", "waiting")))
            with pytest.raises(TransactionError):
                await transaction.get_workflow("late")
            assert transaction.outcome is TransactionOutcome.TIMED_OUT
            for end in (transaction.commit, transaction.rollback):
                with pytest.raises(TransactionError):
                    await end()
            (waiting,) = await storage.list_workflows()
            assert waiting.name == "waiting"
            await samples.stored_workflow(storage, id="usable")
            assert await subprocess_functions.workflow_ids(other) == ["late", "usable"]

    @clause("TXN-7", "TXN-3")
    @requires(Capability.WRITERS_WAIT)
    async def test_every_call_on_a_transaction_that_ran_out_of_time_raises(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        transaction = await storage.begin_transaction(timeout=SHORT_S)
        await samples.stored_workflow(transaction, id="late")
        async with store.open() as other:
            await _soon(_store_workflow(other, "late"))
        await check_calls_raise(transaction, "a transaction that timed out")
        with pytest.raises(TransactionError):
            async with transaction.savepoint():
                pytest.fail("savepoint() on a transaction that timed out has to raise TransactionError; it opened one")
        assert await storage.list_sessions() == []

    @clause("TXN-7")
    @requires(Capability.WRITERS_WAIT)
    async def test_a_block_whose_transaction_ran_out_of_time_does_not_pass_for_committed(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def outstay(other: StorageAdapter, id: str, error: Exception | None) -> None:
            async with storage.transaction(timeout=SHORT_S) as transaction:
                await samples.stored_workflow(transaction, id=id, name="late")
                await _soon(_store_workflow(other, id, "waiting"))
                if error is not None:
                    raise error

        async with store.open() as other:
            with pytest.raises(TransactionError):
                await outstay(other, "waiting", None)
            with pytest.raises(ZeroDivisionError):
                await outstay(other, "waiting too", ZeroDivisionError())
        assert [workflow.name for workflow in await storage.list_workflows()] == ["waiting", "waiting"]

    @clause("TXN-1", "LIF-2")
    async def test_a_block_whose_adapter_was_closed_meanwhile_does_not_pass_for_committed(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            transaction = await storage.begin_transaction()
            await samples.stored_workflow(transaction, id="lost")
            await _in_another_task(storage.close())
            assert transaction.outcome is TransactionOutcome.ABORTED
            with pytest.raises(TransactionError):
                await transaction.__aexit__(None, None, None)
            assert await subprocess_functions.workflow_ids(other) == []

    @clause("TXN-7", "CON-2")
    async def test_whoever_gives_up_waiting_for_a_transaction_does_not_give_it_more_time(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        now = asyncio.get_running_loop().time
        async with store.open() as other:
            transaction = await storage.begin_transaction(timeout=1)
            await samples.stored_workflow(transaction, id="held")
            ends_at = now() + 1
            last_began_at = now()
            while now() < ends_at - 0.3:
                last_began_at = now()
                giving_up = asyncio.create_task(_store_workflow(other, "held"))
                await asyncio.wait([giving_up], timeout=0.05)
                giving_up.cancel()
            # If each gave it another second, it would end a second after the last began, or later.
            await asyncio.sleep(last_began_at + 0.9 - now())
            assert transaction.outcome is TransactionOutcome.TIMED_OUT

    @clause("TXN-7")
    async def test_how_a_transaction_ended_does_not_change_when_its_time_is_over(self, storage: StorageAdapter) -> None:
        committed = await storage.begin_transaction(timeout=1)
        await samples.stored_workflow(committed, id="kept")
        await committed.commit()
        rolled_back = await storage.begin_transaction(timeout=1)
        await rolled_back.rollback()
        await asyncio.sleep(1.1)
        assert committed.outcome is TransactionOutcome.COMMITTED
        assert rolled_back.outcome is TransactionOutcome.ROLLED_BACK
        assert await subprocess_functions.workflow_ids(storage) == ["kept"]

    @clause("TXN-7")
    async def test_a_transaction_that_its_task_forgot_lets_others_go_on(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def forget() -> None:
            transaction = await storage.begin_transaction(timeout=SHORT_S)
            await samples.stored_workflow(transaction, id="forgotten")

        await asyncio.create_task(forget())
        async with store.open() as other:
            await _soon(_store_workflow(other, "forgotten", "waiting"))
        async with asyncio.timeout(SOON_S), storage.transaction() as transaction:
            assert [workflow.name for workflow in await transaction.list_workflows()] == ["waiting"]

    @clause("TXN-7")
    async def test_a_timeout_that_is_no_time_is_refused(self, storage: StorageAdapter) -> None:
        wrong: tuple[Any, ...] = (0, -1, 0.0, float("nan"), "30", None, True, [1])
        for timeout in wrong:
            with pytest.raises(ValidationError):
                await storage.begin_transaction(timeout=timeout)
        await samples.stored_workflow(storage)

    @clause("TXN-8")
    async def test_of_many_transactions_on_two_adapters_that_count_up_no_write_is_lost(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_workflow(storage, id="counter", metadata={"count": 0})
        async with store.open() as other:
            await _soon(asyncio.gather(*(_count_up((storage, other)[turn % 2]) for turn in range(50))))
        counter = await storage.get_workflow("counter")
        assert counter is not None
        assert counter.metadata == {"count": 50}

    @clause("TXN-8")
    async def test_of_two_transactions_that_read_before_either_wrote_no_write_is_lost(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_workflow(storage, id="counter", metadata={"count": 0})
        async with store.open() as other:
            for turn in range(5):
                first, second = (storage, other) if turn % 2 else (other, storage)
                transaction = await first.begin_transaction()
                count = await _count_in(transaction)
                rival = start_in_fresh_context(_count_up(second))
                try:
                    for _ in range(10):
                        await _in_another_task(_count_in(transaction))
                    await _soon(transaction.update_workflow("counter", metadata={"count": count + 1}))
                    await _soon(transaction.commit())
                except ConflictError:
                    if transaction.outcome is None:
                        await transaction.rollback()
                    await _count_up(first)
                await _soon(rival)
                assert await _count_in(storage) == 2 * (turn + 1)

    @clause("TXN-8")
    @requires(Capability.DURABLE)
    async def test_of_transactions_in_four_processes_that_count_up_no_write_is_lost(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await samples.stored_session(storage, id="counter", metadata={"count": 0})
        await asyncio.gather(
            *(store.run_in_subprocess(subprocess_functions.count_up, "counter", 25, number, 4) for number in range(4))
        )
        counter = await storage.get_session("counter")
        assert counter is not None
        assert counter.metadata == {"count": 100}


async def _soon(call: Awaitable[Any]) -> Any:
    """Await a call that must end before a transaction with the default timeout expires."""
    async with asyncio.timeout(SOON_S):
        return await call


async def _in_another_task(call: Awaitable[Any]) -> Any:
    return await start_in_fresh_context(call)


async def _store_workflow(storage: StorageOperations, id: str, name: str = "outside") -> None:
    await storage.save_workflow(samples.a_workflow(id=id, name=name))


async def _count_in(storage: StorageOperations) -> int:
    counter = await storage.get_workflow("counter")
    assert counter is not None
    assert counter.metadata is not None
    return int(counter.metadata["count"])


async def _count_up(storage: StorageAdapter) -> None:
    """Increment the counter, and retry on a conflict."""
    while True:
        transaction: Transaction | None = None
        try:
            async with storage.transaction() as transaction:
                count = await _count_in(transaction)
                await transaction.update_workflow("counter", metadata={"count": count + 1})
            return
        except ConflictError:
            continue
