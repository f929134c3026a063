"""`follow_changes`: the change feed with the records that were changed."""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any

from attrs import frozen

from aaow_storage import Change, ChangeAction, StorageAdapter
from aaow_storage_tools._kinds import KIND_OF

PAGE_LENGTH = 500


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
    if only_stored:
        while changes := await storage.get_changes(after, PAGE_LENGTH, kinds, session_id):
            for change in changes:
                yield FollowedChange(change, await _record_of(storage, change))
            after = changes[-1].position
        return
    async with aclosing(storage.changes(after, kinds, session_id)) as changes_to_come:
        async for change in changes_to_come:
            yield FollowedChange(change, await _record_of(storage, change))


async def _record_of(storage: StorageAdapter, change: Change) -> Any:
    if change.action is ChangeAction.DELETED or change.kind not in KIND_OF:
        return None
    return await KIND_OF[change.kind].get(storage, change.id)
