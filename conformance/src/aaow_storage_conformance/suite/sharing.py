"""Concurrent transactions that store equal documents do not wait for each other."""

import asyncio

import pytest

from aaow_storage import StorageAdapter
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.side_by_side import (
    BEGINS_WITHIN_S,
    begun_beside_each_other,
    commit_those_that_may,
)
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import AT_ONCE_S


class SharingTests:
    """Different records are different, however a backend stores what they have in common."""

    @clause("CON-1")
    async def test_open_transactions_store_equal_documents_in_any_order_and_do_not_wait(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        one, other = {"text": "one"}, {"text": "other"}
        async with store.open() as beside:
            first, second = await begun_beside_each_other(storage, beside)
            await first.create_session(samples.a_session(id="1", workflow_snapshot=one))
            async with asyncio.timeout(AT_ONCE_S):
                await second.create_session(samples.a_session(id="2", workflow_snapshot=other))
                await asyncio.gather(
                    first.create_session(samples.a_session(id="3", workflow_snapshot=other)),
                    second.create_session(samples.a_session(id="4", workflow_snapshot=one)),
                )
                await second.save_workflow(samples.a_workflow(id="w", definition=one))
            committed = await commit_those_that_may(storage, first, second)
        stored = {each.id: each.workflow_snapshot for each in await storage.list_sessions()}
        of_first = {"1": one, "3": other} if first in committed else {}
        assert stored == of_first | ({"2": other, "4": one} if second in committed else {})
        assert committed

    @clause("CON-1")
    async def test_a_session_is_deleted_beside_a_transaction_that_stores_an_equal_snapshot(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        shared = {"text": "shared"}
        await storage.create_session(samples.a_session(id="old", workflow_snapshot=shared))
        async with store.open() as beside:
            creating, deleting = await begun_beside_each_other(storage, beside)
            await creating.create_session(samples.a_session(id="new", workflow_snapshot=shared))
            async with asyncio.timeout(AT_ONCE_S):
                await deleting.delete_session("old")
                await creating.create_session(samples.a_session(id="newer", workflow_snapshot=shared))
            committed = await commit_those_that_may(storage, creating, deleting)
        stored = {each.id: each.workflow_snapshot for each in await storage.list_sessions()}
        created = {"new": shared, "newer": shared} if creating in committed else {}
        assert stored == created | ({} if deleting in committed else {"old": shared})
        assert committed

    @clause("CON-1")
    @pytest.mark.parametrize("kind", ["session", "workflow"])
    async def test_what_a_transaction_has_read_keeps_none_waiting_that_has_an_equal_document(
        self, storage: StorageAdapter, store: Store, kind: str
    ) -> None:
        shared = {"text": "shared"}
        await storage.save_workflow(samples.a_workflow(id="read", definition=shared))
        for each in ("read", "other"):
            await storage.create_session(samples.a_session(id=each, workflow_snapshot=shared))
        async with store.open() as beside:
            reading, writing = await begun_beside_each_other(storage, beside)
            await (reading.get_session("read") if kind == "session" else reading.get_workflow("read"))
            async with asyncio.timeout(AT_ONCE_S):
                assert await writing.get_session("other") is not None
                await writing.update_session("other", metadata={"is": "changed"})
                await writing.create_session(samples.a_session(id="new", workflow_snapshot=shared))
                await writing.save_workflow(samples.a_workflow(id="new", definition=shared))
                await writing.delete_session("other")
                if kind == "session":
                    await writing.create_session(
                        samples.a_session(id="its", workflow_id="read", workflow_snapshot=shared)
                    )
            assert writing in await commit_those_that_may(storage, writing, reading)
        sessions, workflows = await storage.list_sessions(), await storage.list_workflows()
        assert {each.id for each in sessions} == {"read", "new"} | ({"its"} if kind == "session" else set())
        assert {each.id: each.definition for each in workflows} == {"read": shared, "new": shared}

    @clause("CON-1", "TXN-2")
    async def test_a_workflow_that_is_read_in_a_transaction_while_another_replaces_it_is_whole(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async def read(beside: StorageAdapter) -> object:
            async with beside.transaction() as transaction:
                found = await transaction.get_workflow("w")
            return None if found is None else found.definition

        await storage.save_workflow(samples.a_workflow(id="w", definition={"text": "old"}))
        async with store.open() as beside:
            async with storage.transaction() as transaction:
                await transaction.save_workflow(samples.a_workflow(id="w", definition={"text": "new"}))
                reading = start_in_fresh_context(read(beside))
                await asyncio.wait([reading], timeout=BEGINS_WITHIN_S)
            assert await reading in ({"text": "old"}, {"text": "new"})
