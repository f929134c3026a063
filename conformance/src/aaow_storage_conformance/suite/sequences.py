"""Sequences in one transaction: each operation sees the ones before it, and the clock goes on."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AlreadyExistsError,
    ApprovalStatus,
    ConflictError,
    NotFoundError,
    StorageAdapter,
    StorageError,
    StorageOperations,
    TransactionError,
    TransactionOutcome,
    now,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import INSERTED, KINDS, SAVED, Kind, each, prepare
from aaow_storage_conformance.harness.store import Store

A_MOMENT = timedelta(milliseconds=30)
SHORT_S = 0.3


class SequenceTests:
    """Operations that depend on earlier ones of their transaction."""

    @clause("TXN-2", "SES-3", "OPS-5", "OPS-8")
    async def test_what_needs_a_session_deleted_before_in_the_transaction_is_refused(
        self, storage: StorageAdapter
    ) -> None:
        await _store_family(storage)
        async with storage.transaction() as transaction:
            await transaction.delete_session("s")
            seen = await everything_in(transaction, sessions=["s"], executions=["e"])
            await _expect(NotFoundError, transaction.save_execution_state(samples.a_state("s")), "session")
            await _expect(
                NotFoundError, transaction.update_node_state("s", "draft", samples.a_node_state("draft")), "session"
            )
            await _expect(NotFoundError, transaction.save_llm_execution("s", "draft", samples.a_result()), "session")
            await _expect(NotFoundError, transaction.log_tool_call(samples.a_tool_call("e")), "llm_execution")
            await _expect(NotFoundError, transaction.create_approval_request(samples.a_request("s")), "session")
            await _expect(
                NotFoundError, transaction.create_session(samples.a_session(parent_session_id="s")), "session"
            )
            await _expect(NotFoundError, transaction.update_session("s", status="failed"), "session")
            await _expect(NotFoundError, transaction.approve_request("a", "ann"), "approval_request")
            await _expect(NotFoundError, transaction.delete_session("s"), "session")
            assert_identical(await everything_in(transaction, sessions=["s"], executions=["e"]), seen)
        assert_identical(await everything_in(storage, sessions=["s"], executions=["e"]), seen)

    @clause("TXN-2", "SES-3", "OPS-2")
    @pytest.mark.parametrize("is_kept", [True, False], ids=["committed", "rolled back"])
    async def test_a_session_deleted_and_created_again_in_one_transaction_has_nothing_of_the_first(
        self, storage: StorageAdapter, store: Store, is_kept: bool
    ) -> None:
        await _store_family(storage)
        before = await everything_in(storage, sessions=["s"], executions=["e"])
        again = samples.a_session(id="s")
        transaction = await storage.begin_transaction()
        await transaction.delete_session("s")
        await transaction.create_session(again)
        await _check_nothing_belongs_to(transaction, again)
        await (transaction.commit() if is_kept else transaction.rollback())
        async with store.open() as other:
            if is_kept:
                await _check_nothing_belongs_to(other, again)
                await other.create_approval_request(samples.a_request("s", id="a"))
            else:
                assert_identical(await everything_in(other, sessions=["s"], executions=["e"]), before)

    @clause("TXN-2", "WFL-1", "OPS-5", "OPS-8")
    async def test_what_needs_a_workflow_deleted_before_in_the_transaction_is_refused(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage, id="w")
        session = await samples.stored_session(storage, id="s", workflow_id="w")
        async with storage.transaction() as transaction:
            await transaction.delete_workflow("w")
            assert_identical(await transaction.get_session("s"), attrs.evolve(session, workflow_id=None))
            await _expect(NotFoundError, transaction.create_session(samples.a_session(workflow_id="w")), "workflow")
            await _expect(NotFoundError, transaction.update_workflow("w", name="x"), "workflow")
            await _expect(NotFoundError, transaction.delete_workflow("w"), "workflow")
            await transaction.save_workflow(workflow)
            later = await samples.stored_session(transaction, id="t", workflow_id="w")
            assert_identical(await transaction.get_session("s"), attrs.evolve(session, workflow_id=None))
        assert_identical(await storage.get_session("s"), attrs.evolve(session, workflow_id=None))
        assert_identical(await storage.get_session("t"), later)
        assert_identical(await storage.get_workflow("w"), workflow)

    @clause("TXN-2", "SES-2", "WFL-1")
    async def test_a_document_deleted_and_stored_again_in_one_transaction_is_there(
        self, storage: StorageAdapter
    ) -> None:
        definition = samples.a_definition(1)
        await samples.stored_workflow(storage, id="w", definition=definition)
        await samples.stored_session(storage, id="s", workflow_snapshot=definition)
        async with storage.transaction() as transaction:
            await transaction.delete_session("s")
            await transaction.delete_workflow("w")
            workflow = await samples.stored_workflow(transaction, id="v", definition=definition)
            await transaction.delete_workflow("v")
            session = await samples.stored_session(transaction, id="t", workflow_snapshot=definition)
            await transaction.save_workflow(workflow)
            await transaction.update_workflow("v", definition={})
            await transaction.update_workflow("v", definition=definition, updated_at=workflow.updated_at)
        assert_identical(await storage.get_session("t"), session)
        assert_identical(await storage.get_workflow("v"), workflow)

    @clause("TXN-2", "BUD-1", "BUD-4")
    async def test_pools_are_deleted_with_regard_to_what_the_transaction_did_before(
        self, storage: StorageAdapter
    ) -> None:
        await samples.stored_pool(storage, id="root", total_budget=10, used_budget=0)
        await samples.stored_pool(storage, id="old", parent_pool_id="root", total_budget=10, used_budget=0)
        async with storage.transaction() as transaction:
            await samples.stored_pool(transaction, id="new", parent_pool_id="root", total_budget=10, used_budget=0)
            await transaction.delete_budget_pool("old")
            await _expect(ConflictError, transaction.delete_budget_pool("root"))
            await _expect(NotFoundError, transaction.consume_budget("old", 1), "budget_pool")
            await _expect(NotFoundError, transaction.create_budget_pool(samples.a_pool(parent_pool_id="old")))
            await transaction.consume_budget("new", 4)
            await transaction.consume_budget("new", 5)
            await _expect(ConflictError, transaction.consume_budget("new", 2))
            await transaction.consume_budget("root", 1)
            found = [
                (pool.id, int(pool.used_budget), str(pool.status)) for pool in await transaction.list_budget_pools()
            ]
            assert found == [("root", 10, "exhausted"), ("new", 9, "active")]
            await transaction.increase_budget("root", 1)
            await transaction.consume_budget("new", 1)
        found = [(pool.id, int(pool.used_budget), str(pool.status)) for pool in await storage.list_budget_pools()]
        assert found == [("root", 11, "exhausted"), ("new", 10, "exhausted")]
        async with storage.transaction() as transaction:
            await transaction.delete_budget_pool("new")
            await transaction.delete_budget_pool("root")
            again = await samples.stored_pool(transaction, id="root")
        assert_identical(await storage.list_budget_pools(), [again])

    @each(INSERTED)
    @clause("OPS-2", "TXN-2", "TXN-5")
    async def test_an_id_is_taken_as_soon_as_it_is_inserted_in_the_transaction(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        record, second = kind.make(id="same"), kind.make(id="same")
        async with storage.transaction() as transaction:
            await prepare(transaction)
            assert await kind.find(transaction, record) is None
            await kind.store(transaction, record)
            await _expect(AlreadyExistsError, kind.store(transaction, second), kind.name)
            assert_identical(await kind.find(transaction, record), record)
        assert_identical(await kind.find(storage, record), record)

    @each(SAVED)
    @clause("OPS-3", "TXN-2")
    async def test_of_two_saves_in_one_transaction_the_second_is_stored(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        first = kind.make()
        second = kind.make(**{kind.key: getattr(first, kind.key)})
        async with storage.transaction() as transaction:
            await prepare(transaction)
            await kind.store(transaction, first)
            assert_identical(await kind.find(transaction, first), first)
            await kind.store(transaction, second)
            if kind.name == "execution_state":
                second = attrs.evolve(second, node_states={**first.node_states, **second.node_states})
            assert_identical(await kind.find(transaction, first), second)
        assert_identical(await kind.find(storage, first), second)

    @each(KINDS)
    @clause("TXN-2", "TXN-4")
    async def test_what_a_savepoint_stored_first_is_gone_with_it_and_can_be_stored_again(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        record = kind.make()
        again = kind.make(**{kind.key: getattr(record, kind.key)})
        async with storage.transaction() as transaction:
            await prepare(transaction)
            before = await kind.find(transaction, record)
            await _store_and_undo(transaction, kind, record)
            assert_identical(await kind.find(transaction, record), before)
            async with transaction.savepoint():
                await kind.store(transaction, again)
        assert_identical(await kind.find(storage, again), again)

    @clause("OPS-4", "TXN-2")
    async def test_updates_of_one_record_in_one_transaction_add_up(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage, id="w")
        session = await samples.stored_session(storage, id="s")
        pool = await samples.stored_pool(storage, id="p", total_budget=100, used_budget=0)
        request = await samples.stored_request(storage, "s", id="a")
        async with storage.transaction() as transaction:
            await transaction.update_workflow("w", name="renamed")
            await transaction.update_workflow("w", metadata=None)
            await transaction.update_workflow("w", version="2", updated_at=workflow.updated_at)
            await transaction.update_session("s", status="failed")
            await transaction.update_session("s", metadata={"a": 1}, updated_at=session.updated_at)
            await transaction.consume_budget("p", 7)
            await transaction.update_budget_pool("p", metadata={"a": 1})
            await transaction.increase_budget("p", 1)
            await transaction.update_approval_request("a", context={"a": 1})
            await transaction.update_approval_request("a", expires_at=None)
        expected = [
            attrs.evolve(workflow, name="renamed", metadata=None, version="2"),
            attrs.evolve(session, status="failed", metadata={"a": 1}),
            attrs.evolve(pool, used_budget=7, total_budget=101, metadata={"a": 1}),
            attrs.evolve(request, context={"a": 1}, expires_at=None),
        ]
        found = [
            await storage.get_workflow("w"),
            await storage.get_session("s"),
            await storage.get_budget_pool("p"),
            await storage.get_approval_request("a"),
        ]
        assert_identical(found, expected)

    @clause("APR-1", "TXN-2")
    async def test_a_request_is_decided_once_in_a_transaction_too(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        async with storage.transaction() as transaction:
            await samples.stored_request(transaction, "s", id="a")
            decided = await transaction.approve_request("a", "ann", "first")
            for call in (
                transaction.reject_request("a", "bea"),
                transaction.approve_request("a", "ann"),
                transaction.update_approval_request("a", context={}),
            ):
                error = await _expect(ConflictError, call)
                assert_identical(getattr(error, "current", None), decided)
            assert await transaction.expire_approvals(samples.instant(10**9)) == []
            assert await transaction.list_pending_approvals() == []
        assert_identical(await storage.get_approval_request("a"), decided)

    @clause("APR-3", "APR-5", "TXN-2")
    async def test_a_request_runs_out_while_a_transaction_is_open(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        async with storage.transaction() as transaction:
            await samples.stored_request(transaction, "s", id="late")
            await samples.stored_request(transaction, "s", id="other")
            for sweep in (transaction.list_pending_approvals, transaction.expire_approvals):
                await sweep()  # the first sweep: later ones must not reuse its instant
            late = await transaction.update_approval_request("late", expires_at=(soon := now() + A_MOMENT))
            await _wait_until_after(soon)
            assert [request.id for request in await transaction.list_pending_approvals()] == ["other"]
            for decide in (transaction.approve_request, transaction.reject_request):
                error = await _expect(ConflictError, decide("late", "ann"))
                assert_identical(getattr(error, "current", None), late)
            expired = [attrs.evolve(late, status=ApprovalStatus.EXPIRED)]
            assert_identical(await transaction.expire_approvals(), expired)
            assert await transaction.expire_approvals() == []
        assert_identical(await storage.get_approval_request("late"), expired[0])

    @clause("OPS-4", "APR-1", "TXN-2")
    async def test_the_clock_goes_on_while_a_transaction_is_open(self, storage: StorageAdapter) -> None:
        await samples.stored_workflow(storage, id="w")
        await samples.stored_session(storage, id="s")
        for name in ("a", "b"):
            await samples.stored_request(storage, "s", id=name)
        instants = []
        async with storage.transaction() as transaction:
            for name in ("a", "b"):
                began = now()
                workflow = await transaction.update_workflow("w", name=name)
                session = await transaction.update_session("s", metadata={"name": name})
                request = await transaction.approve_request(name, "ann")
                ended = now()
                for instant in (workflow.updated_at, session.updated_at, request.resolved_at):
                    assert instant is not None
                    assert began <= instant <= ended
                instants.append(workflow.updated_at)
                await _wait_until_after(ended + A_MOMENT)
            assert_identical(await transaction.get_workflow("w"), workflow)
        assert instants[0] < instants[1]
        assert_identical(await storage.get_workflow("w"), workflow)
        assert_identical(await storage.get_session("s"), session)

    @clause("TXN-7")
    async def test_a_transaction_that_is_used_all_the_time_runs_out_of_time_too(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def use() -> None:
            for _ in range(60):
                async with transaction.savepoint():
                    await samples.stored_workflow(transaction)
                await asyncio.sleep(SHORT_S / 10)

        transaction = await storage.begin_transaction(timeout=SHORT_S)
        with pytest.raises(TransactionError):
            await use()
        assert transaction.outcome is TransactionOutcome.TIMED_OUT
        async with store.open() as other:
            assert await other.count_workflows() == 0

    @clause("TXN-1", "TXN-2", "OPS-5")
    async def test_what_is_stored_and_deleted_in_one_transaction_was_never_there(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        before = await everything_in(storage)
        async with storage.transaction() as transaction:
            await _store_family(transaction)
            await transaction.update_session("s", status="failed")
            await transaction.delete_session("s")
            await transaction.delete_workflow("w")
            await samples.stored_pool(transaction, id="p")
            await transaction.delete_budget_pool("p")
            assert_identical(await everything_in(transaction, sessions=["s"], executions=["e"]), before)
        async with store.open() as other:
            assert_identical(await everything_in(other, sessions=["s"], executions=["e"]), before)

    @clause("LLM-2", "TXN-2")
    async def test_an_execution_that_moves_in_a_transaction_takes_its_calls_along(
        self, storage: StorageAdapter
    ) -> None:
        for name in ("s", "t"):
            await samples.stored_session(storage, id=name)
        result = samples.a_result(id="e")
        async with storage.transaction() as transaction:
            await transaction.save_llm_execution("s", "draft", result)
            log = await samples.stored_tool_call(transaction, "e")
            await transaction.save_llm_execution("t", "review", result)
            await transaction.delete_session("s")
            assert_identical(await transaction.get_session_tool_calls("t"), [log])
        assert_identical(await storage.get_tool_calls("e"), [log])
        assert_identical(await storage.get_llm_executions("t"), [samples.an_execution("t", "review", result)])


async def _store_family(storage: StorageOperations) -> None:
    """Store a session with a record of each kind that belongs to one."""
    await samples.stored_workflow(storage, id="w")
    await samples.stored_session(storage, id="s", workflow_id="w")
    await storage.save_execution_state(samples.a_state("s"))
    await samples.stored_execution(storage, "s", id="e")
    await samples.stored_tool_call(storage, "e", id="c")
    await samples.stored_request(storage, "s", id="a")


async def _check_nothing_belongs_to(storage: StorageOperations, session: Any) -> None:
    assert_identical(await storage.get_session("s"), session)
    assert await storage.get_execution_state("s") is None
    assert await storage.get_llm_executions("s") == []
    assert await storage.get_node_llm_executions("s", "draft") == []
    assert await storage.get_tool_calls("e") == []
    assert await storage.get_session_tool_calls("s") == []
    assert await storage.list_approval_requests("s") == []
    assert await storage.get_approval_request("a") is None


async def _expect(error: type[StorageError], call: Any, kind: str | None = None) -> StorageError:
    with pytest.raises(error) as caught:
        await call
    if kind is not None:
        assert getattr(caught.value, "kind", None) == kind
    return caught.value


async def _store_and_undo(transaction: Any, kind: Kind, record: Any) -> None:
    with suppress(ZeroDivisionError):
        async with transaction.savepoint():
            await kind.store(transaction, record)
            raise ZeroDivisionError


async def _wait_until_after(instant: Any) -> None:
    while (left := instant - now()) >= timedelta(0):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(left.total_seconds() + 0.001)
