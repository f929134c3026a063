"""A lock that another adapter holds for too long is a busy store, which `transact` waits for."""

import asyncio
from contextvars import Context
from pathlib import Path

import pytest

from aaow_storage import Session, Transaction, create_adapter
from aaow_storage.errors import StoreBusyError


@pytest.mark.asyncio
async def test_a_lock_of_another_adapter_is_a_busy_store(tmp_path: Path):
    url = str(tmp_path / "store.db")
    async with create_adapter("sqlite", url) as other, create_adapter("sqlite", url, busy_timeout=0.05) as storage:
        held = await asyncio.create_task(other.begin_transaction(), context=Context())
        await held.create_session(Session(id="first", workflow_id=None, workflow_snapshot={}))

        async def create(transaction: Transaction) -> None:
            await transaction.create_session(Session(id="second", workflow_id=None, workflow_snapshot={}))

        with pytest.raises(StoreBusyError, match="another connection's lock") as raised:
            await storage.transact(create, attempts=1)
        assert raised.value.is_retryable
        transacting = asyncio.create_task(storage.transact(create, attempts=100))
        await asyncio.sleep(0.2)
        assert not transacting.done()
        await held.commit()
        await transacting
        assert [session.id for session in await other.list_sessions()] == ["first", "second"]
