"""The page `stream`: the events of one stream in their order, with its text put together, as they come."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from aaow_storage import Gt, OrderBy, QueryFilter, StreamEvent, UnsupportedOperationError
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.stream_text import Block, blocks_of
from aaow_storage_studio._web.visit import Visit

PAGE_LENGTH = 500


@frozen
class StreamView:
    """What the page shows.

    Attributes:
        stream_id: the stream.
        events: a page of its events, by sequence; None if the store has no streams.
        blocks: the same, with pieces of text put together.
        is_joined: whether they are put together.
        has_more: whether there are events after those.
        after: the sequence that the page begins after, None for the last events.
    """

    stream_id: str
    events: Sequence[StreamEvent] | None
    blocks: Sequence[Block]
    is_joined: bool
    has_more: bool
    after: int | None

    @property
    def session_id(self) -> str | None:
        """The session of its last event."""
        return self.events[-1].session_id if self.events else None

    @property
    def next_after(self) -> int | None:
        """Where the next page begins, None on the last page, and in a store whose events have no sequence."""
        return self.events[-1].sequence if self.events and self.has_more else None

    @property
    def is_first(self) -> bool:
        """Whether it is the first page."""
        return self.after == 0 or bool(self.events and self.events[0].sequence == 1)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "stream_id": self.stream_id,
            "supported": self.events is not None,
            "events": [event.to_dict() for event in self.events or ()],
            "text": "".join(block.text for block in self.blocks if block.text is not None),
            "next": self.next_after,
        }


async def read(visit: Visit) -> StreamView:
    """Read the page of the stream `id`: the events after the sequence `after`, or the last with `latest=yes`.

    With `each=yes`, each event stands alone.
    """
    stream_id, is_joined = visit.required("id"), not visit.text("each")
    after = None if visit.text("latest") else _number(visit.text("after"))
    try:
        events, has_more = await _events(visit, stream_id, after)
    except UnsupportedOperationError:
        return StreamView(stream_id, None, (), is_joined, has_more=False, after=after)
    return StreamView(stream_id, events, blocks_of(events, joined=is_joined), is_joined, has_more, after)


async def _events(visit: Visit, stream_id: str, after: int | None) -> tuple[list[StreamEvent], bool]:
    """Return a page of events, and whether there are more behind them."""
    if after is None:
        last = QueryFilter(order_by=OrderBy("sequence", "desc"), limit=PAGE_LENGTH)
        return (await visit.storage.get_stream_events(stream_id, last))[::-1], False
    page = QueryFilter({"sequence": Gt(after)} if after else {}, OrderBy("sequence"), PAGE_LENGTH + 1)
    events = await visit.storage.get_stream_events(stream_id, page)
    if events and events[0].sequence is None:
        events = await visit.storage.get_stream_events(stream_id, evolve(page, order_by=()))
    return events[:PAGE_LENGTH], len(events) > PAGE_LENGTH


def _number(text: str) -> int:
    return min(int(text), 2**63 - 1) if text.isdecimal() and len(text) < 20 else 0  # noqa: PLR2004 - digits of 2**63


PAGES = (Page("stream", "stream.html", read),)
