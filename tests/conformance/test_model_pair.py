"""The pair of adapters that random histories compare."""

import asyncio
from itertools import count
from typing import Any

import pytest

from aaow_storage import Change
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness import model_pair
from aaow_storage_conformance.harness.model_pair import Pair
from aaow_storage_conformance.harness.time_limits import AT_ONCE_S
from aaow_storage_memory import MemoryAdapter

pytestmark = pytest.mark.asyncio


class ShowsChangesLate(MemoryAdapter):
    """Its feed shows nothing new until the event is set, as if a transaction that began before were still open."""

    def __init__(self) -> None:
        super().__init__()
        self.shows = asyncio.Event()
        self.shows.set()
        self.looked = 0

    async def get_changes(self, *args: Any, **options: Any) -> list[Change]:
        self.looked += 1
        return await super().get_changes(*args, **options) if self.shows.is_set() else []


class ShowsChangesTwice(MemoryAdapter):
    """Its feed has each change twice."""

    async def get_changes(self, *args: Any, **options: Any) -> list[Change]:
        return [each for each in await super().get_changes(*args, **options) for _ in range(2)]


async def test_a_change_that_the_feed_shows_seconds_late_is_awaited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_pair, "monotonic", count(step=2).__next__)  # two seconds pass between two looks
    storage = ShowsChangesLate()
    pair = Pair(storage, MemoryAdapter())
    async with storage:
        await pair.begin()
        storage.shows.clear()
        await pair_saves_a_workflow(pair)
        comparing = asyncio.create_task(pair.compare_changes())
        looked = storage.looked
        while storage.looked < looked + 3:
            assert not comparing.done()
            await asyncio.sleep(0)
        storage.shows.set()
        await comparing
        await pair.end()


async def test_a_change_too_many_is_reported_at_once():
    storage = ShowsChangesTwice()
    pair = Pair(storage, MemoryAdapter())
    async with storage:
        with pytest.raises(AssertionError, match="found 2 items"):
            await asyncio.wait_for(pair.begin(), AT_ONCE_S)
        await pair.adapters[1].close()


async def pair_saves_a_workflow(pair: Pair) -> None:
    workflow = samples.a_workflow(id="w")
    for each in pair.adapters:
        await each.save_workflow(workflow)
