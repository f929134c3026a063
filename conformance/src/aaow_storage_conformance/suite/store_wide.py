"""Lists and counts over all sessions, single nodes, and the defaults of the interface for all of them."""

from collections.abc import Awaitable
from typing import Any

import attrs
import pytest

from aaow_storage import (
    OMITTED,
    ApprovalStatus,
    FieldName,
    Gt,
    NodeExecutionState,
    NodeState,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    ToolCallLog,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical

SESSIONS = ("s b", "s a", "s c", "empty")
NODES = ("draft", "a/b c%_'\"é", "review")
FILTERS: dict[str, tuple[QueryFilter, ...]] = {
    "list_llm_executions": (
        QueryFilter(limit=3, offset=2),
        QueryFilter({"session_id": "s a"}, OrderBy("text", "desc"), limit=2),
        QueryFilter({"prompt_tokens": Gt(0)}, (OrderBy("node_id"), OrderBy("completion_tokens", "desc")), offset=1),
        QueryFilter(order_by=OrderBy("input.rank"), limit=4, documents=False),
        QueryFilter({"node_id": "draft"}, limit=0),
    ),
    "count_llm_executions": (
        QueryFilter({"success": None}),
        QueryFilter({"node_id": "draft"}, limit=2, offset=1),
        QueryFilter(order_by=OrderBy("input.rank"), offset=3, documents=False),
    ),
    "list_tool_calls": (
        QueryFilter({"session_id": "s b"}),
        QueryFilter({"node_id": "draft"}, OrderBy("session_id", "desc"), limit=3),
        QueryFilter({"execution_id": None}, limit=2, offset=1),
    ),
    "list_execution_states": (
        QueryFilter({"status": "running"}),
        QueryFilter(order_by=OrderBy("current_node_id", "desc"), limit=2),
        QueryFilter({"session_id": Gt("s a")}, limit=1, offset=1),
    ),
    "list_node_states": (
        QueryFilter({"node_id": "draft"}),
        QueryFilter({"session_id": "s a"}, OrderBy("retry_count", "desc"), limit=2),
        QueryFilter(order_by=(OrderBy("node_id"), OrderBy("error", "desc")), limit=4, offset=2),
    ),
    "list_approval_requests": (
        QueryFilter({"status": "pending"}, OrderBy("node_id", "desc")),
        QueryFilter({"session_id": "s c"}, limit=1),
    ),
    "count_approval_requests": (QueryFilter({"status": "pending"}), QueryFilter(limit=2), QueryFilter(offset=4)),
}
"""For each operation, filters that it is called with beside none."""
GROUPS: tuple[tuple[Any, ...], ...] = ((), ("model",), ("session_id", "day"), ("workflow_id", "node_id", "hour"))

with_operations = pytest.mark.parametrize("name", FILTERS)


def call(storage: StorageOperations, name: str, filter: QueryFilter | None) -> Awaitable[Any]:
    """Call an operation over all sessions."""
    called: Awaitable[Any] = getattr(storage, name)(filter=filter)
    return called


def call_default(storage: StorageOperations, name: str, filter: QueryFilter | None) -> Awaitable[Any]:
    """Call the default of the interface, which is built on the storage's other operations."""
    called: Awaitable[Any] = getattr(StorageOperations, name)(storage, filter=filter)
    return called


class StoreWideTests:
    """What reads over all sessions, and what reads one node."""

    @clause("OPS-12")
    async def test_a_list_over_all_sessions_has_each_record_of_each_session_once(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        executions, calls, requests = [], [], []
        for session_id in SESSIONS:
            executions += await storage.get_llm_executions(session_id)
            calls += await storage.get_session_tool_calls(session_id)
            requests += await storage.list_approval_requests(session_id)
        assert_identical(await storage.list_llm_executions(), _by_time(executions))
        assert_identical(await storage.list_tool_calls(), _by_time(calls))
        assert_identical(await storage.list_approval_requests(), sorted(requests, key=lambda each: each.created_at))
        assert await storage.count_llm_executions() == len(executions) == 12
        assert await storage.count_approval_requests() == len(requests) == 6

    @clause("OPS-12")
    async def test_an_empty_store_has_empty_lists(self, storage: StorageAdapter) -> None:
        for contents in ("no session", "a session"):
            for name in FILTERS:
                expected: object = 0 if name.startswith("count") else []
                assert (contents, name, await call(storage, name, None)) == (contents, name, expected)
            await samples.stored_session(storage)

    @clause("OPS-12")
    async def test_counts_are_the_lengths_of_the_lists(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        for kind in ("llm_executions", "approval_requests"):
            for query in (None, *FILTERS[f"count_{kind}"], *FILTERS[f"list_{kind}"]):
                listed = await call(storage, f"list_{kind}", query)
                assert (query, await call(storage, f"count_{kind}", query)) == (query, len(listed))

    @clause("OPS-12", "TOO-2")
    async def test_a_listed_tool_call_has_the_session_and_node_of_its_execution(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        places = {each.id: (each.session_id, each.node_id) for each in await storage.list_llm_executions()}
        calls = await storage.list_tool_calls()
        of_executions = [each for each in calls if each.execution_id is not None]
        assert len(of_executions) == 12
        assert len(calls) == 15
        for each in of_executions:
            assert (each.session_id, each.node_id) == places[each.execution_id or ""]
        for each in calls:
            where: dict[FieldName, Any] = {"session_id": each.session_id, "node_id": each.node_id}
            same = [other for other in calls if (other.session_id, other.node_id) == (each.session_id, each.node_id)]
            assert_identical(await storage.list_tool_calls(QueryFilter(where)), same)

    @clause("OPS-12", "TOO-2")
    async def test_deleting_a_session_removes_its_records_from_the_lists(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        before = {name: await call(storage, name, None) for name in FILTERS if name.startswith("list")}
        await storage.delete_session("s b")
        for name, records in before.items():
            left = [each for each in records if each.session_id != "s b"]
            assert len(left) < len(records)
            assert_identical(await call(storage, name, None), left)

    @clause("OPS-12")
    async def test_a_list_of_a_session_that_is_not_there_is_no_list_of_all(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        assert await storage.list_approval_requests("nowhere") == []
        with pytest.raises(ValidationError):
            await storage.list_approval_requests("")

    @clause("OPS-12")
    async def test_requests_of_every_status_are_listed_over_all_sessions(self, storage: StorageAdapter) -> None:
        sessions = [await samples.stored_session(storage) for _ in range(2)]
        late = samples.instant(0)
        made = [
            await samples.stored_request(storage, session.id, status=status, expires_at=expires_at)
            for status in ApprovalStatus
            for session in sessions
            for expires_at in (None, late)
        ]
        assert_identical(await storage.list_approval_requests(), made)
        assert await storage.count_approval_requests() == len(made)

    @clause("OPS-12")
    async def test_states_are_listed_by_session_and_nodes_by_session_and_node(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        states = [await storage.get_execution_state(session_id) for session_id in ("s a", "s b", "s c")]
        assert_identical(await storage.list_execution_states(), states)
        nodes = [
            _of_session(session_id, state.node_states[node_id])
            for session_id, state in zip(("s a", "s b", "s c"), states, strict=True)
            if state is not None
            for node_id in sorted(state.node_states)
        ]
        assert len(nodes) == 9
        assert_identical(await storage.list_node_states(), nodes)

    @clause("OPS-12", "QRY-7")
    @pytest.mark.parametrize("name", ["list_execution_states", "list_node_states"])
    async def test_states_are_walked_page_by_page(self, storage: StorageAdapter, name: str) -> None:
        await _fill(storage)
        for order in ((), OrderBy("status"), OrderBy("started_at", "desc"), (OrderBy("session_id", "desc"),)):
            query = QueryFilter(order_by=order, limit=2)
            whole = await call(storage, name, attrs.evolve(query, limit=None))
            visited: list[Any] = []
            while page := await call(storage, name, query):
                visited += page
                assert len(visited) <= len(whole)
                query = query.after(page[-1])
            assert_identical(visited, whole)

    @clause("STA-6")
    async def test_one_node_is_read_alone(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        for session_id in ("s a", "s b"):
            state = await storage.get_execution_state(session_id)
            assert state is not None
            for node_id in NODES:
                assert_identical(await storage.get_node_state(session_id, node_id), state.node_states[node_id])
        again = samples.a_node_state("draft")
        await storage.update_node_state("s a", "draft", again)
        assert_identical(await storage.get_node_state("s a", "draft"), again)
        assert type(await storage.get_node_state("s a", "draft")) is NodeExecutionState

    @clause("STA-6", "TXN-2")
    async def test_a_transaction_reads_the_node_that_it_has_changed(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        before = await storage.get_node_state("s a", "draft")
        changed, new = samples.a_node_state("draft"), samples.a_node_state("new")
        transaction = await storage.begin_transaction()
        for node in (changed, new):
            await transaction.update_node_state("s a", node.node_id, node)
            assert_identical(await transaction.get_node_state("s a", node.node_id), node)
        await transaction.rollback()
        assert_identical(await storage.get_node_state("s a", "draft"), before)
        assert await storage.get_node_state("s a", "new") is None

    @clause("STA-6")
    async def test_a_node_that_is_not_there_is_none(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        for session_id, node_id in (("s a", "nowhere"), ("nowhere", "draft"), ("empty", "draft"), ("s a", "DRAFT")):
            assert await storage.get_node_state(session_id, node_id) is None
        for wrong in ("", None, 7, "x" * 256):
            with pytest.raises(ValidationError):
                await storage.get_node_state(wrong, "draft")  # type: ignore[arg-type]  # on purpose
            with pytest.raises(ValidationError):
                await storage.get_node_state("s a", wrong)  # type: ignore[arg-type]  # on purpose

    @clause("STA-6")
    async def test_a_listed_node_state_can_be_stored_again(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        [listed] = await storage.list_node_states(QueryFilter({"session_id": "s a", "node_id": "draft"}))
        retried = listed.retried(samples.instant(9))
        await storage.update_node_state(listed.session_id, listed.node_id, retried)
        found = await storage.get_node_state("s a", "draft")
        assert found is not None
        assert_identical(_of_session("s a", found), retried)

    @clause("LLM-5")
    async def test_without_documents_executions_lack_input_and_output_alone(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        without = QueryFilter(documents=False)
        pairs: tuple[tuple[Any, Any], ...] = (
            (await storage.list_llm_executions(without), await storage.list_llm_executions()),
            (await storage.get_llm_executions("s a", without), await storage.get_llm_executions("s a")),
            (
                await storage.get_node_llm_executions("s a", "draft", without),
                await storage.get_node_llm_executions("s a", "draft"),
            ),
        )
        for found, whole in pairs:
            assert whole
            assert all(each.input is OMITTED and each.output is OMITTED for each in found)
            assert all(each.input is not OMITTED for each in whole)
            refilled = [
                attrs.evolve(each, input=other.input, output=other.output)
                for each, other in zip(found, whole, strict=True)
            ]
            assert_identical(refilled, whole)

    @clause("LLM-5")
    async def test_without_documents_filters_and_orders_still_reach_into_them(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        for query in (QueryFilter({"input.rank": Gt(3)}), QueryFilter(order_by=OrderBy("output.rank", "desc"))):
            whole = await storage.list_llm_executions(query)
            found = await storage.list_llm_executions(attrs.evolve(query, documents=False))
            assert [each.id for each in found] == [each.id for each in whole]
            assert whole

    @clause("OPS-9")
    @with_operations
    async def test_a_default_of_the_interface_answers_as_the_backend_does(
        self, storage: StorageAdapter, name: str
    ) -> None:
        await _fill(storage)
        if name == "list_approval_requests":
            return  # every backend has its own
        for query in (None, *FILTERS[name]):
            own = await call(storage, name, query)
            assert_identical(await call_default(storage, name, query), own)
            if isinstance(own, list) and len(own) > 1:
                behind = attrs.evolve(query or QueryFilter(), documents=True)
                record, *_ = await call(storage, name, behind)
                own = await call(storage, name, behind.after(record))
                assert_identical(await call_default(storage, name, behind.after(record)), own)

    @clause("OPS-9")
    async def test_the_default_of_a_single_node_answers_as_the_backend_does(self, storage: StorageAdapter) -> None:
        await _fill(storage)
        for session_id in (*SESSIONS, "nowhere"):
            for node_id in (*NODES, "nowhere"):
                own = await storage.get_node_state(session_id, node_id)
                assert_identical(await StorageOperations.get_node_state(storage, session_id, node_id), own)

    @clause("OPS-9", "USE-1", "USE-2")
    @pytest.mark.parametrize("group_by", GROUPS, ids=", ".join)
    async def test_the_default_sums_are_those_of_the_backend(
        self, storage: StorageAdapter, group_by: tuple[Any, ...]
    ) -> None:
        await _fill(storage)
        wheres: tuple[dict[FieldName, Any], ...] = ({}, {"success": None}, {"cost": Gt(5)}, {"session_id": "s a"})
        for where in wheres:
            query = QueryFilter(where)
            own = await storage.summarize_usage(group_by, query)
            assert_identical(await StorageOperations.summarize_usage(storage, group_by, query), own)

    @clause("OPS-9", "TXN-2")
    @with_operations
    async def test_both_answer_inside_a_transaction_too(self, storage: StorageAdapter, name: str) -> None:
        async with storage.transaction() as transaction:
            await _fill(transaction)
            own = await call(transaction, name, None)
            assert own
            if name != "list_approval_requests":
                assert_identical(await call_default(transaction, name, None), own)


def _by_time(records: list[Any]) -> list[Any]:
    return sorted(records, key=lambda each: (each.timestamp, each.id))


def _of_session(session_id: str, node: NodeExecutionState) -> NodeState:
    values = {field.name: getattr(node, field.name) for field in attrs.fields(NodeExecutionState)}
    return NodeState(**{**values, "session_id": session_id})


async def _fill(storage: StorageOperations) -> None:
    """Store records of three sessions, in turns, and a session without records."""
    workflow = await samples.stored_workflow(storage)
    for session_id in SESSIONS:
        await samples.stored_session(storage, id=session_id, workflow_id=workflow.id if session_id == "s b" else None)
    for turn in range(4):
        for session_id in SESSIONS[:3]:
            await _store_execution(storage, session_id, turn)
    for session_id in SESSIONS[:3]:
        nodes = {node_id: samples.a_node_state(node_id) for node_id in NODES}
        status = "running" if session_id == "s c" else "paused"
        await storage.save_execution_state(samples.a_state(session_id, status=status, node_states=nodes))
        await storage.log_tool_call(
            ToolCallLog(session_id=session_id, node_id="draft", tool_call_id="t", tool_name="n", args={})
        )
        for state in (ApprovalStatus.PENDING, ApprovalStatus.REJECTED):
            await samples.stored_request(storage, session_id, status=state)


async def _store_execution(storage: StorageOperations, session_id: str, turn: int) -> None:
    fields: dict[str, Any] = {"model": ("small", "large", None)[turn % 3], "success": (True, False, None)[turn % 3]}
    if turn == 1:
        fields |= {"usage": None, "cost": None, "currency": None, "completed_at": None}
    documents = {"input": {"rank": 7 * turn % 5}, "output": {"rank": turn}}
    node_id = ("draft", "review")[turn % 2]
    made = await samples.stored_execution(storage, session_id, node_id, **documents, **fields)
    await samples.stored_tool_call(storage, made.id)
