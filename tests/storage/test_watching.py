"""Tasks wait for news of a store, and one poll serves all of them."""

import asyncio
import os
import threading
from collections.abc import Collection
from contextlib import suppress

import pytest

from aaow_storage.authoring import Watcher, announce_commit
from aaow_storage.errors import AdapterClosedError, StorageUnavailableError

SOON_S = 5.0


class Place:
    """Values by key, read by a probe that counts its calls."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.reads: list[set[str]] = []
        self.version = 0

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        self.reads.append(set(keys))
        await asyncio.sleep(0)
        return {key: value for key, value in self.values.items() if key in keys}

    async def read_version(self) -> int:
        return self.version

    def commit(self, key: str, value: int) -> None:
        self.values[key] = value
        self.version += 1


def above(least: int):
    return lambda value: value > least


@pytest.mark.asyncio
async def test_what_is_news_already_is_returned_at_once():
    place = Place()
    place.commit("a", 3)
    watcher = Watcher(place, interval_s=None)
    assert await watcher.wait(place.read, "a", above(2)) == 3


@pytest.mark.asyncio
async def test_a_commit_that_is_announced_wakes_at_once():
    place = Place()
    watcher = Watcher(place, interval_s=None)
    waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
    await asyncio.sleep(0.02)
    place.commit("a", 1)
    announce_commit(place)
    assert await asyncio.wait_for(waiting, SOON_S) == 1


@pytest.mark.asyncio
async def test_a_commit_in_another_thread_wakes_the_loop():
    place = Place()
    watcher = Watcher(place, interval_s=None)
    waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
    await asyncio.sleep(0.02)

    def commit() -> None:
        place.commit("a", 1)
        announce_commit(place)

    threading.Thread(target=commit).start()
    assert await asyncio.wait_for(waiting, SOON_S) == 1


@pytest.mark.asyncio
async def test_a_commit_that_nobody_announces_is_found_by_the_poll():
    place = Place()
    watcher = Watcher(place, interval_s=0.02, read_version=place.read_version)
    waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
    await asyncio.sleep(0.05)
    place.commit("a", 1)
    assert await asyncio.wait_for(waiting, SOON_S) == 1


@pytest.mark.asyncio
async def test_a_thousand_waiters_are_served_by_one_read_and_none_while_nothing_is_committed():
    place = Place()
    watcher = Watcher(place, interval_s=0.01, read_version=place.read_version)
    waiting = [asyncio.create_task(watcher.wait(place.read, str(key), above(0))) for key in range(1000)]
    await asyncio.sleep(0.1)
    assert len(place.reads) == 1
    place.commit("7", 1)
    assert await asyncio.wait_for(waiting[7], SOON_S) == 1
    await asyncio.sleep(0.1)
    assert len(place.reads) == 2
    assert not any(task.done() for task in waiting if task is not waiting[7])
    for task in waiting:
        task.cancel()


@pytest.mark.asyncio
async def test_without_a_version_each_poll_is_one_read_for_all():
    place = Place()
    watcher = Watcher(place, interval_s=0.02)
    waiting = [asyncio.create_task(watcher.wait(place.read, str(key), above(0))) for key in range(10)]
    await asyncio.sleep(0.2)
    assert 2 <= len(place.reads) <= 11
    assert all(keys == {str(key) for key in range(10)} for keys in place.reads)
    for task in waiting:
        task.cancel()


@pytest.mark.asyncio
async def test_nothing_runs_while_nobody_waits():
    place = Place()
    watcher = Watcher(place, interval_s=0.01)
    waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
    await asyncio.sleep(0.03)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    reads = len(place.reads)
    await asyncio.sleep(0.05)
    assert len(place.reads) == reads
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_stopping_ends_the_waits_of_that_watcher_alone():
    place = Place()
    stopped, other = Watcher(place, interval_s=None), Watcher(place, interval_s=None)
    waiting = asyncio.create_task(stopped.wait(place.read, "a", above(0)))
    going_on = asyncio.create_task(other.wait(place.read, "a", above(0)))
    await asyncio.sleep(0.02)
    stopped.stop()
    with pytest.raises(AdapterClosedError):
        await asyncio.wait_for(waiting, SOON_S)
    place.commit("a", 1)
    announce_commit(place)
    assert await asyncio.wait_for(going_on, SOON_S) == 1
    assert await asyncio.wait_for(stopped.wait(place.read, "a", above(0)), SOON_S) == 1


@pytest.mark.asyncio
async def test_an_error_of_a_probe_reaches_those_who_wait_for_it_and_no_other():
    place = Place()
    watcher = Watcher(place, interval_s=0.01)

    async def fail(keys: Collection[str]) -> dict[str, int]:
        raise StorageUnavailableError(f"out of reach, with {len(keys)}")

    going_on = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
    with pytest.raises(StorageUnavailableError, match="with 1"):
        await asyncio.wait_for(watcher.wait(fail, "a", above(0)), SOON_S)
    place.commit("a", 1)
    assert await asyncio.wait_for(going_on, SOON_S) == 1


@pytest.mark.asyncio
async def test_polls_take_no_more_than_half_of_the_time_however_often_something_is_committed():
    place = Place()
    watcher = Watcher(place, interval_s=None)

    async def read_slowly(keys: Collection[str]) -> dict[str, int]:
        await asyncio.sleep(0.02)
        return await place.read(keys)

    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = asyncio.create_task(watcher.wait(read_slowly, "a", above(0)))
    for _ in range(100):
        announce_commit(place)
        await asyncio.sleep(0.004)
    assert len(place.reads) <= (loop.time() - began) / 0.04 + 1
    waiting.cancel()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_has_none_of_the_waits():
    place = Place()
    watcher = Watcher(place, interval_s=None)

    async def fork_while_a_task_waits() -> int:
        waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
        await asyncio.sleep(0.02)
        child = os.fork()
        if child == 0:
            os._exit(_exit_code_of_child(place, watcher))
        _, status = os.waitpid(child, 0)
        waiting.cancel()
        return os.waitstatus_to_exitcode(status)

    assert asyncio.run(fork_while_a_task_waits()) == 0


def _exit_code_of_child(place: Place, watcher: Watcher) -> int:
    """Wait in a loop of the child's own."""
    found: list[int] = []

    async def wait() -> None:
        waiting = asyncio.create_task(watcher.wait(place.read, "a", above(0)))
        await asyncio.sleep(0.02)
        place.commit("a", 1)
        announce_commit(place)
        found.append(await asyncio.wait_for(waiting, SOON_S))

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    thread.join(SOON_S)
    return 0 if found == [1] else 1
