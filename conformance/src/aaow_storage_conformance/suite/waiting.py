"""Waiting for an approval request: until it is decided, has expired, or is gone, or the time is up."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AdapterClosedError,
    ApprovalRequest,
    ApprovalStatus,
    Capability,
    NotFoundError,
    StorageAdapter,
    StorageOperations,
    TransactionError,
    ValidationError,
    now,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import AT_ONCE_S, ENDS_WITHIN_S, SOON_S

EXPIRED = ApprovalStatus.EXPIRED
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
SHORTLY = timedelta(milliseconds=150)
WAITERS = 1_000
WITHIN_A_SECOND_S = 1.0
A_WHILE_S = 0.05
CLOCK_S = 0.01

Decide = Callable[[StorageOperations, ApprovalRequest], Awaitable[object]]
DECISIONS: dict[str, Decide] = {
    "approved": lambda storage, request: storage.approve_request(request.id, "ann", "fine"),
    "rejected": lambda storage, request: storage.reject_request(request.id, "ann", "too much"),
    "updated": lambda storage, request: storage.update_approval_request(request.id, status="expired"),
    "swept": lambda storage, request: storage.expire_approvals(request.expires_at),
}


async def approve(storage: StorageAdapter, request_id: str) -> None:
    """Approve a request; run in a subprocess."""
    await storage.approve_request(request_id, "another process")


class WaitingTests:
    """A wait ends as soon as the request cannot be decided any more."""

    @clause("APR-6")
    @pytest.mark.parametrize("decision", DECISIONS)
    async def test_a_request_that_is_decided_already_is_returned_at_once(
        self, storage: StorageAdapter, decision: str
    ) -> None:
        request = await _pending(storage)
        await DECISIONS[decision](storage, request)
        for timeout in (None, 0, 0.001, 60):
            found = await asyncio.wait_for(storage.wait_for_approval(request.id, timeout), AT_ONCE_S)
            assert_identical(found, await storage.get_approval_request(request.id))

    @clause("APR-6")
    @pytest.mark.parametrize("decision", DECISIONS)
    async def test_a_wait_ends_with_the_decision_of_any_adapter_and_of_a_transaction(
        self, storage: StorageAdapter, store: Store, decision: str
    ) -> None:
        decide = DECISIONS[decision]
        async with store.open() as other:
            for decider in (storage, other):
                request, waiting = await _pending_and_waited_for(storage)
                await decide(decider, request)
                found = await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)
                assert_identical(found, await storage.get_approval_request(request.id))
            request, waiting = await _pending_and_waited_for(storage)
            transaction = await other.begin_transaction()
            await decide(transaction, request)
            await asyncio.sleep(A_WHILE_S)
            assert not waiting.done()
            await transaction.commit()
            await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)

    @clause("APR-6")
    async def test_a_decision_that_is_rolled_back_and_other_writes_end_no_wait(self, storage: StorageAdapter) -> None:
        request, waiting = await _pending_and_waited_for(storage)
        transaction = await storage.begin_transaction()
        await transaction.approve_request(request.id, "ann")
        await transaction.rollback()
        other = await _pending(storage)
        await storage.approve_request(other.id, "ann")
        await storage.update_session(request.session_id, metadata={"seen": True})
        await storage.update_approval_request(request.id, context={"asked": "again"})
        await asyncio.sleep(A_WHILE_S)
        assert not waiting.done()
        await storage.reject_request(request.id, "bea")
        found = await asyncio.wait_for(waiting, SOON_S)
        assert (found.resolved_by, found.context) == ("bea", {"asked": "again"})

    @clause("APR-6", "APR-3")
    async def test_a_request_expires_by_the_clock_without_a_sweep_and_is_stored_as_it_was(
        self, storage: StorageAdapter
    ) -> None:
        late = await _pending(storage, expires_at=LONG_AGO)
        assert_identical(await storage.wait_for_approval(late.id, 0), attrs.evolve(late, status=EXPIRED))
        request = await _pending(storage, expires_at=now() + SHORTLY)
        found = await asyncio.wait_for(storage.wait_for_approval(request.id), SOON_S)
        assert request.expires_at is not None
        assert now() >= request.expires_at
        assert_identical(found, attrs.evolve(request, status=EXPIRED))
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-6", "APR-4")
    async def test_a_wait_goes_by_the_expiry_that_is_set_while_it_waits(self, storage: StorageAdapter) -> None:
        shortened, waiting_for_shortened = await _pending_and_waited_for(storage)
        extended, waiting_for_extended = await _pending_and_extended_while_waited_for(storage)
        await storage.update_approval_request(shortened.id, expires_at=now() + SHORTLY)
        assert (await asyncio.wait_for(waiting_for_shortened, SOON_S)).status is EXPIRED
        assert extended.expires_at is not None
        await asyncio.sleep((extended.expires_at - now()).total_seconds() + A_WHILE_S)
        assert not waiting_for_extended.done()
        await storage.approve_request(extended.id, "ann")
        assert (await asyncio.wait_for(waiting_for_extended, SOON_S)).resolved_by == "ann"

    @clause("APR-6")
    async def test_a_request_that_is_not_there_or_goes_with_its_session_is_not_found(
        self, storage: StorageAdapter
    ) -> None:
        request, waiting = await _pending_and_waited_for(storage)
        await storage.delete_session(request.session_id)
        with pytest.raises(NotFoundError) as caught:
            await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)
        assert (caught.value.kind, caught.value.id) == ("approval_request", request.id)
        with pytest.raises(NotFoundError) as caught:
            await storage.wait_for_approval("nothing")
        assert (caught.value.kind, caught.value.id) == ("approval_request", "nothing")

    @clause("APR-6")
    async def test_a_wait_that_takes_too_long_raises_timeout_error_and_changes_nothing(
        self, storage: StorageAdapter
    ) -> None:
        request = await _pending(storage)
        for timeout in (0, 0.001, 0.1):
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError, match=request.id):
                await asyncio.wait_for(storage.wait_for_approval(request.id, timeout=timeout), SOON_S)
            assert asyncio.get_running_loop().time() - began > timeout - CLOCK_S
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-6")
    async def test_an_id_or_a_timeout_that_cannot_be_one_is_refused(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        wrong: tuple[Any, ...] = (-1, float("nan"), "5", timedelta(seconds=5), True)
        for timeout in wrong:
            with pytest.raises(ValidationError):
                await storage.wait_for_approval(request.id, timeout)
        for request_id in ("", "\x00", 7, None):
            with pytest.raises(ValidationError):
                await storage.wait_for_approval(request_id, 1)  # type: ignore[arg-type]  # on purpose

    @clause("APR-6", "TXN-6")
    async def test_a_task_with_an_open_transaction_cannot_wait(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        async with storage.transaction() as transaction:
            with pytest.raises(TransactionError):
                await asyncio.wait_for(storage.wait_for_approval(request.id), AT_ONCE_S)
            assert not hasattr(transaction, "wait_for_approval")
            await transaction.approve_request(request.id, "ann")
        assert (await storage.wait_for_approval(request.id)).resolved_by == "ann"

    @clause("APR-6", "LIF-2")
    async def test_closing_the_adapter_ends_its_waits_at_once(self, store: Store) -> None:
        async with store.open() as storage:
            request, waiting = await _pending_and_waited_for(storage)
        with pytest.raises(AdapterClosedError):
            await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)
        with pytest.raises(AdapterClosedError):
            await storage.wait_for_approval(request.id)

    @clause("APR-6", "CON-2")
    async def test_a_wait_ends_with_its_task_and_others_go_on(self, storage: StorageAdapter) -> None:
        request, cancelled = await _pending_and_waited_for(storage)
        waiting = start_in_fresh_context(storage.wait_for_approval(request.id))
        await asyncio.sleep(A_WHILE_S)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(cancelled, AT_ONCE_S)
        await storage.approve_request(request.id, "ann")
        assert (await asyncio.wait_for(waiting, SOON_S)).resolved_by == "ann"

    @clause("APR-6", "REC-6")
    async def test_each_of_several_waits_for_one_request_returns_a_value_of_its_own(
        self, storage: StorageAdapter
    ) -> None:
        request, first = await _pending_and_waited_for(storage)
        others = [start_in_fresh_context(storage.wait_for_approval(request.id)) for _ in range(3)]
        await asyncio.sleep(A_WHILE_S)
        decided = await storage.approve_request(request.id, "ann")
        found = await asyncio.wait_for(asyncio.gather(first, *others), SOON_S)
        found[0].context["changed"] = True
        for each in found[1:]:
            assert_identical(each, decided)
        assert_identical(await storage.get_approval_request(request.id), decided)

    @clause("APR-6", "CON-1")
    async def test_each_of_many_waits_ends_with_the_decision_on_its_request(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage)
        requests = [samples.a_request(session.id) for _ in range(WAITERS)]
        async with storage.transaction() as transaction:
            for request in requests:
                await transaction.create_approval_request(request)
        waiting = [start_in_fresh_context(storage.wait_for_approval(request.id)) for request in requests]
        await asyncio.sleep(A_WHILE_S)
        await storage.approve_request(requests[-1].id, "the first decision")
        found = await asyncio.wait_for(waiting[-1], ENDS_WITHIN_S)
        assert found.resolved_by == "the first decision"
        assert not any(each.done() for each in waiting[:-1])
        async with storage.transaction() as transaction:
            for request in requests[:-1]:
                await transaction.approve_request(request.id, f"on {request.id}")
        async with asyncio.timeout(ENDS_WITHIN_S):
            decided = await asyncio.gather(*waiting[:-1])
        assert [each.resolved_by for each in decided] == [f"on {request.id}" for request in requests[:-1]]

    @clause("APR-6")
    @requires(Capability.DURABLE)
    async def test_a_decision_of_another_process_ends_a_wait_within_a_second(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        request, waiting = await _pending_and_waited_for(storage)
        await store.run_in_subprocess(approve, request.id)
        assert (await asyncio.wait_for(waiting, WITHIN_A_SECOND_S)).resolved_by == "another process"


async def _pending(storage: StorageOperations, **fields: Any) -> ApprovalRequest:
    """Store a pending request in a new session."""
    session = await samples.stored_session(storage)
    return await samples.stored_request(storage, session.id, **fields)


async def _pending_and_waited_for(storage: StorageAdapter) -> tuple[ApprovalRequest, "asyncio.Task[ApprovalRequest]"]:
    """Store a pending request, and wait for it in another task."""
    request = await _pending(storage)
    waiting = start_in_fresh_context(storage.wait_for_approval(request.id))
    await asyncio.sleep(A_WHILE_S)
    assert not waiting.done()
    return request, waiting


async def _pending_and_extended_while_waited_for(
    storage: StorageAdapter,
) -> tuple[ApprovalRequest, "asyncio.Task[ApprovalRequest]"]:
    """Store a request that expires shortly, wait for it, and take its expiry away in time; return it as it was."""
    expires_after = SHORTLY
    while True:
        request = await _pending(storage, expires_at=now() + expires_after)
        waiting = start_in_fresh_context(storage.wait_for_approval(request.id))
        await asyncio.sleep(0)
        await storage.update_approval_request(request.id, expires_at=None)
        assert request.expires_at is not None
        if now() < request.expires_at:
            return request, waiting
        waiting.cancel()  # the machine was too slow: it may have seen the request expire
        await asyncio.wait([waiting])
        expires_after *= 2
