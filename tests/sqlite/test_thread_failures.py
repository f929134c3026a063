"""If a thread of a store ends unexpectedly, waiting and later operations are refused, with the cause."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import BudgetPool, StorageAdapter, StoredWorkflow, TransactionOutcome, create_adapter
from aaow_storage.errors import StorageError, StorageUnavailableError, TransactionError
from aaow_storage_sql import SQLConnection
from aaow_storage_sql._threads import interactive_transaction
from aaow_storage_sqlite import _checkpointer, _commit_pipeline, _readers, _writer
from aaow_storage_sqlite._connections import open_checkpointer
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._tuning import Tuning

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0
EARLY = Tuning(checkpoint_bytes=2**17, restart_bytes=2**19, initial_checkpoint_changes=4)
"""The log is copied often."""


class UnexpectedError(Exception):
    """An error that no code is prepared for."""


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


def raising_once(original: Callable[..., Any], error: BaseException | None = None) -> Callable[..., Any]:
    """Return the function, made to raise the first time that it is called."""
    errors = [error or UnexpectedError("a fault")]

    def called(*args: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return original(*args, **options)

    return called


async def answers(*calls: Any) -> list[Any]:
    """Return the results or errors of the calls, each of which has to be answered in time."""
    return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE_S)


async def in_a_transaction(storage: StorageAdapter, id: str) -> None:
    async with storage.transaction() as tx:
        await tx.save_workflow(a_workflow(id))
        async with tx.savepoint():
            await tx.save_workflow(a_workflow(f"{id} again"))


async def writes(storage: StorageAdapter, round: str) -> list[Any]:
    """Return the results of writes of each kind, alone and together."""
    alone = await answers(storage.save_workflow(a_workflow(f"{round} alone")))
    pool = await answers(storage.create_budget_pool(BudgetPool(id=f"{round} pool", total_budget=1)))
    transaction = await answers(in_a_transaction(storage, f"{round} transaction"))
    together = await answers(*(storage.save_workflow(a_workflow(f"{round} {number}")) for number in range(20)))
    beside = await answers(
        *(storage.save_workflow(a_workflow(f"{round} beside {number}")) for number in range(3)),
        in_a_transaction(storage, f"{round} one"),
        in_a_transaction(storage, f"{round} two"),
    )
    return [*alone, *pool, *transaction, *together, *beside]


WRITER = (
    *("_next_requests", "_process", "_next_batch_size", "_blocking", "_acknowledge", "_checkpoint"),
    *("_autocommit", "_commit_batch", "_commit_group", "_run_and_commit", "_verify"),
    *("_run_interactive", "_serve", "_begin", "_commit"),
)
QUEUE = ("get", "get_nowait")
MODULE = ("run_in_savepoint", "roll_back", "_batches")
PIPELINE = ("next_batch_size", "record_commit")
ACKS = ("hold", "flush")


def writer_collaborators(storage: StorageAdapter) -> dict[str, tuple[Any, str]]:
    writer = storage._executor._writer
    return {
        **{f"writer.{name}": (writer, name) for name in WRITER},
        **{f"queue.{name}": (writer._queue, name) for name in QUEUE},
        **{f"module.{name}": (_writer, name) for name in MODULE},
        **{f"pipeline.{name}": (writer._pipeline, name) for name in PIPELINE},
        **{f"acks.{name}": (writer._acks, name) for name in ACKS},
        "acks.deliver": (_commit_pipeline, "deliver"),
        "files.check": (writer._files, "check"),
        "files.check_if_due": (writer._files, "check_if_due"),
        "connection.command": (writer._connection, "command"),
        "checkpointer.next_step": (writer._checkpointer, "next_step"),
    }


PLACES = (
    *(f"writer.{name}" for name in WRITER),
    *(f"queue.{name}" for name in QUEUE),
    *(f"module.{name}" for name in MODULE),
    *(f"pipeline.{name}" for name in PIPELINE),
    *(f"acks.{name}" for name in ACKS),
    *("acks.deliver", "files.check", "files.check_if_due", "connection.command", "checkpointer.next_step"),
)


FAULTS = [
    *((place, UnexpectedError("a fault")) for place in PLACES),
    ("writer._commit_batch", MemoryError()),
    ("acks.deliver", MemoryError()),
    ("queue.get", SystemExit(1)),
]


@pytest.mark.parametrize(("place", "fault"), FAULTS, ids=lambda each: each if isinstance(each, str) else repr(each))
async def test_no_caller_waits_for_ever_whatever_fails_in_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fault: BaseException
):
    storage = create_adapter("sqlite", str(path))
    await storage.initialize()
    collaborator, name = writer_collaborators(storage)[place]
    with monkeypatch.context() as patched:
        patched.setattr(collaborator, name, raising_once(getattr(collaborator, name), fault))
        results = await writes(storage, "first")
        later = await writes(storage, "second")  # the thread may get on until it takes the first of these
    last = await writes(storage, "last")
    has_ended = [result for result in [*results, *later] if isinstance(result, StorageError)]
    others = [result for result in results if result is not None and result not in has_ended]
    assert others in ([], [fault])  # a fault of one operation is that operation's
    if others == []:
        assert has_ended
        assert all(isinstance(result, StorageError) for result in last)
        assert any("has ended" in str(error) and error.__cause__ is fault for error in has_ended)
    await asyncio.wait_for(storage.close(), PATIENCE_S)
    assert not [thread for thread in threading.enumerate() if str(path) in thread.name]
    await asyncio.wait_for(storage.initialize(), PATIENCE_S)
    assert await writes(storage, "third") == [None] * 28
    await storage.close()


IN_A_TRANSACTION = {
    "run": (interactive_transaction.InteractiveTransaction, "_run"),
    "carry out": (interactive_transaction.InteractiveTransaction, "_carry_out"),
    "undone alone": (interactive_transaction, "run_in_savepoint"),
    "keep": (SQLConnection, "keep_operation"),
    "deliver": (interactive_transaction, "deliver"),
}


@pytest.mark.parametrize("place", IN_A_TRANSACTION)
async def test_a_caller_gets_the_error_of_whatever_fails_in_a_transaction(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    storage = create_adapter("sqlite", str(path))
    await storage.initialize()
    tx = await storage.begin_transaction()
    collaborator, name = IN_A_TRANSACTION[place]
    with monkeypatch.context() as patched:
        patched.setattr(collaborator, name, raising_once(getattr(collaborator, name)))
        results = await answers(tx.save_workflow(a_workflow("one")), tx.save_workflow(a_workflow("two")))
        (entered,) = await answers(tx.savepoint().__aenter__())
        (committed,) = await answers(tx.commit())
    errors = [error for error in [*results, entered, committed] if error is not None]
    assert errors
    assert all(isinstance(error, TransactionError) for error in errors)
    assert any(isinstance(error.__cause__, UnexpectedError) for error in errors)
    assert tx.outcome is TransactionOutcome.ABORTED
    (refused,) = await answers(storage.save_workflow(a_workflow("three")))
    assert isinstance(refused, StorageError)
    assert isinstance(refused.__cause__, UnexpectedError)
    await asyncio.wait_for(storage.close(), PATIENCE_S)
    async with storage:
        assert await storage.list_workflows() == []


async def test_a_transaction_that_closing_cannot_roll_back_has_ended_nevertheless(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = create_adapter("sqlite", str(path))
    await storage.initialize()
    tx = await storage.begin_transaction()
    monkeypatch.setattr(
        interactive_transaction,
        "roll_back",
        raising_once(interactive_transaction.roll_back, StorageError("the disk has failed")),
    )
    await asyncio.wait_for(storage.close(), PATIENCE_S)
    (refused,) = await answers(tx.save_workflow(a_workflow("late")))
    assert isinstance(refused, TransactionError)


READER = {
    "get": lambda readers: (readers._other_reads, "get"),
    "answer": lambda readers: (readers, "_answer"),
    "read on one snapshot": lambda _: (_readers, "read_on_one_snapshot"),
    "deliver": lambda _: (_readers, "deliver"),
}


@pytest.mark.parametrize("place", READER)
@pytest.mark.parametrize("threads", [1, 3])
async def test_no_caller_waits_for_ever_whatever_fails_in_a_reader(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str, threads: int
):
    storage = create_adapter("sqlite", str(path), reader_threads=threads, inline_reads=False)
    await storage.initialize()
    collaborator, name = READER[place](storage._executor._readers)
    with monkeypatch.context() as patched:
        patched.setattr(collaborator, name, raising_once(getattr(collaborator, name)))
        errors: list[Any] = []
        while len(errors) < 2:
            results = await answers(*(storage.list_workflows() for _ in range(10)))
            errors += [result for result in results if result != []]
    assert all("a thread that reads has ended" in str(error) for error in errors)
    assert all(isinstance(error.__cause__, UnexpectedError) for error in errors)
    assert len(set(map(id, errors))) == len(errors)  # each is raised in another task
    await storage.save_workflow(a_workflow("w"))
    await asyncio.wait_for(storage.close(), PATIENCE_S)
    async with storage:
        assert await storage.count_workflows() == 1


class NoThreads:
    """Allows so many threads of a name to be started, and then refuses, as the system does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, allowed: int, named: str) -> None:
        self._start = threading.Thread.start
        self._allowed = allowed
        self._named = named
        self.refused: list[str] = []
        monkeypatch.setattr(threading.Thread, "start", lambda thread: self._start_some(thread))  # noqa: PLW0108 - it has to become a method

    def _start_some(self, thread: threading.Thread) -> None:
        if thread.name.startswith(self._named):
            if not self._allowed:
                self.refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            self._allowed -= 1
        self._start(thread)


@pytest.mark.parametrize(("named", "allowed"), [("aaow-reader", 0), ("aaow-reader", 1), ("aaow-writer", 0)])
async def test_a_store_whose_threads_cannot_be_started_is_not_opened_and_leaves_nothing_open(
    path: Path,
    descriptors_on: Callable[[Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    named: str,
    allowed: int,
):
    storage = create_adapter("sqlite", str(path))
    with monkeypatch.context() as patched:
        NoThreads(patched, allowed, named)
        with pytest.raises(StorageUnavailableError, match="cannot be started"):
            await storage.initialize()
    assert descriptors_on(path) == []
    assert not [thread for thread in threading.enumerate() if str(path) in thread.name]
    async with storage:
        await storage.save_workflow(a_workflow("w"))


async def save_much(storage: StorageAdapter) -> None:
    for number in range(100):
        definition = {"text": f"{number} " + "x" * 2**17}
        await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition=definition))


async def test_writes_go_on_if_the_checkpoint_thread_cannot_be_started(
    path: Path, create_tuned: Callable[..., StorageAdapter], monkeypatch: pytest.MonkeyPatch
):
    log = path.with_name(f"{path.name}-wal")
    async with create_tuned(path, EARLY) as storage:
        with monkeypatch.context() as patched:
            refusing = NoThreads(patched, 0, "aaow-checkpointer")
            await save_much(storage)
        assert len(refusing.refused) > 1
        assert log.stat().st_size < 2**22
        await save_much(storage)
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("aaow-checkpointer")]


@pytest.mark.parametrize("name", ["open_checkpointer", "_copy_pages"])
@pytest.mark.parametrize("fault", [UnexpectedError, SystemExit])
async def test_writes_go_on_if_the_checkpoint_thread_fails(
    path: Path,
    create_tuned: Callable[..., StorageAdapter],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: type[BaseException],
):
    monkeypatch.setattr(_checkpointer, name, raising_once(getattr(_checkpointer, name), fault("a fault")))
    async with create_tuned(path, EARLY) as storage:
        await save_much(storage)
        await save_much(storage)
        assert path.with_name(f"{path.name}-wal").stat().st_size < 2**24


async def test_the_log_is_copied_again_if_the_checkpoint_thread_fails_when_it_is_already_wanted_again(
    path: Path, create_tuned: Callable[..., StorageAdapter], monkeypatch: pytest.MonkeyPatch
):
    is_wanted_again, calls = threading.Event(), []

    def fail_late(settings: Settings) -> SQLConnection:
        calls.append(settings)
        if len(calls) == 1:
            assert is_wanted_again.wait(PATIENCE_S)
            raise SystemExit("a fault")
        return open_checkpointer(settings)

    monkeypatch.setattr(_checkpointer, "open_checkpointer", fail_late)
    log = path.with_name(f"{path.name}-wal")
    async with create_tuned(path, EARLY) as storage:
        await save_much(storage)
        uncopied = log.stat().st_size
        is_wanted_again.set()
        for _ in range(3):
            await save_much(storage)
        assert log.stat().st_size < 3 * uncopied
    assert len(calls) == 2
