"""The messages of long inputs on PostgreSQL: one statement a save, adapters side by side, and migrations."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aaow_storage import LLMExecution, Session, StorageAdapter, create_adapter
from aaow_storage.errors import CorruptDataError
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import migrate_store
from aaow_storage_sql import REVISIONS, SQLConnection

BEFORE = REVISIONS[REVISIONS.index("0008") - 1]
INPUTS: list[Any] = [None, [], {"text": "x" * 3000}, *([{"n": n, "text": f"{n}" * 1000}] for n in range(3))]


def messages(count: int) -> list[Any]:
    return [
        {"role": "user", "content": f"{number}" + "x" * 1000, "n": [1.0, {"b": 1, "a": None}]}
        for number in range(count)
    ]


async def save(storage: StorageAdapter, value: Any) -> LLMExecution:
    return await samples.stored_execution(storage, "s", input=value)


@pytest.fixture
def store(url: str) -> Iterator[tuple[PostgreSQLConnection, Settings]]:
    """A connection for migrations, and its settings."""
    settings = Settings(url)
    connection = connect(settings)
    yield connection, settings
    connection.close()


@pytest.mark.asyncio
async def test_a_call_whose_input_is_known_up_to_its_last_message_is_one_statement(
    storage: StorageAdapter, raw: Callable[..., list[tuple]], monkeypatch: pytest.MonkeyPatch
):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    executions = [await save(storage, messages(5))]
    texts: list[str] = []
    execute = SQLConnection._execute

    def counted(self: SQLConnection, text: str, values: Any) -> Any:
        texts.append(text)
        return execute(self, text, values)

    monkeypatch.setattr(SQLConnection, "_execute", counted)
    executions += [await save(storage, messages(count)) for count in (6, 6, 7)]
    assert [text.split()[0] for text in texts if "set_config" not in text] == ["WITH", "INSERT", "WITH"]
    monkeypatch.undo()
    assert_identical(await storage.get_llm_executions("s"), executions)
    assert raw("SELECT count(*) FROM messages") == [(3,)]
    raw("DELETE FROM llm_executions")
    raw("DELETE FROM messages")
    again = [await save(storage, messages(8)), await save(storage, messages(3))]
    assert_identical(await storage.get_llm_executions("s"), again)
    await storage.delete_session("s")
    assert raw("SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.asyncio
async def test_adapters_that_save_one_conversation_at_once_store_it_once(
    storage: StorageAdapter, url: str, raw: Callable[..., list[tuple]]
):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    async with create_adapter("postgresql", url) as beside:
        for count in range(1, 15):
            await asyncio.gather(*(save(adapter, messages(count)) for adapter in (storage, beside) * 3))
    assert raw("SELECT count(*) FROM messages") == [(14,)]
    found = await storage.get_llm_executions("s")
    assert sorted(len(each.input) for each in found) == [count for count in range(1, 15) for _ in range(6)]
    assert all(each.input == messages(len(each.input)) for each in found)


@pytest.mark.asyncio
async def test_inputs_are_kept_when_a_store_is_migrated_down_and_up_again(
    url: str, store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]]
):
    connection, settings = store
    async with create_adapter("postgresql", url) as storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        executions = [await save(storage, each) for each in INPUTS]
        executions += [await save(storage, messages(count)) for count in (1, 2, 30, 20)]
    migrate_store(connection, settings, BEFORE)
    assert raw("SELECT count(*) FROM llm_executions WHERE input IS NULL") == [(1,)]
    async with create_adapter("postgresql", url) as storage:
        assert_identical(await storage.get_llm_executions("s"), executions)
        executions.append(await save(storage, messages(31)))
        assert_identical(await storage.get_llm_executions("s"), executions)


@pytest.mark.asyncio
async def test_a_store_with_a_missing_message_is_not_migrated_down(
    url: str, store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]]
):
    connection, settings = store
    async with create_adapter("postgresql", url) as storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        for count in (1, 2, 3):
            await save(storage, messages(count))
        raw("DELETE FROM messages WHERE previous IS NULL")
        with pytest.raises(CorruptDataError, match="is missing"):
            await storage.get_llm_executions("s")
    with pytest.raises(CorruptDataError, match="is missing; nothing was migrated"):
        migrate_store(connection, settings, BEFORE)
    assert raw("SELECT count(*) FROM messages") == [(2,)]
