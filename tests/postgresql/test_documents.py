"""JSON that `jsonb` refuses is stored, listed and filtered like any other."""

import json
from collections.abc import Callable

import pytest

from aaow_storage import Contains, OrderBy, QueryFilter, Session, StartsWith, StorageAdapter
from aaow_storage_postgresql._json import json_text

AWKWARD = [
    "",
    "\0",
    "\0\0",
    "\1",
    "\1\2\2",
    "\2",
    "\3",
    "\4",
    "a",
    "a\0",
    "a\0b",
    "a\0\0b",
    "a\1b",
    "a\\u0000b",
    "a\\\0b",
    "a\\\\u0000b",
    "a\\\\\0b",
    "a\x10b",
    "b",
]


async def store(storage: StorageAdapter) -> None:
    async with storage.transaction() as transaction:
        for number, text in enumerate(AWKWARD):
            metadata = {"text": text, text: number}
            snapshot = {"text": text}
            await transaction.create_session(
                Session(id=f"{number:02}", workflow_id=None, workflow_snapshot=snapshot, metadata=metadata)
            )


@pytest.mark.asyncio
@pytest.mark.parametrize("field", ["metadata", "workflow_snapshot"])
async def test_filters_find_texts_with_nul(storage: StorageAdapter, field: str):
    await store(storage)

    async def find(value: object) -> list[str]:
        return [each.metadata["text"] for each in await storage.list_sessions(QueryFilter({f"{field}.text": value}))]

    for text in AWKWARD:
        assert await find(text) == [text]
        assert await find(Contains(text)) == [each for each in AWKWARD if text in each]
        assert await find(StartsWith(text)) == [each for each in AWKWARD if each.startswith(text)]


@pytest.mark.asyncio
async def test_filters_find_keys_with_nul(storage: StorageAdapter):
    await store(storage)
    for number, text in enumerate(AWKWARD):
        if text != "text":
            [session] = await storage.list_sessions(QueryFilter({("metadata", text): number}))
            assert session.id == f"{number:02}"


@pytest.mark.asyncio
async def test_texts_with_nul_sort_by_code_point(storage: StorageAdapter):
    await store(storage)
    listed = await storage.list_sessions(QueryFilter(order_by=OrderBy("metadata.text")))
    assert [session.metadata["text"] for session in listed] == sorted(AWKWARD)
    page = await storage.list_sessions(QueryFilter(order_by=OrderBy("metadata.text")).after(listed[5]))
    assert page == listed[6:]


@pytest.mark.asyncio
async def test_the_database_and_the_backend_escape_documents_alike(
    storage: StorageAdapter, raw: Callable[..., list[tuple]]
):
    for text in AWKWARD:
        [(made,)] = raw("SELECT aaow_json(%s) ->> 'text'", json.dumps({"text": text}))
        assert made == json_text(text)


@pytest.mark.asyncio
async def test_a_filter_on_metadata_is_served_by_an_index(storage: StorageAdapter, raw: Callable[..., list[tuple]]):
    async with storage.transaction(timeout=600) as transaction:
        for number in range(3_000):
            await transaction.create_session(
                Session(workflow_id=None, workflow_snapshot={}, metadata={"user": f"user {number}"})
            )
    raw("ANALYZE sessions")
    held = "jsonb_build_object('user', aaow_json('\"user 7\"'))"
    plan = raw(f"EXPLAIN SELECT id FROM sessions WHERE aaow_json(metadata) @> {held}")
    assert "ix_sessions_metadata" in str(plan)
    [session] = await storage.list_sessions(QueryFilter({"metadata.user": "user 7"}))
    assert session.metadata == {"user": "user 7"}
