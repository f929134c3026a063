"""Single records are read on the event loop itself while that is quick, and by a thread otherwise."""

import asyncio
import functools
import gc
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio
import sqlalchemy as sa

from aaow_storage import Session
from aaow_storage.errors import AdapterClosedError, StorageError, StorageUnavailableError
from aaow_storage_sql import FALL_BACK, Call, Lookup, Operation, SQLConnection
from aaow_storage_sqlite._executor import SQLiteExecutor
from aaow_storage_sqlite._inline_reads import LoopBudget
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._tuning import Tuning

pytestmark = pytest.mark.asyncio

LOOP = threading.main_thread()
TUNING = Tuning(max_inline_latency_s=3600.0)
"""Every read counts as quick, however slow the machine is."""
PROBES = TUNING.initial_probes


def read_record(connection: SQLConnection, id: str) -> threading.Thread:
    """Stand in for a lookup: return the thread that reads."""
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


def executor_on(path: Path, tuning: Tuning = TUNING, **options: Any) -> SQLiteExecutor:
    return SQLiteExecutor(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5, tuning=tuning, **options))


@pytest_asyncio.fixture
async def executor(path: Path) -> AsyncIterator[SQLiteExecutor]:
    """An executor after enough quick reads: it reads inline."""
    executor = executor_on(path)
    await executor.start(migrate=True)
    await warm(executor, read_record)
    yield executor
    await executor.stop()


async def warm(executor: SQLiteExecutor, lookup: Any) -> None:
    """Read until the event loop does it."""
    for _ in range(2 * PROBES):
        if await find(executor, lookup) is threading.current_thread():
            return
        await asyncio.sleep(0)
    raise AssertionError("the loop never read")


async def test_a_thread_reads_until_its_reads_were_quick_and_then_the_loop_does(path: Path):
    executor = executor_on(path)
    await executor.start(migrate=True)
    first = [await find(executor, read_record) for _ in range(PROBES)]
    assert LOOP not in first
    await warm(executor, read_record)
    await executor.stop()


async def test_a_spent_budget_is_renewed_in_the_next_iteration_of_the_loop():
    budget = LoopBudget(TUNING.loop_budget_s)
    assert budget.has_time()
    budget.spend(TUNING.loop_budget_s)
    assert not budget.has_time()
    assert not budget.has_time()
    await asyncio.sleep(0)
    assert budget.has_time()


async def test_a_thread_reads_if_the_budget_is_spent(path: Path):
    executor = executor_on(path, attrs.evolve(TUNING, loop_budget_s=0.0))
    await executor.start(migrate=True)
    assert LOOP not in [await find(executor, read_record) for _ in range(2 * PROBES)]
    await executor.stop()


async def test_a_task_that_only_reads_lets_other_tasks_run(executor: SQLiteExecutor):
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(1_000):
        await find(executor, read_record)
    counting.cancel()
    assert turns > 2


async def test_a_thread_reads_if_many_operations_wait(path: Path):
    executor = executor_on(path, attrs.evolve(TUNING, max_inline_waiting=1))
    await executor.start(migrate=True)
    await warm(executor, read_record)
    found = await asyncio.gather(
        executor.submit(Call(Operation(lambda _: None, writes=False))), find(executor, read_record)
    )
    assert found[1] is not LOOP
    await executor.stop()


async def test_a_read_that_meets_a_lock_on_the_loop_waits_for_it_on_a_thread(executor: SQLiteExecutor):
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    refused = []

    def meet_a_lock(connection: SQLConnection, id: str) -> threading.Thread:
        if threading.current_thread() is LOOP:
            refused.append(id)
            raise StorageUnavailableError("locked") from locked
        return read_record(connection, id)

    for _ in range(2 * PROBES):
        assert await find(executor, meet_a_lock) is not LOOP
        if refused:
            break
    assert refused == ["id"]


async def test_an_error_on_the_loop_reaches_the_caller_and_later_reads_work(executor: SQLiteExecutor):
    is_broken = False

    def may_fail(connection: SQLConnection, id: str) -> threading.Thread:
        if is_broken:
            connection.command("SELECT 1 FROM nowhere")
        return read_record(connection, id)

    await warm(executor, may_fail)
    is_broken = True
    with pytest.raises(StorageError, match="nowhere"):
        await find(executor, may_fail)
    is_broken = False
    await warm(executor, may_fail)


async def test_a_record_of_several_statements_is_read_on_one_snapshot(executor: SQLiteExecutor):
    def read(connection: SQLConnection) -> tuple[threading.Thread, bool]:
        return read_record(connection, "id"), connection.is_in_transaction

    for _ in range(2 * PROBES):
        thread, is_one_snapshot = await executor.submit(Call(point_read(read, is_lookup=False)))
        assert is_one_snapshot
        if thread is LOOP:
            return
    raise AssertionError("the loop never read")


async def test_a_failed_read_on_the_loop_leaves_no_transaction_open(executor: SQLiteExecutor):
    failed_on = set()

    def fail(connection: SQLConnection) -> None:
        failed_on.add(threading.current_thread())
        connection.command("SELECT 1 FROM nowhere")

    for _ in range(2 * PROBES):
        with pytest.raises(StorageError, match="nowhere"):
            await executor.submit(Call(point_read(fail, is_lookup=False)))
        if LOOP in failed_on:
            break
    assert LOOP in failed_on
    assert not executor._inline_reads._connection.is_in_transaction


async def test_the_loop_does_not_read_from_a_closed_store(executor: SQLiteExecutor):
    inline_reads = executor._inline_reads
    await executor.stop()
    with pytest.raises(AdapterClosedError):
        await find(executor, read_record)
    assert inline_reads.find(point_read(read_record), lambda connection: read_record(connection, "id")) is FALL_BACK


async def test_the_loop_reads_what_was_written_just_before(path: Path, create_tuned: Callable[..., Any]):
    async with create_tuned(path, TUNING) as storage:
        session = Session(workflow_id=None, workflow_snapshot={}, metadata={"number": 0})
        await storage.create_session(session)
        for number in range(2 * PROBES):
            await storage.update_session(session.id, metadata={"number": number})
            found = await storage.get_session(session.id)
            assert found is not None
            assert found.metadata == {"number": number}


async def test_the_option_turns_inline_reads_off(path: Path):
    executor = executor_on(path, inline_reads=False)
    await executor.start(migrate=True)
    assert LOOP not in [await find(executor, read_record) for _ in range(4 * PROBES)]
    await executor.stop()


async def test_ended_event_loops_are_forgotten(executor: SQLiteExecutor):
    async def read() -> "weakref.ref[asyncio.AbstractEventLoop]":
        await warm(executor, read_record)
        return weakref.ref(asyncio.get_running_loop())

    loop = await asyncio.to_thread(lambda: asyncio.run(read()))
    gc.collect()
    assert loop() is None


async def test_a_record_with_a_large_value_is_read_by_a_thread(path: Path, create_tuned: Callable[..., Any]):
    storage = create_tuned(path, attrs.evolve(TUNING, loop_budget_s=3600.0))  # so that the size alone decides
    async with storage:
        for name, size in (("small", 10), ("large", 2 * TUNING.max_inline_value_bytes)):
            snapshot = {"text": "x" * size}
            await storage.create_session(Session(id=name, workflow_id=None, workflow_snapshot=snapshot))
        for _ in range(2 * PROBES):
            await storage.get_session("small")
        readers = storage._executor._readers
        submit, submitted = readers.submit, []
        readers.submit = lambda job, **options: (submitted.append(job), submit(job, **options))
        assert (await storage.get_session("small")).workflow_snapshot == {"text": "x" * 10}
        assert submitted == []
        assert (await storage.get_session("large")).workflow_snapshot == snapshot
        assert len(submitted) == 1
        await storage.get_session("small")
        assert len(submitted) == 1
