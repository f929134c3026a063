"""Saving stream events so that they keep their sequences, by operations that give each event the next one."""

from collections.abc import Iterable, Sequence

from attrs import evolve

from aaow_storage import (
    Direction,
    OrderBy,
    QueryFilter,
    StorageOperations,
    StreamEvent,
    Transaction,
    new_id,
)
from aaow_storage_tools._copying.short_session import short_session
from aaow_storage_tools._kinds import STREAM_EVENT

_AT_ONCE = 500


async def save_events(storage: Transaction, events: Sequence[StreamEvent], stored: Iterable[StreamEvent]) -> None:
    """Save events, each with the sequence that it has, unless its stream is further already.

    A sequence that is missing before an event, because its own event was deleted, is used up: by an event of a session
    that is deleted at once. So `storage` is a transaction.

    Args:
        storage: the transaction.
        events: the events, those of a stream by sequence.
        stored: those of them that are stored already; they keep the sequences that they have.
    """
    if not STREAM_EVENT.lists_whole_store(storage):
        for event in events:
            await storage.save_stream_event(event)
        return
    before = {event.id: event for event in stored}
    behind = [event for event in events if _is_behind(event, before.get(event.id))]
    last: dict[str, int] = {}
    for stream_id in dict.fromkeys(event.stream_id for event in behind):
        last[stream_id] = await last_sequence(storage, stream_id)
    misplaced = [before[event.id] for event in behind if (event.sequence or 0) > last[event.stream_id]]
    await delete_events(storage, misplaced)
    gone = {event.id for event in misplaced}
    known = [
        event
        for event in events
        if event.id in before and event.id not in gone and before[event.id].stream_id == event.stream_id
    ]
    known_ids = {event.id for event in known}
    new = [event for event in events if event.id not in known_ids]
    for start in range(0, len(known), _AT_ONCE):
        await storage.save_stream_events(known[start : start + _AT_ONCE])
    for start in range(0, len(new), _AT_ONCE):
        await _save_new(storage, new[start : start + _AT_ONCE])


async def _save_new(storage: Transaction, events: Sequence[StreamEvent]) -> None:
    """Save events that are not stored yet, or are in another stream."""
    following: dict[str, int] = {}
    try:
        async with storage.savepoint():
            saved = await storage.save_stream_events(events)
            for event, stored in zip(events, saved, strict=True):
                following.setdefault(event.stream_id, stored.sequence or 0)
            _check_sequences(events, saved)
    except _OtherSequencesError:
        async with short_session(storage) as session:
            for event in events:
                await _use_up(storage, event, following[event.stream_id], session.id)
                (stored,) = await storage.save_stream_events([event])
                following[event.stream_id] = (stored.sequence or 0) + 1


def _check_sequences(events: Sequence[StreamEvent], saved: Sequence[StreamEvent]) -> None:
    """Check that saved events have the sequences that they are to keep.

    Raises:
        _OtherSequencesError: one has another.
    """
    if any(event.sequence not in {None, stored.sequence} for event, stored in zip(events, saved, strict=True)):
        raise _OtherSequencesError


class _OtherSequencesError(Exception):
    """The events got other sequences than they have to keep; a savepoint takes this back."""


async def delete_events(storage: Transaction, events: Sequence[StreamEvent]) -> None:
    """Delete single events: they are saved under a session that is deleted at once. `storage` is a transaction."""
    if events:
        async with short_session(storage) as session:
            for start in range(0, len(events), _AT_ONCE):
                part = events[start : start + _AT_ONCE]
                await storage.save_stream_events([evolve(event, session_id=session.id) for event in part])


def _is_behind(event: StreamEvent, stored: StreamEvent | None) -> bool:
    """Say whether an event is stored with a lower sequence: it has to leave its place if its stream ends before it."""
    if stored is None or stored.stream_id != event.stream_id or event.sequence is None or stored.sequence is None:
        return False
    return event.sequence > stored.sequence


async def last_sequence(storage: StorageOperations, stream_id: str) -> int:
    """Return the sequence of the last event of a stream, 0 if it has none."""
    last = QueryFilter(order_by=OrderBy("sequence", Direction.DESCENDING), limit=1)
    return next((event.sequence or 0 for event in await storage.get_stream_events(stream_id, last)), 0)


async def _use_up(storage: Transaction, event: StreamEvent, following: int, session_id: str) -> None:
    """Use up the sequences of a stream from the one that follows to the one before that of an event."""
    missing = (event.sequence or 0) - following
    while missing > 0:
        count = min(missing, _AT_ONCE)
        fillers = [evolve(event, id=new_id(), data=None, session_id=session_id) for _ in range(count)]
        await storage.save_stream_events(fillers)
        missing -= count
