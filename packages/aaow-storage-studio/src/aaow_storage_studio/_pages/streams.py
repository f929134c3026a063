"""The page `streams`: the streams that there are, each with its last event."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from aaow_storage import All, FieldName, Ge, Lt, OrderBy, QueryFilter, StreamEvent, UnsupportedOperationError
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.visit import Visit

PAGE_LENGTH = 25
BATCH = 16
"""How many events are read at once to find the next streams: a long stream costs one reading of so many."""
PATIENCE_S = 10.0
"""How long streams are looked for: a backend without an index of them reads all events for each."""
_LAST_LETTER = "\U0010ffff"
_LAST_FIRST = (OrderBy("stream_id", "desc"), OrderBy("sequence", "desc"))


@frozen
class StreamsView:
    """What the page shows.

    Attributes:
        streams: the last event of each stream; None if the store has no streams.
        session_id: the session that they are of, empty for all.
        begins: what their ids begin with.
        next_after: the stream that the next page begins after, None on the last page.
        is_first: whether it is the first page.
        problem: why nothing is listed, None if there is no problem.
    """

    streams: Sequence[StreamEvent] | None
    session_id: str
    begins: str
    next_after: str | None
    is_first: bool
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "supported": self.streams is not None,
            "problem": self.problem,
            "streams": [
                {
                    "stream_id": event.stream_id,
                    "session_id": event.session_id,
                    "last_sequence": event.sequence,
                    "last_event": event.to_dict(),
                }
                for event in self.streams or ()
            ],
            "next": self.next_after,
        }


async def read(visit: Visit) -> StreamsView:
    """Read the page: `session` and `begins` limit the list, which goes on after the stream `after`.

    Streams come by their ids, the last one first: so do the newest if their ids are made by `new_id`. Any other order
    would need all events of the store.
    """
    given = visit.request.query_params  # as they are: ids may begin with a space
    session_id, begins, after = given.get("session", ""), given.get("begins", ""), given.get("after")
    try:
        found = await within(PATIENCE_S, _last_events(visit, session_id, begins, after))
    except UnsupportedOperationError:
        return StreamsView(None, session_id, begins, None, is_first=True)
    if found is None:
        problem = f"was given up after {PATIENCE_S:g} s: the store has no index of streams"
        return StreamsView((), session_id, begins, None, is_first=not after, problem=problem)
    streams = found[:PAGE_LENGTH]
    next_after = streams[-1].stream_id if len(found) > PAGE_LENGTH else None
    return StreamsView(streams, session_id, begins, next_after, is_first=not after)


async def _last_events(visit: Visit, session_id: str, begins: str, after: str | None) -> list[StreamEvent]:
    """Return the last events of one stream more than a page has, going from stream to stream."""
    found: list[StreamEvent] = []
    while len(found) <= PAGE_LENGTH:
        limits = [Ge(begins), Lt(begins + _LAST_LETTER)] if begins else []
        if after:
            limits.append(Lt(after))
        where: dict[FieldName, Any] = {"session_id": session_id} if session_id else {}
        if limits:
            where["stream_id"] = All(*limits)
        batch = await visit.storage.list_stream_events(QueryFilter(where, _LAST_FIRST, BATCH))
        for event in batch:
            if not found or event.stream_id != found[-1].stream_id:
                found.append(event)
        if len(batch) < BATCH:
            break
        after = batch[-1].stream_id
    return found


PAGES = (Page("streams", "streams.html", read),)
