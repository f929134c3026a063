"""Mistakes with stream events."""

import attrs

from aaow_storage import AlreadyExistsError, Capability, StreamEvent, UnsupportedOperationError, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter

WITHOUT = {"stream_events": False}


class FindsStreams(MemoryAdapter):
    """Finds the events of a stream by a comparison of its own."""

    def is_of(self, event, stream_id):
        """Say whether an event belongs to a stream."""
        return event.stream_id == stream_id

    async def get_stream_events(self, stream_id, filter=None):
        found = await super().get_stream_events(stream_id, filter)
        async with self._reading() as tables:
            mixed_up = [event for event in tables.all(StreamEvent) if self.is_of(event, stream_id)]
        found += [event for event in mixed_up if filter is None and event not in found]
        return sorted(found, key=lambda event: (event.timestamp, event.id))


@breaks("STR-1")
class FoldsCaseOfStreams(FindsStreams):
    """Treats streams that differ in case as one."""

    def is_of(self, event, stream_id):
        return event.stream_id.lower() == stream_id.lower()


@breaks("STR-1")
class FindsStreamsByPrefix(FindsStreams):
    """Returns the events of every stream whose id begins with that of the stream."""

    def is_of(self, event, stream_id):
        return event.stream_id.startswith(stream_id)


@breaks("STR-1")
class TrimsStreams(FindsStreams):
    """Ignores spaces at the end of stream ids, as some databases do."""

    def is_of(self, event, stream_id):
        return event.stream_id.rstrip(" ") == stream_id.rstrip(" ")


@breaks("STR-1")
class FiltersAllStreams(FindsStreams):
    """Returns the events of all streams that match the filter."""

    async def get_stream_events(self, stream_id, filter=None):
        if filter is None or not filter.where:
            return await super().get_stream_events(stream_id, filter)
        async with self._reading() as tables:
            streams = {event.stream_id for event in tables.all(StreamEvent)}
        return [event for each in streams for event in await super(FindsStreams, self).get_stream_events(each, filter)]


@breaks("STR-1")
class KeepsEventsInBothStreams(FindsStreams):
    """Keys events by stream and id, so an event saved again in another stream stays in the first."""

    async def save_stream_event(self, event):
        await super().save_stream_event(event)
        vars(self).setdefault("saved", {})[event.stream_id, event.id] = event

    async def get_stream_events(self, stream_id, filter=None):
        found = {event.id: event for event in await super().get_stream_events(stream_id, filter)}
        saved = {key: event for (stream, key), event in vars(self).get("saved", {}).items() if stream == stream_id}
        return list((found if filter is not None else {**saved, **found}).values())


@breaks("STR-1", "OPS-3")
class InsertsEventsOnce(FindsStreams):
    """Refuses an event that is saved again."""

    async def save_stream_event(self, event):
        async with self._reading() as tables:
            if tables.get(StreamEvent, event.id) is not None:
                raise AlreadyExistsError("stream_event", event.id)
        await super().save_stream_event(event)


@breaks("STR-1")
class TakesAnythingForAnEvent(Delegating):
    """Ignores a value that is not a StreamEvent."""

    async def save_stream_event(self, event):
        if isinstance(event, StreamEvent):
            await super().save_stream_event(event)


@breaks("STR-1", options=WITHOUT)
class AnswersWithoutTheCapability(Delegating):
    """Returns an empty stream although it does not claim streams."""

    async def get_stream_events(self, stream_id, filter=None):
        try:
            return await super().get_stream_events(stream_id, filter)
        except UnsupportedOperationError:
            return []


@breaks("STR-1", options=WITHOUT)
class DropsEventsInSilence(Delegating):
    """Ignores an event, without an error, although it does not claim streams."""

    async def save_stream_event(self, event):
        if Capability.STREAM_EVENTS in self.capabilities:
            await super().save_stream_event(event)


@breaks("STR-1", options=WITHOUT)
class RefusesAfterItHasStored(Delegating):
    """Stores a workflow for an event before it refuses the event."""

    async def save_stream_event(self, event):
        for workflow in await self.list_workflows():
            await self.save_workflow(attrs.evolve(workflow, metadata={"last": event.id}))
        await super().save_stream_event(event)


@breaks("STR-1", options=WITHOUT)
class TakesUnsupportedForWrong(Delegating):
    """Raises ValidationError, not UnsupportedOperationError."""

    async def get_stream_events(self, stream_id, filter=None):
        try:
            return await super().get_stream_events(stream_id, filter)
        except UnsupportedOperationError as error:
            raise ValidationError("get_stream_events", "stream_id", "is not supported") from error
