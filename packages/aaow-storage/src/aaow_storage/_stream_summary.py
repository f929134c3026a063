"""`StreamSummary`: what `list_streams` says of each stream."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import field, frozen

from aaow_storage import _validators as validators
from aaow_storage import _values as values
from aaow_storage._record_dicts import Record
from aaow_storage._records import StreamEvent


@frozen(kw_only=True, eq=False, repr=False)
class StreamSummary(Record):
    """A stream that has events: how many, the sequence of the last one, and the earliest and the latest `timestamp`.

    `session_id` is the session of its events, None if none has one, or if they differ.
    """

    stream_id: str = field(validator=validators.is_id)
    session_id: str | None = field(default=None, validator=validators.optional(validators.is_id))
    events: int = field(validator=validators.is_count)
    last_sequence: int = field(validator=validators.is_count)
    first_event_at: datetime = field(converter=values.as_utc, validator=validators.is_instant)
    last_event_at: datetime = field(converter=values.as_utc, validator=validators.is_instant)


def summarize_streams(events: Iterable[StreamEvent]) -> list[StreamSummary]:
    """Return a summary of each stream that has an event among these, which are stored ones, in no particular order."""
    by_stream: dict[str, list[Any]] = {}
    for event in events:
        by_stream.setdefault(event.stream_id, []).append(event)
    return [_summary(stream_id, of_stream) for stream_id, of_stream in by_stream.items()]


def _summary(stream_id: str, events: list[StreamEvent]) -> StreamSummary:
    sessions = {event.session_id for event in events if event.session_id is not None}
    return StreamSummary(
        stream_id=stream_id,
        session_id=sessions.pop() if len(sessions) == 1 else None,
        events=len(events),
        last_sequence=max(event.sequence or 0 for event in events),
        first_event_at=min(event.timestamp for event in events),
        last_event_at=max(event.timestamp for event in events),
    )
