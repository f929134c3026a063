"""Following the change feed: what was recorded after a position, and then what comes."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import suppress

from aaow_storage._change_feed import Change, ChangeQuery
from aaow_storage._change_operations import ChangeOperations
from aaow_storage._watching import Probe, Watcher
from aaow_storage.errors import AdapterClosedError

PAGE_LENGTH = 500
"""How many changes a follower reads at once."""
_FEED = "changes"
"""The key of the feed among what a watcher probes."""


async def follow_changes(
    storage: ChangeOperations, watcher: Watcher, last_position: Probe[str], query: ChangeQuery
) -> AsyncGenerator[Change, None]:
    """Yield the changes after a position, in order, and wait for the next; end when the adapter is closed.

    Raises:
        AdapterClosedError: the adapter is closed before the first read.
        ChangesLostError: a change that comes next was pruned.
        StorageError: a read failed.
    """
    after = None if query.after is None else str(query.after)

    def is_other(last: str) -> bool:
        return last != after

    changes = await storage.get_changes(after, PAGE_LENGTH)
    with suppress(AdapterClosedError):
        while True:
            for change in changes:
                after = change.position
                if query.matches(change.kind, change.session_id):
                    yield change
            if not changes:
                await watcher.wait(last_position, _FEED, is_other)
            changes = await storage.get_changes(after, PAGE_LENGTH)


async def last_position_of(storage: ChangeOperations, keys: Collection[str]) -> Mapping[str, str]:
    """Return the position of the last change, for each key; nothing if there is none."""
    last = await storage.last_change()
    return {} if last is None else dict.fromkeys(keys, last.position)
