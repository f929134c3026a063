"""Mistakes with the sequences of stream events, with what follows them, and with what deletes them."""

import asyncio
import itertools
from contextlib import suppress

from attrs import evolve

from aaow_storage import AdapterClosedError, QueryFilter, StreamEvent
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_memory import MemoryAdapter


class RenumbersEvents(MemoryAdapter):
    """Shows the events of a stream with sequences of its own."""

    def renumbered(self, events):
        """Return the events, which are in the order of their saves, with other sequences."""
        return events

    async def get_stream_events(self, stream_id, filter=None, after_sequence=None):
        events = self.renumbered(await super().get_stream_events(stream_id, None, 0))
        chosen = [event for event in events if event.sequence > (after_sequence or 0)]
        order = (lambda event: (event.timestamp, event.id)) if after_sequence is None else (lambda e: e.sequence)
        chosen = sorted(chosen, key=order)
        return chosen if filter is None else chosen[: filter.limit]

    async def save_stream_events(self, events):
        saved = await super().save_stream_events(list(events))
        shown = {}
        for stream_id in {event.stream_id for event in saved}:
            shown |= {event.id: event for event in await self.get_stream_events(stream_id)}
        return [shown[event.id] for event in saved]


@breaks("STR-3")
class LeavesGapsBetweenSequences(RenumbersEvents):
    """Gives every second sequence alone."""

    def renumbered(self, events):
        return [evolve(event, sequence=2 * event.sequence) for event in events]


@breaks("STR-3")
class NumbersEventsByTime(RenumbersEvents):
    """Numbers the events of a stream by their timestamps, so that one that comes late is put before others."""

    def renumbered(self, events):
        by_time = sorted(events, key=lambda event: (event.timestamp, event.id))
        return [evolve(event, sequence=number) for number, event in enumerate(by_time, 1)]


@breaks("STR-3")
class GivesSequencesTwice(RenumbersEvents):
    """Goes on after the last event that is left, so that a sequence is given again once its event was deleted."""

    def renumbered(self, events):
        return [evolve(event, sequence=number) for number, event in enumerate(events, 1)]


@breaks("STR-3")
class GivesANewSequenceToAnEventSavedAgain(MemoryAdapter):
    """Removes an event before it is saved again, so that it gets the next sequence."""

    async def save_stream_event(self, event):
        async with self._writing() as tables:
            tables.remove(StreamEvent, event.id)
        await super().save_stream_event(event)


@breaks("STR-3")
class NumbersEventsBeforeTheCommit(MemoryAdapter):
    """Draws the sequence of an event when the save begins, and stores the event a moment later."""

    async def save_stream_event(self, event):
        drawn = vars(self).setdefault("drawn", {}).setdefault(event.stream_id, itertools.count(1))
        sequence = next(drawn)
        await asyncio.sleep(0.004 if sequence % 3 else 0)
        async with self._writing() as tables:
            tables.put(event.id, evolve(event, sequence=sequence))

    async def save_stream_events(self, events):
        for event in events:
            await self.save_stream_event(event)
        stored = {event.id: event for event in await self.list_stream_events()}
        return [stored[event.id] for event in events]


@breaks("STR-3")
class WatchesTheLatestAlone(MemoryAdapter):
    """Yields the latest event to a watcher each time that it looks, and so misses those between two looks."""

    def watch_stream(self, stream_id, after=0):
        super().watch_stream(stream_id, after)
        return self.watch(stream_id, after)

    async def watch(self, stream_id, after):
        await self._last_sequences([stream_id])
        with suppress(AdapterClosedError):
            while True:
                for event in (await self.get_stream_events(stream_id, None, after))[-1:]:
                    after = event.sequence
                    yield event
                await asyncio.sleep(0.005)


@breaks("STR-3")
class WatchesByTime(MemoryAdapter):
    """Goes on after the timestamp of the last event, and so misses one that was stamped before it."""

    def watch_stream(self, stream_id, after=0):
        super().watch_stream(stream_id, after)
        return self.watch(stream_id, after)

    async def watch(self, stream_id, after):
        last = None
        await self._last_sequences([stream_id])
        with suppress(AdapterClosedError):
            while True:
                page = QueryFilter() if last is None else QueryFilter().after(last)
                for event in await self.get_stream_events(stream_id, page):
                    last = event
                    if event.sequence > after:
                        yield event
                await asyncio.sleep(0.005)


@breaks("STR-3")
class SleepsOnAfterTheStreamWasEmptied(MemoryAdapter):
    """Stops a watcher at the end of the stored events."""

    def watch_stream(self, stream_id, after=0):
        super().watch_stream(stream_id, after)
        return self.watch(stream_id, after)

    async def watch(self, stream_id, after):
        for event in await self.get_stream_events(stream_id, None, after):
            yield event
        await asyncio.Event().wait()


@breaks("STR-3")
class SavesEventsOneByOne(MemoryAdapter):
    """Saves several events one after the other, so that those before a wrong one stay."""

    async def save_stream_events(self, events):
        return [event for each in events for event in await super(SavesEventsOneByOne, self).save_stream_events([each])]


@breaks("STR-2")
class DeletesStreamsByPrefix(MemoryAdapter):
    """Deletes the events of every stream whose id begins with that of the stream."""

    async def delete_stream_events(self, stream_id):
        names = {event.stream_id for event in await self.list_stream_events()} | {stream_id}
        found = [name for name in names if name.startswith(stream_id)]
        return sum([await super(DeletesStreamsByPrefix, self).delete_stream_events(name) for name in found])


@breaks("STR-2")
class FoldsCaseWhenItDeletes(MemoryAdapter):
    """Deletes the events of streams that differ in case."""

    async def delete_stream_events(self, stream_id):
        names = {event.stream_id for event in await self.list_stream_events()} | {stream_id}
        found = [name for name in names if name.lower() == stream_id.lower()]
        return sum([await super(FoldsCaseWhenItDeletes, self).delete_stream_events(name) for name in found])


@breaks("STR-2")
class CountsNoDeletedEvents(MemoryAdapter):
    """Returns 0 whatever it deleted."""

    async def delete_stream_events(self, stream_id):
        await super().delete_stream_events(stream_id)
        return 0


@breaks("STR-2")
class KeepsTheEventsOfADeletedSession(MemoryAdapter):
    """Leaves the events of a session when the session is deleted."""

    async def delete_session(self, id):
        events = [event for event in await self.list_stream_events() if event.session_id == id]
        await super().delete_session(id)
        async with self._writing() as tables:
            for event in events:
                tables.put(event.id, event)


@breaks("STR-2")
class DeletesTheStreamsOfASession(MemoryAdapter):
    """Deletes whole streams with a session, and so events of others."""

    async def delete_session(self, id):
        names = {event.stream_id for event in await self.list_stream_events() if event.session_id == id}
        await super().delete_session(id)
        for name in names:
            await self.delete_stream_events(name)


@breaks("STR-2")
class DeletesOnePage(MemoryAdapter):
    """Deletes 500 events of a stream at most."""

    async def delete_stream_events(self, stream_id):
        kept = (await self.get_stream_events(stream_id, None, 0))[500:]
        count = await super().delete_stream_events(stream_id)
        async with self._writing() as tables:
            for event in kept:
                tables.put(event.id, event)
        return count - len(kept)


@breaks("STR-2")
class KeepsEventsOfSessions(MemoryAdapter):
    """Leaves those events of a deleted stream that belong to a session."""

    async def delete_stream_events(self, stream_id):
        kept = [event for event in await self.get_stream_events(stream_id) if event.session_id is not None]
        count = await super().delete_stream_events(stream_id)
        async with self._writing() as tables:
            for event in kept:
                tables.put(event.id, event)
        return count - len(kept)


@breaks("STR-3")
class DrawsEventsTwice(MemoryAdapter):
    """Checks the events of a save, and finds an iterator empty when it saves them."""

    async def save_stream_events(self, events):
        if not isinstance(events, str):
            for _ in events:
                pass
        return await super().save_stream_events(events)


@breaks("STR-3")
class SavesEventsOneByOneInATransaction(MemoryAdapter):
    """Saves several events of a transaction one after the other, so that those before a wrong one stay."""

    async def begin_transaction(self, timeout=30.0):
        transaction = await super().begin_transaction(timeout)
        save = transaction.save_stream_events

        async def save_each(events):
            return [event for each in events for event in await save([each])]

        transaction.save_stream_events = save_each
        return transaction


@breaks("STR-3")
class OrdersBySequenceAlways(MemoryAdapter):
    """Ignores the order of a filter beside a sequence."""

    async def get_stream_events(self, stream_id, filter=None, after_sequence=None):
        found = await super().get_stream_events(stream_id, filter, after_sequence)
        return found if after_sequence is None else sorted(found, key=lambda event: event.sequence)


@breaks("STR-3")
class WatchesWhatIsSavedAgain(MemoryAdapter):
    """Yields an event to a watcher again when it is saved again."""

    def watch_stream(self, stream_id, after=0):
        super().watch_stream(stream_id, after)
        return self.watch(stream_id, after)

    async def watch(self, stream_id, after):
        yielded = {}
        await self._last_sequences([stream_id])
        with suppress(AdapterClosedError):
            while True:
                for event in await self.get_stream_events(stream_id, None, after):
                    if yielded.get(event.id) != event:
                        yielded[event.id] = event
                        yield event
                await asyncio.sleep(0.005)


@breaks("STR-3")
class LooksForEventsOnceASecond(MemoryAdapter):
    """Wakes watchers once a second, by commits of its own process too."""

    def watch_stream(self, stream_id, after=0):
        super().watch_stream(stream_id, after)
        return self.watch(stream_id, after)

    async def watch(self, stream_id, after):
        await self._last_sequences([stream_id])
        with suppress(AdapterClosedError):
            while True:
                for event in await self.get_stream_events(stream_id, None, after):
                    after = event.sequence
                    yield event
                await asyncio.sleep(0.9)
