"""`StoreWalk`: all records of a store, or of chosen sessions, in an order in which they can be stored."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from aaow_storage import (
    BudgetPool,
    Capability,
    FieldName,
    In,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StoredWorkflow,
    WorkflowExecutionState,
)
from aaow_storage_tools._copying.batches import Batch, Item, Place
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.session_reader import SessionReader
from aaow_storage_tools._errors import UnsupportedByBackendError
from aaow_storage_tools._kinds import (
    BUDGET_POOL,
    EXECUTION_STATE,
    SESSION,
    STREAM_EVENT,
    WORKFLOW,
    Kind,
)
from aaow_storage_tools._pages import order_of, pages_of, pages_of_kind

_FIRST_SESSIONS = 20
_MAX_SESSIONS = 200
"""How many sessions are read at once with what belongs to them."""
_HALF_FULL = 0.45
"""If the fullest page is emptier, more sessions are read at once."""

_SHARED = "shared stream"


class StoreWalk:
    """All records of a store in an order in which they can be stored: what a record refers to comes before it.

    A record that was deleted while the walk went on is left out, and so is the reference to it. Workflows come first,
    then budget pools, then sessions with all that belongs to them, and then stream events by stream and sequence.

    With a choice of sessions, they come with the workflows, parents and budget pools that they refer to, and with their
    stream events; nothing else comes. Each parent comes with all that belongs to it, too.

    Args:
        storage: the store.
        seen: an empty set, for the ids of workflows, budget pools and sessions that were met.
        where: which sessions are chosen, as in `QueryFilter.where`; None reads the whole store.
        stored_in: a store that need not be given again what it has, if the walk goes on in the middle.
        documents: whether to read what `QueryFilter(documents=False)` leaves out.
        stream_events: whether stream events come, if the store has any.
    """

    def __init__(
        self,
        storage: StorageAdapter,
        seen: SeenIds,
        where: Mapping[FieldName, Any] | None = None,
        *,
        stored_in: StorageAdapter | None = None,
        documents: bool = True,
        stream_events: bool = True,
    ) -> None:
        self._storage = storage
        self._seen = seen
        self._where = where
        self._stored_in = stored_in
        self._documents = documents
        self._has_events = stream_events and Capability.STREAM_EVENTS in storage.capabilities
        self._reader = SessionReader(storage)
        self._sessions_at_once = _FIRST_SESSIONS
        self._early: dict[str, SessionStatus] = {}

    async def batches(self, after: Place | None = None) -> AsyncIterator[Batch]:
        """Yield the records, from the beginning or from the place of an earlier batch on.

        Raises:
            UnsupportedByBackendError: the backend has stream events, and no list of all of them.
        """
        stages = self._stages()
        names = list(stages)
        if self._where is not None:
            after = None  # which sessions are chosen has to be known again
        begin = 0 if after is None or after.kind not in names else names.index(after.kind)
        for name in names[begin:]:
            cursor = after.cursor if after is not None and after.kind == name else None
            async for batch in stages[name](cursor):
                yield batch
            following = names[names.index(name) + 1 :]
            if following:
                yield Batch(items=(), place=Place(following[0]))

    def _stages(self) -> dict[str, Any]:
        if self._where is not None:
            return {SESSION.name: self._sessions, STREAM_EVENT.name: self._shared_events}
        stages: dict[str, Any] = {
            WORKFLOW.name: self._workflows,
            BUDGET_POOL.name: self._pools,
            SESSION.name: self._sessions,
        }
        if self._has_events:
            if not STREAM_EVENT.lists_whole_store(self._storage):
                remedy = "leave stream events out, or use a backend of contract 1.1"
                raise UnsupportedByBackendError(type(self._storage).__name__, "a list of all stream events", remedy)
            stages[STREAM_EVENT.name] = self._events
        return stages

    async def _workflows(self, cursor: str | None) -> AsyncIterator[Batch]:
        async for page in pages_of_kind(self._storage, WORKFLOW, after=cursor, documents=self._documents):
            new = self._new(WORKFLOW, page)
            yield Batch(items=tuple(Item(WORKFLOW, workflow) for workflow in new), place=_place(WORKFLOW, page[-1]))

    async def _pools(self, cursor: str | None) -> AsyncIterator[Batch]:
        async for page in pages_of_kind(self._storage, BUDGET_POOL, after=cursor):
            items = [Item(BUDGET_POOL, pool) for pool in await self._with_parents(self._new(BUDGET_POOL, page))]
            yield Batch(items=tuple(items), place=_place(BUDGET_POOL, page[-1]))

    async def _with_parents(self, pools: Sequence[BudgetPool]) -> list[BudgetPool]:
        """Return the pools, each after its parent, with those ancestors that the walk has not met yet."""
        return await self._with_ancestors(BUDGET_POOL, pools, "parent_pool_id")

    async def _sessions(self, cursor: str | None) -> AsyncIterator[Batch]:
        where = self._where or {}
        async for page in pages_of_kind(
            self._storage, SESSION, where, after=cursor, order_by=order_of(SESSION), documents=self._documents
        ):
            rest = list(page)
            while rest:
                part, rest = rest[: self._sessions_at_once], rest[self._sessions_at_once :]
                async for batch in self._with_all(part, has_turns=self._where is None):
                    yield batch
                yield Batch(items=(), place=_place(SESSION, part[-1]))

    async def _with_all(self, sessions: Sequence[Session], *, has_turns: bool) -> AsyncIterator[Batch]:
        """Yield sessions with what they refer to, and what belongs to them.

        If every session has a turn of its own, an ancestor that comes early has no more than its record now.
        """
        ordered = await self._with_ancestors(SESSION, self._new(SESSION, sessions), "parent_session_id")
        workflows, ordered = await self._with_workflows(ordered)
        own = [session.id for session in (sessions if has_turns else ordered)]
        first = [Item(WORKFLOW, workflow) for workflow in workflows] + [Item(SESSION, session) for session in ordered]
        statuses = {session.id: session.status for session in [*sessions, *ordered]}
        if has_turns:
            for session_id in own:  # one that came early may have had another status
                statuses[session_id] = self._early.pop(session_id, statuses[session_id])
            self._early |= {session.id: session.status for session in ordered if session.id not in own}
        parts = [own] if own else []
        if not own:
            yield Batch(items=tuple(first))
        while parts:
            part = parts.pop(0)
            items = await self._reader.read(part, documents=self._documents)
            if items is None and len(part) > 1:
                half = len(part) // 2
                self._sessions_at_once = half
                parts = [part[:half], part[half:], *parts]
                continue
            async for batch in self._owned(part, items, statuses):
                yield evolve(batch, items=(*first, *batch.items))
                first = []
            if first:
                yield Batch(items=tuple(first))
                first = []
        if self._reader.fullness < _HALF_FULL:
            self._sessions_at_once = min(_MAX_SESSIONS, 2 * self._sessions_at_once)
        if self._where is not None and self._has_events:
            async for batch in self._events_of(own):
                yield batch

    async def _owned(
        self, session_ids: Sequence[str], items: Sequence[Item] | None, statuses: Mapping[str, Any]
    ) -> AsyncIterator[Batch]:
        """Yield what belongs to some sessions: the items, or if they are None, that of one session in parts."""
        if items is not None:
            pools = await self._pools_of(items)
            yield Batch(items=(*pools, *_with_status(items, statuses)), sessions=tuple(session_ids))
            return
        for session_id in session_ids:
            async for part in self._reader.read_in_parts(session_id, documents=self._documents):
                pools = await self._pools_of(part)
                yield Batch(items=(*pools, *_with_status(part, statuses)), large_session=session_id)

    async def _with_workflows(self, sessions: Sequence[Session]) -> tuple[list[StoredWorkflow], list[Session]]:
        """Return the workflows of sessions that the walk has not met yet, and the sessions."""
        named = [session.workflow_id for session in sessions if session.workflow_id is not None]
        missing = await self._missing(WORKFLOW, named)
        if not missing:
            return [], list(sessions)
        found = await self._storage.list_workflows(QueryFilter({"id": In(missing)}, documents=self._documents))
        self._seen.add(WORKFLOW.name, [workflow.id for workflow in found])
        gone = set(missing) - {workflow.id for workflow in found}
        return found, [evolve(each, workflow_id=None) if each.workflow_id in gone else each for each in sessions]

    async def _pools_of(self, items: Sequence[Item]) -> list[Item]:
        """Return the budget pools that execution states name, if only chosen sessions are read."""
        if self._where is None:
            return []
        states: list[WorkflowExecutionState] = [item.record for item in items if item.kind is EXECUTION_STATE]
        named = [state.budget_pool_id for state in states if state.budget_pool_id is not None]
        missing = self._seen.missing(BUDGET_POOL.name, named)
        if not missing:
            return []
        found = self._new(BUDGET_POOL, await self._storage.list_budget_pools(QueryFilter({"id": In(missing)})))
        return [Item(BUDGET_POOL, pool) for pool in await self._with_parents(found)]

    async def _events(self, cursor: str | None) -> AsyncIterator[Batch]:
        async for page in pages_of_kind(self._storage, STREAM_EVENT, after=cursor):
            items = [Item(STREAM_EVENT, event) for event in page]
            named = [event.session_id for event in page if event.session_id is not None]
            gone: set[str] = set()
            if missing := await self._missing(SESSION, named):
                late = await self._storage.list_sessions(
                    QueryFilter({"id": In(missing)}, order_of(SESSION), documents=self._documents)
                )
                gone = set(missing) - {session.id for session in late}
                async for batch in self._with_all(late, has_turns=False):
                    yield batch
            kept = tuple(item for item in items if item.record.session_id not in gone)
            yield Batch(items=kept, place=_place(STREAM_EVENT, page[-1]))

    async def _events_of(self, session_ids: Sequence[str]) -> AsyncIterator[Batch]:
        """Yield the events of sessions, if no other session writes to their streams."""
        wanted = QueryFilter({"session_id": In([*session_ids])}, order_of(STREAM_EVENT))
        if not STREAM_EVENT.lists_whole_store(self._storage):
            return  # a backend of contract 1.0 finds events by the name of their stream alone
        async for page in pages_of(self._storage.list_stream_events, wanted):
            shared = await self._shared_among({event.stream_id for event in page})
            self._seen.add(_SHARED, shared)
            yield Batch(items=tuple(Item(STREAM_EVENT, event) for event in page if event.stream_id not in shared))

    async def _shared_among(self, stream_ids: Collection[str]) -> set[str]:
        """Return which of the streams have events of several sessions, or of none."""
        of_these: Mapping[FieldName, Any] = {"stream_id": In([*stream_ids])}
        summaries = await self._storage.list_streams(QueryFilter(of_these))
        shared = {summary.stream_id for summary in summaries if summary.session_id is None}
        async for page in pages_of(self._storage.list_stream_events, QueryFilter({**of_these, "session_id": None})):
            shared |= {event.stream_id for event in page}
        return shared

    async def _shared_events(self, cursor: str | None) -> AsyncIterator[Batch]:
        """Yield the events of chosen sessions in streams that have others too, in the order of their sequences."""
        del cursor
        for stream_id in self._seen.ids(_SHARED):
            async for page in pages_of_kind(self._storage, STREAM_EVENT, {"stream_id": stream_id}):
                named = [event.session_id for event in page if event.session_id is not None]
                others = {None, *self._seen.missing(SESSION.name, named)}
                kept = [Item(STREAM_EVENT, event) for event in page if event.session_id not in others]
                yield Batch(items=tuple(kept))

    async def _missing(self, kind: Kind[Any], ids: Sequence[str]) -> list[str]:
        """Return those of the ids that the walk has not met, and that are not where the records go to."""
        missing = self._seen.missing(kind.name, ids)
        if not missing or self._stored_in is None or self._where is not None:
            return missing
        wanted = QueryFilter({"id": In(missing)}, documents=False)
        stored = {record.id for record in await kind.list_page(self._stored_in, wanted)}
        return [id_ for id_ in missing if id_ not in stored]

    def _new(self, kind: Kind[Any], records: Sequence[Any]) -> list[Any]:
        """Return those of the records that the walk has not met yet, and note that it has."""
        ids = [kind.id_of(record) for record in records]
        new = set(self._seen.missing(kind.name, ids))
        self._seen.add(kind.name, new)
        return [record for record, id_ in zip(records, ids, strict=True) if id_ in new]

    async def _with_ancestors(self, kind: Kind[Any], records: Sequence[Any], parent_field: str) -> list[Any]:
        """Return records, each after its parent, with those ancestors that the walk has not met yet."""
        known = {record.id: record for record in records}
        gone: set[str] = set()
        wanted = _parents(known.values(), parent_field)
        while missing := await self._missing(kind, [id_ for id_ in wanted if id_ not in known]):
            filter_ = QueryFilter({"id": In(missing)}, documents=self._documents)
            found = await kind.list_page(self._storage, filter_)
            self._seen.add(kind.name, [record.id for record in found])
            known |= {record.id: record for record in found}
            gone |= set(missing) - set(known)
            wanted = _parents(found, parent_field)
        for record in list(known.values()):
            if getattr(record, parent_field) in gone:
                known[record.id] = evolve(record, **{parent_field: None})
        return _parents_first(known, parent_field)


def _place(kind: Kind[Any], record: Any) -> Place:
    return Place(kind.name, QueryFilter(order_by=order_of(kind)).cursor(record))


def _parents(records: Iterable[Any], parent_field: str) -> list[str]:
    found = (getattr(record, parent_field) for record in records)
    return [parent for parent in found if parent is not None]


def _parents_first(known: Mapping[str, Any], parent_field: str) -> list[Any]:
    ordered: dict[str, Any] = {}
    for record in known.values():
        chain = []
        each: Any = record
        while each is not None and each.id not in ordered:
            chain.append(each)
            each = known.get(getattr(each, parent_field) or "")
        ordered.update((ancestor.id, ancestor) for ancestor in reversed(chain))
    return list(ordered.values())


def _with_status(items: Sequence[Item], statuses: Mapping[str, Any]) -> list[Item]:
    """Return the items; an execution state has the status of its session, which may be read at another time."""
    found = []
    for item in items:
        record = item.record
        if item.kind is EXECUTION_STATE and record.status is not statuses.get(record.session_id, record.status):
            found.append(Item(item.kind, evolve(record, status=statuses[record.session_id])))
        else:
            found.append(item)
    return found
