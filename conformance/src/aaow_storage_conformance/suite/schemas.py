"""Schemas: a store that a later release has migrated is refused and left unchanged."""

import pytest

from aaow_storage import Capability, SchemaVersionError, StorageAdapter
from aaow_storage_conformance._contract import clause, needs_newer_schema, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import STREAM_ID, fill_store
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.refusals import check_closed
from aaow_storage_conformance.harness.store import Store


@requires(Capability.DURABLE)
@needs_newer_schema
class SchemaTests:
    """Stores of a later release."""

    @clause("LIF-1")
    @pytest.mark.parametrize("migrate", [True, False], ids=["may migrate", "may not migrate"])
    async def test_a_store_of_a_newer_schema_is_refused_and_left_as_it_is(self, store: Store, migrate: bool) -> None:
        async with store.open() as storage:
            stored = await fill_store(storage)
        with store.newer_schema():
            adapter = store.adapter()
            for _ in range(2):
                error = await _refusal_of(adapter, migrate=migrate)
                assert error.found is not None
                assert error.expected
                assert error.found != error.expected
                assert error.remedy in str(error)
                await check_closed(adapter)
            assert (await _refusal_of(store.adapter(), migrate=not migrate)).args == error.args
        await adapter.initialize(migrate=False)
        assert_identical(await everything_in(adapter, streams=[STREAM_ID]), stored)

    @clause("LIF-1")
    async def test_a_store_that_becomes_newer_while_it_is_closed_is_refused_when_it_is_opened_again(
        self, store: Store
    ) -> None:
        adapter = store.adapter()
        async with adapter:
            await samples.stored_workflow(adapter, id="w")
        with store.newer_schema():
            await _refusal_of(adapter, migrate=True)
            await _refusal_of(store.adapter(), migrate=True)
            await check_closed(adapter)
        async with adapter:
            assert await subprocess_functions.workflow_ids(adapter) == ["w"]


async def _refusal_of(adapter: StorageAdapter, *, migrate: bool) -> SchemaVersionError:
    with pytest.raises(SchemaVersionError) as caught:
        await adapter.initialize(migrate=migrate)
    return caught.value
