"""Storing sessions and budget pools anew, if a part of them has changed that no operation can change.

Nothing decides an approval request with an instant of the past, for instance, or changes a tool call. So the session
is deleted and stored again, whole, as the source has it now; with it its descendants, because they lose their parent.
All of it is one step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from aaow_storage import (
    BudgetPool,
    Capability,
    FieldName,
    In,
    QueryFilter,
    Session,
    StorageAdapter,
    StreamEvent,
    Transaction,
)
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.stored_records import AT_ONCE, stored_by_id, stored_like
from aaow_storage_tools._copying.streams import delete_events
from aaow_storage_tools._copying.walk import StoreWalk
from aaow_storage_tools._kinds import BUDGET_POOL, SESSION, STREAM_EVENT, TOOL_CALL
from aaow_storage_tools._pages import records_of_kind, records_of_session


class Replacing:
    """Stores sessions and budget pools of a target anew, as the source has them."""

    def __init__(self, source: StorageAdapter, target: StorageAdapter) -> None:
        self._source = source
        self._has_events = Capability.STREAM_EVENTS in target.capabilities and STREAM_EVENT.lists_whole_store(target)

    async def __call__(self, transaction: Transaction, items: Sequence[Item]) -> None:
        """Store anew what these records are, or belong to."""
        pools = [item.id for item in items if item.kind is BUDGET_POOL]
        if pools:
            await self._replace_pools(transaction, pools)
        sessions = [
            item.id if item.kind is SESSION else item.record.session_id
            for item in items
            if item.kind is not BUDGET_POOL
        ]
        stored_calls = await stored_like(transaction, [item for item in items if item.kind is TOOL_CALL])
        sessions += [call.session_id for call in stored_calls.values()]
        if sessions:
            await self._replace_sessions(transaction, [*dict.fromkeys(sessions)])

    async def _replace_sessions(self, transaction: Transaction, session_ids: Sequence[str]) -> None:
        ids = await _with_descendants(transaction, session_ids)
        events = await self._keep_events(transaction, ids)
        for session_id in reversed(ids):
            if await transaction.get_session(session_id) is not None:
                await transaction.delete_session(session_id)
        with SeenIds.open() as seen:
            for start in range(0, len(ids), AT_ONCE):
                wanted: Mapping[FieldName, Any] = {"id": In(ids[start : start + AT_ONCE])}
                async for batch in StoreWalk(self._source, seen, wanted, stream_events=False).batches():
                    await _store(transaction, batch.items)
        await _put_back(transaction, events)

    async def _keep_events(self, transaction: Transaction, session_ids: Sequence[str]) -> list[StreamEvent]:
        """Take the events out of sessions that are to be deleted, so that they keep their sequences; return them."""
        found: list[StreamEvent] = []
        if self._has_events:
            for session_id in session_ids:
                found += [event async for event in records_of_session(transaction, STREAM_EVENT, session_id)]
        for start in range(0, len(found), AT_ONCE):
            part = found[start : start + AT_ONCE]
            await transaction.save_stream_events([evolve(event, session_id=None) for event in part])
        return found

    async def _replace_pools(self, transaction: Transaction, pool_ids: Sequence[str]) -> None:
        ids = [*pool_ids]
        for pool_id in ids:  # it grows
            children = records_of_kind(transaction, BUDGET_POOL, {"parent_pool_id": pool_id})
            ids += [child.id async for child in children if child.id not in ids]
        for pool_id in reversed(ids):
            await transaction.delete_budget_pool(pool_id)
        found: dict[str, BudgetPool] = {}
        for start in range(0, len(ids), AT_ONCE):
            wanted = QueryFilter({"id": In(ids[start : start + AT_ONCE])})
            found |= {pool.id: pool for pool in await self._source.list_budget_pools(wanted)}
        for pool_id in ids:
            await self._store_pool(transaction, pool_id, found)

    async def _store_pool(self, transaction: Transaction, pool_id: str, found: dict[str, BudgetPool]) -> None:
        chain: list[BudgetPool] = []
        pool = found.get(pool_id) or await self._source.get_budget_pool(pool_id)
        while pool is not None and await transaction.get_budget_pool(pool.id) is None:
            chain.append(pool)
            parent_id = pool.parent_pool_id
            if parent_id is None:
                break
            pool = found.get(parent_id) or await self._source.get_budget_pool(parent_id)
        for each in reversed(chain):
            await transaction.create_budget_pool(each)


async def _store(transaction: Transaction, items: Sequence[Item]) -> None:
    """Store what is not there; a parent or workflow that is there stays as it is."""
    stored = await stored_like(transaction, items)
    for item in items:
        if (item.kind.name, item.id) not in stored:
            await item.kind.save(transaction, item.record)


async def _put_back(transaction: Transaction, events: Sequence[StreamEvent]) -> None:
    """Put events back into their sessions, or delete them with those that are gone.

    Events that the source has besides come in the order of their sequences, when it is their turn.
    """
    named = [*dict.fromkeys(event.session_id for event in events if event.session_id is not None)]
    there = {id_ for _, id_ in await stored_by_id(transaction, SESSION, named, documents=False)}
    back = [event for event in events if event.session_id in there]
    for start in range(0, len(back), AT_ONCE):
        await transaction.save_stream_events(back[start : start + AT_ONCE])
    await delete_events(transaction, [event for event in events if event.session_id not in there])


async def _with_descendants(transaction: Transaction, session_ids: Sequence[str]) -> list[str]:
    """Return the ids of sessions, and of all that have one of them as an ancestor, each after its parent."""
    ids = [*session_ids]
    known = set(ids)
    begin = 0
    while begin < len(ids):
        part = ids[begin : begin + AT_ONCE]
        begin += len(part)
        children: list[Session] = [
            child
            async for child in records_of_kind(transaction, SESSION, {"parent_session_id": In(part)}, documents=False)
        ]
        new = [child.id for child in children if child.id not in known]
        known.update(new)
        ids += new
    return ids
