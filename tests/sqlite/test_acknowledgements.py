"""Acknowledgements of one batch are held until the other is committed, and sent before anything that may block."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aaow_storage import BudgetPool, StorageAdapter
from aaow_storage_sqlite._commit_pipeline import Acknowledgements
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._tuning import Tuning

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0
CHANGES_AND_COMMIT = ("INSERT", "COMMIT")
"""What ends a transaction: its row in the change feed, and the commit."""
HoldWriter = Callable[[StorageAdapter], AbstractAsyncContextManager[None]]
StartAll = Callable[..., Coroutine[Any, Any, list[asyncio.Task[Any]]]]


@pytest.fixture
def max_ack_hold_s() -> float:
    """By default longer than a test."""
    return PATIENCE_S


@pytest_asyncio.fixture
async def storage(
    path: Path,
    create_tuned: Callable[..., StorageAdapter],
    hold_writer: HoldWriter,
    start_all: StartAll,
    max_ack_hold_s: float,
) -> AsyncIterator[StorageAdapter]:
    """A store whose writer splits every batch, once it has measured a commit."""
    splits = Tuning(
        min_split_operations=1,
        min_split_commit_s=0.0,
        max_split_commit_ratio=math.inf,
        max_ack_hold_s=max_ack_hold_s,
    )
    async with create_tuned(path, splits) as storage:
        async with hold_writer(storage):
            tasks = await start_all(*pools(storage, "measured", 2))
        await asyncio.gather(*tasks)
        yield storage


@pytest.fixture
def steps(storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the writer does from now on: the first words of its statements, and acknowledgements."""
    steps: list[str] = []

    def note(statement: str) -> None:
        if statement != "PRAGMA schema_version":  # which every transaction begins with
            steps.append(statement.split(maxsplit=1)[0])

    storage._executor._writer._connection.driver_connection.set_trace_callback(note)
    flush = Acknowledgements.flush

    def record(acknowledgements: Acknowledgements) -> None:
        if acknowledgements.pending:
            steps.append(f"{len(acknowledgements.pending)} acknowledged")
        flush(acknowledgements)

    monkeypatch.setattr(Acknowledgements, "flush", record)
    return steps


def pools(storage: StorageAdapter, name: str, count: int) -> list[Coroutine[Any, Any, None]]:
    """Return operations of one statement each."""
    return [storage.create_budget_pool(BudgetPool(id=f"{name} {number}", total_budget=1)) for number in range(count)]


async def test_one_half_is_acknowledged_when_the_commit_of_the_other_begins(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(*pools(storage, "p", 5))
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps == [
        "COMMIT",  # of the job that held the writer
        *("BEGIN", "INSERT", "INSERT", "INSERT", "1 acknowledged", *CHANGES_AND_COMMIT),
        *("BEGIN", "INSERT", "INSERT", "3 acknowledged", *CHANGES_AND_COMMIT),
        "2 acknowledged",
    ]


async def test_one_half_is_acknowledged_even_if_the_other_is_cancelled_meanwhile(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
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

    async with hold_writer(storage):
        tasks = await start_all(*pools(storage, "p", 3))
        writer._begin = begin_late
        steps.clear()
    assert steps == ["COMMIT", "BEGIN", "ROLLBACK", "1 acknowledged"]


async def test_acknowledgements_are_sent_before_an_operation_of_several_statements(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(*pools(storage, "p", 1), storage.delete_session("none"), *pools(storage, "q", 1))
        steps.clear()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert steps[:4] == ["COMMIT", "BEGIN", "INSERT", "1 acknowledged"]
    assert steps[4] == "SAVEPOINT"


@pytest.mark.parametrize("max_ack_hold_s", [0.0])
async def test_acknowledgements_are_not_held_longer_than_the_limit(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(*pools(storage, "p", 3))
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps[:4] == ["COMMIT", "BEGIN", "1 acknowledged", "INSERT"]


async def test_acknowledgements_are_sent_before_an_interactive_transaction(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(storage.begin_transaction())
        steps.clear()
    await (await tasks[0]).rollback()
    assert steps[:3] == ["COMMIT", "1 acknowledged", "BEGIN"]


async def test_acknowledgements_are_sent_before_waiting_for_the_lock_of_another_process(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    writer = storage._executor._writer
    is_taken = threading.Event()

    def take_the_lock() -> None:
        if not is_taken.is_set():
            is_taken.set()
            other.command("BEGIN IMMEDIATE")

    other = open_writer(writer._settings)
    async with hold_writer(storage):
        waiting = await start_all(*pools(storage, "p", 2))
        writer._checkpointer.next_step = take_the_lock
    assert not any(task.done() for task in waiting)  # but the job that held the writer was acknowledged
    other.command("COMMIT")
    other.driver_connection.close()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)

    async with hold_writer(storage):
        waiting = await start_all(*pools(storage, "q", 4))
        steps.clear()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
    assert steps.count("COMMIT") == 2  # nothing is split after another process was met


async def test_acknowledgements_are_sent_before_a_checkpoint(
    storage: StorageAdapter, steps: list[str], hold_writer: HoldWriter, start_all: StartAll
):
    async with hold_writer(storage):
        tasks = await start_all(*pools(storage, "p", 2))
        storage._executor._writer._checkpointer._is_almost_copied = True
        steps.clear()
    await asyncio.gather(*tasks)
    assert steps[:3] == ["COMMIT", "1 acknowledged", "PRAGMA"]
