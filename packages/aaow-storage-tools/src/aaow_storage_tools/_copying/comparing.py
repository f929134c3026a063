"""`compare_stores`: what differs between two stores, record by record."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aaow_storage import Capability, FieldName, QueryFilter, StorageAdapter
from aaow_storage_tools._copying.batches import Batch, Item, check_where_is_of_sessions
from aaow_storage_tools._copying.differences import Comparison, Findings, Mismatch, differing_fields, is_same
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.session_reader import SessionReader
from aaow_storage_tools._copying.stored_records import Key, stored_like
from aaow_storage_tools._copying.walk import StoreWalk
from aaow_storage_tools._kinds import BUDGET_POOL, KIND_OF, OF_SESSION, SESSION, STREAM_EVENT, WORKFLOW, Kind
from aaow_storage_tools._pages import pages_of_kind
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

_PART = "in a large session"


async def compare_stores(
    source: StorageAdapter,
    target: StorageAdapter,
    *,
    where: Mapping[FieldName, Any] | None = None,
    stream_events: bool = True,
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Compare every record of two stores, in every field, and return what differs.

    Both are only read. If somebody writes to one of them meanwhile, that shows as a difference. Memory does not grow
    with the stores.

    Args:
        source: the first store.
        target: the second store.
        where: compare the sessions that meet this, as in `QueryFilter.where`, and what they refer to; None compares
            the whole stores.
        stream_events: whether to compare stream events; a backend of contract 1.0 cannot list them.
        progress: is told how many sessions were compared.

    Raises:
        UnsupportedByBackendError: a backend has stream events, and no list of all of them.
    """
    check_where_is_of_sessions("compare_stores", where)
    with SeenIds.open() as seen:
        comparing = _Comparing(source, target, seen, where, progress or ignore_progress, stream_events=stream_events)
        return await comparing.run()


async def recheck(source: StorageAdapter, target: StorageAdapter, comparison: Comparison) -> Comparison:
    """Compare again the records that differed, if all of them are named; return what differs still."""
    findings = Findings()
    findings.compared.update(comparison.compared)
    for difference in comparison.differences:
        kind = KIND_OF[difference.kind]
        ours, theirs = await kind.get(source, difference.id), await kind.get(target, difference.id)
        if ours is None and theirs is not None:
            findings.add(kind.name, difference.id, Mismatch.EXTRA)
        elif ours is not None and theirs is None:
            findings.add(kind.name, difference.id, Mismatch.MISSING)
        elif ours is not None and not is_same(ours, theirs):
            findings.add(kind.name, difference.id, Mismatch.DIFFERS, differing_fields(ours, theirs))
    return findings.comparison()


class _Comparing:
    def __init__(
        self,
        source: StorageAdapter,
        target: StorageAdapter,
        seen: SeenIds,
        where: Mapping[FieldName, Any] | None,
        progress: ProgressCallback,
        *,
        stream_events: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._seen = seen
        self._where = where
        self._progress = progress
        self._stream_events = stream_events
        self._reader = SessionReader(target)
        self._findings = Findings()
        self._large: str | None = None
        self._sessions = 0

    async def run(self) -> Comparison:
        total = await self._source.count_sessions(QueryFilter(self._where or {}))
        walk = StoreWalk(self._source, self._seen, self._where, stream_events=self._stream_events)
        async for batch in walk.batches():
            await self._compare(batch)
            self._sessions += sum(item.kind is SESSION for item in batch.items)
            self._progress(Progress(what="sessions compared", done=self._sessions, total=total, unit="sessions"))
        await self._end_large_session()
        if self._where is None:
            await self._find_extra()
        return self._findings.comparison()

    async def _compare(self, batch: Batch) -> None:
        if batch.large_session != self._large:
            await self._end_large_session()
            self._large = batch.large_session
        if batch.large_session is not None:
            for name, ids in _ids_by_kind(batch.items).items():
                self._seen.add(f"{name} {_PART}", ids)
        self._seen.add(STREAM_EVENT.name, [item.id for item in batch.items if item.kind is STREAM_EVENT])
        stored = await self._stored(batch)
        for item in batch.items:
            self._compare_records(item, stored.pop((item.kind.name, item.id), None))
        for kind, id_ in stored:
            self._findings.add(kind, id_, Mismatch.EXTRA)

    async def _stored(self, batch: Batch) -> dict[Key, Any]:
        """Return what the target has of a batch: its records, and what else belongs to its sessions."""
        if batch.sessions and (owned := await self._reader.read(batch.sessions)) is not None:
            found = {(item.kind.name, item.id): item.record for item in owned}
            others = [item for item in batch.items if (item.kind.name, item.id) not in found]
            return found | await stored_like(self._target, others)
        if batch.sessions:  # the target has more of them than is read at once
            return await stored_like(self._target, batch.items) | await self._all_of(batch.sessions)
        return await stored_like(self._target, batch.items)

    async def _all_of(self, session_ids: Sequence[str]) -> dict[Key, Any]:
        found: dict[Key, Any] = {}
        for session_id in session_ids:
            async for part in self._reader.read_in_parts(session_id):
                found |= {(item.kind.name, item.id): item.record for item in part}
        return found

    def _compare_records(self, item: Item, stored: Any) -> None:
        kind = item.kind.name
        self._findings.compared[kind] += 1
        if stored is None:
            self._findings.add(kind, item.id, Mismatch.MISSING)
        elif not is_same(item.record, stored):
            self._findings.add(kind, item.id, Mismatch.DIFFERS, differing_fields(item.record, stored))

    async def _end_large_session(self) -> None:
        """Find what the target has of a large session, and the source has not."""
        if self._large is None:
            return
        async for part in self._reader.read_in_parts(self._large, documents=False):
            self._note_extra(part, _PART)
        for kind in OF_SESSION:
            self._seen.remove(f"{kind.name} {_PART}")
        self._large = None

    async def _find_extra(self) -> None:
        """Find the workflows, budget pools, sessions and events that only the target has."""
        kinds: list[Kind[Any]] = [WORKFLOW, BUDGET_POOL, SESSION]
        has_events = Capability.STREAM_EVENTS in self._target.capabilities
        if self._stream_events and has_events and STREAM_EVENT.lists_whole_store(self._target):
            kinds.append(STREAM_EVENT)
        for kind in kinds:
            async for page in pages_of_kind(self._target, kind, documents=False):
                self._note_extra([Item(kind, record) for record in page])

    def _note_extra(self, items: Iterable[Item], suffix: str = "") -> None:
        for kind, ids in _ids_by_kind(items).items():
            for id_ in self._seen.missing(f"{kind} {suffix}".strip(), ids):
                self._findings.add(kind, id_, Mismatch.EXTRA)


def _ids_by_kind(items: Iterable[Item]) -> dict[str, list[str]]:
    by_kind: dict[str, list[str]] = {}
    for item in items:
        by_kind.setdefault(item.kind.name, []).append(item.id)
    return by_kind
