"""`StoreWriter`: stores batches of records in a target, each batch in one transaction."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aaow_storage import AlreadyExistsError, ApprovalStatus, StorageAdapter, Transaction
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._copying.differences import differing_fields, is_same
from aaow_storage_tools._copying.stored_records import Key, stored_like
from aaow_storage_tools._copying.streams import save_events
from aaow_storage_tools._kinds import (
    APPROVAL_REQUEST,
    BUDGET_POOL,
    EXECUTION_STATE,
    SESSION,
    STREAM_EVENT,
    TOOL_CALL,
)

TIMEOUT_S = 3600.0
"""How long a transaction may stay open: one batch is quick, but replacing a large session is not."""
OUTAGE_S = 30.0
"""How long to try to reach a store that cannot be reached."""

_OF_SESSION = ("status", "metadata", "updated_at")
_OF_POOL = ("total_budget", "used_budget", "status", "metadata")
_OF_REQUEST = ("context", "expires_at", "status")

Replace = Callable[[Transaction, Sequence[Item]], Awaitable[None]]
"""Stores records anew that no operation can change: it deletes what they belong to, and stores that again."""


class StoreWriter:
    """Stores records in a target, with every field as it is.

    Args:
        target: the target.
        is_empty: whether the target has none of the records, as far as is known; it then is not asked for them.
        replaces: whether a record of the target that differs is replaced. Otherwise it stays as it is.
        replace: stores records anew that no operation can change.
    """

    def __init__(self, target: StorageAdapter, *, is_empty: bool, replaces: bool, replace: Replace) -> None:
        self._target = target
        self._is_empty = is_empty
        self._replaces = replaces
        self._replace = replace

    async def write(self, items: Sequence[Item]) -> int:
        """Store the records that are not stored already; return how many were stored."""
        if not items:
            return 0
        if self._is_empty:
            try:
                return await self._in_transaction(lambda transaction: _save_all(transaction, items))
            except AlreadyExistsError:  # an earlier attempt had stored some of them
                pass
        return await self._in_transaction(lambda transaction: self._save_different(transaction, items))

    async def write_in(self, transaction: Transaction, items: Sequence[Item]) -> int:
        """Store the records as a part of a transaction that `run` has begun; return how many were stored."""
        if self._is_empty:
            return await _save_all(transaction, items)
        return await self._save_different(transaction, items)

    async def run(self, work: Callable[[Transaction], Awaitable[int]]) -> int:
        """Run other work in a transaction of the target."""
        return await self._in_transaction(work)

    async def _in_transaction(self, work: Callable[[Transaction], Awaitable[int]]) -> int:
        return await self._target.transact(work, outage=OUTAGE_S, timeout=TIMEOUT_S)

    async def _save_different(self, transaction: Transaction, items: Sequence[Item]) -> int:
        stored = await stored_like(transaction, items)
        new = [item for item in items if _key(item) not in stored]
        changed = [item for item in items if _key(item) in stored and _is_changed(stored[_key(item)], item.record)]
        if not self._replaces:
            changed = []
        left: list[Item] = []
        pending = [*_interleaved(items, new, changed)]
        events = [item for item in pending if item.kind is STREAM_EVENT]
        for item in pending:
            if item.kind is STREAM_EVENT:
                continue
            old = stored.get(_key(item))
            if old is None:
                await item.kind.save(transaction, item.record)
            elif not await change(transaction, item, old):
                left.append(item)
        if left:
            await self._replace(transaction, left)
        await save_events(
            transaction,
            [event.record for event in events],
            [stored[_key(event)] for event in events if _key(event) in stored],
        )
        return len(pending)


def _key(item: Item) -> Key:
    return item.kind.name, item.id


def _interleaved(items: Sequence[Item], *chosen: Iterable[Item]) -> Iterable[Item]:
    keys = {_key(item) for part in chosen for item in part}
    return (item for item in items if _key(item) in keys)


async def _save_all(transaction: Transaction, items: Sequence[Item]) -> int:
    """Store records that are not stored yet."""
    events = [item.record for item in items if item.kind is STREAM_EVENT]
    for item in items:
        if item.kind is not STREAM_EVENT:
            await item.kind.save(transaction, item.record)
    await save_events(transaction, events, ())
    return len(items)


def _is_changed(old: Any, new: Any) -> bool:
    """Say whether a stored record has to be written again; an event cannot get a lower sequence."""
    if is_same(old, new):
        return False
    return differing_fields(old, new) != ("sequence",) or (new.sequence or 0) > (old.sequence or 0)


async def change(transaction: Transaction, item: Item, old: Any) -> bool:
    """Make a stored record like another one; return False if no operation can."""
    kind, record = item
    differing = differing_fields(old, record)
    match kind.name:
        case SESSION.name:
            if not set(differing) <= {*_OF_SESSION}:
                return False
            await transaction.update_session(
                record.id, **{name: getattr(record, name) for name in {*differing, "updated_at"}}
            )
        case BUDGET_POOL.name:
            if not set(differing) <= {*_OF_POOL}:
                return False
            await transaction.update_budget_pool(record.id, **{name: getattr(record, name) for name in differing})
        case APPROVAL_REQUEST.name:
            is_possible = old.status is ApprovalStatus.PENDING and set(differing) <= {*_OF_REQUEST}
            if not is_possible or record.status not in {ApprovalStatus.PENDING, ApprovalStatus.EXPIRED}:
                return False
            await transaction.update_approval_request(record.id, **{name: getattr(record, name) for name in differing})
        case TOOL_CALL.name:
            return False
        case EXECUTION_STATE.name if set(old.node_states) - set(record.node_states):
            return False
        case _:
            await kind.save(transaction, record)
    return True
