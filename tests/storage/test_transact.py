"""`transact`: after which failures of the begin, the work, the commit and the rollback it runs the work again."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aaow_storage import DelegatingAdapter, DelegatingTransaction, StorageAdapter, Transaction, TransactionOutcome
from aaow_storage.errors import (
    ConflictError,
    ContentionError,
    NotFoundError,
    OutcomeUnknownError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    TransactionError,
)
from aaow_storage_memory import MemoryAdapter

pytestmark = pytest.mark.asyncio

LOST = ContentionError("lost")
AWAY = StorageUnavailableError("away")


class FailingTransaction(DelegatingTransaction):
    """Fails to end as its adapter says."""

    adapter: "Failing"
    claimed: TransactionOutcome | None = None

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self.claimed or super().outcome

    async def commit(self) -> None:
        adapter = self.adapter
        if adapter.stores_before_it_fails or not adapter.commits:
            await super().commit()
        if adapter.commits:
            if adapter.claims is TransactionOutcome.ABORTED:
                await super().rollback()
            self.claimed = adapter.claims
            raise adapter.commits.pop(0)

    async def rollback(self) -> None:
        if self.adapter.rollback is not None:
            raise self.adapter.rollback
        await super().rollback()


class Failing(DelegatingAdapter):
    """Raises the errors that it is given: in the begins, in the commits, and in every rollback."""

    def __init__(self, wrapped: StorageAdapter) -> None:
        super().__init__(wrapped)
        self.begins: list[BaseException] = []
        self.commits: list[BaseException] = []
        self.rollback: BaseException | None = None
        self.stores_before_it_fails = False
        self.claims: TransactionOutcome | None = None
        self.runs = 0

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - of the interface
        if self.begins:
            raise self.begins.pop(0)
        return await super().begin_transaction(timeout)

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        wrapped = FailingTransaction(transaction)
        wrapped.adapter = self
        return wrapped

    async def work(self, transaction: Transaction) -> int:
        """Count the runs."""
        self.runs += 1
        await transaction.list_sessions()
        return self.runs


@pytest_asyncio.fixture
async def storage() -> AsyncIterator[Failing]:
    """An adapter whose failures a test can choose."""
    async with Failing(MemoryAdapter()) as adapter:
        yield adapter


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The pauses, each with its limit; the longest one is taken, and not waited for."""
    taken: list[tuple[float, float]] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        await sleep(0)
        if seconds:
            taken[-1] = (seconds, taken[-1][1])

    def longest(low: float, high: float) -> float:
        assert low == 0
        taken.append((0.0, high))
        return high

    monkeypatch.setattr(random, "uniform", longest)
    monkeypatch.setattr(asyncio, "sleep", pause)
    return taken


@pytest.mark.parametrize("error", [LOST, StoreBusyError("busy"), ConflictError("another transaction is open")])
async def test_a_begin_that_met_contention_is_tried_again(storage: Failing, error: StorageError):
    storage.begins = [error] * 4
    assert await storage.transact(storage.work) == 1
    storage.begins = [error] * 5
    with pytest.raises(type(error)) as raised:
        await storage.transact(storage.work)
    assert raised.value.__notes__ == ["The transaction was run 5 times."]


@pytest.mark.parametrize("error", [NotFoundError("session", "s"), TransactionError("held"), ValueError("x")])
async def test_any_other_error_of_the_begin_is_raised(storage: Failing, error: Exception):
    storage.begins = [error]
    with pytest.raises(type(error)) as raised:
        await storage.transact(storage.work)
    assert raised.value is error
    assert not hasattr(error, "__notes__")
    assert raised.value.__cause__ is None
    assert storage.runs == 0


async def test_a_begin_during_an_outage_is_tried_again_for_as_long_as_is_allowed(storage: Failing):
    storage.begins = [AWAY] * 3
    assert await storage.transact(storage.work, attempts=1, outage=30) == 1
    storage.begins = [AWAY]
    with pytest.raises(StorageUnavailableError, match="away"):
        await storage.transact(storage.work)
    assert storage.runs == 1


@pytest.mark.parametrize("error", [LOST, ConflictError("lost, as a backend for contract 1.0 says")])
async def test_a_commit_that_lost_a_race_is_run_again(storage: Failing, error: StorageError):
    storage.commits = [error] * 2
    assert await storage.transact(storage.work) == 3


async def test_a_commit_that_did_not_reach_the_store_is_run_again(storage: Failing):
    storage.commits = [AWAY] * 2
    assert await storage.transact(storage.work, outage=30) == 3


@pytest.mark.parametrize("error", [LOST, AWAY])
async def test_a_commit_that_is_stored_is_not_run_again_whatever_it_raised(storage: Failing, error: StorageError):
    storage.stores_before_it_fails = True
    storage.commits = [error]
    with pytest.raises(type(error)):
        await storage.transact(storage.work, outage=30)
    assert storage.runs == 1


@pytest.mark.parametrize("error", [OutcomeUnknownError("in doubt"), AWAY])
async def test_a_commit_whose_outcome_is_unknown_is_not_run_again(storage: Failing, error: StorageError):
    storage.claims = TransactionOutcome.UNKNOWN
    storage.commits = [error]
    with pytest.raises(type(error)):
        await storage.transact(storage.work, outage=30)
    assert storage.runs == 1


async def test_a_transaction_that_cannot_be_rolled_back_is_not_run_again(storage: Failing):
    storage.rollback = AWAY
    storage.commits = [LOST]
    with pytest.raises(ContentionError):
        await storage.transact(storage.work, outage=30, timeout=0.1)
    assert storage.runs == 1


@pytest.mark.parametrize("error", [LOST, ConflictError("decided")])
async def test_a_conflict_in_the_work_is_contention_only_if_it_says_so(storage: Failing, error: ConflictError):
    runs = []

    async def work(transaction: Transaction) -> None:
        runs.append(transaction)
        if len(runs) == 1:
            raise error

    if isinstance(error, ContentionError):
        await storage.transact(work)
        assert len(runs) == 2
    else:
        with pytest.raises(ConflictError, match="decided"):
            await storage.transact(work)
        assert len(runs) == 1


@pytest.mark.parametrize(
    ("errors", "runs_again"),
    [
        ([LOST], True),
        ([LOST, StoreBusyError("busy"), ExceptionGroup("inner", [LOST])], True),
        ([LOST, ConflictError("decided")], False),
        ([LOST, OutcomeUnknownError("in doubt")], False),
        ([LOST, ValueError("x")], False),
        ([ExceptionGroup("inner", [KeyError("x")])], False),
    ],
)
async def test_a_group_of_errors_is_run_again_if_all_may_be(
    storage: Failing, errors: list[Exception], *, runs_again: bool
):
    runs = []

    async def work(transaction: Transaction) -> None:
        runs.append(transaction)
        if len(runs) == 1:
            raise ExceptionGroup("of a task group", errors)

    if runs_again:
        await storage.transact(work)
    else:
        with pytest.raises(ExceptionGroup, match="of a task group"):
            await storage.transact(work)
    assert len(runs) == 1 + runs_again


async def test_a_group_that_holds_an_outage_counts_as_one(storage: Failing):
    runs = []

    async def work(transaction: Transaction) -> None:
        runs.append(transaction)
        if len(runs) < 4:
            raise ExceptionGroup("of a task group", [LOST, AWAY])

    await storage.transact(work, attempts=1, outage=30)
    assert len(runs) == 4


@pytest.mark.parametrize(("cause", "outage"), [(LOST, 0), (None, 0), (AWAY, 30)])
async def test_work_that_went_on_after_its_transaction_was_aborted_is_run_again(
    storage: Failing, cause: StorageError | None, outage: float
):
    storage.claims = TransactionOutcome.ABORTED
    over = TransactionError("the transaction is over: all of it was rolled back")
    over.__cause__ = cause
    storage.commits = [over]
    assert await storage.transact(storage.work, outage=outage) == 2


async def test_a_closed_adapter_ends_it(storage: Failing):
    async def work(transaction: Transaction) -> None:
        await transaction.list_sessions()
        await storage.close()

    with pytest.raises(StorageError, match="the adapter is not open"):
        await storage.transact(work, outage=30)
    await storage.initialize()


async def test_a_cancelled_pause_ends_it(storage: Failing):
    storage.begins = [AWAY] * 1000
    task = asyncio.create_task(storage.transact(storage.work, outage=30))
    while len(storage.begins) > 995:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert storage.runs == 0


async def test_the_pauses_are_random_up_to_a_limit_that_doubles(storage: Failing, pauses: list[tuple[float, float]]):
    storage.begins = [LOST] * 12
    await storage.transact(storage.work, attempts=13)
    limits = [limit for _, limit in pauses]
    assert limits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, *[1.0] * 6]
    assert pauses == [(limit, limit) for limit in limits]


async def test_an_outage_that_is_over_is_forgotten(storage: Failing, pauses: list[tuple[float, float]]):
    storage.begins = [*[AWAY] * 9, LOST, *[AWAY] * 9]
    await storage.transact(storage.work, outage=30)
    assert [limit for _, limit in pauses][9:12] == [0.02, 0.02, 0.04]


async def test_no_pause_is_longer_than_the_outage_may_last(storage: Failing, pauses: list[tuple[float, float]]):
    storage.begins = [AWAY] * 100_000
    with pytest.raises(StorageUnavailableError):
        await storage.transact(storage.work, outage=0.01)
    assert all(pause <= 0.01 + 1e-6 for pause, _ in pauses)  # a sum and a difference of floats


async def test_an_endless_outage_may_be_waited_for(storage: Failing):
    storage.begins = [AWAY] * 3
    assert await storage.transact(storage.work, outage=float("inf")) == 1
