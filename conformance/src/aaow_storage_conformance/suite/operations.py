"""Each verb (get, list, create, log, save, update, delete) means the same for every kind of record."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AlreadyExistsError,
    ApprovalStatus,
    NotFoundError,
    StorageAdapter,
    StorageOperations,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import (
    BUDGET_POOL,
    EXECUTION_STATE,
    INSERTED,
    KINDS,
    SAVED,
    SESSION,
    SESSION_ID,
    WORKFLOW,
    Kind,
    each,
    prepare,
)
from aaow_storage_conformance.harness.refusals import check_raises

Call = Callable[[], Awaitable[object]]

DELETED = (WORKFLOW, SESSION, BUDGET_POOL)


async def delete(storage: StorageOperations, kind: Kind, key: str) -> None:
    """Delete the record of that kind."""
    await getattr(storage, f"delete_{kind.name}")(key)


class OperationTests:
    """What each verb does, and what it raises."""

    @clause("OPS-1")
    async def test_what_is_not_there_is_none_or_an_empty_list(self, storage: StorageAdapter) -> None:
        for contents in ("empty", "full"):
            for missing in ("nowhere", "%", "home_session", SESSION_ID.upper()):
                for get in (
                    storage.get_workflow,
                    storage.get_session,
                    storage.get_execution_state,
                    storage.get_budget_pool,
                    storage.get_approval_request,
                ):
                    assert await get(missing) is None
                for get_many in (
                    storage.get_llm_executions,
                    storage.get_child_budget_pools,
                    storage.get_tool_calls,
                    storage.get_session_tool_calls,
                    storage.list_approval_requests,
                ):
                    assert_identical(await get_many(missing), [])
                assert_identical(await storage.get_node_llm_executions(missing, "draft"), [])
                assert_identical(await storage.get_node_llm_executions(SESSION_ID, missing), [])
            if contents == "empty":
                for list_all in (
                    storage.list_workflows,
                    storage.list_sessions,
                    storage.list_budget_pools,
                    storage.list_pending_approvals,
                ):
                    assert_identical(await list_all(), [])
                assert [await storage.count_workflows(), await storage.count_sessions()] == [0, 0]
                await self._fill(storage)

    @clause("OPS-1", "LIF-3")
    async def test_a_session_without_a_saved_state_has_none(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        assert await storage.get_execution_state(session.id) is None

    @clause("OPS-1")
    async def test_lists_hold_each_record_of_their_scope_once(self, storage: StorageAdapter) -> None:
        sessions = [await samples.stored_session(storage) for _ in range(2)]
        workflows = [await samples.stored_workflow(storage) for _ in range(2)]
        root = await samples.stored_pool(storage)
        children = [await samples.stored_pool(storage, parent_pool_id=root.id) for _ in range(2)]
        grandchild = await samples.stored_pool(storage, parent_pool_id=children[0].id)
        executions = {
            (session.id, node): [await samples.stored_execution(storage, session.id, node) for _ in range(2)]
            for session in sessions
            for node in ("draft", "review")
        }
        logs = {
            execution.id: [await samples.stored_tool_call(storage, execution.id) for _ in range(2)]
            for made in executions.values()
            for execution in made
        }
        requests = {session.id: [await samples.stored_request(storage, session.id)] for session in sessions}

        assert_identical(await storage.list_workflows(), workflows)
        assert_identical(await storage.list_sessions(), sessions)
        assert [await storage.count_workflows(), await storage.count_sessions()] == [2, 2]
        assert_identical(await storage.list_budget_pools(), [root, *children, grandchild])
        assert_identical(await storage.get_child_budget_pools(root.id), children)
        assert_identical(await storage.list_pending_approvals(), [each for made in requests.values() for each in made])
        for (session_id, node), made in executions.items():
            assert_identical(await storage.get_node_llm_executions(session_id, node), made)
        for session in sessions:
            made = executions[session.id, "draft"] + executions[session.id, "review"]
            assert_identical(await storage.get_llm_executions(session.id), made)
            of_session = [log for execution in made for log in logs[execution.id]]
            assert_identical(await storage.get_session_tool_calls(session.id), of_session)
            assert_identical(await storage.list_approval_requests(session.id), requests[session.id])
        for execution_id, expected in logs.items():
            assert_identical(await storage.get_tool_calls(execution_id), expected)

    @clause("OPS-2")
    @each(INSERTED)
    async def test_inserting_an_id_that_is_taken_leaves_the_stored_record(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        first = kind.make()
        await kind.store(storage, first)
        before = await everything_in(storage)
        for again in (first, kind.make(id=first.id)):
            with pytest.raises(AlreadyExistsError) as raised:
                await kind.store(storage, again)
            assert (raised.value.kind, raised.value.id) == (kind.name, first.id)
        assert_identical(await everything_in(storage), before)

    @clause("OPS-2")
    async def test_inserting_a_session_again_keeps_what_belongs_to_it(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        await self._fill(storage)
        before = await everything_in(storage)
        with pytest.raises(AlreadyExistsError):
            await storage.create_session(samples.a_session(id=SESSION_ID))
        assert_identical(await everything_in(storage), before)

    @clause("OPS-2")
    async def test_an_id_that_is_taken_is_told_before_a_parent_that_is_missing(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        await self._fill(storage)
        pool, *_ = await storage.list_budget_pools()
        call, *_ = await storage.get_session_tool_calls(SESSION_ID)
        request, *_ = await storage.list_approval_requests(SESSION_ID)
        calls: tuple[tuple[str, Call], ...] = (
            (SESSION_ID, lambda: storage.create_session(samples.a_session(id=SESSION_ID, workflow_id="nowhere"))),
            (pool.id, lambda: storage.create_budget_pool(samples.a_pool(id=pool.id, parent_pool_id="nowhere"))),
            (call.id, lambda: storage.log_tool_call(samples.a_tool_call("nowhere", id=call.id))),
            (request.id, lambda: storage.create_approval_request(samples.a_request("nowhere", id=request.id))),
        )
        for taken, create in calls:
            with pytest.raises(AlreadyExistsError) as raised:
                await create()
            assert raised.value.id == taken

    @clause("OPS-3")
    @each(SAVED)
    async def test_saving_again_replaces_the_whole_record(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        first = kind.make()
        key = getattr(first, kind.key)
        bystander = kind.make(**({"session_id": "other"} if kind is EXECUTION_STATE else {kind.key: "other"}))
        await samples.stored_session(storage, id="other")
        await kind.store(storage, first)
        await kind.store(storage, bystander)
        nodes = {} if kind is not EXECUTION_STATE else {"node_states": first.node_states}
        for again in (
            kind.make(**{kind.key: key}, **nodes),
            _without_optional_fields(kind.make(**{kind.key: key}, **nodes)),
            first,
            first,
        ):
            await kind.store(storage, again)
            assert_identical(await kind.find(storage, first), again)
        assert_identical(await kind.find(storage, bystander), bystander)

    @clause("OPS-3")
    async def test_saving_again_keeps_what_belongs_to_the_record(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        session = await samples.stored_session(storage, workflow_id=workflow.id)
        execution = await samples.stored_execution(storage, session.id)
        log = await samples.stored_tool_call(storage, execution.id)
        await storage.save_workflow(samples.a_workflow(id=workflow.id))
        await storage.save_llm_execution(session.id, "draft", samples.a_result(id=execution.id))
        assert_identical(await storage.list_sessions(), [session])
        assert_identical(await storage.get_tool_calls(execution.id), [log])
        assert_identical(await storage.get_session_tool_calls(session.id), [log])

    @clause("OPS-5")
    @each(DELETED)
    async def test_deleting_what_is_not_there_raises_not_found(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record, bystander = kind.make(), kind.make()
        await kind.store(storage, record)
        await kind.store(storage, bystander)
        await delete(storage, kind, record.id)
        assert await kind.find(storage, record) is None
        before = await everything_in(storage)
        for missing in (record.id, "nowhere", bystander.id.upper()):
            with pytest.raises(NotFoundError) as raised:
                await delete(storage, kind, missing)
            assert (raised.value.kind, raised.value.id) == (kind.name, missing)
        assert_identical(await everything_in(storage), before)

    @clause("OPS-5", "OPS-2")
    @each(DELETED)
    async def test_an_id_is_free_again_after_its_deletion(self, storage: StorageAdapter, kind: Kind) -> None:
        record = kind.make()
        await kind.store(storage, record)
        await delete(storage, kind, record.id)
        again = kind.make(id=record.id)
        await kind.store(storage, again)
        assert_identical(await kind.find(storage, record), again)

    @clause("OPS-5", "OPS-4")
    async def test_acting_on_a_missing_record_raises_not_found(self, storage: StorageAdapter) -> None:
        calls: tuple[tuple[str, Call], ...] = (
            ("budget_pool", lambda: storage.consume_budget("nowhere", 1)),
            ("budget_pool", lambda: storage.increase_budget("nowhere", 1)),
            ("approval_request", lambda: storage.approve_request("nowhere", "ann")),
            ("approval_request", lambda: storage.reject_request("nowhere", "ann")),
        )
        for kind, call in calls:
            with pytest.raises(NotFoundError) as raised:
                await call()
            assert (raised.value.kind, raised.value.id) == (kind, "nowhere")

    @clause("OPS-8")
    async def test_a_parent_that_is_not_there_is_named_and_nothing_is_stored(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        await storage.save_workflow(samples.a_workflow(id="there"))
        bare = await samples.stored_session(storage)
        taken = await samples.stored_execution(storage, bare.id)
        result = samples.a_result(id=taken.id)
        before = await everything_in(storage, sessions=["nowhere"], executions=["nowhere"])
        calls: tuple[tuple[str, Call], ...] = (
            ("workflow", lambda: storage.create_session(samples.a_session(workflow_id="nowhere"))),
            ("session", lambda: storage.create_session(samples.a_session(parent_session_id="nowhere"))),
            (
                "session",
                lambda: storage.create_session(samples.a_session(workflow_id="there", parent_session_id="nowhere")),
            ),
            ("session", lambda: storage.save_execution_state(samples.a_state("nowhere"))),
            ("session", lambda: storage.save_execution_state(samples.a_state("nowhere", node_states={}))),
            ("session", lambda: storage.update_node_state("nowhere", "draft", samples.a_node_state("draft"))),
            ("session", lambda: storage.save_llm_execution("nowhere", "draft", samples.a_result())),
            ("session", lambda: storage.save_llm_execution("nowhere", "draft", result)),
            ("llm_execution", lambda: storage.log_tool_call(samples.a_tool_call("nowhere"))),
            ("budget_pool", lambda: storage.create_budget_pool(samples.a_pool(parent_pool_id="nowhere"))),
            ("session", lambda: storage.create_approval_request(samples.a_request("nowhere"))),
        )
        for kind, call in calls:
            with pytest.raises(NotFoundError) as raised:
                await call()
            assert (raised.value.kind, raised.value.id) == (kind, "nowhere")
        assert_identical(await everything_in(storage, sessions=["nowhere"], executions=["nowhere"]), before)

    @clause("OPS-8")
    async def test_a_record_is_not_its_own_parent(self, storage: StorageAdapter) -> None:
        calls: tuple[tuple[str, Call], ...] = (
            ("session", lambda: storage.create_session(samples.a_session(id="own", parent_session_id="own"))),
            ("budget_pool", lambda: storage.create_budget_pool(samples.a_pool(id="own", parent_pool_id="own"))),
        )
        for kind, call in calls:
            with pytest.raises(NotFoundError) as raised:
                await call()
            assert (raised.value.kind, raised.value.id) == (kind, "own")
        assert await storage.get_session("own") is None
        assert await storage.get_budget_pool("own") is None

    @clause("OPS-8", "STA-3")
    async def test_a_node_state_needs_the_state_of_its_session(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        with pytest.raises(NotFoundError) as raised:
            await storage.update_node_state(session.id, "draft", samples.a_node_state("draft"))
        assert (raised.value.kind, raised.value.id) == ("execution_state", session.id)
        assert await storage.get_execution_state(session.id) is None

    @clause("OPS-8", "SES-3", "WFL-1")
    async def test_a_parent_that_was_deleted_is_not_there(self, storage: StorageAdapter) -> None:
        workflow, session = await samples.stored_workflow(storage), await samples.stored_session(storage)
        pool = await samples.stored_pool(storage)
        execution = await samples.stored_execution(storage, session.id)
        await storage.delete_workflow(workflow.id)
        await storage.delete_session(session.id)
        await storage.delete_budget_pool(pool.id)
        before = await everything_in(storage, sessions=[session.id], executions=[execution.id])
        calls: tuple[Call, ...] = (
            lambda: storage.create_session(samples.a_session(workflow_id=workflow.id)),
            lambda: storage.create_session(samples.a_session(parent_session_id=session.id)),
            lambda: storage.save_execution_state(samples.a_state(session.id)),
            lambda: storage.save_llm_execution(session.id, "draft", samples.a_result()),
            lambda: storage.log_tool_call(samples.a_tool_call(execution.id)),
            lambda: storage.create_budget_pool(samples.a_pool(parent_pool_id=pool.id)),
            lambda: storage.create_approval_request(samples.a_request(session.id)),
        )
        for number, call in enumerate(calls):
            await check_raises(NotFoundError, f"calls[{number}], whose parent was deleted,", call)
        assert_identical(await everything_in(storage, sessions=[session.id], executions=[execution.id]), before)

    @clause("OPS-8")
    async def test_a_state_may_name_a_pool_and_approvals_that_are_nowhere(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        node = samples.a_node_state("draft", pending_approval_id="no such approval")
        state = samples.a_state(session.id, budget_pool_id="no such pool", node_states={"draft": node})
        await storage.save_execution_state(state)
        assert_identical(await storage.get_execution_state(session.id), state)

    @clause("OPS-8")
    async def test_a_state_keeps_the_ids_of_a_pool_and_an_approval_that_are_gone(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        pool, request = await samples.stored_pool(storage), await samples.stored_request(storage, other.id)
        node = samples.a_node_state("draft", pending_approval_id=request.id)
        state = samples.a_state(session.id, budget_pool_id=pool.id, node_states={"draft": node})
        await storage.save_execution_state(state)
        await storage.delete_budget_pool(pool.id)
        await storage.delete_session(other.id)
        assert_identical(await storage.get_execution_state(session.id), state)

    async def _fill(self, storage: StorageAdapter) -> None:
        """Store a record of every kind."""
        if await storage.get_session(SESSION_ID) is None:
            await prepare(storage)
        for kind in KINDS:
            if kind.capability is None or kind.capability in storage.capabilities:
                await kind.store(storage, kind.make())
        await samples.stored_request(storage, SESSION_ID, status=ApprovalStatus.REJECTED, resolved_by="ann")


def _without_optional_fields(record: Any) -> Any:
    """Return the record with None in every optional field."""
    return attrs.evolve(record, **{field.name: None for field in attrs.fields(type(record)) if field.default is None})
