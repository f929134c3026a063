"""Mistakes with stores of a newer schema."""

from contextlib import suppress

from aaow_storage import Capability, SchemaVersionError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("LIF-1", needs=[Capability.DURABLE])
class OpensNewerStores(Delegating):
    """Opens a store with a newer schema."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            if error.found is None:
                raise


@breaks("LIF-1", needs=[Capability.DURABLE])
class OpensNewerStoresWhenItMayMigrate(Delegating):
    """Opens a store with a newer schema if it may migrate."""

    async def initialize(self, *, migrate=True):
        with suppress(*([SchemaVersionError] if migrate else [])):
            await super().initialize(migrate=migrate)


@breaks("LIF-1", needs=[Capability.DURABLE])
class TakesNewerStoresForEmpty(Delegating):
    """Reports a newer schema as a missing one."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            raise SchemaVersionError(None, error.expected, error.remedy) from error.__cause__


@breaks("LIF-1", needs=[Capability.DURABLE])
class ChecksTheSchemaOnce(Delegating):
    """Checks the schema only when it is opened for the first time."""

    was_open = False

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            if error.found is None or not self.was_open:
                raise
        self.was_open = True
