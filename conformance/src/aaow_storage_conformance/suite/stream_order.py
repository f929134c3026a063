"""The sequences of stream events, what deletes events, and the list of streams."""

from contextlib import suppress
from datetime import timedelta

import pytest

from aaow_storage import Capability, NotFoundError, QueryFilter, StorageAdapter, ValidationError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, sequences

STREAM = "counted"


@requires(Capability.STREAM_EVENTS)
class StreamOrderTests:
    """Sequences, deleted streams, and lists of streams."""

    @clause("STR-2")
    async def test_deleting_the_events_of_a_stream_deletes_those_of_no_other(self, storage: StorageAdapter) -> None:
        names = ("s", "S", "s ", " s", "s%", "%", "_", "*", "ss", "s.s")
        for name in names:
            await storage.save_stream_events([samples.an_event(name), samples.an_event(name)])
        for deleted, name in enumerate(names, 1):
            assert await storage.delete_stream_events(name) == 2
            assert await storage.get_stream_events(name) == []
            assert {event.stream_id for event in await storage.list_stream_events()} == {*names[deleted:]}
            assert await storage.delete_stream_events(name) == 0

    @clause("STR-2")
    async def test_the_events_of_a_session_go_with_it_and_no_others(self, storage: StorageAdapter) -> None:
        gone, stays = await samples.stored_session(storage), await samples.stored_session(storage)
        of_gone = [samples.an_event(name, session_id=gone.id) for name in ("one", "shared")]
        of_stays = [samples.an_event(name, session_id=stays.id) for name in ("shared", "other")]
        of_none = samples.an_event("shared")
        await storage.save_stream_events([*of_gone, *of_stays, of_none])
        await storage.delete_session(gone.id)
        left = await storage.list_stream_events()
        assert_identical(sorted(left, key=lambda event: event.id), sorted([*of_stays, of_none], key=lambda e: e.id))

    @clause("STR-2")
    async def test_a_deletion_is_undone_with_its_transaction(self, storage: StorageAdapter) -> None:
        event = samples.an_event(STREAM)
        await storage.save_stream_event(event)
        transaction = await storage.begin_transaction()
        assert await transaction.delete_stream_events(STREAM) == 1
        assert await transaction.get_stream_events(STREAM) == []
        await transaction.rollback()
        assert_identical(await storage.get_stream_events(STREAM), [event])

    @clause("STR-2", "STR-3")
    async def test_a_session_that_is_not_stored_takes_no_event(self, storage: StorageAdapter) -> None:
        for save in (storage.save_stream_event, lambda event: storage.save_stream_events([event])):
            with pytest.raises(NotFoundError):
                await save(samples.an_event(STREAM, session_id="no such session"))
        await storage.save_stream_event(samples.an_event(STREAM))
        assert sequences(await storage.get_stream_events(STREAM)) == [1]

    @clause("STR-3")
    async def test_sequences_are_in_the_order_of_saves_whatever_the_timestamps_are(
        self, storage: StorageAdapter
    ) -> None:
        at = samples.instant(100)
        events = [samples.an_event(STREAM, timestamp=at - timedelta(seconds=number)) for number in range(9)]
        for event in events[:4]:
            await storage.save_stream_event(event)
            await storage.save_stream_event(samples.an_event("another"))
        saved = await storage.save_stream_events(events[4:])
        assert sequences(saved) == [5, 6, 7, 8, 9]
        assert_identical(saved, events[4:])
        assert_identical(await storage.get_stream_events(STREAM, None, 0), events)
        assert_identical(await storage.get_stream_events(STREAM), events[::-1])
        assert sequences(await storage.get_stream_events(STREAM)) == [*range(9, 0, -1)]
        for after in range(10):
            assert_identical(await storage.get_stream_events(STREAM, after_sequence=after), events[after:])
        first = QueryFilter({"node_id": "draft"}, limit=2)
        assert_identical(await storage.get_stream_events(STREAM, first, after_sequence=3), events[3:5])

    @clause("STR-3", "OPS-3")
    async def test_an_event_saved_again_keeps_its_sequence(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(4)]
        await storage.save_stream_events(events)
        again = [samples.an_event(STREAM, id=event.id, data="again") for event in events[:2]]
        await storage.save_stream_event(again[0])
        new = samples.an_event(STREAM)
        assert sequences(await storage.save_stream_events([new, again[1]])) == [5, 2]
        expected = [*again, *events[2:], new]
        found = await storage.get_stream_events(STREAM, after_sequence=0)
        assert_identical(found, expected)
        assert sequences(found) == [1, 2, 3, 4, 5]

    @clause("STR-3")
    async def test_the_sequence_of_an_event_that_is_passed_in_is_ignored(self, storage: StorageAdapter) -> None:
        await storage.save_stream_event(samples.an_event(STREAM, sequence=77))
        assert sequences(await storage.save_stream_events([samples.an_event(STREAM, sequence=5)])) == [2]

    @clause("STR-3")
    async def test_a_sequence_is_never_given_twice(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        await storage.save_stream_events([samples.an_event(STREAM), samples.an_event(STREAM, session_id=session.id)])
        await storage.delete_session(session.id)
        moving = samples.an_event(STREAM)
        assert sequences(await storage.save_stream_events([moving])) == [3]
        await storage.save_stream_event(samples.an_event("another", id=moving.id))
        assert sequences(await storage.save_stream_events([samples.an_event(STREAM)])) == [4]
        await storage.delete_stream_events(STREAM)
        await storage.save_stream_event(samples.an_event(STREAM))
        assert sequences(await storage.get_stream_events(STREAM)) == [5]
        assert sequences(await storage.get_stream_events("another")) == [1]

    @clause("STR-3", "OPS-6")
    async def test_of_several_events_all_are_saved_or_none(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(100)]
        wrong = samples.an_event(STREAM, session_id="no such session")
        with pytest.raises(NotFoundError):
            await storage.save_stream_events([*events, wrong])
        assert await storage.list_stream_events() == []
        with pytest.raises(ValidationError):
            await storage.save_stream_events([*events, events[0]])
        with pytest.raises(ValidationError):
            await storage.save_stream_events([*events, "event"])  # type: ignore[list-item]  # on purpose
        assert await storage.list_stream_events() == []
        async with storage.transaction() as transaction:
            with pytest.raises(NotFoundError):
                await transaction.save_stream_events([*events, wrong])
            assert sequences(await transaction.save_stream_events(events[:3])) == [1, 2, 3]
        assert sequences(await storage.save_stream_events(events)) == [*range(1, 101)]
        assert await storage.save_stream_events([]) == []

    @clause("STR-3")
    async def test_events_of_a_transaction_have_sequences_when_it_commits_and_leave_no_gap_when_it_does_not(
        self, storage: StorageAdapter
    ) -> None:
        transaction = await storage.begin_transaction()
        assert sequences(await transaction.save_stream_events([samples.an_event(STREAM)])) == [1]
        await transaction.rollback()
        async with storage.transaction() as transaction:
            await transaction.save_stream_event(samples.an_event(STREAM))
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await transaction.save_stream_event(samples.an_event(STREAM))
                    raise ZeroDivisionError
            await transaction.save_stream_event(samples.an_event(STREAM))
        assert sequences(await storage.get_stream_events(STREAM, None, 0)) == [1, 2]

    @clause("STR-3", "QRY-1")
    async def test_streams_are_listed_with_what_they_hold(self, storage: StorageAdapter) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        at = [samples.instant(number) for number in range(6)]
        await storage.save_stream_events(
            [
                samples.an_event("b", timestamp=at[3], session_id=session.id),
                samples.an_event("b", timestamp=at[1]),
                samples.an_event("a", timestamp=at[2], session_id=session.id),
                samples.an_event("a", timestamp=at[2], session_id=other.id),
                samples.an_event("c", timestamp=at[1]),
            ]
        )
        found = await storage.list_streams()
        assert [(each.stream_id, each.session_id, each.events, each.last_sequence) for each in found] == [
            ("b", session.id, 2, 2),
            ("c", None, 1, 1),
            ("a", None, 2, 2),
        ]
        assert [(each.first_event_at, each.last_event_at) for each in found] == [
            (at[1], at[3]),
            (at[1], at[1]),
            (at[2], at[2]),
        ]
        assert [each.stream_id for each in await storage.list_streams(QueryFilter({"session_id": session.id}))] == ["b"]
        page = QueryFilter({"events": 2}, limit=1)
        assert_identical(await storage.list_streams(page.after(found[0])), [found[2]])
        await storage.delete_stream_events("b")
        assert [each.stream_id for each in await storage.list_streams()] == ["c", "a"]
        async with storage.transaction() as transaction:
            assert_identical(await transaction.list_streams(), found[1:])
