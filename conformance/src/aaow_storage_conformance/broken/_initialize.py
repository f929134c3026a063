"""Mistakes with `initialize`: twice, by two adapters at once, cancelled, or with `migrate=False`."""

import asyncio
from contextlib import suppress

from aaow_storage import Capability, SchemaVersionError, StorageUnavailableError, TransactionError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


@breaks("LIF-1")
class RefusesToBeInitializedAgain(Delegating):
    """Raises if it is initialized a second time."""

    is_open = False

    async def initialize(self, *, migrate=True):
        if self.is_open:
            raise TransactionError("the adapter is initialized already")
        await super().initialize(migrate=migrate)
        self.is_open = True

    async def close(self):
        self.is_open = False
        await super().close()


@breaks("LIF-1", "LIF-3")
class DropsTablesBeforeItCreatesThem(Delegating):
    """Drops all tables whenever it is initialized."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        for workflow in await self.reference.list_workflows():
            await self.reference.delete_workflow(workflow.id)


@breaks("LIF-1")
class ChecksThenCreatesTables(MemoryAdapter):
    """Fails if another adapter creates the schema between its check and its own creation."""

    async def initialize(self, *, migrate=True):
        schemas = vars(self._store)
        if "has_schema" not in schemas:
            await asyncio.sleep(0)
            if "has_schema" in schemas:
                raise StorageUnavailableError("table workflows already exists")
            schemas["has_schema"] = True
        await super().initialize(migrate=migrate)


@breaks("LIF-1")
class TakesOpeningForOpen(Delegating):
    """Returns at once from a second `initialize` while the first is not done."""

    has_begun = False

    async def initialize(self, *, migrate=True):
        if not self.has_begun:
            self.has_begun = True
            await asyncio.sleep(0)
            await super().initialize(migrate=migrate)

    async def close(self):
        self.has_begun = False
        await super().close()


@breaks("LIF-1", "CON-2", caught_by=["test_initializing_that_was_cancelled_leaves_the_adapter_closed_however_often"])
class OpensThoughItWasCancelled(Delegating):
    """Opens the store after `initialize` was cancelled."""

    async def initialize(self, *, migrate=True):
        await asyncio.shield(asyncio.ensure_future(super().initialize(migrate=migrate)))


@breaks("LIF-1", "CON-2", caught_by=["test_initializing_that_was_cancelled_leaves_the_adapter_closed_however_often"])
class StaysOpenWhenItIsCancelledAgain(Delegating):
    """Stays open if a cancelled `initialize` is cancelled a second time."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await super().close()
            raise


@breaks("LIF-1", "CON-2", caught_by=["test_initializing_that_was_cancelled_leaves_the_adapter_closed_however_often"])
class DropsItsCancellation(Delegating):
    """Returns from a cancelled `initialize` as if it had not been cancelled."""

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)


@breaks("LIF-1", needs=[Capability.DURABLE])
class MigratesWhateverItIsTold(Delegating):
    """Migrates even with `migrate=False`."""

    async def initialize(self, *, migrate=True):
        del migrate
        await super().initialize()


@breaks("LIF-1", needs=[Capability.DURABLE])
class MigratesBeforeItRefuses(Delegating):
    """Refuses an empty store with `migrate=False`, but creates its schema first."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError:
            await super().initialize()
            await super().close()
            raise


@breaks("LIF-1", needs=[Capability.DURABLE])
class RefusesWithoutSayingWhatToDo(Delegating):
    """Refuses an empty store without saying what to run."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            raise SchemaVersionError(error.found, error.expected, "wrong version") from error


@breaks("LIF-1", "LIF-2")
class CountsItsUsers(Delegating):
    """Stays open until it was closed as often as it was initialized."""

    users = 0

    async def initialize(self, *, migrate=True):
        await super().initialize(migrate=migrate)
        self.users += 1

    async def close(self):
        self.users = max(self.users - 1, 0)
        if self.users == 0:
            await super().close()
