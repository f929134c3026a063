"""Transactions are stored whole or not at all; a savepoint can be undone alone."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from aaow_storage import (
    AlreadyExistsError,
    BudgetExceededError,
    Capability,
    ConflictError,
    NotFoundError,
    StorageAdapter,
    StorageError,
    StorageOperations,
    Transaction,
    TransactionError,
    TransactionOutcome,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in, first_difference
from aaow_storage_conformance.harness.refusals import check_calls_raise
from aaow_storage_conformance.harness.stop import Stop
from aaow_storage_conformance.harness.store import Store

COMMITTED, ROLLED_BACK = TransactionOutcome.COMMITTED, TransactionOutcome.ROLLED_BACK


class TransactionTests:
    """Commit, rollback and savepoints."""

    @clause("TXN-1")
    async def test_all_that_a_block_did_is_stored_at_its_end(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        async with storage.transaction() as transaction:
            await _change_all(transaction)
            seen = await everything_in(transaction)
        assert transaction.outcome is COMMITTED
        assert_identical(await everything_in(storage), seen)
        assert await storage.get_session("old session") is None
        assert await storage.get_budget_pool("new pool") is not None

    @clause("TXN-1")
    async def test_nothing_that_a_block_did_is_left_when_it_raises(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        before = await everything_in(storage, executions=["new execution"], sessions=["new session"])
        error = Stop()
        begun: list[Transaction] = []

        async def work() -> None:
            async with storage.transaction() as transaction:
                begun.append(transaction)
                await _change_all(transaction)
                raise error

        with pytest.raises(Stop) as caught:
            await work()
        assert caught.value is error
        assert begun[0].outcome is ROLLED_BACK
        found = await everything_in(storage, executions=["new execution"], sessions=["new session"])
        assert_identical(found, before)

    @clause("TXN-1", "CON-2")
    async def test_nothing_that_a_block_did_is_left_when_it_is_cancelled(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        before = await everything_in(storage)
        has_changed = asyncio.Event()
        begun: list[Transaction] = []

        async def work() -> None:
            async with storage.transaction() as transaction:
                begun.append(transaction)
                await _change_all(transaction)
                has_changed.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await has_changed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert begun[0].outcome is ROLLED_BACK
        assert_identical(await everything_in(storage), before)
        await storage.save_workflow(samples.a_workflow())

    @clause("TXN-1")
    async def test_a_transaction_is_committed_by_hand(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        transaction = await storage.begin_transaction()
        assert transaction.outcome is None
        await _change_all(transaction)
        seen = await everything_in(transaction)
        await transaction.commit()
        assert transaction.outcome is COMMITTED
        assert_identical(await everything_in(storage), seen)

    @clause("TXN-1")
    async def test_a_transaction_is_rolled_back_by_hand(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        before = await everything_in(storage)
        transaction = await storage.begin_transaction()
        await _change_all(transaction)
        await transaction.rollback()
        assert transaction.outcome is ROLLED_BACK
        assert_identical(await everything_in(storage), before)

    @clause("TXN-1")
    async def test_a_block_may_end_its_transaction_itself(self, storage: StorageAdapter) -> None:
        kept, dropped = samples.a_workflow(), samples.a_workflow()
        async with storage.transaction() as transaction:
            await transaction.save_workflow(dropped)
            await transaction.rollback()
        async with await storage.begin_transaction() as transaction:
            await transaction.save_workflow(kept)
            await transaction.commit()
        with suppress(Stop):
            async with storage.transaction() as transaction:
                await transaction.commit()
                raise Stop
        assert_identical(await storage.list_workflows(), [kept])

    @clause("TXN-1", "STR-1")
    @requires(Capability.STREAM_EVENTS)
    async def test_stream_events_are_part_of_a_transaction(self, storage: StorageAdapter) -> None:
        old, new = samples.an_event(), samples.an_event()
        await storage.save_stream_event(old)
        with suppress(Stop):
            async with storage.transaction() as transaction:
                await transaction.save_stream_event(new)
                await transaction.save_stream_event(samples.an_event(id=old.id))
                assert len(await transaction.get_stream_events(old.stream_id)) == 2
                raise Stop
        assert_identical(await storage.get_stream_events(old.stream_id), [old])
        async with storage.transaction() as transaction:
            await transaction.save_stream_event(new)
        assert_identical(await storage.get_stream_events(old.stream_id), [old, new])

    @clause("TXN-1")
    async def test_transactions_of_one_task_follow_each_other(self, storage: StorageAdapter) -> None:
        for number in range(6):
            transaction = await storage.begin_transaction()
            await transaction.save_workflow(samples.a_workflow(id=f"{number}"))
            await (transaction.rollback() if number % 2 else transaction.commit())
            await storage.save_workflow(samples.a_workflow(id=f"{number} after"))
        stored = sorted(workflow.id for workflow in await storage.list_workflows())
        assert stored == ["0", "0 after", "1 after", "2", "2 after", "3 after", "4", "4 after", "5 after"]

    @clause("TXN-3")
    @pytest.mark.parametrize("ending", ["commit", "rollback", "block", "failed block"])
    async def test_every_call_after_the_end_raises(self, storage: StorageAdapter, ending: str) -> None:
        if ending in {"commit", "rollback"}:
            transaction = await storage.begin_transaction()
            await getattr(transaction, ending)()
        else:
            with suppress(Stop):
                async with storage.transaction() as transaction:
                    if ending == "failed block":
                        raise Stop
        outcome = transaction.outcome
        before = await everything_in(storage)
        await check_calls_raise(transaction, "a transaction that is over")
        for end in (transaction.commit, transaction.rollback):
            with pytest.raises(TransactionError):
                await end()
        with pytest.raises(TransactionError):
            async with transaction.savepoint():
                pytest.fail("savepoint() on a transaction that is over has to raise TransactionError; it opened one")
        assert transaction.outcome is outcome
        assert_identical(await everything_in(storage), before)

    @clause("TXN-4")
    async def test_a_savepoint_that_fails_undoes_its_own_part_alone(self, storage: StorageAdapter) -> None:
        await _store_old(storage)
        first, last = samples.a_workflow(), samples.a_workflow()
        async with storage.transaction() as transaction:
            await transaction.save_workflow(first)
            before = await everything_in(transaction)
            with pytest.raises(Stop):
                await _fail_in_savepoint(transaction, _change_all_and_stop)
            assert_identical(await everything_in(transaction), before)
            await transaction.save_workflow(last)
        before["workflows"].append(last)
        assert_identical(await everything_in(storage), before)

    @clause("TXN-4")
    async def test_a_savepoint_that_succeeds_is_part_of_the_transaction(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            async with transaction.savepoint():
                await transaction.save_workflow(samples.a_workflow(id="kept"))
            assert await transaction.get_workflow("kept") is not None
        with suppress(Stop):
            async with storage.transaction() as transaction:
                async with transaction.savepoint():
                    await transaction.save_workflow(samples.a_workflow(id="dropped"))
                raise Stop
        assert [workflow.id for workflow in await storage.list_workflows()] == ["kept"]

    @clause("TXN-4")
    @pytest.mark.parametrize(
        ("failing", "kept"),
        [("", "abcdefg"), ("c", "abdefg"), ("e", "abcdfg"), ("ce", "abdfg"), ("b", "ag"), ("bce", "ag")],
    )
    async def test_savepoints_nest(self, storage: StorageAdapter, failing: str, kept: str) -> None:
        """The blocks nest as a (b (c) d (e) f) g; each block named in `failing` raises at its end."""

        async def part(name: str, *inner: Callable[[], Awaitable[None]], last: str = "") -> None:
            if name in failing:
                with pytest.raises(Stop):
                    await block(name, *inner, last=last)
            else:
                await block(name, *inner, last=last)

        async def block(name: str, *inner: Callable[[], Awaitable[None]], last: str) -> None:
            async with transaction.savepoint():
                await write(name)
                for step in inner:
                    await step()
                if last:
                    await write(last)
                if name in failing:
                    raise Stop

        async def write(name: str) -> None:
            await transaction.save_workflow(samples.a_workflow(id=name))

        async with storage.transaction() as transaction:
            await write("a")
            await part("b", lambda: part("c"), lambda: write("d"), lambda: part("e"), last="f")
            await write("g")
        assert "".join(workflow.id for workflow in await storage.list_workflows()) == kept

    @clause("TXN-4", "TXN-3")
    @pytest.mark.parametrize(("ending", "kept"), [("commit", ["a", "b"]), ("rollback", [])])
    async def test_an_end_in_a_savepoint_ends_all(self, storage: StorageAdapter, ending: str, kept: list[str]) -> None:
        transaction = await storage.begin_transaction()
        await transaction.save_workflow(samples.a_workflow(id="a"))
        with pytest.raises(TransactionError):
            await _fail_in_savepoint(transaction, lambda inside: getattr(inside, ending)(), id="b")
        assert [workflow.id for workflow in await storage.list_workflows()] == kept

    @clause("TXN-4", "CON-2")
    async def test_a_savepoint_that_is_cancelled_undoes_its_own_part_alone(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            await transaction.save_workflow(samples.a_workflow(id="kept"))
            is_inside = asyncio.Event()

            async def work() -> None:
                async with transaction.savepoint():
                    await transaction.save_workflow(samples.a_workflow(id="dropped"))
                    is_inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await is_inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await transaction.save_workflow(samples.a_workflow(id="later"))
        assert [workflow.id for workflow in await storage.list_workflows()] == ["kept", "later"]

    @clause("TXN-5")
    @pytest.mark.parametrize("is_inside_savepoint", [False, True], ids=["transaction", "savepoint"])
    async def test_an_operation_that_fails_leaves_the_transaction_as_it_was(
        self, storage: StorageAdapter, is_inside_savepoint: bool
    ) -> None:
        await _store_old(storage)

        async def fail(transaction: Transaction) -> None:
            for kind, call in FAILING:
                seen = await everything_in(transaction)
                with pytest.raises(kind):
                    await call(transaction)
                assert first_difference(await everything_in(transaction), seen) is None
                await transaction.save_workflow(samples.a_workflow())

        async with storage.transaction() as transaction:
            await transaction.save_workflow(samples.a_workflow())
            if is_inside_savepoint:
                async with transaction.savepoint():
                    await fail(transaction)
            else:
                await fail(transaction)
            seen = await everything_in(transaction)
        assert len(seen["workflows"]) == len(FAILING) + 2
        assert_identical(await everything_in(storage), seen)

    @clause("TXN-5")
    async def test_an_error_that_leaves_a_savepoint_undoes_the_savepoint_and_no_more(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await _store_old(storage)
        async with storage.transaction() as transaction:
            await transaction.save_workflow(samples.a_workflow(id="kept"))
            for kind, call in FAILING:
                with pytest.raises(kind):
                    await _fail_in_savepoint(transaction, call)
            await transaction.save_workflow(samples.a_workflow(id="later"))
        async with store.open() as other:
            assert [workflow.id for workflow in await other.list_workflows()] == ["old workflow", "kept", "later"]

    @clause("TXN-5", "CON-2")
    async def test_an_operation_that_is_cancelled_leaves_the_transaction_usable(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            for turns in range(6):
                saving = asyncio.create_task(_save(transaction, f"maybe {turns}"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                saving.cancel()
                await asyncio.wait([saving])
                await transaction.save_workflow(samples.a_workflow(id=f"sure {turns}"))
        ids = {workflow.id for workflow in await storage.list_workflows()}
        assert {f"sure {turns}" for turns in range(6)} <= ids
        assert ids <= {f"{word} {turns}" for turns in range(6) for word in ("sure", "maybe")}


Failing = tuple[type[StorageError], Callable[[StorageOperations], Awaitable[Any]]]
FAILING: tuple[Failing, ...] = (
    (AlreadyExistsError, lambda storage: storage.create_session(samples.a_session(id="old session"))),
    (AlreadyExistsError, lambda storage: storage.create_budget_pool(samples.a_pool(id="old pool"))),
    (NotFoundError, lambda storage: storage.create_session(samples.a_session(workflow_id="nowhere"))),
    (NotFoundError, lambda storage: storage.save_llm_execution("nowhere", "draft", samples.a_result())),
    (NotFoundError, lambda storage: storage.save_execution_state(samples.a_state("nowhere"))),
    (NotFoundError, lambda storage: storage.delete_workflow("nowhere")),
    (NotFoundError, lambda storage: storage.update_session("nowhere", status="failed")),
    (ValidationError, lambda storage: storage.update_workflow("old workflow", name=1)),  # type: ignore[arg-type]  # on purpose
    (ValidationError, lambda storage: storage.consume_budget("old pool", -1)),
    (BudgetExceededError, lambda storage: storage.consume_budget("old child", 1_000_000)),
    (ConflictError, lambda storage: storage.delete_budget_pool("old pool")),
    (ConflictError, lambda storage: storage.approve_request("old decided", "ann")),
    (ConflictError, lambda storage: storage.update_approval_request("old decided", context={})),
)
"""Errors, each with a call that raises it on what `_store_old` stored."""


async def _store_old(storage: StorageOperations) -> None:
    """Store a record of every kind."""
    await samples.stored_workflow(storage, id="old workflow")
    await samples.stored_session(storage, id="old session", workflow_id="old workflow")
    await storage.save_execution_state(samples.a_state("old session"))
    await samples.stored_execution(storage, "old session", id="old execution")
    await samples.stored_tool_call(storage, "old execution")
    await samples.stored_pool(storage, id="old pool")
    await samples.stored_pool(storage, id="old child", parent_pool_id="old pool")
    await samples.stored_session(storage, id="old kept session")
    await samples.stored_request(storage, "old kept session", id="old request")
    await samples.stored_request(storage, "old kept session", id="old decided", status="approved")
    await storage.save_execution_state(samples.a_state("old kept session"))
    await samples.stored_execution(storage, "old kept session", id="old kept execution")


async def _change_all(storage: StorageOperations) -> None:
    """Insert, update, replace and delete records of every kind."""
    await samples.stored_workflow(storage, id="new workflow")
    await samples.stored_session(storage, id="new session", workflow_id="new workflow")
    await storage.save_execution_state(samples.a_state("new session"))
    await samples.stored_execution(storage, "new session", id="new execution")
    await samples.stored_tool_call(storage, "new execution")
    await samples.stored_pool(storage, id="new pool", parent_pool_id="old pool")
    await samples.stored_request(storage, "new session")
    await storage.update_workflow("old workflow", name="renamed", metadata=None)
    await storage.update_session("old kept session", status="failed")
    await storage.update_node_state("old kept session", "draft", samples.a_node_state("draft"))
    await storage.save_execution_state(samples.a_state("old kept session"))
    await samples.stored_execution(storage, "old kept session", id="old kept execution")
    await samples.stored_tool_call(storage, "old kept execution")
    await storage.consume_budget("old child", 1)
    await storage.increase_budget("old pool", 1)
    await storage.approve_request("old request", "ann")
    await storage.delete_session("old session")
    await storage.delete_workflow("old workflow")
    await storage.delete_budget_pool("old child")


async def _change_all_and_stop(storage: StorageOperations) -> None:
    await _change_all(storage)
    raise Stop


async def _fail_in_savepoint(
    transaction: Transaction, call: Callable[[StorageOperations], Awaitable[Any]], id: str = "dropped"
) -> None:
    async with transaction.savepoint():
        await transaction.save_workflow(samples.a_workflow(id=id))
        await call(transaction)


async def _save(storage: StorageOperations, id: str) -> None:
    await storage.save_workflow(samples.a_workflow(id=id))
