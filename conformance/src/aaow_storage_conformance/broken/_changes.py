"""Mistakes with the change feed: what is recorded, in which order, what is pruned, and who is woken."""

import asyncio
from contextlib import asynccontextmanager, suppress

from attrs import evolve

from aaow_storage import AdapterClosedError, Capability, ChangesLostError
from aaow_storage.authoring import FeedEntry
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._transactions import BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction


@breaks("CHG-1")
class SaysThatEverySaveCreates(MemoryAdapter):
    """Tells each write that is no deletion as a creation."""

    async def get_changes(self, *arguments, **options):
        found = await super().get_changes(*arguments, **options)
        return [each if each.action == "deleted" else evolve(each, action="created") for each in found]


@breaks("CHG-1")
class RecordsWhatChangedNothing(MemoryAdapter):
    """Records an update of a workflow whenever one is saved, also if it is the same."""

    async def save_workflow(self, workflow):
        if await self.get_workflow(workflow.id) == workflow:
            await super().save_workflow(evolve(workflow, name=workflow.name + "."))
        await super().save_workflow(workflow)


@breaks("CHG-1")
class RecordsNoDeletions(MemoryAdapter):
    """Leaves deletions out of the feed."""

    async def get_changes(self, *arguments, **options):
        return [each for each in await super().get_changes(*arguments, **options) if each.action != "deleted"]


@breaks("CHG-1")
class RecordsTheStatusOfTheSessionAlone(MemoryAdapter):
    """Leaves the execution state out if a change names its session, too."""

    async def get_changes(self, *arguments, **options):
        found = await super().get_changes(*arguments, **options)
        rows = {(each.position.split(".")[2], each.id) for each in found if each.kind == "session"}
        return [
            each
            for each in found
            if (each.kind, each.action) != ("execution_state", "updated")
            or (each.position.split(".")[2], each.id) not in rows
        ]


@breaks("CHG-1")
class RecordsWhatWasRolledBack(BeginsBrokenInMemory):
    """Leaves what a transaction changed in the feed when the transaction is rolled back."""

    class Broken(MemoryTransaction):
        async def rollback(self):
            entries = [entry for layer in self._layers for entry in layer.log]
            await super().rollback()
            if self._store.feed is not None:
                self._store.feed.add(entries)


@breaks("CHG-1")
class RecordsWhatASavepointUndid(BeginsBrokenInMemory):
    """Records what a savepoint changed with its transaction, also if the savepoint was rolled back."""

    class Broken(MemoryTransaction):
        @asynccontextmanager
        async def savepoint(self):
            outer = self._layers[-1]
            async with super().savepoint():
                inner = self._layers[-1]
                try:
                    yield
                except BaseException:
                    outer.log += inner.log
                    raise


@breaks("CHG-1")
class RecordsBeforeItWrites(MemoryAdapter):
    """Records that a pool is created before it turns out that there is one."""

    async def create_budget_pool(self, pool):
        if self._store.feed is not None and await self.get_budget_pool(pool.id) is not None:
            self._store.feed.add([FeedEntry("budget_pool", pool.id, None, "created")])
        await super().create_budget_pool(pool)


@breaks("CHG-1")
class NamesWhatWentWithASession(MemoryAdapter):
    """Records the deletion of each model call of a session that is deleted."""

    async def delete_session(self, id):
        executions = await self.get_llm_executions(id)
        await super().delete_session(id)
        if self._store.feed is not None:
            self._store.feed.add([FeedEntry("llm_execution", each.id, id, "deleted") for each in executions])


@breaks("CHG-2")
class GoesOnAtTheNextCommit(MemoryAdapter):
    """Skips the rest of a transaction that a page has cut."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        found = await super().get_changes(after, limit, kinds, session_id)
        if after is None:
            return found
        row = after.split(".")[2]
        return [each for each in found if each.position.split(".")[2] != row]


@breaks("CHG-2")
class BeginsAgainWithTheTransaction(MemoryAdapter):
    """Reads a transaction that a page has cut from its first change again."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        if after is not None:
            await super().get_changes(after)
            whole = await super().get_changes(None, 2**62)
            row = after.split(".")[2]
            place = [each.position for each in whole].index(after) if after in {e.position for e in whole} else -1
            is_cut = place + 1 < len(whole) and whole[place + 1].position.split(".")[2] == row
            if is_cut:
                return [each for each in whole if int(each.position.split(".")[2]) >= int(row)][:limit]
        return await super().get_changes(after, limit, kinds, session_id)


@breaks("CHG-3")
class LeavesASilentGap(MemoryAdapter):
    """Goes on with what is left if the changes after a position were pruned."""

    async def get_changes(self, after=None, limit=1000, kinds=None, session_id=None):
        try:
            return await super().get_changes(after, limit, kinds, session_id)
        except ChangesLostError:
            return await super().get_changes(None, limit, kinds, session_id)


@breaks("CHG-3")
class PrunesNothing(MemoryAdapter):
    """Keeps what was to be pruned."""

    async def prune_changes(self, before):
        await super().get_changes()
        return 0


@breaks("CHG-4")
class FollowsToTheEndOnly(MemoryAdapter):
    """Ends an iteration where the feed ends at that time."""

    def changes(self, after=None, kinds=None, session_id=None):
        super().changes(after, kinds, session_id)
        return self.read(after, kinds, session_id)

    async def read(self, after, kinds, session_id):
        for change in await self.get_changes(after, 1000, kinds, session_id):
            yield change


@breaks("CHG-4")
class FollowsOnlyWhatComes(MemoryAdapter):
    """Begins an iteration at the end of the feed, whatever position it was given."""

    def changes(self, after=None, kinds=None, session_id=None):
        super().changes(after, kinds, session_id)
        return self.follow(kinds, session_id)

    async def follow(self, kinds, session_id):
        last = await self.last_change()
        after = None if last is None else last.position
        with suppress(AdapterClosedError):
            while True:
                for change in await self.get_changes(after, 1000, kinds, session_id):
                    after = change.position
                    yield change
                await asyncio.sleep(0.005)


@breaks("CHG-5")
class ClaimsAFeedThatIsOff(MemoryAdapter):
    """Claims the capability, and returns nothing, for a store whose feed is switched off."""

    @property
    def capabilities(self):
        return super().capabilities | {Capability.CHANGES}

    async def get_changes(self, *arguments, **options):
        if self._store.feed is None:
            return []
        return await super().get_changes(*arguments, **options)

    async def initialize(self, *, migrate=True):
        self._store.set_recording(wanted=False)
        await super().initialize(migrate=migrate)
