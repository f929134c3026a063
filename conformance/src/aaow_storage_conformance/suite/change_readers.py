"""Readers of the change feed: whoever reads to the end and goes on from there misses nothing and sees nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest

from aaow_storage import AdapterClosedError, Capability, Change, StorageAdapter, StorageOperations
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.subprocesses import Report
from aaow_storage_conformance.harness.time_limits import ENDS_WITHIN_S, SOON_S

WRITERS, ROUNDS = 64, 4
PROCESSES, WRITES_PER_PROCESS, WRITES_BEFORE_THE_KILL = 4, 40, 15
PAGE = 7
POLL_S = 0.002
WITHIN_A_SECOND_S = 1.0
POOLS_TOGETHER = 3


class Poller:
    """Reads the feed again and again, and goes on after the last change that it has seen."""

    def __init__(self, storage: StorageOperations) -> None:
        self._storage = storage
        self.seen: list[Change] = []

    async def read(self) -> None:
        """Read what has come, page by page."""
        while page := await self._storage.get_changes(self.seen[-1].position if self.seen else None, PAGE):
            self.seen += page

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


async def write(storage: StorageAdapter, name: str, rounds: int) -> None:
    """Create pools, one alone and then some in a transaction, in turns."""
    for number in range(rounds):
        await storage.create_budget_pool(samples.a_pool(id=f"{name}/{number}"))
        async with storage.transaction() as transaction:
            for part in range(POOLS_TOGETHER):
                await transaction.create_budget_pool(samples.a_pool(id=f"{name}/{number}/{part}"))


async def write_until_killed(store: Store, report: Report, name: str) -> None:
    """Write for ever, and report each id that is acknowledged; run in a subprocess."""
    async with store.open() as storage:
        number = 0
        while True:
            await storage.create_budget_pool(samples.a_pool(id=f"{name}/{number}"))
            report(f"{name}/{number}")
            async with storage.transaction() as transaction:
                for part in range(POOLS_TOGETHER):
                    await transaction.create_budget_pool(samples.a_pool(id=f"{name}/{number}/{part}"))
            report(f"{name}/{number}/0")
            number += 1


async def write_one(storage: StorageAdapter, pool_id: str) -> None:
    """Create one pool; run in a subprocess."""
    await storage.create_budget_pool(samples.a_pool(id=pool_id))


async def check_that_none_is_missing(storage: StorageAdapter, seen: list[Change]) -> None:
    """Check that a reader saw every pool created once, in the order of the feed, and each transaction together."""
    stored = {pool.id for pool in await storage.list_budget_pools()}
    ids = [change.id for change in seen]
    assert len(ids) == len({*ids}), "a reader that went on after the last position saw a change twice"
    missed = stored - {*ids}
    assert not missed, f"a reader that went on after the last position missed {len(missed)} of {len(stored)} changes"
    assert {*ids} == stored
    feed: list[Change] = []
    while page := await storage.get_changes(feed[-1].position if feed else None):
        feed += page
    assert [change.position for change in seen] == [change.position for change in feed]
    for index, name in enumerate(ids):
        if name.count("/") > 1 and name.endswith("/0"):
            first = name[:-1]
            assert ids[index : index + POOLS_TOGETHER] == [f"{first}{part}" for part in range(POOLS_TOGETHER)]


@requires(Capability.CHANGES)
class ChangeReaderTests:
    """Pages, pollers and followers of the feed."""

    @clause("CHG-2")
    async def test_pages_of_any_length_have_each_change_once(self, storage: StorageAdapter) -> None:
        await write(storage, "w", 5)
        whole = await storage.get_changes()
        assert len({change.position for change in whole}) == len(whole) == 5 * (1 + POOLS_TOGETHER)
        for limit in (1, 2, 3, 4, 7, len(whole)):
            found: list[Change] = []
            while page := await storage.get_changes(found[-1].position if found else None, limit):
                assert len(page) <= limit
                found += page
                assert found == whole[: len(found)]
            assert found == whole
        assert await storage.last_change() == whole[-1]
        await check_that_none_is_missing(storage, whole)

    @clause("CHG-2", "LIF-3")
    async def test_a_reader_goes_on_from_a_position_on_another_adapter(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await write(storage, "a", 2)
        seen = await storage.get_changes(limit=3)
        async with store.open() as other:
            await write(other, "b", 1)
            seen += await other.get_changes(seen[-1].position)
            await check_that_none_is_missing(other, seen)

    @clause("CHG-2")
    async def test_what_commits_late_is_not_missed_by_a_reader_that_read_what_came_after_it(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        poller, watched = Poller(storage), Poller(storage)
        watching = start_in_fresh_context(follow(storage, watched, 3))
        async with store.open() as other:
            transaction = await other.begin_transaction()
            await transaction.create_budget_pool(samples.a_pool(id="begun first"))
            later = start_in_fresh_context(storage.create_budget_pool(samples.a_pool(id="begun later")))
            for _ in range(20):
                reading = start_in_fresh_context(poller.read())
                await asyncio.wait_for(reading, SOON_S)
                await asyncio.sleep(0.005)
            await transaction.create_budget_pool(samples.a_pool(id="begun first, again"))
            await transaction.commit()
            await asyncio.wait_for(later, SOON_S)
        await poller.read()
        await check_that_none_is_missing(storage, poller.seen)
        await asyncio.wait_for(watching, SOON_S)
        await check_that_none_is_missing(storage, watched.seen)

    @clause("CHG-2")
    async def test_a_copy_that_begins_while_a_transaction_is_open_misses_nothing(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        await storage.create_budget_pool(samples.a_pool(id="before"))
        async with store.open() as other:
            transaction = await other.begin_transaction()
            await transaction.create_budget_pool(samples.a_pool(id="begun first"))
            later = start_in_fresh_context(storage.create_budget_pool(samples.a_pool(id="begun later")))
            await asyncio.sleep(0.05)
            last = await storage.last_change()
            copied = {pool.id for pool in await storage.list_budget_pools()}
            await transaction.commit()
            await asyncio.wait_for(later, SOON_S)
        assert last is not None
        copied |= {change.id for change in await storage.get_changes(last.position)}
        assert copied == {"before", "begun first", "begun later"}

    @clause("CHG-2")
    async def test_the_changes_of_a_transaction_are_in_the_order_in_which_it_made_them(
        self, storage: StorageAdapter
    ) -> None:
        async with storage.transaction() as transaction:
            await transaction.create_session(samples.a_session(id="m"))
            await transaction.create_budget_pool(samples.a_pool(id="z"))
            async with transaction.savepoint():
                await transaction.save_workflow(samples.a_workflow(id="k"))
                await transaction.create_budget_pool(samples.a_pool(id="b"))
            await transaction.create_budget_pool(samples.a_pool(id="x"))
            await transaction.update_session("m", metadata={"step": 1})
            await transaction.delete_budget_pool("z")
        found = [(change.action.value, change.id) for change in await storage.get_changes()]
        created = [("created", name) for name in ("m", "z", "k", "b", "x")]
        assert found == [*created, ("updated", "m"), ("deleted", "z")]

    @clause("CHG-2", "TXN-4")
    async def test_a_transaction_reads_the_committed_changes_without_its_own(self, storage: StorageAdapter) -> None:
        await write(storage, "committed", 1)
        committed = await storage.get_changes()
        async with storage.transaction() as transaction:
            await transaction.create_budget_pool(samples.a_pool(id="own"))
            assert await transaction.get_changes() == committed
            assert await transaction.last_change() == committed[-1]
            async with transaction.savepoint():
                await transaction.create_budget_pool(samples.a_pool(id="of a savepoint"))
                assert await transaction.get_changes(committed[-1].position) == []
        assert [change.id for change in await storage.get_changes(committed[-1].position)] == ["own", "of a savepoint"]

    @clause("CHG-2", "QRY-6")
    async def test_pages_of_chosen_changes_have_the_positions_of_the_whole_feed(self, storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            for name in ("s", "t", "u"):
                await transaction.create_session(samples.a_session(id=name))
                await transaction.create_budget_pool(samples.a_pool())
                await transaction.save_llm_execution(name, "draft", samples.a_result(id=f"e-{name}"))
        for number in range(3):
            await storage.save_llm_execution("t", "draft", samples.a_result(id=f"later {number}"))
        whole = await storage.get_changes()
        for kinds, session_id in ((["llm_execution"], None), (None, "t"), (["llm_execution", "session"], "t")):
            chosen = [
                change
                for change in whole
                if (kinds is None or change.kind in kinds) and session_id in {None, change.session_id}
            ]
            for limit in (1, 2, len(whole)):
                found: list[Change] = []
                while page := await storage.get_changes(
                    found[-1].position if found else None, limit, kinds, session_id
                ):
                    assert len(page) == min(limit, len(chosen) - len(found))
                    found += page
                assert found == chosen

    @clause("CHG-2", "CHG-4", "CON-1")
    async def test_pollers_and_followers_miss_nothing_of_many_writers(self, storage: StorageAdapter) -> None:
        poller, watched = Poller(storage), Poller(storage)
        watching = asyncio.create_task(follow(storage, watched, WRITERS * ROUNDS))
        async with poller.polling():
            await asyncio.gather(*(_write_alone(storage, f"w{number}") for number in range(WRITERS)))
        await asyncio.wait_for(watching, ENDS_WITHIN_S)
        await check_that_none_is_missing(storage, poller.seen)
        await check_that_none_is_missing(storage, watched.seen)

    @clause("CHG-2", "CON-1")
    async def test_the_changes_of_a_transaction_stand_together_among_those_of_others(
        self, storage: StorageAdapter
    ) -> None:
        poller = Poller(storage)
        async with poller.polling():
            writers = (start_in_fresh_context(write(storage, f"w{number}", 3)) for number in range(8))
            await asyncio.gather(*writers)
        await check_that_none_is_missing(storage, poller.seen)

    @clause("CHG-2", "CHG-4", "DUR-1")
    @requires(Capability.DURABLE)
    async def test_readers_miss_nothing_of_four_processes_one_of_which_is_killed(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        poller, watched = Poller(storage), Poller(storage)
        watching = asyncio.create_task(follow(storage, watched, None))
        acknowledged: list[str] = []
        async with AsyncExitStack() as stack, poller.polling():
            names = [f"process {number}" for number in range(PROCESSES)]
            processes = [await stack.enter_async_context(store.process(write_until_killed, name)) for name in names]
            for turn, process in enumerate(processes):
                count = WRITES_PER_PROCESS if turn else WRITES_BEFORE_THE_KILL
                acknowledged += [await process.next_report() for _ in range(count)]
                acknowledged += await process.kill()
        await asyncio.sleep(WITHIN_A_SECOND_S)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await poller.read()
        await check_that_none_is_missing(storage, poller.seen)
        await check_that_none_is_missing(storage, watched.seen)
        assert {*acknowledged} <= {change.id for change in poller.seen}

    @clause("CHG-4")
    async def test_a_follower_gets_what_is_recorded_and_then_what_comes(self, storage: StorageAdapter) -> None:
        for name in ("a", "b", "c"):
            await storage.create_budget_pool(samples.a_pool(id=name))
        (first, *_) = await storage.get_changes()
        async with aclosing(storage.changes(first.position)) as follower, asyncio.timeout(SOON_S):
            found = [await anext(follower), await anext(follower)]
            waiting = asyncio.ensure_future(anext(follower))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            await storage.create_budget_pool(samples.a_pool(id="d"))
            found.append(await waiting)
            async with storage.transaction() as transaction:
                await transaction.create_budget_pool(samples.a_pool(id="e"))
                await transaction.create_budget_pool(samples.a_pool(id="f"))
            found += [await anext(follower), await anext(follower)]
        assert [change.id for change in found] == ["b", "c", "d", "e", "f"]
        assert [first, *found] == await storage.get_changes()

    @clause("CHG-4")
    async def test_a_follower_of_an_empty_feed_begins_with_the_first_change(self, storage: StorageAdapter) -> None:
        assert await storage.last_change() is None
        waiting = asyncio.create_task(first_of(storage))
        await asyncio.sleep(0.02)
        await storage.create_budget_pool(samples.a_pool(id="first"))
        assert (await asyncio.wait_for(waiting, SOON_S)).id == "first"

    @clause("CHG-4")
    async def test_a_follower_at_the_end_goes_on_after_all_was_pruned(self, storage: StorageAdapter) -> None:
        await storage.create_budget_pool(samples.a_pool(id="a"))
        async with aclosing(storage.changes()) as follower, asyncio.timeout(SOON_S):
            change = await anext(follower)
            waiting = asyncio.ensure_future(anext(follower))
            await asyncio.sleep(0.02)
            await storage.prune_changes(change.at.replace(year=change.at.year + 10))
            await asyncio.sleep(0.02)
            await storage.create_budget_pool(samples.a_pool(id="b"))
            assert (await waiting).id == "b"

    @clause("CHG-4")
    async def test_a_follower_of_some_changes_gets_no_others(self, storage: StorageAdapter) -> None:
        async with aclosing(storage.changes(None, ["session", "llm_execution"], "s")) as follower:
            waiting = asyncio.ensure_future(anext(follower))
            await asyncio.sleep(0.02)
            for name in ("r", "s"):
                await storage.create_budget_pool(samples.a_pool())
                await storage.create_session(samples.a_session(id=name))
                await storage.save_llm_execution(name, "draft", samples.a_result(id=f"e-{name}"))
            async with asyncio.timeout(SOON_S):
                assert [(await waiting).id, (await anext(follower)).id] == ["s", "e-s"]

    @clause("CHG-4")
    @requires(Capability.DURABLE)
    async def test_a_follower_is_woken_within_a_second_by_another_process(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with aclosing(storage.changes()) as follower:
            waiting = asyncio.ensure_future(anext(follower))
            await store.run_in_subprocess(write_one, "from another process")
            change = await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)
        assert change.id == "from another process"

    @clause("CHG-4", "LIF-2")
    async def test_a_follower_ends_when_its_adapter_is_closed_and_a_new_one_is_refused(self, store: Store) -> None:
        async with store.open() as storage:
            await storage.create_budget_pool(samples.a_pool(id="a"))
            found: list[str] = []
            came = asyncio.Event()

            async def follow_to_the_end() -> None:
                async for change in storage.changes():
                    found.append(change.id)
                    came.set()

            following = start_in_fresh_context(follow_to_the_end())
            await asyncio.wait_for(came.wait(), SOON_S)
        await asyncio.wait_for(following, SOON_S)
        assert found == ["a"]
        with pytest.raises(AdapterClosedError):
            await anext(storage.changes())

    @clause("CHG-4", "CON-2")
    async def test_a_follower_ends_with_its_task(self, storage: StorageAdapter) -> None:
        following = asyncio.create_task(first_of(storage))
        await asyncio.sleep(0.05)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(following, SOON_S)
        await storage.create_budget_pool(samples.a_pool(id="a"))
        assert (await asyncio.wait_for(first_of(storage), SOON_S)).id == "a"


async def _write_alone(storage: StorageAdapter, name: str) -> None:
    for number in range(ROUNDS):
        await storage.create_budget_pool(samples.a_pool(id=f"{name}/{number}"))


async def follow(storage: StorageAdapter, into: Poller, count: int | None) -> None:
    """Follow the feed until so many changes have come."""
    async with aclosing(storage.changes()) as follower:
        async for change in follower:
            into.seen.append(change)
            if len(into.seen) == count:
                return


async def first_of(storage: StorageAdapter) -> Change:
    """Return the first change that a new follower gets."""
    async with aclosing(storage.changes()) as follower:
        return await anext(follower)
