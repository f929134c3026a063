"""What an error says about another attempt, by its type."""

import asyncio
from collections.abc import Callable

import pytest

from aaow_storage import (
    AdapterClosedError,
    AlreadyExistsError,
    BackendNotFoundError,
    BudgetExceededError,
    Capability,
    ConflictError,
    ContentionError,
    CorruptDataError,
    NotFoundError,
    OutcomeUnknownError,
    SchemaVersionError,
    StorageAdapter,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    TransactionError,
    UnsupportedOperationError,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import everything_in
from aaow_storage_conformance.data.failing_calls import failing_calls, prepare_for_failing_calls
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import MANY_END_WITHIN_S

ERRORS: dict[type[StorageError], Callable[[], StorageError]] = {
    ValidationError: lambda: ValidationError("Session", "status", "is wrong"),
    NotFoundError: lambda: NotFoundError("session", "s"),
    AlreadyExistsError: lambda: AlreadyExistsError("session", "s"),
    ConflictError: lambda: ConflictError("refused"),
    BudgetExceededError: lambda: BudgetExceededError("too much", samples.a_pool()),
    ContentionError: lambda: ContentionError("lost"),
    TransactionError: lambda: TransactionError("over"),
    AdapterClosedError: lambda: AdapterClosedError("closed"),
    UnsupportedOperationError: lambda: UnsupportedOperationError("list_streams", Capability.STREAM_EVENTS),
    SchemaVersionError: lambda: SchemaVersionError("0001", "0002", "migrate"),
    StorageUnavailableError: lambda: StorageUnavailableError("out of reach"),
    StoreBusyError: lambda: StoreBusyError("busy"),
    OutcomeUnknownError: lambda: OutcomeUnknownError("in doubt"),
    CorruptDataError: lambda: CorruptDataError("cannot be read"),
    BackendNotFoundError: lambda: BackendNotFoundError("nowhere", [], "install one"),
}
RETRYABLE = {ContentionError, StorageUnavailableError, StoreBusyError}
MEETING_S = 0.3
"""How long a transaction waits for another one, which may not begin before it has ended."""


class RetryabilityTests:
    """`StorageError.is_retryable`."""

    @clause("ERR-2")
    @pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
    def test_an_error_says_by_its_type_whether_another_attempt_may_succeed(self, kind: type[StorageError]) -> None:
        error = ERRORS[kind]()
        assert error.is_retryable is (kind in RETRYABLE)
        assert isinstance(error, ConflictError) is (kind in {ConflictError, BudgetExceededError, ContentionError})
        is_outage = kind in {StorageUnavailableError, StoreBusyError, OutcomeUnknownError}
        assert isinstance(error, StorageUnavailableError) is is_outage

    @clause("ERR-2")
    async def test_no_refusal_is_retryable(self, storage: StorageAdapter, store: Store) -> None:
        await prepare_for_failing_calls(storage)
        before = await everything_in(storage)
        for failure in failing_calls():
            with pytest.raises(failure.kind) as raised:
                await failure.call(storage)
            assert not raised.value.is_retryable, failure.name
            assert not isinstance(raised.value, ContentionError | StorageUnavailableError), failure.name
            with pytest.raises(failure.kind):
                await failure.call(storage)
        with pytest.raises(AdapterClosedError) as closed:
            await store.adapter().list_sessions()
        assert not closed.value.is_retryable
        assert await everything_in(storage) == before

    @clause("ERR-2")
    async def test_no_error_of_a_transaction_that_is_over_is_retryable(self, storage: StorageAdapter) -> None:
        transaction = await storage.begin_transaction()
        await transaction.rollback()
        for call in (transaction.commit, transaction.rollback, transaction.list_sessions):
            with pytest.raises(TransactionError) as raised:
                await call()
            assert not raised.value.is_retryable

    @clause("ERR-2", "TXN-8")
    async def test_a_transaction_that_lost_a_race_says_so_by_its_error(self, storage: StorageAdapter) -> None:
        sessions = [await samples.stored_session(storage) for _ in range(2)]
        met = [asyncio.Event(), asyncio.Event()]

        async def write(number: int) -> None:
            async with storage.transaction() as transaction:
                for session in sessions[:: 1 - 2 * number]:
                    await transaction.update_session(session.id, metadata={"by": number})
                    met[number].set()
                    try:
                        await asyncio.wait_for(met[1 - number].wait(), MEETING_S)
                    except TimeoutError:
                        continue

        async with asyncio.timeout(MANY_END_WITHIN_S):
            outcomes = await asyncio.gather(write(0), write(1), return_exceptions=True)
        lost = [each for each in outcomes if each is not None]
        assert len(lost) < len(outcomes)
        assert all(isinstance(each, ContentionError | StoreBusyError) and each.is_retryable for each in lost)
