"""The operations on stream events, for the adapter and for transactions."""

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from aaow_storage import Capability, QueryFilter, StreamEvent, StreamSummary
from aaow_storage.authoring import check_events, check_id, check_sequence, plan_query, summarize_streams
from aaow_storage.errors import UnsupportedOperationError
from aaow_storage_memory._change_operations import MemoryChangeOperations
from aaow_storage_memory._copies import copy_record_yielding
from aaow_storage_memory._selection import check_and_copy, copy_selected
from aaow_storage_memory._store_wide_operations import MemoryStoreWideOperations
from aaow_storage_memory._streams import put_event
from aaow_storage_memory._tables import Tables


class MemoryStreamOperations(MemoryStoreWideOperations, MemoryChangeOperations):
    """The operations on stream events."""

    _capabilities: frozenset[Capability]

    @abstractmethod
    def _writing(self) -> AbstractAsyncContextManager[Tables]:
        """Yield tables whose changes are applied after the block, or dropped if it raises. The block must not await."""

    async def save_stream_event(self, event: StreamEvent) -> None:
        self._check_streams("save_stream_event")
        event = await check_and_copy("save_stream_event", "event", event, StreamEvent)
        async with self._writing() as tables:
            put_event(tables, event)

    async def save_stream_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        self._check_streams("save_stream_events")
        copies = [
            await copy_record_yielding(StreamEvent, event) for event in check_events("save_stream_events", events)
        ]
        async with self._writing() as tables:
            stored = [put_event(tables, event) for event in copies]
        return [await copy_record_yielding(StreamEvent, event, is_stored=True) for event in stored]

    async def get_stream_events(
        self, stream_id: str, filter: QueryFilter | None = None, after_sequence: int | None = None
    ) -> list[StreamEvent]:
        self._check_streams("get_stream_events")
        stream_id = check_id("get_stream_events", "stream_id", stream_id)
        if after_sequence is None:
            return await self._list(StreamEvent, filter, stream_id=stream_id)
        after = check_sequence("get_stream_events", "after_sequence", after_sequence)
        async with self._reading() as tables:
            events = [event for event in tables.all(StreamEvent, stream_id=stream_id) if (event.sequence or 0) > after]
        return await copy_selected(StreamEvent, events, filter, order="sequence")

    async def list_stream_events(self, filter: QueryFilter | None = None) -> list[StreamEvent]:
        self._check_streams("list_stream_events")
        return await self._list(StreamEvent, filter)

    async def list_streams(self, filter: QueryFilter | None = None) -> list[StreamSummary]:
        self._check_streams("list_streams")
        plan = plan_query(StreamSummary, filter, "first_event_at")
        async with self._reading() as tables:
            events = tables.all(StreamEvent)
        return plan.select(summarize_streams(events))

    async def delete_stream_events(self, stream_id: str) -> int:
        self._check_streams("delete_stream_events")
        stream_id = check_id("delete_stream_events", "stream_id", stream_id)
        async with self._writing() as tables:
            events = tables.all(StreamEvent, stream_id=stream_id)
            for event in events:
                tables.remove(StreamEvent, event.id)
        return len(events)

    def _check_streams(self, operation: str) -> None:
        if Capability.STREAM_EVENTS not in self._capabilities:
            raise UnsupportedOperationError(operation, Capability.STREAM_EVENTS)
