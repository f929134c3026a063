"""The change feed: what is in it."""

from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from aaow_storage import (
    AlreadyExistsError,
    ApprovalStatus,
    Capability,
    Change,
    NotFoundError,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    now,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples

Seen = tuple[str, str, str | None, str]
"""The kind, id, session id and action of a change."""

CHANGES_IN_A_PAGE = 100
LONG_AGO = timedelta(days=3650)


def seen_in(changes: list[Change]) -> list[Seen]:
    """Return what changes say, without their positions and times."""
    return [(change.kind, change.id, change.session_id, change.action.value) for change in changes]


class Feed:
    """Reads what has come into the feed since the last time."""

    def __init__(self, storage: StorageOperations) -> None:
        self._storage = storage
        self._after: str | None = None
        self.changes: list[Change] = []

    async def new(self) -> list[Seen]:
        """Return what is new."""
        found = await self._storage.get_changes(self._after, CHANGES_IN_A_PAGE)
        if found:
            self._after = found[-1].position
        self.changes += found
        return seen_in(found)


@requires(Capability.CHANGES)
class RecordedChangeTests:
    """What writes leave in the feed."""

    @clause("CHG-1")
    async def test_each_write_of_a_workflow_or_session_is_in_the_feed(self, storage: StorageAdapter) -> None:
        feed = Feed(storage)
        assert await feed.new() == []
        workflow = samples.a_workflow(id="w")
        await storage.save_workflow(workflow)
        assert await feed.new() == [("workflow", "w", None, "created")]
        await storage.save_workflow(samples.a_workflow(id="w"))
        await storage.update_workflow("w", name="another")
        assert await feed.new() == [("workflow", "w", None, "updated")] * 2
        await storage.create_session(samples.a_session(id="s", workflow_id="w"))
        await storage.update_session("s", metadata={"user": "ann"})
        assert await feed.new() == [("session", "s", "s", "created"), ("session", "s", "s", "updated")]
        await storage.delete_session("s")
        await storage.delete_workflow("w")
        assert await feed.new() == [("session", "s", "s", "deleted"), ("workflow", "w", None, "deleted")]

    @clause("CHG-1")
    async def test_each_write_of_what_belongs_to_a_session_is_in_the_feed(self, storage: StorageAdapter) -> None:
        await storage.create_session(samples.a_session(id="s", status=SessionStatus.RUNNING))
        feed = Feed(storage)
        await feed.new()
        state = samples.a_state("s", status=SessionStatus.RUNNING)
        await storage.save_execution_state(state)
        assert await feed.new() == [("execution_state", "s", "s", "created")]
        await storage.save_execution_state(samples.a_state("s", status=SessionStatus.RUNNING))
        await storage.update_node_state("s", "draft", samples.a_node_state("draft"))
        await storage.update_node_state("s", "new", samples.a_node_state("new"))
        assert await feed.new() == [("execution_state", "s", "s", "updated")] * 3
        await storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
        await storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
        await storage.log_tool_call(samples.a_tool_call("e", id="t"))
        await storage.log_tool_call(samples.a_tool_call(None, id="u", session_id="s", node_id="draft"))
        assert await feed.new() == [
            ("llm_execution", "e", "s", "created"),
            ("llm_execution", "e", "s", "updated"),
            ("tool_call", "t", "s", "created"),
            ("tool_call", "u", "s", "created"),
        ]

    @clause("CHG-1")
    async def test_each_write_of_a_pool_is_in_the_feed(self, storage: StorageAdapter) -> None:
        feed = Feed(storage)
        await storage.create_budget_pool(samples.a_pool(id="p", total_budget=100, used_budget=0))
        await storage.create_budget_pool(samples.a_pool(id="c", parent_pool_id="p", total_budget=100, used_budget=0))
        assert await feed.new() == [("budget_pool", "p", None, "created"), ("budget_pool", "c", None, "created")]
        await storage.consume_budget("c", 1)
        assert sorted(await feed.new()) == [
            ("budget_pool", "c", None, "updated"),
            ("budget_pool", "p", None, "updated"),
        ]
        await storage.increase_budget("p", 1)
        await storage.update_budget_pool("p", metadata=None)
        assert await feed.new() == [("budget_pool", "p", None, "updated")] * 2
        await storage.delete_budget_pool("c")
        assert await feed.new() == [("budget_pool", "c", None, "deleted")]

    @clause("CHG-1")
    async def test_each_write_of_an_approval_request_is_in_the_feed(self, storage: StorageAdapter) -> None:
        await storage.create_session(samples.a_session(id="s"))
        feed = Feed(storage)
        await feed.new()
        fields = {"status": ApprovalStatus.PENDING, "resolved_at": None, "resolved_by": None, "resolution_notes": None}
        for name in ("a", "b", "c"):
            expires_at = now() + LONG_AGO
            await storage.create_approval_request(samples.a_request("s", id=name, **fields, expires_at=expires_at))
        assert await feed.new() == [("approval_request", name, "s", "created") for name in ("a", "b", "c")]
        await storage.update_approval_request("a", context={"amount": 3})
        await storage.approve_request("a", "ann")
        await storage.reject_request("b", "bob")
        await storage.expire_approvals(now() + 2 * LONG_AGO)
        assert await feed.new() == [("approval_request", name, "s", "updated") for name in ("a", "a", "b", "c")]
        await storage.expire_approvals(now() + 2 * LONG_AGO)
        assert await feed.new() == []

    @clause("CHG-1")
    @requires(Capability.STREAM_EVENTS)
    async def test_each_write_of_a_stream_event_is_in_the_feed(self, storage: StorageAdapter) -> None:
        await storage.create_session(samples.a_session(id="s"))
        feed = Feed(storage)
        await feed.new()
        events = [samples.an_event("stream", id=f"e{number}", session_id="s") for number in range(4)]
        await storage.save_stream_event(events[0])
        await storage.save_stream_event(samples.an_event("stream", id="e1", data=1))
        assert await feed.new() == [("stream_event", "e0", "s", "created"), ("stream_event", "e1", None, "created")]
        await storage.save_stream_events(events)
        assert sorted(await feed.new()) == [
            ("stream_event", "e1", "s", "updated"),
            ("stream_event", "e2", "s", "created"),
            ("stream_event", "e3", "s", "created"),
        ]
        await storage.delete_stream_events("stream")
        assert sorted(await feed.new()) == [("stream_event", f"e{number}", "s", "deleted") for number in range(4)]

    @clause("CHG-1")
    async def test_a_write_that_leaves_a_record_as_it_was_is_not_in_the_feed(self, storage: StorageAdapter) -> None:
        workflow = samples.a_workflow(metadata={"number": 1})
        session = samples.a_session(status=SessionStatus.RUNNING)
        state = samples.a_state(session.id, status=SessionStatus.RUNNING)
        result, pool = samples.a_result(), samples.a_pool()
        request = samples.a_request(
            session.id, status=ApprovalStatus.PENDING, resolved_at=None, resolved_by=None, resolution_notes=None
        )
        await storage.create_session(session)
        await storage.create_budget_pool(pool)
        await storage.create_approval_request(request)

        async def save_all() -> None:
            await storage.save_workflow(workflow)
            await storage.save_execution_state(state)
            await storage.save_llm_execution(session.id, "draft", result)
            await storage.update_node_state(session.id, "draft", state.node_states["draft"])

        await save_all()
        feed = Feed(storage)
        await feed.new()
        await save_all()
        await storage.update_session(session.id, status=session.status, updated_at=session.updated_at)
        await storage.update_budget_pool(pool.id, metadata=pool.metadata)
        await storage.update_approval_request(request.id, context=request.context)
        assert await feed.new() == []
        await storage.update_workflow(workflow.id, metadata={"number": True}, updated_at=workflow.updated_at)
        assert await feed.new() == [("workflow", workflow.id, None, "updated")]

    @clause("CHG-1", "STA-5")
    async def test_a_change_of_the_status_is_in_the_feed_for_the_session_and_its_state(
        self, storage: StorageAdapter
    ) -> None:
        for name in ("s", "alone"):
            await storage.create_session(samples.a_session(id=name, status=SessionStatus.QUEUED))
        feed = Feed(storage)
        await feed.new()
        session = ("session", "s", "s", "updated")
        both = [("execution_state", "s", "s", "updated"), session]
        state = samples.a_state("s", status=SessionStatus.RUNNING)
        await storage.save_execution_state(state)
        assert sorted(await feed.new()) == [("execution_state", "s", "s", "created"), session]
        await storage.save_execution_state(state)
        assert await feed.new() == []
        await storage.save_execution_state(evolve(state, status=SessionStatus.PAUSED))
        assert sorted(await feed.new()) == both
        await storage.save_execution_state(
            evolve(
                state,
                status=SessionStatus.RUNNING,
                metadata={"step": 2},
                node_states={"new": samples.a_node_state("new")},
            )
        )
        assert sorted(await feed.new()) == both
        await storage.update_session("s", status=SessionStatus.PAUSED)
        assert sorted(await feed.new()) == both
        await storage.update_session("s", status=SessionStatus.PAUSED)
        assert await feed.new() == [session]
        await storage.update_session("alone", status=SessionStatus.PAUSED)
        assert await feed.new() == [("session", "alone", "alone", "updated")]

    @clause("CHG-1", "STA-5", "APR-7")
    async def test_a_decision_that_sets_the_status_is_in_the_feed_with_the_session_and_its_state(
        self, storage: StorageAdapter
    ) -> None:
        await storage.create_session(samples.a_session(id="s", status=SessionStatus.PAUSED))
        await storage.save_execution_state(samples.a_state("s", status=SessionStatus.PAUSED))
        fields = {"status": ApprovalStatus.PENDING, "resolved_at": None, "resolved_by": None, "resolution_notes": None}
        for name in ("a", "b", "c"):
            await storage.create_approval_request(
                samples.a_request("s", id=name, **fields, expires_at=now() + LONG_AGO)
            )
        feed = Feed(storage)
        await feed.new()
        session = ("session", "s", "s", "updated")
        both = [("execution_state", "s", "s", "updated"), session]
        await storage.approve_request("a", "ann", session_status=SessionStatus.RUNNING)
        assert sorted(await feed.new()) == [("approval_request", "a", "s", "updated"), *both]
        await storage.reject_request("b", "bob", session_status=SessionStatus.RUNNING)
        assert sorted(await feed.new()) == [("approval_request", "b", "s", "updated"), session]
        await storage.expire_approvals(now() + 2 * LONG_AGO, session_status=SessionStatus.CANCELLED)
        assert sorted(await feed.new()) == [("approval_request", "c", "s", "updated"), *both]
        await storage.expire_approvals(now() + 2 * LONG_AGO, session_status=SessionStatus.RUNNING)
        assert await feed.new() == []

    @clause("CHG-1", "STA-5", "TXN-4")
    async def test_a_status_that_was_rolled_back_is_not_in_the_feed(self, storage: StorageAdapter) -> None:
        await storage.create_session(samples.a_session(id="s", status=SessionStatus.QUEUED))
        state = samples.a_state("s", status=SessionStatus.QUEUED)
        await storage.save_execution_state(state)
        feed = Feed(storage)
        await feed.new()
        async with storage.transaction() as transaction:
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await transaction.update_session("s", status=SessionStatus.RUNNING)
                    await transaction.save_execution_state(evolve(state, status=SessionStatus.PAUSED))
                    raise ZeroDivisionError
            await transaction.save_execution_state(evolve(state, metadata={"step": 2}))
        assert await feed.new() == [("execution_state", "s", "s", "updated")]

    @clause("CHG-1")
    @requires(Capability.STREAM_EVENTS)
    async def test_an_event_that_is_saved_again_unchanged_is_not_in_the_feed(self, storage: StorageAdapter) -> None:
        events = [samples.an_event("stream") for _ in range(3)]
        await storage.save_stream_events(events)
        feed = Feed(storage)
        await feed.new()
        await storage.save_stream_event(events[0])
        await storage.save_stream_events(events)
        assert await feed.new() == []

    @clause("CHG-1", "TXN-4")
    async def test_what_was_rolled_back_is_not_in_the_feed(self, storage: StorageAdapter) -> None:
        feed = Feed(storage)
        with suppress(ZeroDivisionError):
            async with storage.transaction() as transaction:
                await transaction.create_budget_pool(samples.a_pool(id="rolled back"))
                raise ZeroDivisionError
        assert await feed.new() == []
        async with storage.transaction() as transaction:
            await transaction.create_budget_pool(samples.a_pool(id="a"))
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await transaction.create_budget_pool(samples.a_pool(id="undone"))
                    async with transaction.savepoint():
                        await transaction.create_budget_pool(samples.a_pool(id="undone too"))
                    raise ZeroDivisionError
            async with transaction.savepoint():
                await transaction.create_budget_pool(samples.a_pool(id="b"))
            assert seen_in(await transaction.get_changes()) == []
        assert await feed.new() == [("budget_pool", "a", None, "created"), ("budget_pool", "b", None, "created")]

    @clause("CHG-1", "OPS-6", "TXN-5")
    async def test_an_operation_that_failed_is_not_in_the_feed(self, storage: StorageAdapter) -> None:
        pool = samples.a_pool(id="a")
        await storage.create_budget_pool(pool)
        feed = Feed(storage)
        await feed.new()

        async def fail(on: StorageOperations) -> None:
            with pytest.raises(AlreadyExistsError):
                await on.create_budget_pool(pool)
            with pytest.raises(NotFoundError):
                await on.save_llm_execution("none", "draft", samples.a_result())
            with pytest.raises(NotFoundError):
                await on.save_execution_state(samples.a_state("none"))
            with pytest.raises(NotFoundError):
                await on.delete_session("none")

        await fail(storage)
        assert await feed.new() == []
        async with storage.transaction() as transaction:
            await fail(transaction)
            await transaction.create_budget_pool(samples.a_pool(id="b"))
            await fail(transaction)
        assert await feed.new() == [("budget_pool", "b", None, "created")]

    @clause("CHG-1", "SES-3", "WFL-1")
    async def test_a_deletion_names_the_parent_and_updates_who_referred_to_it(self, storage: StorageAdapter) -> None:
        await storage.save_workflow(samples.a_workflow(id="w"))
        await storage.create_session(samples.a_session(id="s", workflow_id="w", status=SessionStatus.RUNNING))
        await storage.create_session(samples.a_session(id="child", parent_session_id="s"))
        await storage.save_execution_state(samples.a_state("s", status=SessionStatus.RUNNING))
        await storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
        await storage.log_tool_call(samples.a_tool_call("e"))
        await storage.create_approval_request(samples.a_request("s"))
        if Capability.STREAM_EVENTS in storage.capabilities:
            await storage.save_stream_event(samples.an_event("stream", session_id="s"))
        feed = Feed(storage)
        await feed.new()
        await storage.delete_workflow("w")
        assert sorted(await feed.new()) == [("session", "s", "s", "updated"), ("workflow", "w", None, "deleted")]
        await storage.delete_session("s")
        assert sorted(await feed.new()) == [("session", "child", "child", "updated"), ("session", "s", "s", "deleted")]

    @clause("CHG-1")
    async def test_a_transaction_that_writes_a_record_twice_says_so_in_order(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            await transaction.create_session(samples.a_session(id="s"))
            await transaction.update_session("s", metadata={"step": 1})
            await transaction.delete_session("s")
        found = await storage.get_changes()
        assert [change.action.value for change in found] == ["created", "updated", "deleted"]

    @clause("CHG-1")
    async def test_a_change_has_the_time_at_which_it_was_made(self, storage: StorageAdapter) -> None:
        before = now()
        await storage.create_budget_pool(samples.a_pool())
        (change,) = await storage.get_changes()
        assert before - timedelta(minutes=1) <= change.at <= now() + timedelta(minutes=1)
        assert Change.from_dict(change.to_dict()) == change

    @clause("CHG-1", "QRY-4")
    async def test_changes_are_chosen_by_kind_and_session(self, storage: StorageAdapter) -> None:
        for name in ("s", "t"):
            await storage.create_session(samples.a_session(id=name))
            await storage.save_llm_execution(name, "draft", samples.a_result(id=f"e-{name}"))
        await storage.log_tool_call(samples.a_tool_call("e-s", id="call"))
        await storage.create_budget_pool(samples.a_pool(id="p"))
        of_session = await storage.get_changes(session_id="s")
        assert [change.id for change in of_session] == ["s", "e-s", "call"]
        executions = await storage.get_changes(kinds=["llm_execution", "budget_pool"])
        assert [change.id for change in executions] == ["e-s", "e-t", "p"]
        assert [change.id for change in await storage.get_changes(None, 1, {"llm_execution"}, "t")] == ["e-t"]
        assert await storage.get_changes(executions[0].position, 5, ["llm_execution"]) == [executions[1]]
        assert await storage.get_changes(kinds=[]) == []
