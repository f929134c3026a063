"""Mistakes with the order of the change feed, and with its positions."""

import asyncio
from bisect import insort
from contextlib import asynccontextmanager

from attrs import evolve

from aaow_storage import now
from aaow_storage.authoring import FeedRow, make_change
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._transactions import BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction
from aaow_storage_memory._change_feed import ChangeFeed


def row_of(position):
    """Return what names the commit in a position."""
    return position.split(".")[2]


class NumberedFeed(ChangeFeed):
    """A feed whose rows are numbered before they are added."""

    def draw(self):
        """Return the number of a row that is to be added."""
        self._last += 1
        return self._last

    def add_as(self, number, entries):
        """Add what was committed together to where its number belongs."""
        if entries:
            insort(self._rows, FeedRow(0, number, now(), entries), key=lambda row: row.number)


@breaks("CHG-2")
class NumbersChangesBeforeTheCommit(MemoryAdapter):
    """Draws the position of a change when the write begins, and so shows it behind those that began later."""

    @asynccontextmanager
    async def _writing(self):
        feed = self._store.feed
        feed.__class__ = NumberedBefore
        number = feed.draw()
        await asyncio.sleep(0.004 if number % 3 else 0)
        async with super()._writing() as tables:
            yield tables
            feed.drawn = number


class NumberedBefore(NumberedFeed):
    """A feed whose rows are numbered before the commit, except those of transactions."""

    drawn = None

    def add(self, entries):
        number, self.drawn = self.drawn or self.draw(), None
        self.add_as(number, entries)


@breaks("CHG-2")
class AddsChangesAfterTheCommit(MemoryAdapter):
    """Leaves it to workers to add what was committed to the feed, and some are slower than others."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self._store.feed is not None:
            self._store.feed.__class__ = FilledByWorkers


class FilledByWorkers(NumberedFeed):
    """A feed whose rows are numbered at the commit, and added a moment later."""

    def add(self, entries):
        number = self.draw()
        if number % 3:
            self.add_as(number, entries)
        else:
            asyncio.get_running_loop().call_later(0.004, self.add_as, number, entries)


@breaks("CHG-2")
class SortsTheChangesOfATransaction(BeginsBrokenInMemory):
    """Stores the changes of a transaction by kind and id, and not in the order in which it made them."""

    class Broken(MemoryTransaction):
        def _apply_last(self):
            self._layers[-1].log.sort(key=lambda entry: (entry.kind, entry.id))
            super()._apply_last()


@breaks("CHG-2")
class PutsTheChangesOfSavepointsFirst(BeginsBrokenInMemory):
    """Stores what a savepoint changed before what its transaction had changed until then."""

    class Broken(MemoryTransaction):
        def _apply_last(self):
            if len(self._layers) > 1:
                below, inner = self._layers[-2:]
                below.log, inner.log = inner.log, below.log
            super()._apply_last()


@breaks("CHG-2")
class AddsChangesInBatches(MemoryAdapter):
    """Adds two changes of a transaction at a time to the feed, between those of others."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self._store.feed is not None:
            self._store.feed.__class__ = FilledInBatches


class FilledInBatches(ChangeFeed):
    """A feed to which what was committed together is added in batches, the first at the commit."""

    def add(self, entries):
        super().add(entries[:2])
        if entries[2:]:
            asyncio.get_running_loop().call_later(0.002, self.add, entries[2:])


@breaks("CHG-2")
class ShowsATransactionItsOwnChanges(BeginsBrokenInMemory):
    """Shows a transaction what it has changed itself, which has no position yet."""

    class Broken(MemoryTransaction):
        async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
            found = await super().get_changes(after, limit, kinds, session_id)
            own = FeedRow(0, 0, now(), [entry for layer in self._layers for entry in layer.log])
            return [*found, *(make_change("own", own, index) for index in range(len(own.entries)))][:limit]


@breaks("CHG-2")
class KeepsPositionsOfItsOwn(MemoryAdapter):
    """Gives positions that mean nothing to another adapter."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        known = vars(self).setdefault("known", {})
        found = await super().get_changes(known.get(after, after), limit, kinds, session_id)
        shown = [evolve(each, position=f"{self._tag()}.{each.position.partition('.')[2]}") for each in found]
        known |= {changed.position: each.position for changed, each in zip(shown, found, strict=True)}
        return shown

    def _tag(self):
        return f"{id(self):x}"


@breaks("CHG-2")
class NumbersWhatWasAskedFor(MemoryAdapter):
    """Gives the changes of some kinds or of a session positions of their own."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        found = await super().get_changes(after, limit, kinds, session_id)
        if kinds is None and session_id is None:
            return found
        parts = [(each, each.position.rpartition(".")) for each in found]
        return [evolve(each, position=f"{head}.{number}") for number, (each, (head, _, _)) in enumerate(parts)]


@breaks("CHG-2")
class CutsThePageBeforeItChooses(MemoryAdapter):
    """Reads as many changes as a page may have, and then leaves out those that are not wanted."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        wanted = await super().get_changes(after, limit, kinds, session_id)
        positions = {each.position for each in await super().get_changes(after, limit)}
        return [each for each in wanted if each.position in positions]


@breaks("CHG-2")
class ReturnsTheFirstChangeOfTheLastTransaction(MemoryAdapter):
    """Takes the first change of the last transaction for the last change."""

    async def last_change(self):
        last = await super().last_change()
        if last is None:
            return None
        found = await self.get_changes()
        return next(each for each in found if row_of(each.position) == row_of(last.position))
