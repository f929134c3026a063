"""A process that has a store open while another one migrates it: it refuses to go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from aaow_storage import LLMExecutionResult, SchemaVersionError, Session, StorageAdapter
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._tuning import Tuning
from aaow_storage_postgresql.plugin import adapter_of
from aaow_storage_sql import HEAD

SESSION = Session(id="s", workflow_id=None, workflow_snapshot={})
MIGRATE = "UPDATE aaow_schema_version SET version_num = '9999'"
UNDO = f"UPDATE aaow_schema_version SET version_num = '{HEAD}'"
CALLS: dict[str, Callable[[StorageAdapter], Any]] = {
    "a read of one record": lambda storage: storage.get_session("s"),
    "reads in one round trip": lambda storage: asyncio.gather(*(storage.get_session("s") for _ in range(8))),
    "a list": lambda storage: storage.list_sessions(),
    "a write": lambda storage: storage.save_llm_execution("s", "n", LLMExecutionResult()),
    "a transaction": lambda storage: storage.begin_transaction(),
}
Raw = Callable[..., list[tuple]]


@pytest.fixture
def check_interval_s() -> float:
    """How long a check is trusted: not at all, unless a test says otherwise."""
    return 0.0


@pytest_asyncio.fixture
async def storage(url: str, check_interval_s: float) -> AsyncIterator[StorageAdapter]:
    """An adapter on the database that trusts its checks so long."""
    async with adapter_of(Settings(url, tuning=Tuning(schema_check_interval_s=check_interval_s))) as adapter:
        await adapter.create_session(SESSION)
        yield adapter


@pytest.mark.asyncio
async def test_every_call_is_refused_after_a_migration_and_stores_nothing(storage: StorageAdapter, raw: Raw):
    raw(MIGRATE)
    for name, call in CALLS.items():
        with pytest.raises(SchemaVersionError) as caught:
            await call(storage)
        assert (name, caught.value.found, caught.value.expected) == (name, "9999", HEAD)
        assert "another process migrated it while it was open here; close this adapter" in str(caught.value)
    raw(UNDO)
    assert await storage.list_llm_executions() == []
    assert await storage.get_session("s") == SESSION


@pytest.mark.asyncio
async def test_a_check_on_a_lost_connection_opens_another_one(storage: StorageAdapter, raw: Raw):
    for call in CALLS.values():
        raw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aaow-storage'")
        result = await call(storage)
        if hasattr(result, "rollback"):
            await result.rollback()


@pytest.mark.asyncio
@pytest.mark.parametrize("check_interval_s", [1000.0])
@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("ALTER TABLE sessions RENAME COLUMN status TO state", "a read of one record"),
        ("ALTER TABLE sessions RENAME COLUMN status TO state", "a list"),
        ("ALTER TABLE llm_executions ADD COLUMN later TEXT CHECK (later IS NOT NULL)", "a write"),
        ("ALTER TABLE llm_executions ADD COLUMN later TEXT NOT NULL", "a write"),
    ],
)
async def test_a_statement_that_fails_before_a_check_is_due_names_the_reason(
    storage: StorageAdapter, raw: Raw, statement: str, call: str
):
    raw(MIGRATE)
    raw(statement)
    with pytest.raises(SchemaVersionError, match="another process migrated it") as caught:
        await CALLS[call](storage)
    assert isinstance(caught.value.__cause__, psycopg.Error)
