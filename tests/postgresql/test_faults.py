"""Fault injection: if any function below a request raises, every request is answered, and later ones work."""

import asyncio
import threading
from typing import Any

import pytest

from aaow_storage import BudgetPool, StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage.errors import StorageError, StorageUnavailableError, TransactionError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._server import PostgreSQLServer
from aaow_storage_sql import InteractiveTransaction, Job, Watchdog, WorkQueue
from aaow_storage_sql._servers import worker, worker_pool
from aaow_storage_sql._servers.deadlines import Deadline
from aaow_storage_sql._servers.interrupter import Interrupter

pytestmark = pytest.mark.asyncio

ANSWERED_WITHIN_S = 20.0


class Fault(BaseException):
    """An exception that no code expects."""


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException) -> list[None]:
    """Make the next call of a function raise. The returned list has an item once that has happened.

    A connection is closed before `close` raises: an open one would be left to the garbage collector, and so its socket
    and the thread that watches it, until some later test.
    """
    failed: list[None] = []
    original = getattr(owner, name)

    def failing(*args: Any, **named: Any) -> Any:
        if not failed:
            failed.append(None)
            if name == "close":
                original(*args, **named)
            raise error
        return original(*args, **named)

    monkeypatch.setattr(owner, name, failing)
    return failed


COLLABORATORS: dict[str, tuple[Any, str]] = {
    "getting from the queue": (WorkQueue, "get"),
    "connecting": (PostgreSQLServer, "connect"),
    "reading in a pipeline": (PostgreSQLServer, "read_together"),
    "beginning": (PostgreSQLConnection, "begin_writing"),
    "running a statement": (PostgreSQLConnection, "_execute"),
    "running commands": (PostgreSQLConnection, "_run_commands"),
    "committing": (PostgreSQLConnection, "commit"),
    "starting a deadline": (Deadline, "begin"),
    "watching a connection": (Watchdog, "watch"),
    "being interruptible": (Interrupter, "interruptible_by"),
    "stopping to cancel": (Interrupter, "stop_cancelling"),
    "rolling back": (worker, "roll_back"),
    "claiming a job": (Job, "claim"),
    "running a job": (Job, "run"),
    "delivering": (worker, "deliver"),
    "serving a transaction": (InteractiveTransaction, "serve"),
    "registering a transaction": (worker_pool.WorkerPool, "register"),
    "unregistering a transaction": (worker_pool.WorkerPool, "unregister"),
    "answering": (worker.Worker, "answer"),
    "closing a connection": (PostgreSQLConnection, "close"),
}
AT_THE_START_OR_END = ("connecting", "watching a connection", "closing a connection")
ERRORS = [RuntimeError("broken"), MemoryError(), OSError(24, "Too many open files"), Fault(), SystemExit(1)]


async def calls(storage: StorageAdapter) -> list[object]:
    """Make calls of each kind concurrently; return their results and errors."""

    async def transact() -> None:
        async with storage.transaction() as transaction:
            await transaction.consume_budget("p", 1)
            async with transaction.savepoint():
                await transaction.get_workflow("w")

    workflow = StoredWorkflow(id="w", name="w", version="1", definition={})
    works = [storage.get_workflow("w") for _ in range(4)]
    works += [storage.list_workflows(), storage.save_workflow(workflow), storage.consume_budget("p", 1), transact()]
    works += [storage.delete_workflow("nowhere"), transact()]
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        return await asyncio.gather(*works, return_exceptions=True)


@pytest.mark.parametrize("collaborator", [name for name in COLLABORATORS if name not in AT_THE_START_OR_END])
async def test_a_collaborator_that_fails_once_leaves_no_call_without_an_answer(
    url: str, monkeypatch: pytest.MonkeyPatch, collaborator: str
):
    async with create_adapter("postgresql", url) as storage:
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=1_000))
        await calls(storage)
        for error in ERRORS:
            with monkeypatch.context() as patched:
                failed = fail_once(patched, *COLLABORATORS[collaborator], error)
                for outcome in [*await calls(storage), *await calls(storage)]:
                    if isinstance(outcome, BaseException):
                        assert isinstance(outcome, StorageError) or outcome is error, repr(outcome)
            assert failed
            assert [each for each in await calls(storage) if isinstance(each, BaseException)][1:] == []
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while any(pool._load for pool in pools(storage)):
                await asyncio.sleep(0.01)
            await storage.close()


@pytest.mark.parametrize("collaborator", AT_THE_START_OR_END)
async def test_a_collaborator_that_fails_at_the_start_of_a_thread_leaves_no_call_without_an_answer(
    url: str, monkeypatch: pytest.MonkeyPatch, collaborator: str
):
    for error in ERRORS:
        async with create_adapter("postgresql", url) as storage:
            with monkeypatch.context() as patched:
                failed = fail_once(patched, *COLLABORATORS[collaborator], error)
                for outcome in [*await calls(storage), *await calls(storage)]:
                    if isinstance(outcome, BaseException):
                        assert isinstance(outcome, StorageError) or outcome is error, repr(outcome)
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    await storage.close()
            assert failed


def pools(storage: StorageAdapter) -> list[worker_pool.WorkerPool]:
    store = storage._executor._store
    return [store.point_readers, store.readers, store.writers]


async def test_if_no_thread_runs_and_none_can_be_started_the_error_is_typed(url: str, monkeypatch: pytest.MonkeyPatch):
    async with create_adapter("postgresql", url) as storage:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse_to_start)
            for call in (storage.get_workflow("w"), storage.list_workflows(), storage.expire_approvals()):
                with pytest.raises(StorageUnavailableError, match="can't start new thread") as caught:
                    await call
                assert isinstance(caught.value.__cause__, RuntimeError)
            with pytest.raises(StorageUnavailableError, match="can't start new thread"):
                await storage.begin_transaction()
        assert await storage.list_workflows() == []
        assert await storage.expire_approvals() == []


async def test_if_no_more_threads_can_be_started_the_running_ones_take_the_work(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    async with create_adapter("postgresql", url) as storage:
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=100))
        await asyncio.gather(storage.get_budget_pool("p"), storage.list_budget_pools())
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse_to_start)
            await asyncio.gather(*(storage.consume_budget("p", 1) for _ in range(20)))
            assert len(storage._executor._store.writers._workers) == 1
        await asyncio.gather(*(storage.consume_budget("p", 1) for _ in range(20)))
        assert (await storage.get_budget_pool("p")).used_budget == 40
        assert len(storage._executor._store.writers._workers) > 1


async def test_the_error_of_a_call_names_what_ended_its_thread(url: str, monkeypatch: pytest.MonkeyPatch):
    async with create_adapter("postgresql", url) as storage:
        fault = Fault("odd")
        fail_once(monkeypatch, PostgreSQLConnection, "begin_writing", fault)
        with pytest.raises(StorageError, match="Fault ended the operation: odd") as caught:
            await storage.expire_approvals()
        assert caught.value.__cause__ is fault


async def test_a_transaction_whose_thread_fails_is_over(url: str, monkeypatch: pytest.MonkeyPatch):
    async with create_adapter("postgresql", url) as storage:
        transaction = await storage.begin_transaction()
        await transaction.create_budget_pool(BudgetPool(id="p", total_budget=1))
        fail_once(monkeypatch, InteractiveTransaction, "_run", Fault("odd"))
        with pytest.raises(StorageError):
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await transaction.list_budget_pools()
        with pytest.raises(TransactionError):
            await transaction.commit()
        assert await storage.list_budget_pools() == []


def refuse_to_start(thread: threading.Thread) -> None:
    """Fail as `Thread.start` does if the system has no more threads."""
    raise RuntimeError("can't start new thread")
