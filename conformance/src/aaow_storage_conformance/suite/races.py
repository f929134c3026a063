"""Races: concurrent writes of one id, of fields of one record, and deletions during writes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AlreadyExistsError,
    BudgetPool,
    Capability,
    ConflictError,
    NodeExecutionState,
    NotFoundError,
    Session,
    StorageAdapter,
    StorageError,
    StoredWorkflow,
)
from aaow_storage_conformance._contract import clause, requires, since
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import INSERTED, SAVED, Kind, each, prepare
from aaow_storage_conformance.harness.store import Store

ROUNDS, AT_ONCE = 8, 6
Work = Callable[[StorageAdapter], Awaitable[Any]]


class RaceTests:
    """The second write sees what the first did; neither undoes the other."""

    @each(INSERTED)
    @clause("OPS-2", "CON-1")
    async def test_of_many_that_insert_one_id_at_once_one_succeeds_and_the_others_are_told(
        self, storage: StorageAdapter, store: Store, kind: Kind
    ) -> None:
        await prepare(storage)
        async with store.open() as other:
            for turn in range(ROUNDS):
                records = [kind.make(id=f"same {turn}") for _ in range(AT_ONCE)]
                outcomes = await _at_once((storage, other), [_storer(kind, record) for record in records], turn)
                failures = [outcome for outcome in outcomes if outcome is not None]
                assert [type(failure) for failure in failures] == [AlreadyExistsError] * (AT_ONCE - 1)
                stored = records[outcomes.index(None)]
                for reader in (storage, other):
                    assert_identical(await kind.find(reader, stored), stored)

    @each(INSERTED)
    @clause("OPS-2", "TXN-2", "TXN-8")
    async def test_an_id_that_an_open_transaction_inserted_is_taken_for_whoever_waits_for_it(
        self, storage: StorageAdapter, store: Store, kind: Kind
    ) -> None:
        await prepare(storage)
        first, second, third = (kind.make(id="same") for _ in range(3))
        async with store.open() as other:
            for ending, expected in (("rollback", second), ("commit", second)):
                transaction = await storage.begin_transaction()
                if ending == "rollback":
                    await kind.store(transaction, first)
                waiting = asyncio.create_task(_outcome(kind.store(other, second if ending == "rollback" else third)))
                for _ in range(10):
                    await asyncio.create_task(_outcome(kind.find(other, first)))
                await getattr(transaction, ending)()
                outcome = await waiting
                assert outcome is None if ending == "rollback" else isinstance(outcome, AlreadyExistsError)
                assert_identical(await kind.find(storage, expected), expected)

    @each(SAVED)
    @clause("OPS-3", "CON-1")
    async def test_of_many_that_save_one_id_at_once_one_is_stored_whole(
        self, storage: StorageAdapter, store: Store, kind: Kind
    ) -> None:
        await prepare(storage)
        async with store.open() as other:
            for turn in range(ROUNDS):
                first = kind.make()
                records = [first, *(kind.make(**{kind.key: getattr(first, kind.key)}) for _ in range(AT_ONCE - 1))]
                outcomes = await _at_once((storage, other), [_storer(kind, record) for record in records], turn)
                assert outcomes == [None] * AT_ONCE
                found = await kind.find(storage, first)
                assert found in records
                assert_identical(await kind.find(other, first), found)

    @clause("OPS-4", "CON-1")
    @pytest.mark.parametrize("kind", ["workflow", "session", "budget_pool", "approval_request"])
    async def test_changes_of_different_fields_at_once_are_all_kept(
        self, storage: StorageAdapter, store: Store, kind: str
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                stored, find, changes = await _record_to_change(storage, kind, f"{kind} {turn}")
                works: list[Work] = [_updater(kind, stored.id, {name: value}) for name, value in changes.items()]
                outcomes = await _at_once((storage, other), works, turn)
                assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
                expected = attrs.evolve(stored, **changes)
                if hasattr(stored, "updated_at"):
                    expected = attrs.evolve(expected, updated_at=(await find(storage)).updated_at)
                assert_identical(await find(storage), expected)
                assert_identical(await find(other), expected)

    @clause("STA-1", "STA-3", "CON-1")
    async def test_changes_of_different_nodes_at_once_are_all_kept(self, storage: StorageAdapter, store: Store) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                name = f"s {turn}"
                await samples.stored_session(storage, id=name)
                await storage.save_execution_state(samples.a_state(name, node_states={}))
                nodes = {f"n{number}": samples.a_node_state(f"n{number}") for number in range(AT_ONCE)}
                saved = samples.a_state(name, node_states={"saved": samples.a_node_state("saved")})
                works: list[Work] = [
                    *(partial(_update_node, session_id=name, node=node) for node in nodes.values()),
                    lambda on: on.save_execution_state(saved),  # noqa: B023 - awaited here
                ]
                assert await _at_once((storage, other), works, turn) == [None] * len(works)
                expected = attrs.evolve(saved, node_states={**saved.node_states, **nodes})
                found = await storage.get_execution_state(name)
                assert found is not None
                assert found == expected

    @clause("BUD-3", "OPS-4")
    async def test_a_budget_that_is_consumed_while_its_pool_is_changed_keeps_both(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                pool = await samples.stored_pool(storage, total_budget=100, used_budget=0)
                works: list[Work] = [
                    lambda on: on.consume_budget(pool.id, 3),  # noqa: B023 - awaited here
                    lambda on: on.update_budget_pool(pool.id, metadata={"by": "ann"}),  # noqa: B023 - as above
                    lambda on: on.increase_budget(pool.id, 5),  # noqa: B023 - as above
                    lambda on: on.consume_budget(pool.id, 4),  # noqa: B023 - as above
                ]
                await _at_once((storage, other), works, turn)
                expected = attrs.evolve(pool, used_budget=7, total_budget=105, metadata={"by": "ann"})
                assert_identical(await storage.get_budget_pool(pool.id), expected)

    @clause("SES-3", "OPS-8", "CON-1")
    @pytest.mark.parametrize(
        "adding",
        [
            *("state", "node", "execution", "tool call", "request", "child session"),
            pytest.param("tool call of a node", marks=since("1.1")),
            pytest.param("event", marks=(since("1.1"), requires(Capability.STREAM_EVENTS))),
        ],
    )
    async def test_a_session_deleted_while_something_is_added_to_it_leaves_nothing_behind(
        self, storage: StorageAdapter, store: Store, adding: str
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                name = f"s {turn}"
                await samples.stored_session(storage, id=name)
                await storage.save_execution_state(samples.a_state(name, node_states={}))
                await samples.stored_execution(storage, name, id=f"e {turn}")
                add: dict[str, Work] = {
                    "state": lambda on: on.save_execution_state(samples.a_state(name)),  # noqa: B023 - awaited here
                    "node": lambda on: on.update_node_state(name, "n", samples.a_node_state("n")),  # noqa: B023
                    "execution": lambda on: on.save_llm_execution(name, "n", samples.a_result(id=f"new {turn}")),  # noqa: B023
                    "tool call": lambda on: on.log_tool_call(samples.a_tool_call(f"e {turn}", id=f"new {turn}")),  # noqa: B023
                    "request": lambda on: on.create_approval_request(samples.a_request(name, id=f"new {turn}")),  # noqa: B023
                    "child session": lambda on: on.create_session(
                        samples.a_session(id=f"child {turn}", parent_session_id=name)  # noqa: B023
                    ),
                    "tool call of a node": lambda on: on.log_tool_call(
                        samples.a_tool_call(None, session_id=name, node_id="n")  # noqa: B023 - as above
                    ),
                    "event": lambda on: on.save_stream_event(samples.an_event(session_id=name)),  # noqa: B023
                }
                works: list[Work] = [lambda on: on.delete_session(name), add[adding]]  # noqa: B023 - as above
                deleted, added = await _at_once((storage, other), works, turn)
                assert deleted is None
                assert added is None or isinstance(added, NotFoundError)
                await samples.stored_session(storage, id=name)
                assert await storage.get_execution_state(name) is None
                assert await storage.get_llm_executions(name) == []
                for execution in (f"e {turn}", f"new {turn}"):
                    assert await storage.get_tool_calls(execution) == []
                assert await storage.list_approval_requests(name) == []
                assert await storage.get_session_tool_calls(name) == []
                if adding == "event":
                    assert await storage.get_stream_events("stream-1") == []
                child = await storage.get_session(f"child {turn}")
                assert (child is None) == (adding != "child session" or added is not None)
                assert child is None or child.parent_session_id is None

    @clause("WFL-1", "OPS-8", "CON-1")
    async def test_a_workflow_deleted_while_it_gets_a_session_leaves_no_reference_to_it(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS * 2):
                workflow = await samples.stored_workflow(storage)
                session = samples.a_session(workflow_id=workflow.id)
                works: list[Work] = [
                    lambda on: on.delete_workflow(workflow.id),  # noqa: B023 - awaited here
                    lambda on: on.create_session(session),  # noqa: B023 - as above
                ]
                deleted, created = await _at_once((storage, other), works, turn)
                assert deleted is None
                found = await storage.get_session(session.id)
                if created is None:
                    assert_identical(found, attrs.evolve(session, workflow_id=None))
                else:
                    assert isinstance(created, NotFoundError)
                    assert found is None

    @clause("OPS-4", "OPS-5", "CON-1")
    async def test_a_record_deleted_while_it_is_changed_stays_deleted(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                workflow, session, pool = await _store_three(storage)
                works: list[Work] = [
                    lambda on: on.delete_workflow(workflow.id),  # noqa: B023 - awaited here
                    lambda on: on.update_workflow(workflow.id, name="renamed"),  # noqa: B023 - as above
                    lambda on: on.delete_session(session.id),  # noqa: B023 - as above
                    lambda on: on.update_session(session.id, status="failed"),  # noqa: B023 - as above
                    lambda on: on.delete_budget_pool(pool.id),  # noqa: B023 - as above
                    lambda on: on.update_budget_pool(pool.id, metadata=None),  # noqa: B023 - as above
                ]
                outcomes = await _at_once((storage, other), works, turn)
                assert outcomes[::2] == [None] * 3
                for outcome in outcomes[1::2]:
                    assert isinstance(outcome, NotFoundError) or not isinstance(outcome, Exception)
                for found in (
                    await storage.get_workflow(workflow.id),
                    await storage.get_session(session.id),
                    await storage.get_budget_pool(pool.id),
                ):
                    assert found is None

    @clause("OPS-5", "CON-1")
    async def test_of_many_that_delete_one_record_at_once_one_succeeds(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                workflow, session, pool = await _store_three(storage)
                works: list[Work] = [
                    lambda on: on.delete_workflow(workflow.id),  # noqa: B023 - awaited here
                    lambda on: on.delete_session(session.id),  # noqa: B023 - as above
                    lambda on: on.delete_budget_pool(pool.id),  # noqa: B023 - as above
                ] * 3
                outcomes = await _at_once((storage, other), works, turn)
                for number in range(3):
                    kinds = sorted(type(outcome).__name__ for outcome in outcomes[number::3])
                    assert kinds == ["NoneType", "NotFoundError", "NotFoundError"]

    @clause("APR-3", "CON-1")
    async def test_of_sweeps_at_once_each_request_is_expired_by_one(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        session = await samples.stored_session(storage)
        async with store.open() as other:
            for turn in range(ROUNDS):
                requests = [
                    await samples.stored_request(storage, session.id, expires_at=samples.instant(0)) for _ in range(5)
                ]
                works: list[Work] = [lambda on: on.expire_approvals()] * 4
                sweeps = await _at_once((storage, other), works, turn)
                ids = sorted(request.id for sweep in sweeps for request in sweep)
                assert ids == sorted(request.id for request in requests)

    @clause("TXN-8", "CON-1")
    async def test_transactions_that_change_two_records_in_opposite_orders_both_end(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def count_up(on: StorageAdapter, ids: tuple[str, str]) -> None:
            while True:
                try:
                    async with on.transaction() as transaction:
                        for name in ids:
                            session = await transaction.get_session(name)
                            assert session is not None
                            count = int(str((session.metadata or {})["count"]))
                            await transaction.update_session(name, metadata={"count": count + 1})
                            await asyncio.sleep(0.01)
                except ConflictError:
                    continue
                return

        for name in ("a", "b"):
            await samples.stored_session(storage, id=name, metadata={"count": 0})
        works: list[Work] = [lambda on: count_up(on, ("a", "b")), lambda on: count_up(on, ("b", "a"))] * 2
        async with store.open() as other:
            assert await _at_once((storage, other), works, 0) == [None] * 4
        assert [session.metadata for session in await storage.list_sessions()] == [{"count": 4}] * 2

    @clause("TXN-8", "OPS-4")
    async def test_transactions_that_change_different_fields_at_once_keep_both(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def change(on: StorageAdapter, id: str, changes: dict[str, Any]) -> None:
            while True:
                try:
                    async with on.transaction() as transaction:
                        await transaction.get_workflow(id)
                        await transaction.update_workflow(id, **changes)
                except ConflictError:
                    continue
                return

        async with store.open() as other:
            for turn in range(ROUNDS):
                workflow = await samples.stored_workflow(storage)
                works: list[Work] = [
                    lambda on: change(on, workflow.id, {"name": "renamed"}),  # noqa: B023 - awaited here
                    lambda on: change(on, workflow.id, {"metadata": {"a": 1}}),  # noqa: B023 - as above
                    lambda on: change(on, workflow.id, {"version": "new"}),  # noqa: B023 - as above
                ]
                assert await _at_once((storage, other), works, turn) == [None] * 3
                found = await storage.get_workflow(workflow.id)
                assert found is not None
                assert (found.name, found.metadata, found.version) == ("renamed", {"a": 1}, "new")


async def _outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except StorageError as error:
        return error


async def _at_once(adapters: Sequence[StorageAdapter], works: Sequence[Work], turn: int) -> list[Any]:
    """Start all functions at once on alternating adapters, in another order each turn; return their outcomes."""
    tasks: dict[int, asyncio.Task[Any]] = {}
    for place in range(len(works)):
        number = (place + turn) % len(works)
        adapter = adapters[(number + turn // 2) % len(adapters)]
        tasks[number] = asyncio.create_task(_outcome(works[number](adapter)))
    return [await tasks[number] for number in range(len(works))]


async def _store_three(storage: StorageAdapter) -> tuple[StoredWorkflow, Session, BudgetPool]:
    return (
        await samples.stored_workflow(storage),
        await samples.stored_session(storage),
        await samples.stored_pool(storage),
    )


async def _update_node(on: StorageAdapter, session_id: str, node: NodeExecutionState) -> None:
    await on.update_node_state(session_id, node.node_id, node)


def _storer(kind: Kind, record: Any) -> Work:
    return lambda on: kind.store(on, record)


def _updater(kind: str, id: str, changes: dict[str, Any]) -> Work:
    return lambda on: getattr(on, f"update_{kind}")(id, **changes)


async def _record_to_change(storage: StorageAdapter, kind: str, id: str) -> tuple[Any, Any, dict[str, Any]]:
    """Store a record; return it, a function that finds it, and a new value for each of several fields."""
    if kind == "workflow":
        return (
            await samples.stored_workflow(storage, id=id),
            lambda on: on.get_workflow(id),
            {"name": "renamed", "version": "new", "metadata": {"a": 1}, "definition": {"b": 2}},
        )
    if kind == "session":
        return (
            await samples.stored_session(storage, id=id),
            lambda on: on.get_session(id),
            {"status": "failed", "metadata": {"a": 1}},
        )
    if kind == "budget_pool":
        return (
            await samples.stored_pool(storage, id=id),
            lambda on: on.get_budget_pool(id),
            {"total_budget": 77, "used_budget": 5, "metadata": {"a": 1}, "status": "suspended"},
        )
    session = await samples.stored_session(storage)
    return (
        await samples.stored_request(storage, session.id, id=id),
        lambda on: on.get_approval_request(id),
        {"context": {"a": 1}, "expires_at": None},
    )
