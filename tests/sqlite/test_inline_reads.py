"""Single records are found on the event loop itself where that is quick, and by a thread where it may not be."""

import asyncio
import functools
import gc
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from aaow_storage import Session, create_adapter
from aaow_storage.errors import AdapterClosedError, StorageError, StorageUnavailableError
from aaow_storage_sql import FALL_BACK, Call, Lookup, Operation, SQLConnection
from aaow_storage_sqlite import _inline_reads, _latency_breaker
from aaow_storage_sqlite._connections import Settings, Synchronous
from aaow_storage_sqlite._executor import SQLiteExecutor
from aaow_storage_sqlite._inline_reads import LARGEST_VALUE_BYTES, Turn
from aaow_storage_sqlite._latency_breaker import AT_FIRST
from aaow_storage_sqlite._location import Location

pytestmark = pytest.mark.asyncio

LOOP = threading.main_thread()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, every search is quick."""
    monkeypatch.setattr(_latency_breaker, "QUICK_S", 3600)


def where(connection: SQLConnection, id: str) -> threading.Thread:
    """Stand in for a lookup: find out which thread searches."""
    assert connection.command("SELECT 1") == (1,)
    assert id == "id"
    return threading.current_thread()


@functools.cache
def point_read(function: Callable[..., Any], *, is_lookup: bool = True) -> Operation:
    """Return the operation that runs the function; the same for the same function."""
    lookup = Lookup("record", sa.select(sa.literal(1)), tuple) if is_lookup else None
    return Operation(function, writes=False, is_point_read=True, lookup=lookup)


def find(executor: SQLiteExecutor, function: Callable[..., Any]) -> Coroutine[Any, Any, Any]:
    return executor.submit(Call(point_read(function), ("id",)))


@pytest_asyncio.fixture
async def executor(path: Path) -> AsyncIterator[SQLiteExecutor]:
    """An executor that knows that searches are quick."""
    executor = SQLiteExecutor(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5), 2, inline_reads=True)
    await executor.start(migrate=True)
    await warm(executor, where)
    yield executor
    await executor.stop()


async def warm(executor: SQLiteExecutor, lookup: Any) -> None:
    """Search until the loop does it."""
    for _ in range(2 * AT_FIRST):
        if await find(executor, lookup) is threading.current_thread():
            return
        await asyncio.sleep(0)
    raise AssertionError("the loop never searched")


async def test_a_thread_searches_until_that_has_been_quick_and_then_the_loop(path: Path):
    executor = SQLiteExecutor(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5), 2, inline_reads=True)
    await executor.start(migrate=True)
    first = [await find(executor, where) for _ in range(AT_FIRST)]
    assert LOOP not in first
    await warm(executor, where)
    await executor.stop()


async def test_a_moment_is_over_until_the_next_turn():
    turn = Turn()
    assert turn.has_time()
    turn.spend(_inline_reads.MOMENT_S)
    assert not turn.has_time()
    assert not turn.has_time()
    await asyncio.sleep(0)
    assert turn.has_time()


async def test_when_the_moment_is_over_a_thread_searches(executor: SQLiteExecutor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_inline_reads, "MOMENT_S", 0)
    assert await find(executor, where) is not LOOP


async def test_a_task_that_only_searches_lets_the_others_run(executor: SQLiteExecutor):
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(1_000):
        await find(executor, where)
    counting.cancel()
    assert turns > 2


async def test_where_many_operations_wait_a_search_goes_with_them(
    executor: SQLiteExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_inline_reads, "FEW", 1)
    found = await asyncio.gather(executor.submit(Call(Operation(lambda _: None, writes=False))), find(executor, where))
    assert found[1] is not LOOP


async def test_a_search_that_meets_a_lock_on_the_loop_waits_for_it_on_a_thread(executor: SQLiteExecutor):
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    refused = []

    def meet_a_lock(connection: SQLConnection, id: str) -> threading.Thread:
        if threading.current_thread() is LOOP:
            refused.append(id)
            raise StorageUnavailableError("locked") from locked
        return where(connection, id)

    for _ in range(2 * AT_FIRST):
        assert await find(executor, meet_a_lock) is not LOOP
        if refused:
            break
    assert refused == ["id"]


async def test_an_error_on_the_loop_reaches_the_caller_and_harms_nobody_else(executor: SQLiteExecutor):
    is_broken = False

    def may_fail(connection: SQLConnection, id: str) -> threading.Thread:
        if is_broken:
            connection.command("SELECT 1 FROM nowhere")
        return where(connection, id)

    await warm(executor, may_fail)
    is_broken = True
    with pytest.raises(StorageError, match="nowhere"):
        await find(executor, may_fail)
    is_broken = False
    await warm(executor, may_fail)


async def test_a_record_of_several_statements_is_read_on_one_state(executor: SQLiteExecutor):
    def read(connection: SQLConnection) -> tuple[threading.Thread, bool]:
        return where(connection, "id"), connection.is_in_transaction

    for _ in range(2 * AT_FIRST):
        thread, is_one_state = await executor.submit(Call(point_read(read, is_lookup=False)))
        assert is_one_state
        if thread is LOOP:
            return
    raise AssertionError("the loop never read")


async def test_a_record_that_cannot_be_read_on_the_loop_leaves_no_transaction_open(executor: SQLiteExecutor):
    failed_on = set()

    def fail(connection: SQLConnection) -> None:
        failed_on.add(threading.current_thread())
        connection.command("SELECT 1 FROM nowhere")

    for _ in range(2 * AT_FIRST):
        with pytest.raises(StorageError, match="nowhere"):
            await executor.submit(Call(point_read(fail, is_lookup=False)))
        if LOOP in failed_on:
            break
    assert LOOP in failed_on
    assert not executor._inline._connection.is_in_transaction


async def test_the_loop_searches_in_a_closed_store_no_more(executor: SQLiteExecutor):
    inline = executor._inline
    await executor.stop()
    with pytest.raises(AdapterClosedError):
        await find(executor, where)
    assert inline.find(point_read(where), lambda connection: where(connection, "id")) is FALL_BACK


async def test_what_was_written_is_found_on_the_loop_at_once(path: Path):
    async with create_adapter("sqlite", str(path)) as storage:
        session = Session(workflow_id=None, workflow_snapshot={}, metadata={"number": 0})
        await storage.create_session(session)
        for number in range(2 * AT_FIRST):
            await storage.update_session(session.id, metadata={"number": number})
            found = await storage.get_session(session.id)
            assert found is not None
            assert found.metadata == {"number": number}


async def test_who_wants_no_searches_on_the_loop_gets_none(path: Path):
    executor = SQLiteExecutor(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5), 2, inline_reads=False)
    await executor.start(migrate=True)
    assert LOOP not in [await find(executor, where) for _ in range(4 * AT_FIRST)]
    await executor.stop()


async def test_loops_that_have_ended_are_forgotten(executor: SQLiteExecutor):
    async def search() -> "weakref.ref[asyncio.AbstractEventLoop]":
        await warm(executor, where)
        return weakref.ref(asyncio.get_running_loop())

    loop = await asyncio.to_thread(lambda: asyncio.run(search()))
    gc.collect()
    assert loop() is None


async def test_the_loop_hands_a_record_with_a_large_value_to_a_thread(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_inline_reads, "MOMENT_S", 3600)  # so that the size alone decides
    storage = create_adapter("sqlite", str(path))
    async with storage:
        for name, size in (("small", 10), ("large", 2 * LARGEST_VALUE_BYTES)):
            snapshot = {"text": "x" * size}
            await storage.create_session(Session(id=name, workflow_id=None, workflow_snapshot=snapshot))
        for _ in range(2 * AT_FIRST):
            await storage.get_session("small")
        reader = storage._executor._readers  # type: ignore[attr-defined]
        put, handed = reader.put, []
        reader.put = lambda job, **options: (handed.append(job), put(job, **options))
        assert (await storage.get_session("small")).workflow_snapshot == {"text": "x" * 10}
        assert handed == []
        assert (await storage.get_session("large")).workflow_snapshot == snapshot
        assert len(handed) == 1
        await storage.get_session("small")
        assert len(handed) == 1
