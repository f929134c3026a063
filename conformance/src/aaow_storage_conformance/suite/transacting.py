"""`transact`: it commits what its work did once, and runs the work again if that may help, and never else."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from aaow_storage import (
    AdapterClosedError,
    Capability,
    ConflictError,
    ContentionError,
    NotFoundError,
    OutcomeUnknownError,
    StorageAdapter,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    Transaction,
    TransactionError,
    TransactionOutcome,
    ValidationError,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S

TASKS = 16
PROCESSES = 4
COUNTED = 4
MAX_PAUSES_S = 9.0
"""How long four pauses may take, of a second at most each, on a busy machine."""
MEETING_S = 0.3
"""How long a transaction waits for another one, which may not begin before it has ended."""
OUTAGE_S = 0.3


class Work:
    """Renames a workflow, and raises an error in its first runs."""

    def __init__(self, workflow_id: str, error: Callable[[], BaseException], failures: int) -> None:
        self.workflow_id = workflow_id
        self.error = error
        self.failures = failures
        self.transactions: list[Transaction] = []

    async def __call__(self, transaction: Transaction) -> str:
        """Run the work."""
        self.transactions.append(transaction)
        run = len(self.transactions)
        await samples.stored_pool(transaction, id=f"pool of run {run}")
        await transaction.update_workflow(self.workflow_id, name=f"run {run}")
        if run <= self.failures:
            raise self.error()
        return f"result {run}"


class TransactTests:
    """`StorageAdapter.transact`."""

    @clause("TXN-9")
    async def test_what_the_work_did_is_stored_once_and_its_result_returned(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        work = Work(workflow.id, AssertionError, 0)
        assert await storage.transact(work) == "result 1"
        assert await name_of(storage, workflow.id) == "run 1"
        (transaction,) = work.transactions
        assert transaction.outcome is TransactionOutcome.COMMITTED

    @clause("TXN-9")
    @pytest.mark.parametrize("error", [ContentionError, StoreBusyError], ids=lambda kind: kind.__name__)
    async def test_work_that_met_contention_is_run_again_on_its_own(
        self, storage: StorageAdapter, error: type[StorageError]
    ) -> None:
        workflow = await samples.stored_workflow(storage)
        work = Work(workflow.id, lambda: error("lost"), 4)
        async with asyncio.timeout(MAX_PAUSES_S):
            assert await storage.transact(work) == "result 5"
        assert await name_of(storage, workflow.id) == "run 5"
        assert [pool.id for pool in await storage.list_budget_pools()] == ["pool of run 5"]
        assert len(set(map(id, work.transactions))) == 5
        outcomes = [transaction.outcome for transaction in work.transactions]
        assert outcomes == [*[TransactionOutcome.ROLLED_BACK] * 4, TransactionOutcome.COMMITTED]

    @clause("TXN-9")
    @pytest.mark.parametrize("attempts", [1, 2, 5])
    async def test_the_last_attempt_raises_its_error(self, storage: StorageAdapter, attempts: int) -> None:
        workflow = await samples.stored_workflow(storage)
        work = Work(workflow.id, lambda: ContentionError(f"lost {len(work.transactions)}"), 99)
        with pytest.raises(ContentionError, match=f"lost {attempts}"):
            await storage.transact(work, attempts=attempts)
        assert len(work.transactions) == attempts
        assert await name_of(storage, workflow.id) == workflow.name
        assert await storage.list_budget_pools() == []

    @clause("TXN-9")
    @pytest.mark.parametrize(
        "error",
        [
            lambda: ConflictError("refused"),
            lambda: NotFoundError("session", "x"),
            lambda: ValidationError("Session", "status", "wrong"),
            lambda: OutcomeUnknownError("in doubt"),
            lambda: TransactionError("not over"),
            lambda: StorageError("a bug"),
            lambda: StorageUnavailableError("out of reach, and no outage is allowed"),
            lambda: KeyError("of the work"),
            lambda: ExceptionGroup("several", [ContentionError("lost"), KeyError("of the work")]),
        ],
        ids=lambda make: type(make()).__name__,
    )
    async def test_work_that_another_attempt_would_not_help_is_run_once(
        self, storage: StorageAdapter, error: Callable[[], Exception]
    ) -> None:
        workflow = await samples.stored_workflow(storage)
        raised = error()
        work = Work(workflow.id, lambda: raised, 99)
        with pytest.raises(type(raised)) as caught:
            await storage.transact(work)
        assert caught.value is raised
        assert len(work.transactions) == 1
        assert await name_of(storage, workflow.id) == workflow.name

    @clause("TXN-9")
    async def test_work_whose_tasks_all_met_contention_is_run_again(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        group = ExceptionGroup("lost", [ContentionError("one"), ExceptionGroup("others", [StoreBusyError("two")])])
        work = Work(workflow.id, lambda: group, 1)
        assert await storage.transact(work, attempts=2) == "result 2"
        assert await name_of(storage, workflow.id) == "run 2"

    @clause("TXN-9")
    async def test_an_outage_is_waited_for_as_long_as_it_may_last(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        work = Work(workflow.id, lambda: StorageUnavailableError("out of reach"), 8)
        assert await storage.transact(work, attempts=1, outage=MANY_END_WITHIN_S) == "result 9"
        work = Work(workflow.id, lambda: StorageUnavailableError("out of reach"), 9999)
        began = asyncio.get_running_loop().time()
        with pytest.raises(StorageUnavailableError, match="out of reach"):
            await storage.transact(work, outage=OUTAGE_S)
        assert asyncio.get_running_loop().time() - began >= OUTAGE_S
        assert len(work.transactions) > 1
        assert await name_of(storage, workflow.id) == "run 9"

    @clause("TXN-9")
    async def test_a_commit_whose_outcome_is_unknown_is_never_repeated(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        work = Work(workflow.id, lambda: OutcomeUnknownError("in doubt"), 1)
        with pytest.raises(OutcomeUnknownError):
            await storage.transact(work, outage=MANY_END_WITHIN_S)
        assert len(work.transactions) == 1

    @clause("TXN-9")
    async def test_work_that_has_committed_is_not_run_again(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        runs = []

        async def work(transaction: Transaction) -> None:
            runs.append(transaction)
            await transaction.update_workflow(workflow.id, name=f"run {len(runs)}")
            await transaction.commit()
            raise ContentionError("after the commit")

        with pytest.raises(ContentionError):
            await storage.transact(work)
        assert len(runs) == 1
        assert await name_of(storage, workflow.id) == "run 1"

    @clause("TXN-9")
    async def test_a_cancellation_ends_it(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        has_begun = asyncio.Event()
        runs = []

        async def work(transaction: Transaction) -> None:
            runs.append(transaction)
            await transaction.update_workflow(workflow.id, name="cancelled")
            has_begun.set()
            await asyncio.sleep(MANY_END_WITHIN_S)

        task = asyncio.create_task(storage.transact(work, outage=MANY_END_WITHIN_S))
        await has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(runs) == 1
        assert await name_of(storage, workflow.id) == workflow.name

    @clause("TXN-9", "TXN-7")
    async def test_each_transaction_has_the_timeout(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        runs = []

        async def work(transaction: Transaction) -> None:
            runs.append(transaction)
            await transaction.update_workflow(workflow.id, name="late")
            await asyncio.sleep(0.3)

        with pytest.raises(TransactionError):
            await storage.transact(work, timeout=0.1)
        assert len(runs) == 1
        assert await name_of(storage, workflow.id) == workflow.name

    @clause("TXN-9")
    @pytest.mark.parametrize(
        "wrong",
        [
            {"attempts": 0},
            {"attempts": 2.5},
            {"attempts": True},
            {"outage": -1},
            {"outage": "long"},
            {"outage": float("nan")},
            {"timeout": 0},
            {"work": None},
        ],
        ids=str,
    )
    async def test_a_wrong_argument_is_refused_before_the_work_runs(
        self, storage: StorageAdapter, wrong: dict[str, Any]
    ) -> None:
        runs = []

        async def work(transaction: Transaction) -> None:
            runs.append(transaction)

        with pytest.raises(ValidationError) as raised:
            await storage.transact(**{"work": work, **wrong})
        assert raised.value.field in wrong
        assert runs == []

    @clause("TXN-9", "TXN-6")
    async def test_the_adapter_refuses_calls_of_the_work(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)

        async def work(transaction: Transaction) -> None:
            await transaction.update_workflow(workflow.id, name="renamed")
            with pytest.raises(TransactionError):
                await storage.get_workflow(workflow.id)
            with pytest.raises(TransactionError):
                await storage.transact(work)

        await storage.transact(work)
        assert await name_of(storage, workflow.id) == "renamed"

    @clause("TXN-9", "LIF-2")
    async def test_a_closed_adapter_runs_nothing(self, store: Store) -> None:
        adapter = store.adapter()
        runs = []

        async def work(transaction: Transaction) -> None:
            runs.append(transaction)

        with pytest.raises(AdapterClosedError):
            await adapter.transact(work, outage=MANY_END_WITHIN_S)
        assert runs == []

    @clause("TXN-9", "TXN-8")
    async def test_transactions_that_write_the_same_records_crosswise_are_all_stored(
        self, storage: StorageAdapter
    ) -> None:
        first = await samples.stored_session(storage, metadata={})
        second = await samples.stored_session(storage, metadata={})
        met = [asyncio.Event(), asyncio.Event()]

        async def write(transaction: Transaction, number: int) -> None:
            for session in (first, second)[:: 1 - 2 * number]:
                stored = await transaction.get_session(session.id)
                assert stored is not None
                await transaction.update_session(session.id, metadata={**(stored.metadata or {}), str(number): True})
                met[number].set()
                try:
                    await asyncio.wait_for(met[1 - number].wait(), MEETING_S)
                except TimeoutError:
                    continue

        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(storage.transact(partial(write, number=number)) for number in (0, 1)))
        for session in (first, second):
            found = await storage.get_session(session.id)
            assert found is not None
            assert found.metadata == {"0": True, "1": True}

    @clause("TXN-9", "TXN-8")
    async def test_tasks_that_read_and_write_one_record_lose_nothing(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage, metadata={"count": 0})
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(count_up(storage, session.id) for _ in range(TASKS)))
        found = await storage.get_session(session.id)
        assert found is not None
        assert found.metadata == {"count": TASKS * COUNTED}

    @clause("TXN-9", "TXN-8")
    @requires(Capability.DURABLE)
    async def test_processes_that_read_and_write_one_record_lose_nothing(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        session = await samples.stored_session(storage, metadata={"count": 0})
        async with asyncio.timeout(MANY_END_WITHIN_S):
            await asyncio.gather(*(store.run_in_subprocess(count_up, session.id) for _ in range(PROCESSES)))
        found = await storage.get_session(session.id)
        assert found is not None
        assert found.metadata == {"count": PROCESSES * COUNTED}


async def count_up(storage: StorageAdapter, session_id: str) -> None:
    """Add 1 to the count in the session's metadata, a few times, by reading and writing it in a transaction."""

    async def add(transaction: Transaction) -> None:
        session = await transaction.get_session(session_id)
        assert session is not None
        assert session.metadata is not None
        await asyncio.sleep(0)
        await transaction.update_session(session_id, metadata={"count": session.metadata["count"] + 1})

    for _ in range(COUNTED):
        await storage.transact(add, attempts=100)


async def name_of(storage: StorageAdapter, workflow_id: str) -> str:
    """Return the name of a workflow that is stored."""
    workflow = await storage.get_workflow(workflow_id)
    assert workflow is not None
    return workflow.name
