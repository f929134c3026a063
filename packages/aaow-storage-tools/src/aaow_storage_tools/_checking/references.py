"""References between records: to those that are not stored, and in a circle."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from aaow_storage import (
    CorruptDataError,
    In,
    QueryFilter,
    StorageOperations,
    StreamEvent,
    WorkflowExecutionState,
)
from aaow_storage_tools._checking.existing import Existing
from aaow_storage_tools._checking.findings import Finding, Problem
from aaow_storage_tools._kinds import KIND_OF, Kind

MAX_ANCESTORS = 10_000
"""How many records are read to look for a circle, and the most values of a condition."""
_RESTORE = "restore the missing record from a backup, or delete this one"


class References:
    """Checks what records refer to; `budget_pool_id` and `pending_approval_id` are plain values, and need no record."""

    def __init__(self, storage: StorageOperations) -> None:
        self._storage = storage
        self._existing = {
            name: Existing(functools.partial(kind.list_page, storage))
            for name, kind in KIND_OF.items()
            if kind.lists_whole_store(storage)  # without such a list, each look-up goes through all sessions
        }
        self._last_event: tuple[str, int | None] | None = None

    async def check(self, kind: Kind[Any], records: Sequence[Any]) -> list[Finding]:
        """Return what is wrong with what those records refer to."""
        found = await self._missing(kind, records)
        match kind.name:
            case "session":
                found += await self._cycles(kind, records, "parent_session_id")
            case "budget_pool":
                found += await self._cycles(kind, records, "parent_pool_id")
            case "execution_state":
                found += await self._statuses(records)
            case "stream_event":
                found += self._sequences(records)
        return found

    async def _missing(self, kind: Kind[Any], records: Sequence[Any]) -> list[Finding]:
        """Return a finding for each record that needs another one that is not stored."""
        needed = [
            (record, reference)
            for record in records
            for reference in kind.references(record)
            if reference.kind in self._existing
        ]
        missing: dict[str, set[str]] = {}
        for name in dict.fromkeys(reference.kind for _, reference in needed):
            ids = {reference.id for _, reference in needed if reference.kind == name}
            missing[name] = await self._existing[name].missing(ids)
        suspected = [(record, reference) for record, reference in needed if reference.id in missing[reference.kind]]
        found = []
        for record, reference in suspected:
            now = await self._read_again(kind, kind.id_of(record))
            if now is not None and reference in kind.references(now):
                found.append(_dangling(kind.name, kind.id_of(record), reference.kind, reference.id, _RESTORE))
        return found

    async def _cycles(self, kind: Kind[Any], records: Sequence[Any], parent: str) -> list[Finding]:
        """Return a finding for each record that is its own ancestor."""
        parents = {record.id: getattr(record, parent) for record in records}
        unknown = {each for each in parents.values() if each is not None and each not in parents}
        while unknown and len(parents) < MAX_ANCESTORS:
            page = QueryFilter({"id": In(sorted(unknown)[:MAX_ANCESTORS])}, documents=False)
            try:
                read = await kind.list_page(self._storage, page)
            except CorruptDataError:
                break  # the ancestors cannot be read, which is found elsewhere
            parents.update((each.id, getattr(each, parent)) for each in read)
            unknown = {parents[each.id] for each in read} - parents.keys() - {None}
        return [
            Finding(
                problem=Problem.REFERENCE_CYCLE,
                kind=kind.name,
                id=record.id,
                message=f"it is its own ancestor by {parent}",
                remedy="restore it from a backup, or delete it and create it again with the right parent",
            )
            for record in records
            if _is_own_ancestor(record.id, parents)
        ]

    async def _statuses(self, states: Sequence[WorkflowExecutionState]) -> list[Finding]:
        """Return a finding for each session whose status is not that of its execution state."""
        ids = [state.session_id for state in states]
        if not ids:
            return []
        try:
            sessions = await self._storage.list_sessions(QueryFilter({"id": In(ids)}, documents=False))
        except CorruptDataError:
            return []  # which is found elsewhere
        status = {session.id: session.status for session in sessions}
        return [
            Finding(
                problem=Problem.STATUS_DIFFERS,
                kind="session",
                id=state.session_id,
                message=f"the session is {status[state.session_id]}, and its execution state {state.status}",
                remedy="update_session(status=...) sets both",
            )
            for state in states
            if status.get(state.session_id, state.status) is not state.status and await self._differ(state.session_id)
        ]

    async def _differ(self, id: str) -> bool:
        """Say whether a session and its state have two statuses, while nobody changes them."""
        session = QueryFilter({"id": id}, documents=False)
        before = [each.status for each in await self._storage.list_sessions(session)]
        state = await self._storage.get_execution_state(id)
        after = [each.status for each in await self._storage.list_sessions(session)]
        return state is not None and before == after and before != [state.status]

    def _sequences(self, events: Sequence[StreamEvent]) -> list[Finding]:
        """Return a finding for each event whose sequence another event of its stream has."""
        found = []
        for event in events:
            key = event.stream_id, event.sequence
            if key == self._last_event and event.sequence is not None:
                message = f"another event of the stream {event.stream_id!r} has the sequence {event.sequence} too"
                found.append(
                    Finding(
                        problem=Problem.SEQUENCE_WRONG,
                        kind="stream_event",
                        id=event.id,
                        message=message,
                        remedy="restore the stream from a backup, or delete it and save its events again",
                    )
                )
            self._last_event = key
        return found

    async def _read_again(self, kind: Kind[Any], id: str) -> Any:
        """Return a record as it is now, None if it is gone or cannot be read: it may have gone with what it names."""
        try:
            return await kind.get(self._storage, id)
        except CorruptDataError:
            return None


def _is_own_ancestor(id: str, parents: Mapping[str, str | None]) -> bool:
    seen = set()
    parent = parents.get(id)
    while parent is not None and parent not in seen:
        if parent == id:
            return True
        seen.add(parent)
        parent = parents.get(parent)
    return False


def _dangling(kind: str, id: str, missing_kind: str, missing_id: str | None, remedy: str) -> Finding:
    return Finding(
        problem=Problem.REFERENCE_DANGLING,
        kind=kind,
        id=id,
        message=f"it refers to the {missing_kind.replace('_', ' ')} {missing_id!r}, which is not stored",
        remedy=remedy,
    )
