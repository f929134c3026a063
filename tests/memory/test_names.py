"""URLs that name stores, and the option of an adapter."""

from pathlib import Path

import pytest

from aaow_storage import Capability, StorageAdapter, StoredWorkflow, StreamEvent, available_backends, create_adapter
from aaow_storage.errors import UnsupportedOperationError, ValidationError
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory.plugin import temporary_store

WORKFLOW = StoredWorkflow(id="w", name="n", version="1", definition={"nodes": []})
EVENT = StreamEvent(id="e", stream_id="s", node_id="n", data=1)


def test_the_backend_is_found_by_its_name():
    backend = available_backends()["memory"]
    assert backend.problem is None
    assert backend.capabilities == {Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT}
    assert isinstance(create_adapter("memory"), MemoryAdapter)


@pytest.mark.asyncio
async def test_adapters_on_one_name_share_one_store(storage: StorageAdapter, url: str):
    async with create_adapter("memory", url) as other:
        await other.save_workflow(WORKFLOW)
    assert await storage.get_workflow("w") == WORKFLOW


@pytest.mark.asyncio
async def test_the_scheme_ignores_case_and_the_name_does_not(storage: StorageAdapter, url: str):
    await storage.save_workflow(WORKFLOW)
    name = url.removeprefix("memory://")
    async with create_adapter(f"MEMORY://{name}") as same, create_adapter(f"memory://{name}-2") as other:
        assert await same.get_workflow("w") == WORKFLOW
        assert await other.get_workflow("w") is None


@pytest.mark.asyncio
@pytest.mark.parametrize("url", [None, "memory://"])
async def test_without_a_name_each_adapter_has_its_own_store(url: str | None):
    async with create_adapter("memory", url) as one, create_adapter("memory", url) as other:
        await one.save_workflow(WORKFLOW)
        assert await other.get_workflow("w") is None


@pytest.mark.asyncio
async def test_a_store_without_a_name_keeps_its_records_while_its_adapter_is_closed():
    adapter = create_adapter("memory")
    async with adapter:
        await adapter.save_workflow(WORKFLOW)
    async with adapter:
        assert await adapter.get_workflow("w") == WORKFLOW


@pytest.mark.asyncio
async def test_a_named_store_outlives_its_adapters(url: str):
    async with create_adapter(url) as adapter:
        await adapter.save_workflow(WORKFLOW)
    del adapter
    async with create_adapter(url) as another:
        assert await another.get_workflow("w") == WORKFLOW


@pytest.mark.asyncio
async def test_a_temporary_store_is_dropped_after_its_block(tmp_path: Path):
    with temporary_store(tmp_path) as url:
        async with create_adapter(url) as adapter:
            await adapter.save_workflow(WORKFLOW)
    async with create_adapter(url) as adapter:
        assert await adapter.get_workflow("w") is None


@pytest.mark.parametrize(
    "url", ["", "name", "memory:", "memory:name", "memory:/name", "memory://a/b", "memory://a?b=1", "sqlite://"]
)
def test_a_url_of_another_form_is_refused_and_the_error_lists_the_valid_forms(url: str):
    with pytest.raises(ValidationError, match=r"url: .*memory://NAME"):
        available_backends()["memory"].create(url)


def test_an_error_does_not_show_the_password_of_a_url():
    with pytest.raises(ValidationError) as caught:
        create_adapter("memory://app:hunter2@db/agents")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_stream_events_must_be_a_bool(value: object):
    with pytest.raises(ValidationError, match="stream_events: must be True or False"):
        create_adapter("memory", stream_events=value)


@pytest.mark.asyncio
async def test_an_adapter_without_stream_events_refuses_them_and_stores_none(storage: StorageAdapter, url: str):
    async with create_adapter(url, stream_events=False) as without:
        assert without.capabilities == {Capability.CHANGES, Capability.WRITERS_WAIT}
        with pytest.raises(UnsupportedOperationError, match="save_stream_event"):
            await without.save_stream_event(EVENT)
        with pytest.raises(UnsupportedOperationError, match="get_stream_events"):
            await without.get_stream_events("s")
        async with without.transaction() as transaction:
            with pytest.raises(UnsupportedOperationError):
                await transaction.save_stream_event(EVENT)
    assert await storage.get_stream_events("s") == []
