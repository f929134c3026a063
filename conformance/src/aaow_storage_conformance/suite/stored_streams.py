"""What is stored of streams: several events at once, deletions, and what is read after a sequence."""

import asyncio
from contextlib import aclosing

import attrs
import pytest

from aaow_storage import (
    Capability,
    Direction,
    Ge,
    NotFoundError,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StreamEvent,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S

STREAM = "stored"
MANY = 1100
"""More events than a page of any reader has."""
ROUNDS = 8
WAKES_S = 4.0
"""Within which eight events are followed one after the other; who looks once a second takes eight."""


@requires(Capability.STREAM_EVENTS)
class StoredStreamTests:
    """Events that are saved together, deleted together, and read from a sequence on."""

    @clause("STR-3")
    async def test_several_events_may_come_from_an_iterator(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(3)]
        assert_identical(await storage.save_stream_events(event for event in events), events)
        assert_identical(await storage.get_stream_events(STREAM, None, 0), events)
        assert_identical(await storage.save_stream_events(tuple(events)), events)

    @clause("STR-3", "TXN-5")
    async def test_of_several_events_none_is_saved_in_a_transaction_either_if_one_is_wrong(
        self, storage: StorageAdapter
    ) -> None:
        kept, wrong = samples.an_event(STREAM), samples.an_event(STREAM, session_id="no such session")
        async with storage.transaction() as transaction:
            await transaction.save_stream_event(kept)
            with pytest.raises(NotFoundError):
                await transaction.save_stream_events([samples.an_event(STREAM, id=kept.id), samples.an_event(), wrong])
            assert_identical(await transaction.list_stream_events(), [kept])
        assert_identical(await storage.list_stream_events(), [kept])

    @clause("STR-3")
    async def test_events_that_move_between_streams_in_one_save_leave_the_first(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(3)]
        await storage.save_stream_events(events)
        moved = [samples.an_event("other", id=event.id) for event in (events[2], events[0])]
        saved = await storage.save_stream_events([moved[0], samples.an_event("other"), moved[1]])
        assert [event.sequence for event in saved] == [1, 2, 3]
        assert_identical(await storage.get_stream_events(STREAM, None, 0), [events[1]])
        assert_identical(await storage.get_stream_events("other", None, 0), saved)
        back = await storage.save_stream_events([samples.an_event(STREAM, id=events[0].id)])
        assert [event.sequence for event in back] == [4]

    @clause("STR-3", "TXN-2")
    async def test_a_transaction_reads_its_own_events_by_their_sequences(self, storage: StorageAdapter) -> None:
        await storage.save_stream_event(samples.an_event(STREAM))
        async with storage.transaction() as transaction:
            for sequence in (2, 3):
                await transaction.save_stream_event(samples.an_event(STREAM))
                found = await transaction.get_stream_events(STREAM, after_sequence=sequence - 1)
                assert [event.sequence for event in found] == [sequence]
            (summary,) = await transaction.list_streams()
            assert (summary.events, summary.last_sequence) == (3, 3)
            assert [event.sequence for event in await transaction.list_stream_events()] == [1, 2, 3]

    @clause("STR-3", "QRY-5", "QRY-7")
    async def test_a_read_after_a_sequence_takes_an_order_and_pages(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM, id=f"{number * 5 % 7}") for number in range(7)]
        await storage.save_stream_events(events)
        by_id = QueryFilter(order_by=OrderBy("id", Direction.DESCENDING))
        found = await storage.get_stream_events(STREAM, by_id, after_sequence=2)
        assert_identical(found, sorted(events[2:], key=lambda event: event.id, reverse=True))
        page = attrs.evolve(by_id, limit=2)
        walked: list[StreamEvent] = []
        while read := await storage.get_stream_events(STREAM, page, after_sequence=2):
            walked += read
            assert len(walked) <= len(found)
            page = page.after(page.cursor(read[-1]))
        assert_identical(walked, found)
        late = QueryFilter({"sequence": Ge(5)}, limit=2, offset=1)
        assert_identical(await storage.get_stream_events(STREAM, late, after_sequence=3), events[5:7])
        by_time = QueryFilter(order_by=OrderBy("timestamp", Direction.DESCENDING), limit=2)
        assert_identical(await storage.get_stream_events(STREAM, by_time, after_sequence=1), events[:-3:-1])

    @clause("STR-2", "STR-3")
    async def test_a_stream_of_many_events_is_saved_read_followed_and_deleted_whole(
        self, storage: StorageAdapter
    ) -> None:
        events = [samples.an_event(STREAM, data=number) for number in range(MANY)]
        saved = await storage.save_stream_events(events)
        assert [event.sequence for event in saved] == [*range(1, MANY + 1)]
        assert len(await storage.get_stream_events(STREAM)) == MANY
        assert len(await storage.list_stream_events()) == MANY
        followed: list[StreamEvent] = []
        async with aclosing(storage.watch_stream(STREAM)) as watcher, asyncio.timeout(SOON_S):
            while len(followed) < MANY:
                followed.append(await anext(watcher))
        assert_identical(followed, events)
        assert await storage.delete_stream_events(STREAM) == MANY
        assert await storage.list_stream_events() == []

    @clause("STR-3")
    async def test_a_watcher_is_woken_at_once_by_each_save_of_its_process(self, storage: StorageAdapter) -> None:
        async with aclosing(storage.watch_stream(STREAM)) as watcher, asyncio.timeout(WAKES_S):
            for _ in range(8):
                waiting = asyncio.ensure_future(anext(watcher))
                await asyncio.sleep(0.005)
                event = samples.an_event(STREAM)
                await storage.save_stream_event(event)
                assert (await waiting).id == event.id

    @clause("STR-3")
    async def test_a_watcher_does_not_get_an_event_again_that_is_saved_again(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(3)]
        async with aclosing(storage.watch_stream(STREAM)) as watcher, asyncio.timeout(SOON_S):
            for event in events:
                waiting = asyncio.ensure_future(anext(watcher))
                await asyncio.sleep(0.01)
                await storage.save_stream_event(samples.an_event(STREAM, id=events[0].id, timestamp=samples.EPOCH))
                await asyncio.sleep(0.01)
                await storage.save_stream_event(event)
                assert (await waiting).id == event.id

    @clause("STR-2")
    async def test_a_stream_is_deleted_with_the_events_of_sessions_and_the_sessions_stay(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        await storage.save_stream_events([samples.an_event(STREAM, session_id=session.id), samples.an_event(STREAM)])
        other = samples.an_event("other", session_id=session.id)
        await storage.save_stream_event(other)
        assert await storage.delete_stream_events(STREAM) == 2
        assert await storage.delete_stream_events(STREAM) == 0
        assert_identical(await storage.list_stream_events(), [other])
        assert_identical(await storage.get_session(session.id), session)

    @clause("STR-2", "STR-3")
    async def test_a_summary_tells_the_events_that_are_left_and_the_last_sequence_of_them(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        owners = (session.id, None, session.id, None)
        events = [samples.an_event(STREAM, session_id=owner) for owner in owners]
        await storage.save_stream_events(events)
        await storage.delete_session(session.id)
        (summary,) = await storage.list_streams()
        assert (summary.session_id, summary.events, summary.last_sequence) == (None, 2, 4)
        assert (summary.first_event_at, summary.last_event_at) == (events[1].timestamp, events[3].timestamp)

    @clause("STR-2", "TXN-1", "TXN-4")
    async def test_a_deletion_that_is_rolled_back_leaves_the_stream_and_its_sequences(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        events = [samples.an_event(STREAM, session_id=session.id), samples.an_event(STREAM)]
        await storage.save_stream_events(events)
        transaction = await storage.begin_transaction()
        assert await transaction.delete_stream_events(STREAM) == 2
        (again,) = await transaction.save_stream_events([samples.an_event(STREAM)])
        assert again.sequence == 3
        await transaction.delete_session(session.id)
        await transaction.rollback()
        assert_identical(await storage.get_stream_events(STREAM, None, 0), events)
        (last,) = await storage.save_stream_events([samples.an_event(STREAM)])
        assert last.sequence == 3

    @clause("STR-2", "STR-3", "CON-1")
    async def test_events_saved_while_their_stream_is_deleted_are_deleted_or_kept(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        saved = 0
        async with store.open() as other:
            for turn in range(ROUNDS):
                groups = [[samples.an_event(STREAM) for _ in range(size)] for size in (1, 2, 1, 3)]
                handles = (storage, other)[:: 1 - 2 * (turn % 2)]
                saves = [handles[place % 2].save_stream_events(events) for place, events in enumerate(groups)]
                deletions = [each.delete_stream_events(STREAM) for each in handles]
                if turn % 4 < 2:
                    saving, deleting = asyncio.gather(*saves), asyncio.gather(*deletions)
                else:
                    deleting, saving = asyncio.gather(*deletions), asyncio.gather(*saves)
                stored, deleted = await saving, await deleting
                given = sorted(event.sequence or 0 for events in stored for event in events)
                assert given == [*range(saved + 1, saved + 8)]
                saved += 7
                left = await storage.get_stream_events(STREAM, after_sequence=0)
                assert_identical(await other.get_stream_events(STREAM, after_sequence=0), left)
                for events in stored:
                    assert len([event for event in events if event in left]) in {0, len(events)}
                assert sum(deleted) + len(left) == 7
                assert await storage.delete_stream_events(STREAM) == len(left)
