"""`ChangeApplier`: makes the changes of the source's feed in the target, so that it stays a copy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from aaow_storage import (
    ApprovalStatus,
    Between,
    Change,
    FieldName,
    NotFoundError,
    QueryFilter,
    StorageAdapter,
    StreamEvent,
    Transaction,
)
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._copying.short_session import short_session
from aaow_storage_tools._copying.stored_records import Key, stored_by_id
from aaow_storage_tools._copying.streams import delete_events, last_sequence
from aaow_storage_tools._copying.writing import StoreWriter
from aaow_storage_tools._kinds import (
    APPROVAL_REQUEST,
    BUDGET_POOL,
    KIND_OF,
    KINDS,
    LLM_EXECUTION,
    SESSION,
    STREAM_EVENT,
    WORKFLOW,
    Kind,
)
from aaow_storage_tools._pages import pages_of, records_of_kind

AT_ONCE = 500
"""How many changes are read at once."""

_ORDER = {kind.name: place for place, kind in enumerate(KINDS)}
_OPTIONAL = {WORKFLOW.name: "workflow_id", SESSION.name: "parent_session_id"}
"""The field of a session that becomes None if what it names is deleted."""


class ChangeApplier:
    """Makes in the target what was done to the source: a record that was written is stored as the source has it now.

    Attributes:
        position: the position up to which the target has the changes; None before the first.
        postpones_pending: whether approval requests that are pending and not in the target wait for `store_pending`. A
            decision then costs nothing; otherwise the session is stored anew, since nothing else keeps its instant.
    """

    def __init__(
        self, source: StorageAdapter, target: StorageAdapter, writer: StoreWriter, position: str | None
    ) -> None:
        self._source = source
        self._target = target
        self._writer = writer
        self.position = position
        self.postpones_pending = False

    async def apply_next(self) -> int:
        """Apply the next changes, if there are any; return how many there were.

        Raises:
            ChangesLostError: a change that comes next was pruned.
        """
        changes = await self._source.get_changes(self.position, AT_ONCE)
        if changes:
            await self._apply(changes)
            self.position = changes[-1].position
        return len(changes)

    async def store_pending(self) -> int:
        """Store the approval requests that were postponed; return how many."""
        pending = QueryFilter({"status": ApprovalStatus.PENDING.value})
        stored = 0
        async for page in pages_of(lambda query: self._source.list_approval_requests(None, query), pending):
            items = [Item(APPROVAL_REQUEST, request) for request in page]
            stored += await self._writer.write(await self._with_references(items))
        return stored

    async def _apply(self, changes: Sequence[Change]) -> None:
        changed: dict[str, list[str]] = {}
        for name, id_ in dict.fromkeys((change.kind, change.id) for change in changes):
            changed.setdefault(name, []).append(id_)
        items: list[Item] = []
        gone: list[Key] = []
        for name, ids in changed.items():
            kind = KIND_OF[name]
            found = await stored_by_id(self._source, kind, ids)
            items += [Item(kind, record) for record in found.values()]
            gone += [(name, id_) for id_ in ids if (name, id_) not in found]
        if gone:
            await self._writer.run(lambda transaction: self._delete(transaction, gone))
        if self.postpones_pending:
            items = await self._without_new_pending(items)
        items += await self._earlier_events(items)
        await self._writer.write(await self._with_references(items))

    async def _without_new_pending(self, items: Sequence[Item]) -> list[Item]:
        pending = [
            item.id for item in items if item.kind is APPROVAL_REQUEST and item.record.status is ApprovalStatus.PENDING
        ]
        stored = await stored_by_id(self._target, APPROVAL_REQUEST, pending)
        left_out = {id_ for id_ in pending if (APPROVAL_REQUEST.name, id_) not in stored}
        return [item for item in items if item.kind is not APPROVAL_REQUEST or item.id not in left_out]

    async def _earlier_events(self, items: Sequence[Item]) -> list[Item]:
        """Return the events that have to be in the target before others, although their own changes come later.

        An event that has come into another stream has a place behind events of that stream.
        """
        events = {item.id: item.record for item in items if item.kind is STREAM_EVENT}
        reached: dict[str, int] = {}
        for event in events.values():
            reached[event.stream_id] = max(reached.get(event.stream_id, 0), event.sequence or 0)
        found: list[Item] = []
        for stream_id, end in reached.items():
            begin = await last_sequence(self._target, stream_id)
            given = [event for event in events.values() if event.stream_id == stream_id]
            if sum(begin < (event.sequence or 0) for event in given) == end - begin:
                continue  # all of them are here
            between: Mapping[FieldName, Any] = {"stream_id": stream_id, "sequence": Between(begin + 1, end)}
            others = records_of_kind(self._source, STREAM_EVENT, between)
            found += [Item(STREAM_EVENT, event) async for event in others if event.id not in events]
        return found

    async def _delete(self, transaction: Transaction, gone: Sequence[Key]) -> int:
        """Delete what the source has no more; other kinds go with their session."""
        ids = {kind: [id_ for name, id_ in gone if name == kind] for kind in dict(gone)}
        stored = await stored_by_id(transaction, STREAM_EVENT, ids.get(STREAM_EVENT.name, []))
        events: list[StreamEvent] = list(stored.values())
        await delete_events(transaction, events)
        for kind in (SESSION, BUDGET_POOL, WORKFLOW):
            await _delete_all(transaction, kind, ids.get(kind.name, []))
        await _delete_executions(transaction, ids.get(LLM_EXECUTION.name, []))
        return len(gone)

    async def _with_references(self, items: Sequence[Item]) -> list[Item]:
        """Return the records in an order in which they can be stored, with what they refer to and the target lacks.

        A record is left out if what it belongs to is gone; the feed has the deletion further on.
        """
        known: dict[Key, Item] = {(item.kind.name, item.id): item for item in items}
        gone: set[Key] = set()
        wanted = [*known.values()]
        while wanted:
            missing = await self._missing(wanted, known)
            wanted = []
            for name, ids in missing.items():
                kind = KIND_OF[name]
                found = await stored_by_id(self._source, kind, ids)
                wanted += [Item(kind, record) for record in found.values()]
                gone |= {(name, id_) for id_ in ids if (name, id_) not in found}
            known |= {(item.kind.name, item.id): item for item in wanted}
        return _ordered(known, gone)

    async def _missing(self, items: Iterable[Item], known: dict[Key, Item]) -> dict[str, list[str]]:
        """Return the ids, by kind, that the records refer to, and that are neither known nor in the target."""
        named: dict[str, list[str]] = {}
        for item in items:
            for reference in item.kind.references(item.record):
                if reference not in known:
                    named.setdefault(reference.kind, []).append(reference.id)
        missing: dict[str, list[str]] = {}
        for kind, ids in named.items():
            unique = [*dict.fromkeys(ids)]
            stored = await stored_by_id(self._target, KIND_OF[kind], unique, documents=False)
            if rest := [id_ for id_ in unique if (kind, id_) not in stored]:
                missing[kind] = rest
        return missing


async def _delete_all(transaction: Transaction, kind: Kind[Any], ids: Sequence[str]) -> None:
    """Delete the records that are there; budget pools after their children."""
    assert kind.delete is not None, kind.name  # noqa: S101 - these kinds have it
    left = list(await stored_by_id(transaction, kind, ids, documents=False))
    for _, id_ in left:
        if kind is BUDGET_POOL:
            await _delete_pool(transaction, id_)
        else:
            await kind.delete(transaction, id_)


async def _delete_executions(transaction: Transaction, ids: Sequence[str]) -> None:
    """Delete executions that went with a session into which they had been moved, with their tool calls."""
    if stored := await stored_by_id(transaction, LLM_EXECUTION, ids):
        async with short_session(transaction) as session:
            for execution in stored.values():
                await LLM_EXECUTION.save(transaction, evolve(execution, session_id=session.id))


async def _delete_pool(transaction: Transaction, pool_id: str) -> None:
    """Delete a pool with all below it: the source has none of them, because it has the pool no more."""
    chain = [pool_id]
    while chain:
        children = await transaction.get_child_budget_pools(chain[-1], QueryFilter(limit=1))
        if children:
            chain.append(children[0].id)
            continue
        try:
            await transaction.delete_budget_pool(chain.pop())
        except NotFoundError:  # it went as the child of another
            continue


def _ordered(known: dict[Key, Item], gone: set[Key]) -> list[Item]:
    """Return the records in an order in which they can be stored, without those that belong to something gone."""
    ordered: dict[Key, Item] = {}
    for key in sorted(known, key=lambda key: _ORDER[key[0]]):
        chain: list[Key] = []
        waiting = [key]
        while waiting:
            each = waiting.pop()
            if each in known and each not in ordered and each not in chain:
                chain.append(each)
                waiting += known[each].kind.references(known[each].record)
        for each in reversed(chain):
            item = known[each]
            names = [reference for reference in item.kind.references(item.record) if reference in gone]
            if names and item.kind is SESSION:
                fields = {_OPTIONAL[reference.kind]: None for reference in names}
                ordered[each] = Item(SESSION, evolve(item.record, **fields))
            elif names:
                gone.add(each)
            else:
                ordered[each] = item
    in_order = sorted(ordered.values(), key=lambda item: _ORDER[item.kind.name])
    events = [item for item in in_order if item.kind is STREAM_EVENT]
    events.sort(key=lambda item: (item.record.stream_id, item.record.sequence or 0))
    return [item for item in in_order if item.kind is not STREAM_EVENT] + events
