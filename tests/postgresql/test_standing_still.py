"""A stopped server, or a network that loses packets: no call waits for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import Context

import pytest

from aaow_storage import (
    BudgetPool,
    Session,
    StorageAdapter,
    StoredWorkflow,
    Transaction,
    TransactionOutcome,
    create_adapter,
)
from aaow_storage.errors import StorageError, StorageUnavailableError, TransactionError
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._tuning import Tuning
from aaow_storage_postgresql.plugin import adapter_of
from aaow_storage_postgresql.testing import Server, private_server, proxy_of, skipped_where_missing

STATEMENT_S, CONNECT_S, ACQUIRE_S = 1.0, 2.0, 3.0
LATE_S = 6.0
"""Tolerance for a busy machine."""
ANSWERED_WITHIN_S = STATEMENT_S + Tuning().answer_margin_s + ACQUIRE_S + CONNECT_S + LATE_S
OPTIONS = {"statement_timeout": STATEMENT_S, "connect_timeout": CONNECT_S, "acquire_timeout": ACQUIRE_S}

StandStill = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """A server for all tests of this module; each resumes it."""
    with skipped_where_missing(), private_server() as started:
        yield started


@pytest.fixture(params=["server", "network"])
def still(request: pytest.FixtureRequest, shared: Server) -> Iterator[tuple[str, StandStill]]:
    """The URL of an empty database, and a context manager that stops its server or its network."""
    name = f"still_{time.monotonic_ns()}"
    shared.create_database(name)
    if request.param == "server":
        yield shared.url(name), shared.standing_still
    else:
        with proxy_of(shared.url(name)) as proxy:
            yield proxy.url, proxy.holding_back
    shared.drop_database(name)


async def fill(storage: StorageAdapter) -> None:
    """Store the records that the operations use, and open each kind of connection."""
    await storage.create_budget_pool(BudgetPool(id="p", total_budget=10))
    await storage.save_workflow(StoredWorkflow(id="w", name="w", version="1", definition={}))
    await asyncio.gather(storage.get_workflow("w"), storage.list_workflows())


OPERATIONS: dict[str, Callable[[StorageAdapter], Awaitable[object]]] = {
    "get": lambda storage: storage.get_workflow("w"),
    "list": lambda storage: storage.list_workflows(),
    "count": lambda storage: storage.count_workflows(),
    "save": lambda storage: storage.save_workflow(StoredWorkflow(id="v", name="v", version="1", definition={"v": 1})),
    "update": lambda storage: storage.update_workflow("w", name="new"),
    "delete": lambda storage: storage.delete_workflow("w"),
    "begin": lambda storage: storage.begin_transaction(),
    "consume_budget": lambda storage: storage.consume_budget("p", 1),
    "expire_approvals": lambda storage: storage.expire_approvals(),
}


async def in_savepoint(transaction: Transaction) -> None:
    """Open and close a savepoint."""
    async with transaction.savepoint():
        pass


STEPS: dict[str, Callable[[Transaction], Awaitable[object]]] = {
    "get": lambda transaction: transaction.get_workflow("w"),
    "save": lambda transaction: transaction.consume_budget("p", 1),
    "savepoint": in_savepoint,
    "commit": lambda transaction: transaction.commit(),
    "rollback": lambda transaction: transaction.rollback(),
}


@pytest.mark.asyncio
@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_fails_in_time_if_the_server_does_not_answer(
    still: tuple[str, StandStill], operation: str
):
    url, stand_still = still
    async with create_adapter("postgresql", url, **OPTIONS) as storage:
        await fill(storage)
        with stand_still():
            began = time.monotonic()
            with pytest.raises(StorageUnavailableError):
                await OPERATIONS[operation](storage)
            assert time.monotonic() - began < ANSWERED_WITHIN_S
        assert [workflow.id for workflow in await storage.list_workflows()] == ["w"]
        assert (await storage.get_budget_pool("p")).used_budget == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_cancelled_operation_ends_soon_and_stores_nothing(still: tuple[str, StandStill], operation: str):
    url, stand_still = still
    async with create_adapter("postgresql", url) as storage:
        await fill(storage)
        with stand_still():
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await OPERATIONS[operation](storage)
            assert time.monotonic() - began < 0.5 + Tuning().cancel_timeout_s + LATE_S
        assert [workflow.name for workflow in await storage.list_workflows()] == ["w"]
        assert (await storage.get_budget_pool("p")).used_budget == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_a_cancelled_step_of_a_transaction_ends_soon_and_holds_no_lock(still: tuple[str, StandStill], step: str):
    url, stand_still = still
    async with create_adapter("postgresql", url) as storage:
        await fill(storage)
        transaction = await storage.begin_transaction()
        await transaction.consume_budget("p", 1)
        with stand_still():
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await STEPS[step](transaction)
            assert time.monotonic() - began < 0.5 + Tuning().cancel_timeout_s + LATE_S
            with pytest.raises(TransactionError):
                await transaction.commit()
            assert transaction.outcome is TransactionOutcome.ABORTED
        used = (await storage.get_budget_pool("p")).used_budget
        assert used == 0 or (step == "commit" and used == 1)
        await storage.consume_budget("p", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [OPTIONS, {**OPTIONS, "statement_timeout": None}], ids=["usual", "no limit"])
async def test_close_ends_in_time_with_an_open_transaction_and_running_operations(
    still: tuple[str, StandStill], options: dict[str, object]
):
    url, stand_still = still
    storage = adapter_of(Settings(url, **options, tuning=Tuning(close_timeout_s=STATEMENT_S)))
    await storage.initialize()
    await fill(storage)
    transaction = await storage.begin_transaction()
    await transaction.consume_budget("p", 1)
    with stand_still():
        calls = [asyncio.ensure_future(OPERATIONS[each](storage)) for each in ("get", "list", "save", "update")]
        await asyncio.sleep(0)
        began = time.monotonic()
        await storage.close()
        assert time.monotonic() - began < ANSWERED_WITHIN_S + 5
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, StorageError)
        with pytest.raises(TransactionError):
            await transaction.commit()
    async with create_adapter("postgresql", url) as again:
        assert (await again.get_budget_pool("p")).used_budget == 0


@pytest.mark.asyncio
async def test_closing_an_idle_adapter_is_immediate(still: tuple[str, StandStill]):
    url, stand_still = still
    storage = create_adapter("postgresql", url)
    await storage.initialize()
    await fill(storage)
    with stand_still():
        async with asyncio.timeout(LATE_S):
            await storage.close()


@pytest.mark.asyncio
async def test_a_cancelled_wait_for_a_lock_does_not_take_it_later(shared: Server):
    shared.create_database("locked")
    async with create_adapter("postgresql", shared.url("locked")) as storage, storage.transaction() as holding:
        await holding.create_budget_pool(BudgetPool(id="p", total_budget=10))
        waiting = asyncio.create_task(storage.create_budget_pool(BudgetPool(id="p", total_budget=5)), context=Context())
        await asyncio.sleep(0.2)
        with shared.standing_still():
            waiting.cancel()
            async with asyncio.timeout(Tuning().cancel_timeout_s + LATE_S):
                await asyncio.wait([waiting])
        assert waiting.cancelled()
    async with create_adapter("postgresql", shared.url("locked")) as storage:
        assert [pool.total_budget for pool in await storage.list_budget_pools()] == [10]
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    shared.drop_database("locked")
