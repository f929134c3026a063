"""Execution states: the fields of the session and the states of its nodes."""

import asyncio
from typing import Any

import attrs
import pytest

from aaow_storage import (
    NodeExecutionState,
    NodeExecutionStatus,
    StorageAdapter,
    StorageOperations,
    ValidationError,
    WorkflowExecutionState,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.store import Store

ROUNDS = 40
NODES = tuple(f"node {number}" for number in range(8))


class StateTests:
    """Execution states, beyond the rules of the verbs."""

    @clause("STA-1")
    async def test_nodes_that_a_saved_state_does_not_carry_stay(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        first, bystander = samples.a_state(session.id), samples.a_state(other.id)
        await storage.save_execution_state(bystander)
        await storage.save_execution_state(first)
        carried = {"review": samples.a_node_state("review"), "publish": samples.a_node_state("publish")}
        second = samples.a_state(session.id, node_states=carried)
        await storage.save_execution_state(second)
        merged = attrs.evolve(second, node_states={**first.node_states, **carried})
        assert_identical(await storage.get_execution_state(session.id), merged)
        bare = samples.a_state(session.id, node_states={})
        await storage.save_execution_state(bare)
        assert_identical(
            await storage.get_execution_state(session.id), attrs.evolve(bare, node_states=merged.node_states)
        )
        assert_identical(await storage.get_execution_state(other.id), bystander)

    @clause("STA-1")
    async def test_a_saved_state_replaces_the_fields_of_the_session_whole(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        await storage.save_execution_state(samples.a_state(session.id, node_states={}))
        cleared = WorkflowExecutionState(session_id=session.id, status="running")
        await storage.save_execution_state(cleared)
        assert_identical(await storage.get_execution_state(session.id), cleared)

    @clause("STA-1")
    async def test_a_saved_state_replaces_the_nodes_it_carries_whole(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        state = samples.a_state(session.id)
        await storage.save_execution_state(state)
        bare = attrs.evolve(state, node_states={"draft": NodeExecutionState(node_id="draft")})
        await storage.save_execution_state(bare)
        expected = attrs.evolve(state, node_states={**state.node_states, **bare.node_states})
        assert_identical(await storage.get_execution_state(session.id), expected)

    @clause("STA-1", "OPS-6")
    async def test_a_state_with_one_wrong_node_is_not_stored_in_part(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        await storage.save_execution_state(samples.a_state(session.id))
        before = await everything_in(storage)
        wrong = samples.a_state(session.id, node_states={node: samples.a_node_state(node) for node in NODES})
        document: Any = wrong.node_states[NODES[-1]].input
        document["spoiled"] = float("nan")
        with pytest.raises(ValidationError):
            await storage.save_execution_state(wrong)
        assert_identical(await everything_in(storage), before)

    @clause("STA-1")
    async def test_saving_a_state_leaves_the_session_itself(self, storage: StorageAdapter) -> None:
        for status in ("paused", "failed"):
            session = await samples.stored_session(storage, status=status)
            await storage.save_execution_state(samples.a_state(session.id, status=status))
            assert_identical(await storage.get_session(session.id), session)

    @clause("STA-2")
    async def test_a_state_is_read_as_it_was_at_one_instant(self, storage: StorageAdapter, store: Store) -> None:
        session = await samples.stored_session(storage)
        await _save_version(storage, session.id, 0)
        done = asyncio.Event()
        async with store.open() as other:
            readers = [asyncio.create_task(_versions_read(reader, session.id, done)) for reader in (storage, other)]
            try:
                for version in range(1, ROUNDS + 1):
                    await _save_version(storage, session.id, version)
            finally:
                done.set()
            for read in await asyncio.gather(*readers):
                assert all(len(versions) == 1 for versions in read), (
                    f"one read shows fields and nodes of several versions: {read}"
                )
                assert read == sorted(read, key=min), f"a later read shows an older version: {read}"

    @clause("STA-3")
    async def test_a_retry_that_succeeded_keeps_no_old_error(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        state = samples.a_state(session.id)
        await storage.save_execution_state(state)
        succeeded = NodeExecutionState(node_id="draft", status=NodeExecutionStatus.COMPLETED, output="fine")
        await storage.update_node_state(session.id, "draft", succeeded)
        expected = attrs.evolve(state, node_states={**state.node_states, "draft": succeeded})
        assert_identical(await storage.get_execution_state(session.id), expected)

    @clause("STA-3")
    async def test_updating_a_new_node_adds_it(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        state, bystander = samples.a_state(session.id), samples.a_state(other.id)
        await storage.save_execution_state(state)
        await storage.save_execution_state(bystander)
        node = samples.a_node_state("publish")
        await storage.update_node_state(session.id, "publish", node)
        expected = attrs.evolve(state, node_states={**state.node_states, "publish": node})
        assert_identical(await storage.get_execution_state(session.id), expected)
        assert_identical(await storage.get_execution_state(other.id), bystander)

    @clause("STA-3")
    async def test_a_node_state_under_the_id_of_another_node_is_refused(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        await storage.save_execution_state(samples.a_state(session.id))
        before = await everything_in(storage)
        for node_id, state in (("draft", "review"), ("review", "draft"), ("new", "draft"), ("Draft", "draft")):
            with pytest.raises(ValidationError):
                await storage.update_node_state(session.id, node_id, samples.a_node_state(state))
        assert_identical(await everything_in(storage), before)

    @clause("STA-3", "CON-1")
    async def test_updates_of_different_nodes_at_once_are_all_kept(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        names = [f"node {number}" for number in range(50)]
        nodes = {name: samples.a_node_state(name) for name in names}
        old_ones = {name: samples.a_node_state(name) for name in names[::2]}
        await storage.save_execution_state(samples.a_state(session.id, node_states=old_ones))

        async def work(number: int, name: str) -> None:
            for _ in range(number % 7):
                await asyncio.sleep(0)
            for _ in range(number % 3):
                await storage.update_session(session.id, metadata={"by": name})
            for node in (samples.a_node_state(name), nodes[name]):
                await storage.update_node_state(session.id, name, node)

        await asyncio.gather(*(work(number, name) for number, name in enumerate(names)))
        found = await storage.get_execution_state(session.id)
        assert found is not None
        assert_identical(dict(sorted(found.node_states.items())), dict(sorted(nodes.items())))


async def _save_version(storage: StorageOperations, session_id: str, version: int) -> None:
    """Save a state in which every part holds the version."""
    nodes = {node: samples.a_node_state(node, output=version, retry_count=version) for node in NODES}
    await storage.save_execution_state(samples.a_state(session_id, metadata={"version": version}, node_states=nodes))


async def _versions_read(storage: StorageAdapter, session_id: str, done: asyncio.Event) -> list[set[int]]:
    """Read the state until `done` is set; return the set of versions that each read found."""
    found = []
    while not done.is_set():
        state = await storage.get_execution_state(session_id)
        assert state is not None
        assert state.metadata is not None
        versions = {state.metadata["version"], *(node.retry_count for node in state.node_states.values())}
        assert len(state.node_states) == len(NODES)
        found.append(versions)
        await asyncio.sleep(0)
    return found
