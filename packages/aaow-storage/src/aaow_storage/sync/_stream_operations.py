"""`SyncStreamOperations`: made by `nox -s generate` from `aaow_storage._stream_operations`, so change that."""

from collections.abc import Iterable

from aaow_storage._filters import QueryFilter
from aaow_storage._records import StreamEvent
from aaow_storage._stream_summary import StreamSummary
from aaow_storage.sync._calls import SyncCalls, iterated


class SyncStreamOperations(SyncCalls):
    """The operations on stream events.

    The events of a stream have the sequences 1, 2, 3 and so on, in the order of their commits: no reader ever sees an
    event while one with a lower sequence is still to come. So whoever reads up to a sequence, and goes on after it,
    misses nothing. A sequence is never given twice, not even after its event was deleted.

    Two transactions that write to two streams in different orders may wait for each other. Then one of them fails with
    a `ConflictError`, and has to be run again. Write to streams in the same order, or by one `save_stream_events`.
    """

    def save_stream_event(self, event: StreamEvent) -> None:
        """Insert the event, or replace the whole record that has its id.

        A new event gets the next sequence of its stream. One that is saved again keeps its sequence, unless it comes
        into another stream; it leaves the stream that it was in.

        Raises:
            NotFoundError: there is no such session.
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """
        self._run(lambda: self.wrapped.save_stream_event(event))

    def get_stream_events(
        self, stream_id: str, filter: QueryFilter | None = None, after_sequence: int | None = None
    ) -> list[StreamEvent]:
        """Return the events of a stream.

        With `after_sequence`, return those whose sequence is above it, by sequence unless the filter has an order.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """
        return self._run(lambda: self.wrapped.get_stream_events(stream_id, filter, after_sequence))

    def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """Save all of the events, as `save_stream_event` does in that order, or none; return them as they are stored.

        They come back in the order given, each with its sequence, unless the backend was built for contract 1.0, which
        has none. Each of them has an id of its own.

        Raises:
            NotFoundError: a session is not stored.
            UnsupportedOperationError: the backend lacks the capability `stream_events`.
        """
        events = iterated(events)
        return self._run(lambda: self.wrapped.save_stream_events(events))

    def list_stream_events(self, filter: QueryFilter | None = None) -> list[StreamEvent]:
        """Return the events of all streams.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        return self._run(lambda: self.wrapped.list_stream_events(filter))

    def list_streams(self, filter: QueryFilter | None = None) -> list[StreamSummary]:
        """Return a summary of each stream that has events, by the time of its first event, then stream id.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        return self._run(lambda: self.wrapped.list_streams(filter))

    def delete_stream_events(self, stream_id: str) -> int:
        """Delete all events of the stream, and of no other; return how many there were.

        The next event of the stream goes on with the next sequence.

        Raises:
            UnsupportedOperationError: the backend lacks the capability `stream_events`, or was built for contract 1.0.
        """
        return self._run(lambda: self.wrapped.delete_stream_events(stream_id))
