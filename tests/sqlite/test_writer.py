"""The writing thread: what waits together is committed together, and each operation still stands or falls alone."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
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
from aaow_storage_sql import Call, Job, Operation, Outcome, deliver
from aaow_storage_sqlite import _writer
from aaow_storage_sqlite._connections import open_writer

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0


def a_session(id: str, **changes) -> Session:
    return Session(id=id, **{"workflow_id": None, "workflow_snapshot": {"nodes": []}, **changes})


@asynccontextmanager
async def held_writer(storage: StorageAdapter) -> AsyncIterator[None]:
    """Keep the writing thread busy, so that what is asked for meanwhile waits together."""
    arrived, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(connection) -> None:
        loop.call_soon_threadsafe(arrived.set)
        assert release.wait(PATIENCE_S)

    holding = asyncio.create_task(storage._executor.submit(Call(Operation(hold, writes=True))))
    await arrived.wait()
    try:
        yield
    finally:
        release.set()
        await asyncio.wait_for(holding, PATIENCE_S)


async def start_all(*coroutines) -> list[asyncio.Task]:
    """Start the operations, and go on when each has handed its work over."""
    tasks = [asyncio.create_task(coroutine, context=Context()) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


class AlwaysHalf:
    """Tells the writer to commit in halves, whatever it measures."""

    is_half = True
    has_met_another = False

    def share_of(self, count: int) -> int:
        return (count + 1) // 2

    def note(self, *_: object) -> None:
        pass

    def note_other_process(self) -> None:
        self.has_met_another = True


@pytest.fixture
def steps(storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commit in halves; return what the writer does from then on: its statements' first words, and who is told."""
    steps: list[str] = []
    writer = storage._executor._writer
    writer._halves = AlwaysHalf()
    writer._connection.driver_connection.set_trace_callback(lambda sql: steps.append(sql.split()[0]))

    def told(outcomes) -> None:
        steps.append(f"{len(outcomes)} told")
        deliver(outcomes)

    monkeypatch.setattr(_writer, "deliver", told)
    monkeypatch.setattr(_writer, "LONGEST_HELD_S", PATIENCE_S)
    return steps


def pools(storage: StorageAdapter, count: int) -> list[Coroutine[Any, Any, None]]:
    """Return operations of one statement each."""
    return [storage.create_budget_pool(BudgetPool(id=f"p{number}", total_budget=1)) for number in range(count)]


async def test_what_came_of_one_half_is_told_as_the_commit_of_the_other_begins(
    storage: StorageAdapter, steps: list[str]
):
    async with held_writer(storage):
        tasks = await start_all(*pools(storage, 5))
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps == [
        "COMMIT",  # of the job that held the writer
        *("BEGIN", "INSERT", "INSERT", "INSERT", "1 told", "COMMIT"),
        *("BEGIN", "INSERT", "INSERT", "3 told", "COMMIT"),
        "2 told",
    ]


async def test_one_half_is_told_even_where_the_other_is_cancelled_meanwhile(storage: StorageAdapter, steps: list[str]):
    writer, loop, are_gone = storage._executor._writer, asyncio.get_running_loop(), threading.Event()
    begin = writer._begin

    def cancel() -> None:
        for task in tasks:
            task.cancel()
        asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: are_gone.set())

    def begin_late() -> None:
        loop.call_soon_threadsafe(cancel)
        assert are_gone.wait(PATIENCE_S)
        begin()

    async with held_writer(storage):
        tasks = await start_all(*pools(storage, 3))
        writer._begin = begin_late
        steps.clear()
    assert steps == ["COMMIT", "BEGIN", "ROLLBACK", "1 told"]


async def test_nobody_is_kept_waiting_for_an_operation_that_may_take_long(storage: StorageAdapter, steps: list[str]):
    async with held_writer(storage):
        tasks = await start_all(*pools(storage, 1), storage.delete_session("none"), *pools(storage, 1))
        steps.clear()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert steps[:4] == ["COMMIT", "BEGIN", "INSERT", "1 told"]
    assert steps[4] == "SAVEPOINT"


async def test_nobody_is_kept_waiting_for_many_operations(
    storage: StorageAdapter, steps: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_writer, "LONGEST_HELD_S", 0.0)
    async with held_writer(storage):
        tasks = await start_all(*pools(storage, 3))
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps[:4] == ["COMMIT", "BEGIN", "1 told", "INSERT"]


async def test_nobody_is_kept_waiting_for_a_transaction(storage: StorageAdapter, steps: list[str]):
    async with held_writer(storage):
        tasks = await start_all(storage.begin_transaction())
        steps.clear()
    await (await tasks[0]).rollback()
    assert steps[:3] == ["COMMIT", "1 told", "BEGIN"]


async def test_nobody_is_kept_waiting_for_a_lock_of_another_process(storage: StorageAdapter, steps: list[str]):
    writer = storage._executor._writer
    is_taken = threading.Event()

    def take_the_lock(_: object) -> None:
        if not is_taken.is_set():
            is_taken.set()
            other.command("BEGIN IMMEDIATE")

    other = open_writer(writer._settings)
    writer._checkpointer.after_commit = take_the_lock
    async with held_writer(storage):
        waiting = await start_all(*pools(storage, 2))
    assert not any(task.done() for task in waiting)  # the job that held the writer has ended nevertheless
    assert writer._halves.has_met_another
    other.command("COMMIT")
    other.driver_connection.close()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)


async def test_nobody_is_kept_waiting_for_the_log_to_be_copied(storage: StorageAdapter, steps: list[str]):
    checkpointer = storage._executor._writer._checkpointer
    checkpointer._is_almost_copied = True
    async with held_writer(storage):
        tasks = await start_all(*pools(storage, 2))
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps[:3] == ["COMMIT", "1 told", "PRAGMA"]


async def test_operations_that_wait_together_share_one_commit(storage: StorageAdapter):
    commits = []
    connection = storage._executor._writer._connection.driver_connection
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    async with held_writer(storage):
        tasks = await start_all(*(storage.create_session(a_session(f"s{number}")) for number in range(50)))
    await asyncio.gather(*tasks)
    assert await storage.count_sessions() == 50
    assert len(commits) == 2  # one for the job that held the writer


async def test_an_operation_that_fails_in_a_batch_undoes_itself_alone(storage: StorageAdapter):
    await storage.create_session(a_session("taken"))
    async with held_writer(storage):
        tasks = await start_all(
            storage.create_session(a_session("before")),
            storage.create_session(a_session("taken")),
            storage.create_session(a_session("orphan", workflow_id="nowhere")),
            storage.create_session(a_session("after")),
        )
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), AlreadyExistsError, NotFoundError, type(None)]
    assert {session.id for session in await storage.list_sessions()} == {"taken", "before", "after"}


async def test_an_operation_that_breaks_halfway_leaves_nothing_in_the_batch(storage: StorageAdapter):
    def half(connection) -> None:
        connection.driver_connection.execute("INSERT INTO documents (digest, body) VALUES (x'01', 'half')")
        raise ZeroDivisionError

    async with held_writer(storage):
        tasks = await start_all(
            storage._executor.submit(Call(Operation(half, writes=True))), storage.create_session(a_session("whole"))
        )
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    counting = Operation(lambda connection: connection.command("SELECT count(*) FROM documents"), writes=False)
    assert await storage._executor.submit(Call(counting)) == (1,)


async def test_where_sqlite_rolls_back_a_whole_batch_the_others_are_committed_one_by_one(
    storage: StorageAdapter, path: Path
):
    connection = storage._executor._writer._connection
    pages = connection.command("PRAGMA page_count")[0]
    connection.command(f"PRAGMA max_page_count = {pages + 20}")
    huge = StoredWorkflow(id="huge", name="n", version="1", definition={"text": "x" * 1_000_000})
    async with held_writer(storage):
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


async def test_an_operation_cancelled_while_it_waits_is_not_run(storage: StorageAdapter):
    async with held_writer(storage):
        (task,) = await start_all(storage.create_session(a_session("s")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await storage.get_session("s") is None


async def test_an_operation_cancelled_while_it_runs_has_ended_when_its_task_has(storage: StorageAdapter):
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


@pytest.mark.parametrize("error", [None, NotFoundError("session", "s")])
async def test_an_outcome_that_came_just_before_the_cancellation_is_not_waited_for_again(error: Exception | None):
    job = Job(Call(Operation(lambda _: None, writes=True)))
    task = asyncio.create_task(job.wait_shielded())
    await asyncio.sleep(0)
    assert job.claim()
    job.settle(Outcome(job, error=error))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE_S)


async def test_closing_finishes_what_was_accepted(storage: StorageAdapter, path: Path):
    async with held_writer(storage):
        tasks = await start_all(*(storage.create_session(a_session(f"s{number}")) for number in range(20)))
        (closing,) = await start_all(storage.close())
    await asyncio.gather(*tasks, closing)
    with pytest.raises(AdapterClosedError):
        await storage.get_session("s0")
    async with create_adapter("sqlite", str(path)) as again:
        assert await again.count_sessions() == 20


async def test_closing_refuses_a_transaction_that_waits(storage: StorageAdapter):
    async with held_writer(storage):
        (waiting,) = await start_all(storage.begin_transaction())
        (closing,) = await start_all(storage.close())
        while not storage._executor._writer._is_stopping:
            await asyncio.sleep(0)
    await closing
    with pytest.raises(AdapterClosedError):
        await waiting


async def test_a_transaction_cancelled_while_it_waits_is_never_begun(storage: StorageAdapter):
    async with held_writer(storage):
        (waiting,) = await start_all(storage.begin_transaction())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(storage.create_session(a_session("s")), PATIENCE_S)


async def test_a_lock_of_another_process_is_waited_for(storage: StorageAdapter, raw):
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


async def test_an_adapter_serves_the_loops_of_several_threads(storage: StorageAdapter):
    await storage.create_budget_pool(BudgetPool(id="pool", total_budget=1000))

    async def consume() -> None:
        for _ in range(20):
            await storage.consume_budget("pool", 1)

    threads = [threading.Thread(target=asyncio.run, args=(consume(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert (await storage.get_budget_pool("pool")).used_budget == 80


async def test_work_for_a_loop_that_has_ended_is_done_and_harms_nobody(storage: StorageAdapter):
    def leave() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(storage.create_session(a_session("left behind")))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        task.get_coro().close()
        task._log_destroy_pending = False

    async with held_writer(storage):
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


async def test_a_transaction_holds_up_other_writers_only(storage: StorageAdapter):
    await storage.create_session(a_session("s"))
    async with storage.transaction() as tx:
        changed = await tx.update_session("s", status="paused")
        (writing,) = await start_all(storage.create_session(a_session("other")))
        reading = asyncio.create_task(storage.get_session("s"), context=Context())
        assert (await asyncio.wait_for(reading, PATIENCE_S)).status == "running"
        assert not writing.done()
    await asyncio.wait_for(writing, PATIENCE_S)
    assert attrs.evolve(await storage.get_session("s"), updated_at=changed.updated_at) == changed
