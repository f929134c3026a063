"""A cancelled list ends early, and affects no other work on its connection."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Ne, QueryFilter, Session, create_adapter
from aaow_storage_sqlite import _functions

SLOW = QueryFilter({"metadata.k": Ne(1)}, documents=False)


class SlowFunction:
    """A SQL function that is called for each row of `SLOW`, and blocks until `may_go_on`."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()
        self.calls = 0

    def __call__(self, *_: object) -> bool:
        self.calls += 1
        self.has_begun.set()
        self.may_go_on.wait(30)
        return False


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowFunction]:
    function = SlowFunction()
    install = _functions.install

    def install_slow(connection: sqlite3.Connection, *recorded: Any) -> None:
        install(connection, *recorded)
        connection.create_function("aaow_json_matches", 4, function)

    monkeypatch.setattr("aaow_storage_sqlite._connections.install", install_slow)
    yield function
    function.may_go_on.set()


async def begun(slow: SlowFunction) -> None:
    assert await asyncio.to_thread(slow.has_begun.wait, 10)


@pytest.mark.asyncio
async def test_a_cancelled_list_ends_at_its_next_row(path: Path, slow: SlowFunction):
    async with create_adapter("sqlite", str(path)) as storage:
        for _ in range(50):
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata={"k": 2}))
        task = asyncio.create_task(storage.list_sessions(SLOW))
        await begun(slow)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow.may_go_on.set()
        assert len(await storage.list_sessions()) == 50
    assert slow.calls < 50


@pytest.mark.asyncio
async def test_a_cancelled_list_leaves_its_transaction_as_it_was(path: Path, slow: SlowFunction):
    async with create_adapter("sqlite", str(path)) as storage:
        async with storage.transaction() as tx:
            for _ in range(50):
                await tx.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata={"k": 2}))
            task = asyncio.create_task(tx.list_sessions(SLOW))
            await begun(slow)
            task.cancel()
            await asyncio.sleep(0)
            slow.may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slow.calls < 50
            await tx.create_session(Session(id="last", workflow_id=None, workflow_snapshot={}))
        assert await storage.count_sessions() == 51


@pytest.mark.asyncio
async def test_reads_that_wait_after_a_cancelled_list_are_answered(path: Path, slow: SlowFunction):
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata={"k": 2}))
        cancelled = asyncio.create_task(storage.list_sessions(SLOW))
        await begun(slow)
        others = [asyncio.create_task(storage.list_sessions(QueryFilter(limit=1))) for _ in range(20)]
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        slow.may_go_on.set()
        assert [len(found) for found in await asyncio.gather(*others)] == [1] * 20
