"""Streams in the order of commits: whoever reads up to a sequence and goes on after it misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

import pytest

from aaow_storage import (
    AdapterClosedError,
    Capability,
    ConflictError,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    StreamEvent,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, sequences
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.subprocesses import Report
from aaow_storage_conformance.harness.time_limits import ENDS_WITHIN_S, SOON_S

WRITERS, EVENTS_PER_WRITER = 64, 8
PROCESSES, EVENTS_PER_PROCESS, EVENTS_BEFORE_THE_KILL = 4, 60, 20
READERS = 200
PAGE = 7
POLL_S = 0.002
STREAM = "followed"
WITHIN_A_SECOND_S = 1.0


class Poller:
    """Reads a stream by sequence, again and again, and goes on after the last event that it has seen."""

    def __init__(self, storage: StorageOperations, stream_id: str = STREAM) -> None:
        self._storage = storage
        self._stream_id = stream_id
        self.seen: list[StreamEvent] = []

    async def read(self) -> None:
        """Read what has come, page by page."""
        while True:
            after = (self.seen[-1].sequence or 0) if self.seen else 0
            page = await self._storage.get_stream_events(self._stream_id, QueryFilter(limit=PAGE), after)
            self.seen += page
            if len(page) < PAGE:
                return

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """Poll while the block runs, and once more after it."""
        task = start_in_fresh_context(self._poll())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.read()

    async def _poll(self) -> None:
        while True:
            await self.read()
            await asyncio.sleep(POLL_S)


async def check_that_none_is_missing(
    storage: StorageAdapter, seen: list[StreamEvent], *, is_whole: bool = True
) -> None:
    """Check that a reader of the stream saw all events once, in the order of their sequences, which are 1, 2, 3."""
    stored = await storage.get_stream_events(STREAM, after_sequence=0)
    if is_whole:
        assert sequences(stored) == [*range(1, len(stored) + 1)]
    missed = {event.id for event in stored} - {event.id for event in seen}
    assert not missed, f"a reader that went on after the last sequence missed {len(missed)} of {len(stored)} events"
    assert [event.id for event in seen] == [event.id for event in stored]


async def write_events(storage: StorageOperations, name: str, count: int) -> None:
    """Save events to the stream, some alone and some together, each stamped before the one that was saved last."""
    events = [
        samples.an_event(STREAM, id=f"{name}-{number}", timestamp=samples.instant(count - number))
        for number in range(count)
    ]
    for number in range(0, count, 4):
        await storage.save_stream_event(events[number])
        await storage.save_stream_events(events[number + 1 : number + 4])


async def write_until_killed(store: Store, report: Report, name: str) -> None:
    """Save events to the stream for ever, and report each that is acknowledged; run in a subprocess."""
    async with store.open() as storage:
        number = 0
        while True:
            await storage.save_stream_event(samples.an_event(STREAM, id=f"{name}-{number}"))
            report(f"{name}-{number}")
            number += 1


async def write_one(storage: StorageAdapter, stream_id: str, event_id: str) -> None:
    """Save one event; run in a subprocess."""
    await storage.save_stream_event(samples.an_event(stream_id, id=event_id))


@requires(Capability.STREAM_EVENTS)
class FollowingTests:
    """Readers that go on after a sequence: pollers, and watchers."""

    @clause("STR-3")
    async def test_a_later_event_is_not_seen_before_an_earlier_one_whose_transaction_is_open(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        poller = Poller(storage)
        async with store.open() as other:
            transaction = await other.begin_transaction()
            await transaction.save_stream_event(samples.an_event(STREAM, id="first"))
            later = start_in_fresh_context(storage.save_stream_event(samples.an_event(STREAM, id="later")))
            for _ in range(20):
                reading = start_in_fresh_context(poller.read())
                await asyncio.wait_for(reading, SOON_S)
                await asyncio.sleep(0.005)
            with suppress(ConflictError):
                await transaction.commit()
            await asyncio.wait_for(later, SOON_S)
        await poller.read()
        await check_that_none_is_missing(storage, poller.seen)

    @clause("STR-3", "CON-1")
    async def test_pollers_by_sequence_and_watchers_miss_nothing_of_many_writers(self, storage: StorageAdapter) -> None:
        poller, watched = Poller(storage), Poller(storage)
        expected = WRITERS * EVENTS_PER_WRITER
        watching = asyncio.create_task(_watch(storage, watched, expected))
        async with poller.polling():
            writers = (write_events(storage, f"writer {number}", EVENTS_PER_WRITER) for number in range(WRITERS))
            await asyncio.gather(*writers)
        await asyncio.wait_for(watching, ENDS_WITHIN_S)
        await check_that_none_is_missing(storage, poller.seen)
        await check_that_none_is_missing(storage, watched.seen)

    @clause("STR-3", "CON-1")
    @requires(Capability.DURABLE)
    async def test_readers_miss_nothing_of_four_processes_one_of_which_is_killed(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        poller, watched = Poller(storage), Poller(storage)
        watching = asyncio.create_task(_watch(storage, watched, None))
        acknowledged: list[str] = []
        async with AsyncExitStack() as stack, poller.polling():
            names = [f"process {number}" for number in range(PROCESSES)]
            processes = [await stack.enter_async_context(store.process(write_until_killed, name)) for name in names]
            for turn, process in enumerate(processes):
                count = EVENTS_PER_PROCESS if turn else EVENTS_BEFORE_THE_KILL
                acknowledged += [await process.next_report() for _ in range(count)]
                acknowledged += await process.kill()
        await asyncio.sleep(WITHIN_A_SECOND_S)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await check_that_none_is_missing(storage, poller.seen)
        await check_that_none_is_missing(storage, watched.seen)
        assert {*acknowledged} <= {event.id for event in poller.seen}

    @clause("STR-3")
    async def test_a_watcher_gets_what_is_stored_and_then_what_comes(self, storage: StorageAdapter) -> None:
        events = [samples.an_event(STREAM) for _ in range(6)]
        await storage.save_stream_events(events[:3])
        found: list[StreamEvent] = []
        async with aclosing(storage.watch_stream(STREAM, after=1)) as watcher, asyncio.timeout(SOON_S):
            found += [await anext(watcher), await anext(watcher)]
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0.02)
            await storage.save_stream_event(samples.an_event("another"))
            await storage.save_stream_event(events[3])
            found.append(await waiting)
            async with storage.transaction() as transaction:
                await transaction.save_stream_events(events[4:])
            found += [await anext(watcher), await anext(watcher)]
        assert_identical(found, events[1:])
        assert sequences(found) == [2, 3, 4, 5, 6]

    @clause("STR-3")
    async def test_a_watcher_goes_on_after_the_stream_was_emptied(self, storage: StorageAdapter) -> None:
        await storage.save_stream_events([samples.an_event(STREAM) for _ in range(3)])
        async with aclosing(storage.watch_stream(STREAM)) as watcher, asyncio.timeout(SOON_S):
            assert (await anext(watcher)).sequence == 1
            await storage.delete_stream_events(STREAM)
            assert sequences([await anext(watcher), await anext(watcher)]) == [2, 3]  # they were read before
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0.02)
            await storage.save_stream_event(samples.an_event(STREAM))
            assert (await waiting).sequence == 4

    @clause("STR-3")
    @requires(Capability.DURABLE)
    async def test_a_watcher_is_woken_within_a_second_by_another_process(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with aclosing(storage.watch_stream(STREAM)) as watcher:
            waiting = asyncio.ensure_future(anext(watcher))
            await store.run_in_subprocess(write_one, STREAM, "from another process")
            event = await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)
        assert event.id == "from another process"

    @clause("STR-3")
    async def test_each_of_many_watchers_gets_the_events_of_its_stream(self, storage: StorageAdapter) -> None:
        names = [f"stream {number}" for number in range(READERS)]
        waiting = [asyncio.create_task(_first_of(storage, name)) for name in names]
        await asyncio.sleep(0.05)
        await storage.save_stream_events([samples.an_event(name, id=name) for name in names])
        async with asyncio.timeout(ENDS_WITHIN_S):
            assert [event.id for event in await asyncio.gather(*waiting)] == names

    @clause("STR-3", "LIF-2")
    async def test_a_watcher_ends_when_its_adapter_is_closed_and_a_new_one_is_refused(self, store: Store) -> None:
        async with store.open() as storage:
            await storage.save_stream_event(samples.an_event(STREAM))
            found: list[StreamEvent] = []
            came = asyncio.Event()

            async def watch() -> None:
                async for event in storage.watch_stream(STREAM):
                    found.append(event)
                    came.set()

            watching = start_in_fresh_context(watch())
            await asyncio.wait_for(came.wait(), SOON_S)
        await asyncio.wait_for(watching, SOON_S)
        assert sequences(found) == [1]
        with pytest.raises(AdapterClosedError):
            await anext(storage.watch_stream(STREAM))

    @clause("STR-3", "CON-2")
    async def test_a_watcher_ends_with_its_task(self, storage: StorageAdapter) -> None:
        watching = asyncio.create_task(_first_of(storage, STREAM))
        await asyncio.sleep(0.05)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(watching, SOON_S)
        await storage.save_stream_event(samples.an_event(STREAM))
        assert (await asyncio.wait_for(_first_of(storage, STREAM), SOON_S)).sequence == 1

    @clause("STR-3")
    async def test_a_wrong_sequence_is_refused(self, storage: StorageAdapter) -> None:
        for wrong in (-1, 1.5, "1", True, 2**63):
            with pytest.raises(ValidationError):
                await storage.get_stream_events(STREAM, None, wrong)  # type: ignore[arg-type]  # on purpose
            with pytest.raises(ValidationError):
                storage.watch_stream(STREAM, wrong)  # type: ignore[arg-type]  # as above


async def _watch(storage: StorageAdapter, into: Poller, count: int | None) -> None:
    """Watch the stream until so many events have come."""
    async with aclosing(storage.watch_stream(STREAM)) as watcher:
        async for event in watcher:
            into.seen.append(event)
            if len(into.seen) == count:
                return


async def _first_of(storage: StorageAdapter, stream_id: str) -> StreamEvent:
    async with aclosing(storage.watch_stream(stream_id)) as watcher:
        return await anext(watcher)
