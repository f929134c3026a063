"""Snapshots: a read during writes shows one instant of the store, in all of its parts."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import pytest

from aaow_storage import Capability, Ge, QueryFilter, StorageAdapter, StorageOperations
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.store import Store

COUNT = 12
"""The number of records that each list has at every instant."""
ROUNDS = 16
MANY_ROUNDS = 250
LONG = 40 * 1024
Read = Callable[[StorageOperations], Awaitable[list[Any]]]
Replace = Callable[[StorageOperations, int], Awaitable[None]]


def _ids_of_turn(turn: int) -> list[str]:
    """Return the ids of the records of a turn; half of them are those of the turn before."""
    return [f"record {turn * COUNT // 2 + number:04}" for number in range(COUNT)]


def _ids_removed_in_turn(turn: int) -> list[str]:
    return sorted({*_ids_of_turn(turn - 1)} - {*_ids_of_turn(turn)}) if turn else []


def _document(turn: int) -> dict[str, Any]:
    return {"turn": turn, "filling": f"{turn}" * 200}


async def _replace_workflows(storage: StorageOperations, turn: int) -> None:
    for name in _ids_removed_in_turn(turn):
        await storage.delete_workflow(name)
    for name in _ids_of_turn(turn):
        await samples.stored_workflow(storage, id=name, definition=_document(turn), metadata=_document(turn))


async def _replace_sessions(storage: StorageOperations, turn: int) -> None:
    for name in _ids_of_turn(turn - 1) if turn else []:
        await storage.delete_session(name)
    for name in _ids_of_turn(turn):
        document = _document(turn)
        await samples.stored_session(storage, id=name, workflow_snapshot=document, metadata=document)


async def _replace_executions(storage: StorageOperations, turn: int) -> None:
    for name in _ids_removed_in_turn(turn):
        await storage.save_llm_execution("other", "draft", samples.a_result(id=name))
    for name in _ids_of_turn(turn):
        await storage.save_llm_execution("home", "draft", samples.a_result(id=name, metadata=_document(turn)))


async def _replace_tool_calls(storage: StorageOperations, turn: int, executions: tuple[str, ...] = ("one",)) -> None:
    """Replace the session, its executions and their tool calls, alternating between executions."""
    if turn:
        await storage.delete_session("home")
        await samples.stored_session(storage, id="home")
    for execution in ("one", "two"):
        await storage.save_llm_execution("home", "draft", samples.a_result(id=execution))
    for number, name in enumerate(_ids_of_turn(turn)):
        log = samples.a_tool_call(executions[number % len(executions)], id=name, args=_document(turn))
        await storage.log_tool_call(log)


_replace_calls_of_two = partial(_replace_tool_calls, executions=("one", "two"))


async def _move_tool_calls(storage: StorageOperations, turn: int) -> None:
    """Swap executions between two sessions, so that each keeps its number of tool calls."""
    if turn == 0:
        for name in ("even", "odd"):
            await storage.save_llm_execution("other", "draft", samples.a_result(id=name))
            for number in range(COUNT):
                log = samples.a_tool_call(name, id=f"{name} {number:02}", args={"turn": name == "odd"})
                await storage.log_tool_call(log)
    for place, name in (("home", "odd" if turn % 2 else "even"), ("other", "even" if turn % 2 else "odd")):
        await storage.save_llm_execution(place, "draft", samples.a_result(id=name))


async def _replace_pools(storage: StorageOperations, turn: int) -> None:
    if turn == 0:
        await samples.stored_pool(storage, id="parent")
    for name in _ids_removed_in_turn(turn):
        await storage.delete_budget_pool(name)
    for name in sorted({*_ids_of_turn(turn)} - ({*_ids_of_turn(turn - 1)} if turn else set())):
        await samples.stored_pool(storage, id=name, parent_pool_id="parent")
    for name in _ids_of_turn(turn):
        await storage.update_budget_pool(name, metadata=_document(turn))


async def _replace_requests(storage: StorageOperations, turn: int) -> None:
    """Decide the pending requests of a session, and create as many new ones."""
    for name in _ids_of_turn(turn - 1) if turn else []:
        await storage.approve_request(f"{turn - 1} {name}", "ann")
    if turn:
        await storage.delete_session("home")
        await samples.stored_session(storage, id="home")
    for name in _ids_of_turn(turn):
        await samples.stored_request(storage, "home", id=f"{turn} {name}", context=_document(turn))


async def _replace_events(storage: StorageOperations, turn: int) -> None:
    for name in _ids_removed_in_turn(turn):
        await storage.save_stream_event(samples.an_event("other", id=name))
    for name in _ids_of_turn(turn):
        await storage.save_stream_event(samples.an_event("home", id=name, data=_document(turn)))


async def _but_the_parent(storage: StorageOperations) -> list[Any]:
    return [pool for pool in await storage.list_budget_pools() if pool.id != "parent"]


@attrs.frozen
class ListRead:
    """A list, a function that replaces its records by as many of another turn, and how a record tells its turn.

    Attributes:
        count: counts the records of the list, if there is an operation for that.
    """

    name: str
    read: Read
    replace: Replace
    field: str
    count: Callable[[StorageOperations], Awaitable[int]] | None = None

    def turns(self, records: list[Any]) -> set[Any]:
        """Return the turns in which the records were written."""
        return {getattr(record, self.field)["turn"] for record in records}


LATER = QueryFilter({"metadata.turn": Ge(0)})
LIST_READS: tuple[ListRead, ...] = (
    ListRead("list_workflows", lambda storage: storage.list_workflows(), _replace_workflows, "metadata",
            lambda storage: storage.count_workflows()),
    ListRead("list_workflows by a condition", lambda storage: storage.list_workflows(LATER), _replace_workflows,
            "definition", lambda storage: storage.count_workflows(LATER)),
    ListRead("list_workflows without documents", lambda storage: storage.list_workflows(QueryFilter(documents=False)),
            _replace_workflows, "metadata"),
    ListRead("list_sessions", lambda storage: storage.list_sessions(), _replace_sessions, "workflow_snapshot",
            lambda storage: storage.count_sessions()),
    ListRead("get_llm_executions", lambda storage: storage.get_llm_executions("home"), _replace_executions, "metadata"),
    ListRead("get_node_llm_executions", lambda storage: storage.get_node_llm_executions("home", "draft"),
            _replace_executions, "metadata"),
    ListRead("get_tool_calls", lambda storage: storage.get_tool_calls("one"), _replace_tool_calls, "args"),
    ListRead("get_session_tool_calls", lambda storage: storage.get_session_tool_calls("home"), _replace_calls_of_two,
            "args"),
    ListRead("get_session_tool_calls of another session", lambda storage: storage.get_session_tool_calls("home"),
            _move_tool_calls, "args"),
    ListRead("list_budget_pools", _but_the_parent, _replace_pools, "metadata"),
    ListRead("get_child_budget_pools", lambda storage: storage.get_child_budget_pools("parent"), _replace_pools,
            "metadata"),
    ListRead("list_approval_requests", lambda storage: storage.list_approval_requests("home"), _replace_requests,
            "context"),
    ListRead("list_pending_approvals", lambda storage: storage.list_pending_approvals(), _replace_requests, "context"),
    ListRead("get_stream_events", lambda storage: storage.get_stream_events("home"), _replace_events, "data"),
)  # fmt: skip
"""Every operation that returns a list."""


every_list = pytest.mark.parametrize(
    "watched",
    [
        pytest.param(each, id=each.name, marks=requires(Capability.STREAM_EVENTS) if "stream" in each.name else ())
        for each in LIST_READS
    ],
)


class SnapshotTests:
    """Reads of several steps show no write that came between the steps."""

    @clause("TXN-2", "OPS-6")
    @every_list
    async def test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant(
        self, storage: StorageAdapter, store: Store, watched: ListRead
    ) -> None:
        for name in ("home", "other"):
            if watched.replace is not _replace_sessions:
                await samples.stored_session(storage, id=name)
        await _replace(watched, storage, 0)
        is_over = asyncio.Event()

        async def read(reader: StorageAdapter) -> list[int]:
            seen: list[int] = []
            while not is_over.is_set():
                found = await watched.read(reader)
                assert (len(found), len(watched.turns(found))) == (COUNT, 1), _describe(watched, found)
                assert len({record.id for record in found}) == COUNT
                seen += watched.turns(found)
                if watched.count is not None:
                    assert await watched.count(reader) == COUNT
                await _pass_turns(len(seen) % 5)
            return seen

        async with store.open() as other:
            readers = [asyncio.create_task(read(reader)) for reader in (storage, other, storage)]
            try:
                for turn in range(1, ROUNDS):
                    await _replace(watched, other if turn % 2 else storage, turn)
                    await _pass_turns(turn % 3)
            finally:
                is_over.set()
                outcomes = await asyncio.gather(*readers)
        for seen in outcomes:
            assert seen
            if watched.replace is not _move_tool_calls:
                assert seen == sorted(seen), f"a later read shows an older turn: {seen}"

    @clause("OPS-6", "QRY-8")
    async def test_a_long_list_read_while_its_documents_go_and_come_holds_each_whole(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        """Each document is deleted with its workflow, so a read that fetches it later does not find it."""
        names = [f"{number:02}" for number in range(COUNT)]

        async def save(writer: StorageAdapter, turn: int) -> None:
            for name in names:
                document = {"name": name, "turn": turn, "filling": name * (LONG // 2)}
                workflow = samples.a_workflow(id=name, name=f"{turn}", created_at=samples.EPOCH, definition=document)
                await writer.save_workflow(workflow)

        await save(storage, 0)
        is_over = asyncio.Event()

        async def read(reader: StorageAdapter) -> int:
            looks = 0
            while not is_over.is_set():
                found = await reader.list_workflows()
                assert [workflow.id for workflow in found] == names
                for workflow in found:
                    definition = workflow.definition
                    assert (definition["name"], f"{definition['turn']}") == (workflow.id, workflow.name)
                one = await reader.get_workflow(names[looks % COUNT])
                assert one is not None
                assert one.name == f"{one.definition['turn']}"
                looks += 1
                await asyncio.sleep(0)
            return looks

        async with store.open() as other:
            readers = [asyncio.create_task(read(reader)) for reader in (storage, other)]
            try:
                for turn in range(1, 9):
                    await save(other if turn % 2 else storage, turn)
                    await asyncio.sleep(0)  # yields to the readers if no operation does
            finally:
                is_over.set()
                assert all(await asyncio.gather(*readers))

    @clause("STA-2", "SES-3")
    @pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(MANY_ROUNDS, marks=pytest.mark.slow)])
    async def test_a_state_read_while_its_session_is_replaced_or_its_nodes_are_updated_is_that_of_one_instant(
        self, storage: StorageAdapter, store: Store, rounds: int
    ) -> None:
        names = [f"node {number}" for number in range(COUNT)]

        async def save(writer: StorageAdapter, turn: int) -> None:
            nodes = {name: samples.a_node_state(name, retry_count=turn) for name in names}
            async with writer.transaction() as transaction:
                if turn % 3 == 0 and turn:
                    await transaction.delete_session("home")
                if turn % 3 == 0:
                    await samples.stored_session(transaction, id="home")
                bare = samples.a_state("home", metadata=_document(turn), node_states={})
                await transaction.save_execution_state(bare)
                for name, node in nodes.items():
                    await transaction.update_node_state("home", name, node)

        await save(storage, 0)
        is_over = asyncio.Event()

        async def read(reader: StorageAdapter) -> int:
            looks = 0
            while not is_over.is_set():
                state = await reader.get_execution_state("home")
                assert state is not None
                assert state.metadata is not None
                assert len(state.node_states) == COUNT
                assert {node.retry_count for node in state.node_states.values()} == {state.metadata["turn"]}
                looks += 1
                await _pass_turns(looks % 5)
            return looks

        async with store.open() as other:
            readers = [asyncio.create_task(read(reader)) for reader in (storage, other)]
            try:
                for turn in range(1, rounds):
                    await save(other if turn % 2 else storage, turn)
                    await asyncio.sleep(0)  # yields to the readers if no operation does
            finally:
                is_over.set()
                assert all(await asyncio.gather(*readers))


async def _pass_turns(count: int) -> None:
    """Yield to the other tasks for a varying number of turns, so that reads begin at any step of the writes."""
    for _ in range(count + 1):
        await asyncio.sleep(0)


async def _replace(watched: ListRead, storage: StorageAdapter, turn: int) -> None:
    async with storage.transaction() as transaction:
        await watched.replace(transaction, turn)


def _describe(watched: ListRead, found: list[Any]) -> str:
    return f"one read found {len(found)} records of turns {sorted(watched.turns(found))}, expected {COUNT} of one turn"
