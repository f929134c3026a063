"""Text that came in pieces, as models stream it, put together again."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from aaow_storage import StreamEvent

_KEYS = ("text", "delta", "content", "token", "chunk", "textDelta")
_NO_TEXT = ("tool", "function", "error", "reason", "think", "json", "argument")
"""What a type says of pieces that are no part of the text."""
_DEPTH = 4


@frozen
class Block:
    """Events of one node that follow one another.

    Attributes:
        events: the events.
        text: what they say together, None if it is one event that is no text.
    """

    events: Sequence[StreamEvent]
    text: str | None

    @property
    def first(self) -> StreamEvent:
        """The first event."""
        return self.events[0]

    @property
    def last(self) -> StreamEvent:
        """The last event."""
        return self.events[-1]


def blocks_of(events: Iterable[StreamEvent], *, joined: bool) -> list[Block]:
    """Return events in blocks; pieces of text that follow one another are one block, if they are to be `joined`."""
    blocks: list[Block] = []
    pieces: list[tuple[StreamEvent, str]] = []

    def end_text() -> None:
        if pieces:
            blocks.append(Block([event for event, _ in pieces], "".join(piece for _, piece in pieces)))
            pieces.clear()

    for event in events:
        piece = text_piece(event.data) if joined else None
        if piece is None:
            end_text()
            blocks.append(Block([event], None))
            continue
        if pieces and pieces[-1][0].node_id != event.node_id:
            end_text()
        pieces.append((event, piece))
    end_text()
    return blocks


def text_piece(data: Any) -> str | None:
    """Return the piece of text that an event is: a text, or an object as providers stream it; None if it is neither."""
    return _piece(data, _DEPTH)


def _piece(data: Any, depth: int) -> str | None:
    if isinstance(data, str):
        return data
    if not isinstance(data, dict) or not depth:
        return None
    kind = data.get("type")
    if isinstance(kind, str) and any(word in kind for word in _NO_TEXT):
        return None
    for key in _KEYS:
        if key in data:
            return _piece(data[key], depth - 1)
    for key in ("choices", "candidates", "parts"):
        inner = data.get(key)
        if isinstance(inner, list) and len(inner) == 1:
            return _piece(inner[0], depth - 1)
    return None
