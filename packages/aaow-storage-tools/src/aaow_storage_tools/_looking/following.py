"""`follow_changes`: the change feed with the records that were changed."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Any

from attrs import frozen

from aaow_storage import Change, ChangeAction, StorageAdapter
from aaow_storage_tools._copying.stored_records import Key, stored_by_id
from aaow_storage_tools._kinds import KIND_OF
from aaow_storage_tools._pages import PageLength


@frozen
class FollowedChange:
    """A change with the record as it is now; None if it was deleted, then or since."""

    change: Change
    record: Any


async def follow_changes(
    storage: StorageAdapter,
    after: str | None = None,
    *,
    kinds: Collection[str] | None = None,
    session_id: str | None = None,
    only_stored: bool = False,
) -> AsyncGenerator[FollowedChange, None]:
    """Yield the changes after a position, and then those that come, each with its record as it is by then.

    The changes are read in pages, and then the records of each page: a record may be newer than its change.

    Args:
        storage: an adapter.
        after: the position; None for the oldest change that is kept.
        kinds: yield changes of these kinds alone.
        session_id: yield changes of this session, and of what belongs to it, alone.
        only_stored: whether to end at the last change that is stored, and not to wait for others.

    Raises:
        ChangesLostError: a change after that position was pruned.
        UnsupportedOperationError: the store has no change feed.
    """
    length = PageLength()
    is_at_end = False
    while True:
        limit = length.value
        changes = [] if is_at_end else await storage.get_changes(after, limit, kinds, session_id)
        if not changes:
            if only_stored or (first := await _next_change(storage, after, kinds, session_id)) is None:
                return
            changes = [first, *await storage.get_changes(first.position, limit, kinds, session_id)]
        records = await _records_of(storage, changes)
        for change in changes:
            is_deleted = change.action is ChangeAction.DELETED
            yield FollowedChange(change, None if is_deleted else records.get((change.kind, change.id)))
        after = changes[-1].position
        is_at_end = len(changes) < limit and not only_stored
        length.learn_from([*records.values()])


async def _next_change(
    storage: StorageAdapter, after: str | None, kinds: Collection[str] | None, session_id: str | None
) -> Change | None:
    """Wait for the next change; return None if the adapter was closed meanwhile."""
    async with aclosing(storage.changes(after, kinds, session_id)) as changes:
        return await anext(changes, None)


async def _records_of(storage: StorageAdapter, changes: Sequence[Change]) -> dict[Key, Any]:
    """Return the records that were changed, as they are now, by kind and id; those of one kind are read together."""
    ids: dict[str, dict[str, None]] = {}
    for change in changes:
        if change.action is not ChangeAction.DELETED and change.kind in KIND_OF:
            ids.setdefault(change.kind, {})[change.id] = None
    found: dict[Key, Any] = {}
    for name, named in ids.items():
        kind = KIND_OF[name]
        if kind.lists_whole_store(storage):
            found |= await stored_by_id(storage, kind, [*named])
        else:
            found |= {(name, id_): await kind.get(storage, id_) for id_ in named}
    return found
