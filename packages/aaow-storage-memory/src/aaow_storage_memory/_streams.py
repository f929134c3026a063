"""The sequences of stream events. A writer holds the lock until its commit, so their order is that of the commits."""

import copy

from attrs import frozen

from aaow_storage import Session, StreamEvent
from aaow_storage_memory._tables import Tables


@frozen
class LastSequence:
    """The last sequence that an event of a stream was given; it stays when the event is deleted."""

    stream_id: str
    sequence: int


def put_event(tables: Tables, event: StreamEvent) -> StreamEvent:
    """Insert an event with the next sequence of its stream, or replace the one that has its id; return it with its own.

    Raises:
        NotFoundError: its session is not stored.
    """
    tables.check_parent(Session, event.session_id)
    stored = tables.get(StreamEvent, event.id)
    if stored is not None and stored.stream_id == event.stream_id:
        sequence = stored.sequence
    else:
        last = tables.get(LastSequence, event.stream_id)
        sequence = 1 if last is None else last.sequence + 1
        tables.put(event.stream_id, LastSequence(event.stream_id, sequence))
    numbered = copy.copy(event)
    object.__setattr__(numbered, "sequence", sequence)  # without validating its document again
    tables.put(event.id, numbered)
    return numbered
