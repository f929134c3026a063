"""The writer commits waiting operations together, and each still succeeds or fails by itself."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from pathlib import Path
from typing import Any

import attrs
import pytest

from aaow_storage import BudgetPool, Session, StorageAdapter, StoredWorkflow, TransactionOutcome, create_adapter
from aaow_storage.errors import (
    AdapterClosedError,
    AlreadyExistsError,
    NotFoundError,
    StorageUnavailableError,
    TransactionError,
)
from aaow_storage_sql import FALL_BACK, Call, Job, Operation, Outcome

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0
HoldWriter = Callable[[StorageAdapter], AbstractAsyncContextManager[None]]
StartAll = Callable[..., Coroutine[Any, Any, list[asyncio.Task[Any]]]]


def a_session(id: str, **changes) -> Session:
    return Session(id=id, **{"workflow_id": None, "workflow_snapshot": {"nodes": []}, **changes})


async def test_operations_that_wait_together_share_one_commit(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    commits = []
    connection = storage._executor._writer._connection.driver_connection
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    async with hold_writer(storage):
        tasks = await start_all(*(storage.create_session(a_session(f"s{number}")) for number in range(50)))
    await asyncio.gather(*tasks)
    assert await storage.count_sessions() == 50
    assert len(commits) == 2  # one for the job that held the writer


async def test_only_the_operation_that_fails_in_a_batch_is_undone(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    await storage.create_session(a_session("taken"))
    async with hold_writer(storage):
        tasks = await start_all(
            storage.create_session(a_session("before")),
            storage.create_session(a_session("taken")),
            storage.create_session(a_session("orphan", workflow_id="nowhere")),
            storage.create_session(a_session("after")),
        )
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), AlreadyExistsError, NotFoundError, type(None)]
    assert {session.id for session in await storage.list_sessions()} == {"taken", "before", "after"}


async def test_an_operation_that_raises_halfway_leaves_nothing_in_the_batch(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    def half(connection) -> None:
        connection.driver_connection.execute("INSERT INTO documents (digest, body) VALUES (x'01', 'half')")
        raise ZeroDivisionError

    async with hold_writer(storage):
        tasks = await start_all(
            storage._executor.submit(Call(Operation(half, writes=True))), storage.create_session(a_session("whole"))
        )
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    counting = Operation(lambda connection: connection.command("SELECT count(*) FROM documents"), writes=False)
    assert await storage._executor.submit(Call(counting)) == (1,)


async def test_operations_are_committed_one_by_one_if_sqlite_rolls_back_their_batch(
    storage: StorageAdapter, path: Path, hold_writer: HoldWriter, start_all: StartAll
):
    connection = storage._executor._writer._connection
    pages = connection.command("PRAGMA page_count")[0]
    connection.command(f"PRAGMA max_page_count = {pages + 20}")
    huge = StoredWorkflow(id="huge", name="n", version="1", definition={"text": "x" * 1_000_000})
    async with hold_writer(storage):
        tasks = await start_all(
            storage.create_session(a_session("before")),
            storage.save_workflow(huge),
            storage.create_session(a_session("after")),
        )
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] is results[2] is None
    assert isinstance(results[1], StorageUnavailableError)
    assert "full" in str(results[1])
    assert str(path) in str(results[1])
    assert isinstance(results[1].__cause__, sqlite3.OperationalError)
    assert {session.id for session in await storage.list_sessions()} == {"before", "after"}
    assert await storage.get_workflow("huge") is None


async def test_a_full_disk_inside_a_transaction_ends_it_or_leaves_it_usable(storage: StorageAdapter):
    connection = storage._executor._writer._connection
    pages = connection.command("PRAGMA page_count")[0]
    connection.command(f"PRAGMA max_page_count = {pages + 20}")
    tx = await storage.begin_transaction()
    await tx.create_session(a_session("first"))
    huge = StoredWorkflow(id="huge", name="n", version="1", definition={"text": "x" * 1_000_000})
    with pytest.raises(StorageUnavailableError, match="full"):
        await tx.save_workflow(huge)
    if tx.outcome is None:
        await tx.commit()
        expected = {"first"}
    else:
        assert tx.outcome is TransactionOutcome.ABORTED
        with pytest.raises(TransactionError, match="full"):
            await tx.get_session("first")
        expected = set()
    assert {session.id for session in await storage.list_sessions()} == expected


async def test_an_operation_cancelled_while_it_waits_is_not_run(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        (task,) = await start_all(storage.create_session(a_session("s")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await storage.get_session("s") is None


async def test_a_task_that_is_cancelled_while_its_operation_runs_ends_after_the_operation(storage: StorageAdapter):
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def create(connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert release.wait(PATIENCE_S)
        connection.command("INSERT INTO documents (digest, body) VALUES (x'00', 'stored')")

    task = asyncio.create_task(storage._executor.submit(Call(Operation(create, writes=True))))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    reading = Operation(lambda c: c.command("SELECT body FROM documents WHERE digest = x'00'"), writes=False)
    assert await storage._executor.submit(Call(reading)) == ("stored",)


async def test_a_task_cancelled_during_a_fast_path_that_falls_back_ends_and_its_operation_does_not_run(
    storage: StorageAdapter,
):
    runs_fast, cancelled = threading.Event(), threading.Event()
    ran = []

    def fall_back(_: object) -> object:
        runs_fast.set()
        cancelled.wait(PATIENCE_S)
        return FALL_BACK

    job = Job(Call(Operation(lambda _: ran.append("whole"), writes=True, fast_path=fall_back)))
    storage._executor._writer.submit(job)
    task = asyncio.create_task(job.wait_shielded())
    await asyncio.to_thread(runs_fast.wait, PATIENCE_S)
    task.cancel()
    await asyncio.sleep(0)
    cancelled.set()
    ended, _ = await asyncio.wait([task], timeout=PATIENCE_S)
    job.settle(Outcome(job))  # so that a test that fails ends too
    assert ended
    assert task.cancelled()
    await storage.create_session(a_session("next"))
    assert ran == []


@pytest.mark.parametrize("error", [None, NotFoundError("session", "s")])
async def test_a_task_cancelled_just_after_its_outcome_came_does_not_wait_again(error: Exception | None):
    job = Job(Call(Operation(lambda _: None, writes=True)))
    task = asyncio.create_task(job.wait_shielded())
    await asyncio.sleep(0)
    assert job.claim()
    job.settle(Outcome(job, error=error))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE_S)


async def test_closing_finishes_accepted_operations(
    storage: StorageAdapter, path: Path, hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(*(storage.create_session(a_session(f"s{number}")) for number in range(20)))
        (closing,) = await start_all(storage.close())
    await asyncio.gather(*tasks, closing)
    with pytest.raises(AdapterClosedError):
        await storage.get_session("s0")
    async with create_adapter("sqlite", str(path)) as again:
        assert await again.count_sessions() == 20


async def test_closing_refuses_a_transaction_that_has_not_begun(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        (waiting,) = await start_all(storage.begin_transaction())
        (closing,) = await start_all(storage.close())
        while not storage._executor._writer._is_stopping:
            await asyncio.sleep(0)
    await closing
    with pytest.raises(AdapterClosedError):
        await waiting


async def test_a_transaction_cancelled_while_it_waits_is_never_begun(
    storage: StorageAdapter, hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        (waiting,) = await start_all(storage.begin_transaction())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(storage.create_session(a_session("s")), PATIENCE_S)


async def test_a_write_waits_for_the_lock_of_another_process(storage: StorageAdapter, raw, start_all: StartAll):
    raw("BEGIN IMMEDIATE")
    (waiting,) = await start_all(storage.create_session(a_session("s")))
    assert await storage.count_sessions() == 0
    raw("COMMIT")
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_lock_held_longer_than_the_busy_timeout_is_reported_as_transient(path: Path, raw):
    async with create_adapter("sqlite", str(path), busy_timeout=0.05) as storage:
        raw("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError, match=r"waited 0\.05 s"):
            await storage.create_session(a_session("s"))
        raw("ROLLBACK")
        await storage.create_session(a_session("s"))


async def test_an_adapter_serves_event_loops_of_several_threads(storage: StorageAdapter):
    await storage.create_budget_pool(BudgetPool(id="pool", total_budget=1000))

    async def consume() -> None:
        for _ in range(20):
            await storage.consume_budget("pool", 1)

    threads = [threading.Thread(target=asyncio.run, args=(consume(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert (await storage.get_budget_pool("pool")).used_budget == 80


async def test_an_operation_of_an_ended_event_loop_is_done_and_later_ones_work(
    storage: StorageAdapter, hold_writer: HoldWriter
):
    def leave() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(storage.create_session(a_session("left behind")))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        task.get_coro().close()
        task._log_destroy_pending = False

    async with hold_writer(storage):
        thread = threading.Thread(target=leave)
        thread.start()
        await asyncio.to_thread(thread.join)
    await storage.create_session(a_session("after"))
    assert {session.id for session in await storage.list_sessions()} == {"left behind", "after"}


async def test_no_thread_outlives_its_adapter(path: Path):
    before = threading.active_count()
    async with create_adapter("sqlite", str(path), reader_threads=3):
        assert threading.active_count() >= before + 4
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if str(path) in name]


async def test_a_transaction_delays_other_writers_but_not_readers(storage: StorageAdapter, start_all: StartAll):
    await storage.create_session(a_session("s"))
    async with storage.transaction() as tx:
        changed = await tx.update_session("s", status="paused")
        (writing,) = await start_all(storage.create_session(a_session("other")))
        reading = asyncio.create_task(storage.get_session("s"), context=Context())
        assert (await asyncio.wait_for(reading, PATIENCE_S)).status == "running"
        assert not writing.done()
    await asyncio.wait_for(writing, PATIENCE_S)
    assert attrs.evolve(await storage.get_session("s"), updated_at=changed.updated_at) == changed
