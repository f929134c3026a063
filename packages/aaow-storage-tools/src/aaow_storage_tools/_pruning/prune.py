"""`prune`: deletes the sessions that a policy gives up, a few at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from attrs import field, frozen

from aaow_storage import (
    Capability,
    In,
    QueryFilter,
    Session,
    StorageAdapter,
    Transaction,
    now,
)
from aaow_storage.authoring import SessionSize, StoreMaintenance
from aaow_storage.errors import NotOfferedError, StorageError
from aaow_storage_tools._belongings import ids_of_session, kinds_of_session
from aaow_storage_tools._errors import ResumableError
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress
from aaow_storage_tools._pruning.changes import prune_changes
from aaow_storage_tools._pruning.policy import PrunePolicy
from aaow_storage_tools._pruning.selecting import CHANGED, Selector
from aaow_storage_tools._trees import Tree

MAX_RECORDS = 100
"""How many records one transaction deletes, unless a single session has more."""
MIN_PAUSE_S, MAX_PAUSE_S = 0.002, 0.05
"""How long writers have their turn between two transactions."""


@frozen(kw_only=True)
class PruneReport:
    """What was deleted, or would be.

    Attributes:
        is_dry_run: whether nothing was deleted.
        counts: how many records of each kind.
        stored_bytes: how much their rows take, without indexes and shared documents; None if the backend cannot tell.
        kept: how many sessions, counted with their descendants as one, a rule is about and stay, by the reason.
        changes: how many changes went from the change feed; None if the policy does not say, or the store has none.
        reclaimed: how many bytes smaller the store is; None if its space was not given back.
    """

    is_dry_run: bool
    counts: Mapping[str, int] = field(factory=dict)
    stored_bytes: int | None = None
    kept: Mapping[str, int] = field(factory=dict)
    changes: int | None = None
    reclaimed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "dry_run": self.is_dry_run,
            "counts": dict(self.counts),
            "stored_bytes": self.stored_bytes,
            "kept": dict(self.kept),
            "changes": self.changes,
            "reclaimed_bytes": self.reclaimed,
        }


async def prune(
    storage: StorageAdapter,
    policy: PrunePolicy,
    *,
    dry_run: bool = False,
    at: datetime | None = None,
    maintenance: StoreMaintenance | None = None,
    reclaim: bool = False,
    max_records: int = MAX_RECORDS,
    progress: ProgressCallback | None = None,
) -> PruneReport:
    """Delete the sessions that a policy gives up, with all that belongs to them and to their descendants.

    Sessions are deleted a few at a time, and writers have their turn between. Each session is read again in the
    transaction that deletes it, and stays if it was changed meanwhile, has a new child, or waits for a decision. If the
    job ends before it is done, each session is there whole or is gone, and the same call goes on: nothing has to be
    remembered. Only a session with more than `max_records` records may be there in part, if `maintenance` is given.

    Args:
        storage: the store, open.
        policy: which sessions go.
        dry_run: whether to only count what would be deleted.
        at: the time from which ages are counted; now, unless it is given.
        maintenance: what `maintenance_of` returns for the same store; with it, sizes are known, and a session with very
            many records is deleted in several steps.
        reclaim: whether to give the space back at the end, while which writers may wait; it needs `maintenance`.
        max_records: how many records one transaction deletes.
        progress: told how many sessions have gone.

    Raises:
        ValidationError: a rule names what no session has.
        ResumableError: the store could not be reached any more, or was busy for too long; sessions have gone by then.
    """
    at = at or now()
    job = _Prune(storage, Selector(storage, policy, at), maintenance, max_records, progress or ignore_progress)
    try:
        async for trees in job.selector.pages():
            await (job.count(trees) if dry_run else job.delete(trees))
    except StorageError as error:
        if dry_run or not error.is_retryable or not job.counts:
            raise
        raise ResumableError("prune", sum(job.counts.values()), str(error)) from error
    changes = None
    if policy.changes_older_than is not None and Capability.CHANGES in storage.capabilities:
        changes = await prune_changes(storage, at, policy.changes_older_than, dry_run=dry_run)
    reclaimed = None
    if not dry_run and maintenance is not None:
        with suppress(NotOfferedError):
            await maintenance.delete_unused_documents()
        if reclaim:
            reclaimed = await maintenance.reclaim_space()
    return PruneReport(
        is_dry_run=dry_run,
        counts=dict(job.counts),
        stored_bytes=job.stored_bytes,
        kept=dict(job.selector.kept),
        changes=changes,
        reclaimed=reclaimed,
    )


class _Prune:
    """A job under way."""

    def __init__(
        self,
        storage: StorageAdapter,
        selector: Selector,
        maintenance: StoreMaintenance | None,
        max_records: int,
        progress: ProgressCallback,
    ) -> None:
        self.selector = selector
        self.counts: Counter[str] = Counter()
        self.stored_bytes: int | None = 0
        self._storage = storage
        self._maintenance = maintenance
        self._max_records = max_records
        self._progress = progress
        self._kinds = kinds_of_session(storage)
        self._measures = self._trims = maintenance is not None

    async def count(self, trees: Sequence[Tree]) -> None:
        """Count what the trees have."""
        for size in (await self._sizes(trees)).values():
            self._add(size)
        self._tell("counting sessions")

    async def delete(self, trees: Sequence[Tree]) -> None:
        """Delete the trees, some sessions at a time."""
        sizes = await self._sizes(trees)
        given_up: set[str] = set()
        batch: list[tuple[Tree, Session]] = []
        records = 0
        for tree in trees:
            for session in tree.sessions:
                size = sizes[session.id].rows
                if batch and records + size > self._max_records:
                    await self._delete_batch(batch, sizes, given_up)
                    batch, records = [], 0
                batch.append((tree, session))
                records += size
        await self._delete_batch(batch, sizes, given_up)

    async def _delete_batch(
        self, batch: Sequence[tuple[Tree, Session]], sizes: Mapping[str, SessionSize], given_up: set[str]
    ) -> None:
        """Delete some sessions in a transaction; a tree of which one was changed is given up."""
        batch = [(tree, session) for tree, session in batch if tree.root.id not in given_up]
        if not batch:
            return
        started = time.monotonic()
        large = [session.id for _, session in batch if sizes[session.id].rows > self._max_records]
        if large and self._trims:
            given_up |= await self._storage.transact(lambda transaction: self._changed(transaction, batch))
            for tree, session in batch:
                if session.id in large and tree.root.id not in given_up:
                    await self._trim(session.id)
            batch = [(tree, session) for tree, session in batch if tree.root.id not in given_up]

        async def work(transaction: Transaction) -> set[str]:
            changed = await self._changed(transaction, batch)
            for tree, session in batch:
                if tree.root.id not in changed:
                    await transaction.delete_session(session.id)
            return changed

        changed = await self._storage.transact(work)
        given_up |= changed
        if changed:
            self.selector.kept[CHANGED] += len(changed)
        for tree, session in batch:
            if tree.root.id not in changed:
                self._add(sizes[session.id])
        self._tell("pruning sessions")
        await _let_others_write(time.monotonic() - started)

    async def _changed(self, transaction: Transaction, batch: Sequence[tuple[Tree, Session]]) -> set[str]:
        """Return the roots of those trees of which a session was changed, came or went since it was selected."""
        seen = {session.id: session for tree, session in batch} | {tree.root.id: tree.root for tree, _ in batch}
        tree_of = {session.id: tree for tree, session in batch} | {tree.root.id: tree for tree, _ in batch}
        stored = QueryFilter({"id": In([*seen])}, documents=False)
        unchanged = {each.id for each in await transaction.list_sessions(stored) if _is_same(each, seen[each.id])}
        changed = {tree_of[each].root.id for each in seen.keys() - unchanged}
        parents = [session.id for _, session in batch]
        for child in await transaction.list_sessions(QueryFilter({"parent_session_id": In(parents)}, documents=False)):
            tree = tree_of[child.parent_session_id or ""]
            if child.id not in tree.ids:
                changed.add(tree.root.id)
        waiting = await self.selector.pending(seen, transaction)
        return changed | {tree_of[each].root.id for each in waiting}

    async def _trim(self, session_id: str) -> None:
        """Delete what belongs to a large session, so many records at a time."""
        while self._maintenance is not None:
            started = time.monotonic()
            try:
                if await self._maintenance.trim_session(session_id, self._max_records) < self._max_records:
                    return
            except NotOfferedError:
                self._trims = False
                return
            await _let_others_write(time.monotonic() - started)

    async def _sizes(self, trees: Sequence[Tree]) -> Mapping[str, SessionSize]:
        """Return how much each session of the trees has, from the backend if it can tell."""
        ids = [session.id for tree in trees for session in tree.sessions]
        if self._maintenance is not None and self._measures:
            try:
                return await self._maintenance.measure_sessions(ids)
            except NotOfferedError:
                self._measures = False
        self.stored_bytes = None
        return {each: await self._count(each) for each in ids}

    async def _count(self, session_id: str) -> SessionSize:
        ids = await ids_of_session(self._storage, session_id, self._kinds)
        return SessionSize(counts={kind: len(each) for kind, each in ids.items()})

    def _add(self, size: SessionSize) -> None:
        self.counts.update(size.counts)
        if self.stored_bytes is not None and size.stored_bytes is not None:
            self.stored_bytes += size.stored_bytes

    def _tell(self, what: str) -> None:
        self._progress(Progress(what=what, done=self.counts["session"], unit="sessions"))


def _is_same(stored: Session, seen: Session) -> bool:
    return (stored.status, stored.updated_at, stored.metadata, stored.parent_session_id) == (
        seen.status,
        seen.updated_at,
        seen.metadata,
        seen.parent_session_id,
    )


async def _let_others_write(held_s: float) -> None:
    """Pause for as long as a transaction took: a writer of another process asks again and again, rather than waits."""
    await asyncio.sleep(min(max(held_s, MIN_PAUSE_S), MAX_PAUSE_S))
