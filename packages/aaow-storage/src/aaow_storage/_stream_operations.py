"""`StreamOperations`: the operations on stream events, which need the capability `stream_events`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aaow_storage._enums import Capability
from aaow_storage._filters import QueryFilter
from aaow_storage._late_planner import plan_query
from aaow_storage._records import StreamEvent
from aaow_storage._stream_summary import StreamSummary, summarize_streams
from aaow_storage.errors import UnsupportedOperationError


class StreamOperations(ABC):
    """The operations on stream events.

    The events of a stream have the sequences 1, 2, 3 and so on, in the order of their commits: no reader ever sees an
    event while one with a lower sequence is still to come. So whoever reads up to a sequence, and goes on after it,
    misses nothing. A sequence is never given twice, not even after its event was deleted.

    Two transactions that write to two streams in different orders may wait for each other. Then one of them fails with
    a `ConflictError`, and has to be run again. Write to streams in the same order, or by one `save_stream_events`.
    """

    @abstractmethod
    async def save_stream_event(self, event: StreamEvent) -> None:
        """Insert the event, or replace the whole record that has its id.

        A new event gets the next sequence of its stream. One that is saved again keeps its sequence, unless it comes
        into another stream; it leaves the stream that it was in.

        Raises:
            NotFoundError: there is no such session.
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """

    @abstractmethod
    async def get_stream_events(
        self, stream_id: str, filter: QueryFilter | None = None, after_sequence: int | None = None
    ) -> list[StreamEvent]:
        """Return the events of a stream.

        With `after_sequence`, return those whose sequence is above it, by sequence unless the filter has an order.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """

    async def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """Save all of the events, as `save_stream_event` does in that order, or none; return them as they are stored.

        They come back in the order given, each with its sequence, unless the backend was built for contract 1.0, which
        has none. Each of them has an id of its own.

        Raises:
            NotFoundError: a session is not stored.
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """
        raise UnsupportedOperationError("save_stream_events", Capability.STREAM_EVENTS)

    async def list_stream_events(self, filter: QueryFilter | None = None) -> list[StreamEvent]:
        """Return the events of all streams.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        raise UnsupportedOperationError("list_stream_events", Capability.STREAM_EVENTS)

    async def list_streams(self, filter: QueryFilter | None = None) -> list[StreamSummary]:
        """Return a summary of each stream that has events, by the time of its first event, then stream id.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        plan = plan_query(StreamSummary, filter, "first_event_at")
        with unsupported_as("list_streams"):
            events = await self.list_stream_events()
        return plan.select(summarize_streams(events))

    async def delete_stream_events(self, stream_id: str) -> int:
        """Delete all events of the stream, and of no other; return how many there were.

        The next event of the stream goes on with the next sequence.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        raise UnsupportedOperationError("delete_stream_events", Capability.STREAM_EVENTS)


@contextmanager
def unsupported_as(operation: str) -> Iterator[None]:
    """Name that operation in an `UnsupportedOperationError` of the block, in which the operation calls others."""
    try:
        yield
    except UnsupportedOperationError as error:
        raise UnsupportedOperationError(operation, error.capability) from None
