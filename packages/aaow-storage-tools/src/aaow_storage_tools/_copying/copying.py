"""`copy_store`: copies a store into another one, of the same backend or another."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import attrs

from aaow_storage import (
    Capability,
    Change,
    ChangesLostError,
    CorruptDataError,
    FieldName,
    QueryFilter,
    StorageAdapter,
    StorageError,
    UnsupportedOperationError,
    ValidationError,
)
from aaow_storage_tools._copying.batches import Batch, Item, check_where_is_of_sessions
from aaow_storage_tools._copying.comparing import compare_stores, recheck
from aaow_storage_tools._copying.differences import Comparison
from aaow_storage_tools._copying.following import ChangeApplier
from aaow_storage_tools._copying.journal import Journal
from aaow_storage_tools._copying.replacing import Replacing
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.stored_records import check_is_empty, is_empty
from aaow_storage_tools._copying.walk import StoreWalk
from aaow_storage_tools._copying.writing import StoreWriter
from aaow_storage_tools._errors import ResumableError, ToolError, UnsupportedByBackendError
from aaow_storage_tools._kinds import APPROVAL_REQUEST, SESSION, STREAM_EVENT
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

_RECORDS_AT_ONCE = 2000
"""About how many records are stored in one transaction."""
_PARTS_AT_ONCE = 8
"""How many parts of a large session are stored in one transaction."""
_ROUNDS = 5
"""How often differences are looked at again, if others write to the source."""


@attrs.frozen(kw_only=True)
class CopyResult:
    """What a copy did.

    Attributes:
        stored: how many records were stored in the target, by this call alone.
        changes: how many changes of the source's feed were applied.
        was_resumed: whether an earlier call had begun.
        comparison: what differs at the end; None if it was not looked for.
    """

    stored: int
    changes: int
    was_resumed: bool
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "stored": self.stored,
            "changes": self.changes,
            "was_resumed": self.was_resumed,
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


async def copy_store(
    source: StorageAdapter,
    target: StorageAdapter,
    *,
    where: Mapping[FieldName, Any] | None = None,
    journal: Path | None = None,
    source_name: str = "the source",
    target_name: str = "the target",
    merge: bool = False,
    stream_events: bool = True,
    follow: asyncio.Event | None = None,
    quiet_s: float | None = None,
    verify: bool = True,
    progress: ProgressCallback | None = None,
) -> CopyResult:
    """Copy all records of a store, or those of chosen sessions, into another one; both are open.

    Every record keeps every field: instants, statuses, used budgets, and the sequences of stream events. (Nobody can
    see the sequences of events that were deleted at the end of a stream: the target may give those again.) The source
    is only read. Memory does not grow with the store. What is written to the source meanwhile is copied too, if it has
    the capability `changes`.

    With a journal, a copy that was killed or cancelled goes on where it was when it is called again, and a copy that
    is done copies what has changed since, or does nothing. Without one, the target has to be empty.

    Args:
        source: the store to read.
        target: the store to write.
        where: copy the sessions that meet this, as in `QueryFilter.where`, with the workflows, parents and budget pools
            that they refer to; None copies everything.
        journal: the file of the journal, beside the target.
        source_name: names the source in the journal and in errors, without a password.
        target_name: names the target.
        merge: whether the target may have records already; those that differ from the source's are replaced.
        stream_events: whether to copy stream events; a backend of contract 1.0 cannot list them.
        follow: if it is given, changes of the source are applied until it is set: then all that was written before is
            in the target.
        quiet_s: end to follow, too, when the source has not changed for so many seconds.
        verify: whether to compare the stores at the end, record by record.
        progress: is told how many sessions were copied.

    Raises:
        NotEmptyError: the target has records, and there is no journal that says it is a copy of the source.
        AlreadyRunningError: another process does the same.
        ResumableError: it has failed in the middle; the same call with the same journal goes on.
        UnsupportedByBackendError: a backend lacks what the records or `follow` need.
        ValidationError: `where` is wrong, or is given with `follow`.
    """
    check_where_is_of_sessions("copy_store", where)
    if where is not None and follow is not None:
        problem = "cannot be given with follow, because changes are followed for the whole store; leave one out"
        raise ValidationError("copy_store", "where", problem)
    chosen = {} if where is None else {"where": repr(sorted(where.items(), key=repr))}
    with Journal.open(journal, "copy", source=source_name, target=target_name, **chosen) as opened:
        copy = _Copying(
            source, target, where, opened, progress or ignore_progress, merge=merge, stream_events=stream_events
        )
        try:
            return await copy.run(follow, target_name, quiet_s=quiet_s, verify=verify)
        except (CorruptDataError, ToolError, UnsupportedOperationError, ValidationError):
            raise
        except StorageError as error:
            if journal is None or not opened.has_begun:
                raise
            raise ResumableError("copy", copy.stored, str(error)) from error


class _Copying:
    def __init__(
        self,
        source: StorageAdapter,
        target: StorageAdapter,
        where: Mapping[FieldName, Any] | None,
        journal: Journal,
        progress: ProgressCallback,
        *,
        merge: bool,
        stream_events: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._where = where
        self._journal = journal
        self._progress = progress
        self._merge = merge
        self._stream_events = stream_events
        self._has_feed = where is None and Capability.CHANGES in source.capabilities
        self.stored = 0
        self._changes = 0
        self._postpones = False

    async def run(
        self, follow: asyncio.Event | None, target_name: str, *, quiet_s: float | None, verify: bool
    ) -> CopyResult:
        journal = self._journal
        await self._check_capabilities(follow)
        was_resumed = journal.has_begun
        if was_resumed and await is_empty(self._target):
            journal.forget()  # the target was made anew since
        is_done = journal.is_walked
        if not journal.has_begun and not self._merge:
            remedy = "copy into an empty store, or merge (--merge), which replaces the records that differ"
            await check_is_empty(self._target, target_name, remedy)
        self._postpones = follow is not None
        writer = self._writer(is_done=is_done)
        if not journal.has_begun:
            await self._begin()
        if not is_done or not journal.has_position:
            await self._copy_all(writer)
        applier = ChangeApplier(self._source, self._target, self._applying_writer(), journal.position)
        if self._has_feed:
            applier.postpones_pending = self._postpones
            await self._catch_up(applier)
            if follow is not None:
                await self._follow(applier, follow, quiet_s)
                applier.postpones_pending = False
            self.stored += await applier.store_pending()
        comparison = await self._compare(applier) if verify else None
        return CopyResult(stored=self.stored, changes=self._changes, was_resumed=was_resumed, comparison=comparison)

    def _applying_writer(self) -> StoreWriter:
        """Return what writes records that the target may have in an older state."""
        return StoreWriter(self._target, is_empty=False, replaces=True, replace=Replacing(self._source, self._target))

    def _writer(self, *, is_done: bool) -> StoreWriter:
        """Return what writes: a copy that was done is perhaps in use, so only a merge replaces what differs in it."""
        return StoreWriter(
            self._target,
            is_empty=not self._merge and not is_done,
            replaces=self._merge or not is_done,
            replace=Replacing(self._source, self._target),
        )

    async def _check_capabilities(self, follow: asyncio.Event | None) -> None:
        if follow is not None and not self._has_feed:
            remedy = "copy without following, while nobody writes to the source"
            raise UnsupportedByBackendError("the source", "a change feed", remedy)
        has_events = self._stream_events and Capability.STREAM_EVENTS in self._source.capabilities
        if has_events and Capability.STREAM_EVENTS not in self._target.capabilities:
            one = QueryFilter(limit=1)
            if STREAM_EVENT.lists_whole_store(self._source) and await self._source.list_stream_events(one):
                raise UnsupportedByBackendError("the target", "stream events", "choose another backend for the target")

    async def _begin(self) -> None:
        """Note where the feed is before the first read, so that nothing is missed."""
        if self._has_feed:
            last = await self._source.last_change()
            self._journal.position = None if last is None else last.position
            self._journal.has_position = True
        self._journal.has_begun = True
        self._journal.save()

    async def _copy_all(self, writer: StoreWriter) -> None:
        journal = self._journal
        total = await self._source.count_sessions(QueryFilter(self._where or {}))
        begin = None if journal.is_walked else journal.place
        with SeenIds.open() as seen:
            walk = StoreWalk(
                self._source,
                seen,
                self._where,
                stored_in=self._target if begin else None,
                stream_events=self._stream_events,
            )
            waiting: list[Item] = []
            parts = 0
            async for batch in walk.batches(begin):
                waiting += self._chosen(batch)
                parts += 1
                if batch.place is None and len(waiting) < _RECORDS_AT_ONCE and parts < _PARTS_AT_ONCE:
                    continue
                self.stored += await writer.write(waiting)
                journal.sessions += sum(item.kind is SESSION for item in waiting)
                waiting, parts = [], 0
                if batch.place is not None:
                    journal.place = batch.place
                    journal.save()
                self._progress(Progress(what="sessions copied", done=journal.sessions, total=total, unit="sessions"))
            self.stored += await writer.write(waiting)
        journal.is_walked = True
        journal.save()

    def _chosen(self, batch: Batch) -> list[Item]:
        if not self._postpones:
            return list(batch.items)
        return [
            item for item in batch.items if item.kind is not APPROVAL_REQUEST or item.record.status.value != "pending"
        ]

    async def _catch_up(self, applier: ChangeApplier) -> None:
        """Apply the changes up to the present; start over if some of them were pruned."""
        while True:
            try:
                while count := await applier.apply_next():
                    self._note_changes(applier, count)
                return
            except ChangesLostError:
                await self._begin()
                self._journal.is_walked = False
                self._journal.place = None
                await self._copy_all(self._applying_writer())
                applier.position = self._journal.position

    def _note_changes(self, applier: ChangeApplier, count: int) -> None:
        self._changes += count
        self._journal.position = applier.position
        self._journal.save()
        self._progress(Progress(what="changes applied", done=self._changes, unit="changes"))

    async def _follow(self, applier: ChangeApplier, cut_over: asyncio.Event, quiet_s: float | None) -> None:
        """Apply changes until the event is set, or none has come for a while, and then those that were made before."""
        while not cut_over.is_set():
            await self._catch_up(applier)
            if not await _wait_for_change(self._source, applier.position, cut_over, quiet_s):
                break
        await self._catch_up(applier)

    async def _compare(self, applier: ChangeApplier) -> Comparison:
        """Compare the stores; what was written meanwhile is no difference, if the feed tells it."""
        comparison = await compare_stores(
            self._source,
            self._target,
            where=self._where,
            stream_events=self._stream_events,
            progress=self._progress,
        )
        if self._has_feed:
            for _ in range(_ROUNDS):
                if comparison.is_equal or comparison.found > len(comparison.differences):
                    break
                changes = self._changes
                await self._catch_up(applier)
                if changes == self._changes:
                    break
                comparison = await recheck(self._source, self._target, comparison)
        return comparison


async def _wait_for_change(
    source: StorageAdapter, position: str | None, cut_over: asyncio.Event, quiet_s: float | None
) -> bool:
    """Wait until the feed goes on, or the event is set; return False if neither has happened in so many seconds."""
    async with aclosing(source.changes(position)) as changes:
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(_next_of(changes)), asyncio.create_task(cut_over.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=quiet_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(ChangesLostError):  # the next read meets it too
                    task.result()
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
    return bool(done)


async def _next_of(changes: AsyncIterator[Change]) -> Change:
    return await anext(changes)
