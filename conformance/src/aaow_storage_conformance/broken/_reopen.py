"""Mistakes with a store that is opened again: what was stored is lost or changed."""

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("LIF-3", "OPS-7")
class KeepsStreamEventsToItself(Delegating):
    """Holds stream events in the adapter, so they are lost when it is closed."""

    def __init__(self, reference):
        super().__init__(reference)
        self.events = {}

    async def save_stream_event(self, event):
        await self.count_workflows()
        self.events[event.id] = event

    async def get_stream_events(self, stream_id, filter=None):
        found = await super().get_stream_events(stream_id, filter)
        return found + [event for event in self.events.values() if event.stream_id == stream_id]

    async def close(self):
        self.events.clear()
        await super().close()


@breaks("LIF-3")
class KeepsItsCacheWhenItCloses(Delegating):
    """Answers from its cache after it was closed."""

    def __init__(self, reference):
        super().__init__(reference)
        self.before = {}
        self.read = {}

    async def get_workflow(self, id):
        self.read[id] = await super().get_workflow(id)
        return self.before.get(id, self.read[id])

    async def close(self):
        self.before |= self.read
        await super().close()


@breaks("LIF-3")
class CompactsOnClosing(Delegating):
    """Rewrites documents with sorted keys when it is closed."""

    is_open = False

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.is_open = True

    async def close(self):
        await super().close()
        if self.is_open:
            self.is_open = False
            await super().initialize()
            for pool in await self.reference.list_budget_pools():
                if pool.metadata is not None:
                    await self.reference.update_budget_pool(pool.id, metadata=dict(sorted(pool.metadata.items())))
            await super().close()
