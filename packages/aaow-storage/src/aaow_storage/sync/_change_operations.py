"""`SyncChangeOperations`: made by `nox -s generate` from `aaow_storage._change_operations`, so change that."""

from collections.abc import Collection
from datetime import datetime

from aaow_storage._change_feed import Change
from aaow_storage.sync._calls import SyncCalls


class SyncChangeOperations(SyncCalls):
    """The operations on the change feed.

    The feed has a `Change` for each committed write of a record, in the order in which readers see the commits; the
    changes of one transaction stand together. A write that was rolled back, or that left the record as it was, is not
    in it. If a session is deleted, the feed has its deletion, and none of what belonged to it; a session whose workflow
    or parent session was deleted is updated. A transaction sees its own changes in the feed once it is committed.

    So whoever reads to the end, and goes on after the last position, misses nothing and sees nothing twice. To begin,
    take `last_change()`, then read the records, and then go on after that position.
    """

    def get_changes(
        self,
        after: str | None = None,
        limit: int = 1000,
        kinds: Collection[str] | None = None,
        session_id: str | None = None,
    ) -> list[Change]:
        """Return the first changes after a position, in order; from the oldest that is kept if it is None.

        Args:
            after: the `position` of a change that was read before.
            limit: how many to return at most. It may cut a transaction: the next call goes on inside it.
            kinds: return changes of these kinds alone, such as `["session", "llm_execution"]`.
            session_id: return changes of this session, and of what belongs to it, alone.

        Raises:
            ChangesLostError: a change after that position was pruned, or the position is of another feed.
            UnsupportedOperationError: the backend lacks the capability `changes`, or it is switched off for the store.
        """
        return self._run(lambda: self.wrapped.get_changes(after, limit, kinds, session_id))

    def last_change(self) -> Change | None:
        """Return the last change, None if the feed has none; its position is where the present ends.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `changes`, or it is switched off for the store.
        """
        return self._run(self.wrapped.last_change)

    def prune_changes(self, before: str | datetime) -> int:
        """Delete the changes before a position, or those that were made before an instant; return how many.

        Changes that were committed together go together, so the first ones that stay may be older. Whoever goes on from
        a position with a deleted change after it gets a `ChangesLostError`, for ever. Readers that are further are not
        affected.

        Raises:
            ChangesLostError: a change after that position was pruned, or the position is of another feed.
            UnsupportedOperationError: the backend lacks the capability `changes`, or it is switched off for the store.
        """
        return self._run(lambda: self.wrapped.prune_changes(before))
