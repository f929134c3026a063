"""Mistakes with a store of a newer schema."""

from contextlib import suppress

from aaow_storage import Capability, SchemaVersionError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("LIF-1", needs=[Capability.DURABLE])
class OpensNewerStores(Delegating):
    """Takes a newer schema for a good one."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            if error.found is None:
                raise


@breaks("LIF-1", needs=[Capability.DURABLE])
class OpensNewerStoresWhenItMayMigrate(Delegating):
    """Takes a newer schema for an older one that it has migrated."""

    async def initialize(self, *, migrate=True):
        with suppress(*([SchemaVersionError] if migrate else [])):
            await super().initialize(migrate=migrate)


@breaks("LIF-1", needs=[Capability.DURABLE])
class TakesNewerStoresForEmpty(Delegating):
    """Says of a newer schema that there is none."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            raise SchemaVersionError(None, error.expected, error.remedy) from error.__cause__


@breaks("LIF-1", needs=[Capability.DURABLE])
class ChecksTheSchemaOnce(Delegating):
    """Looks at the schema when it is opened for the first time only."""

    was_open = False

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except SchemaVersionError as error:
            if error.found is None or not self.was_open:
                raise
        self.was_open = True
