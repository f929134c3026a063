"""Following a stream: what is stored after a sequence, and then what comes."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import suppress

from aaow_storage._filters import QueryFilter
from aaow_storage._operators import In
from aaow_storage._records import StreamEvent
from aaow_storage._stream_operations import StreamOperations, unsupported_as
from aaow_storage._watching import Probe, Watcher
from aaow_storage.errors import AdapterClosedError

PAGE_LENGTH = 500
"""How many events of a stream a follower reads at once."""


async def follow_stream(
    storage: StreamOperations, watcher: Watcher, last_sequences: Probe[int], stream_id: str, after: int
) -> AsyncGenerator[StreamEvent, None]:
    """Yield the events of a stream after a sequence, in order, and wait for the next; end when the adapter is closed.

    Raises:
        AdapterClosedError: the adapter is closed before the first read.
        StorageError: a read failed.
    """

    def is_above(last: int) -> bool:
        return last > after

    with unsupported_as("watch_stream"):
        last = (await last_sequences((stream_id,))).get(stream_id, 0)
    page = QueryFilter(limit=PAGE_LENGTH)
    with suppress(AdapterClosedError):
        while True:
            if last <= after:
                last = await watcher.wait(last_sequences, stream_id, is_above)
            events = await storage.get_stream_events(stream_id, page, after)
            for event in events:
                yield event
                after = event.sequence or after
            if len(events) < PAGE_LENGTH:
                after = max(after, last)  # what was missing up to there was deleted


async def save_each(storage: StreamOperations, events: Collection[StreamEvent]) -> list[StreamEvent]:
    """Save the events one by one, and return them as they are stored."""
    with unsupported_as("save_stream_events"):
        for event in events:
            await storage.save_stream_event(event)
    stored: dict[str, StreamEvent] = {}
    for stream_id in {event.stream_id for event in events}:
        stored |= {event.id: event for event in await storage.get_stream_events(stream_id)}
    return [stored[event.id] for event in events]


async def last_sequences_of(storage: StreamOperations, stream_ids: Collection[str]) -> Mapping[str, int]:
    """Return the last sequence of each of those streams that has events, by their summaries."""
    of_these = QueryFilter({"stream_id": In([*stream_ids])})
    return {each.stream_id: each.last_sequence for each in await storage.list_streams(of_these)}
