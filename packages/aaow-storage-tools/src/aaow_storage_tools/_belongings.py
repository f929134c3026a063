"""What belongs to a session, and goes with it: its execution state, LLM executions, tool calls, requests and events."""

from typing import Any

from aaow_storage import Capability, QueryFilter, StorageAdapter, StorageOperations
from aaow_storage_tools._kinds import OF_SESSION, SESSION, STREAM_EVENT, Kind
from aaow_storage_tools._pages import pages_of


def kinds_of_session(storage: StorageAdapter) -> tuple[Kind[Any], ...]:
    """Return the kinds of records that may belong to a session in this store."""
    return (*OF_SESSION, STREAM_EVENT) if lists_events(storage) else OF_SESSION


def lists_events(storage: StorageAdapter) -> bool:
    """Say whether the events of all streams can be listed: not by a backend without streams, or of contract 1.0."""
    return Capability.STREAM_EVENTS in storage.capabilities and STREAM_EVENT.lists_whole_store(storage)


async def ids_of_session(
    storage: StorageOperations, session_id: str, kinds: tuple[Kind[Any], ...]
) -> dict[str, list[str]]:
    """Return the ids of a session and of what belongs to it, by kind; kinds of which there is nothing are missing."""
    found = {SESSION.name: [session_id]}
    for kind in kinds:
        ids = [kind.id_of(record) for record in await _all(storage, kind, session_id)]
        if ids:
            found[kind.name] = ids
    return found


async def _all(storage: StorageOperations, kind: Kind[Any], session_id: str) -> list[Any]:
    of_session = kind.list_of_session
    if of_session is not None:
        pages = pages_of(lambda page: of_session(storage, session_id, page), QueryFilter(documents=False))
    else:
        only = QueryFilter({"session_id": session_id})
        pages = pages_of(lambda page: kind.list_page(storage, page), only)
    return [record async for page in pages for record in page]
