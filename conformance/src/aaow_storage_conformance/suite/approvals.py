"""Approval requests: each is decided once, and never after it has expired."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    ApprovalStatus,
    Capability,
    ConflictError,
    NotFoundError,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    ValidationError,
    now,
)
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.store import Store

PENDING, APPROVED = ApprovalStatus.PENDING, ApprovalStatus.APPROVED
REJECTED, EXPIRED = ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED
DECIDED = (APPROVED, REJECTED, EXPIRED)
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
ONE_MICROSECOND = timedelta(microseconds=1)


class ApprovalTests:
    """A request goes from pending to approved, rejected or expired, and never back."""

    @clause("APR-1")
    async def test_approving_returns_the_resolved_record_and_stores_it(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        before = now()
        resolved = await storage.approve_request(request.id, "ann@example.org", "as agreed")
        assert resolved.resolved_at is not None
        assert before <= resolved.resolved_at <= now()
        expected = attrs.evolve(
            request,
            status=APPROVED,
            resolved_at=resolved.resolved_at,
            resolved_by="ann@example.org",
            resolution_notes="as agreed",
        )
        assert_identical(resolved, expected)
        assert_identical(await storage.get_approval_request(request.id), expected)

    @clause("APR-1")
    async def test_rejecting_returns_the_resolved_record_and_stores_it(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        resolved = await storage.reject_request(request.id, "bea", "too much")
        expected = attrs.evolve(
            request,
            status=REJECTED,
            resolved_at=resolved.resolved_at,
            resolved_by="bea",
            resolution_notes="too much",
        )
        assert resolved.resolved_at is not None
        assert_identical(resolved, expected)
        assert_identical(await storage.get_approval_request(request.id), expected)

    @clause("APR-1")
    async def test_notes_and_reasons_may_be_left_out(self, storage: StorageAdapter) -> None:
        one, other = await _pending(storage), await _pending(storage)
        assert (await storage.approve_request(one.id, "ann")).resolution_notes is None
        assert (await storage.reject_request(other.id, "ann")).resolution_notes is None

    @clause("APR-1")
    @pytest.mark.parametrize("status", DECIDED)
    async def test_whoever_decides_late_is_told_what_was_decided(
        self, storage: StorageAdapter, status: ApprovalStatus
    ) -> None:
        request = await _pending(storage)
        if status is APPROVED:
            stored = await storage.approve_request(request.id, "winner", "first")
        elif status is REJECTED:
            stored = await storage.reject_request(request.id, "winner", "first")
        else:
            stored = await storage.update_approval_request(request.id, status="expired")
        assert stored.status is status
        for decide in (storage.approve_request, storage.reject_request):
            with pytest.raises(ConflictError) as caught:
                await decide(request.id, "loser", "second")
            assert_identical(caught.value.current, stored)
        assert_identical(await storage.get_approval_request(request.id), stored)

    @clause("APR-1")
    @pytest.mark.parametrize("status", DECIDED)
    async def test_a_request_created_as_decided_cannot_be_decided(
        self, storage: StorageAdapter, status: ApprovalStatus
    ) -> None:
        request = await _pending(storage, status=status)
        for decide in (storage.approve_request, storage.reject_request):
            with pytest.raises(ConflictError) as caught:
                await decide(request.id, "ann")
            assert_identical(caught.value.current, request)

    @clause("APR-1")
    async def test_a_request_that_is_not_there_cannot_be_decided(self, storage: StorageAdapter) -> None:
        await _pending(storage)
        before = await everything_in(storage)
        for decide in (storage.approve_request, storage.reject_request):
            with pytest.raises(NotFoundError) as caught:
                await decide("nothing", "ann")
            assert (caught.value.kind, caught.value.id) == ("approval_request", "nothing")
        assert_identical(await everything_in(storage), before)

    @clause("APR-1")
    @pytest.mark.parametrize("wrong", [1, b"ann", True, ["ann"], "\x00", "\ud800"], ids=ascii)
    async def test_a_decider_or_note_that_is_no_text_is_refused_whatever_became_of_the_request(
        self, storage: StorageAdapter, wrong: Any
    ) -> None:
        requests = [await _pending(storage), await _pending(storage, status=APPROVED)]
        for id in (*(request.id for request in requests), "nothing"):  # noqa: A001 - it is the argument's name
            for decide in (storage.approve_request, storage.reject_request):
                for arguments in ((wrong,), ("ann", wrong)):
                    with pytest.raises(ValidationError):
                        await decide(id, *arguments)
        assert_identical([await storage.get_approval_request(request.id) for request in requests], requests)

    @clause("APR-2")
    async def test_of_fifty_decisions_at_once_on_two_adapters_one_wins(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for offset in range(4):
                request = await _pending(storage)
                adapters = [(storage, other)[turn // 2 % 2] for turn in range(50)]
                outcomes = await asyncio.gather(
                    *(
                        adapter.approve_request(request.id, f"yes {turn}")
                        if turn % 2
                        else adapter.reject_request(request.id, f"no {turn}")
                        for turn, adapter in enumerate(adapters, start=offset)
                    ),
                    return_exceptions=True,
                )
                (winner,) = [outcome for outcome in outcomes if isinstance(outcome, ApprovalRequest)]
                losers = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
                assert len(losers) == 49
                for loser in losers:
                    assert_identical(loser.current, winner)
                assert_identical(await storage.get_approval_request(request.id), winner)

    @clause("APR-2", "APR-3")
    async def test_a_decision_and_an_expiry_at_once_do_not_both_win(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(12):
                request = await _pending(storage)
                calls: list[Any] = [
                    storage.approve_request(request.id, "ann"),
                    other.expire_approvals(request.expires_at),
                    other.update_approval_request(request.id, status="expired"),
                ]
                turned = calls[turn % 3 :] + calls[: turn % 3]
                outcomes = await asyncio.gather(*turned, return_exceptions=True)
                winners = [
                    record
                    for outcome in outcomes
                    for record in (outcome if isinstance(outcome, list) else [outcome])
                    if isinstance(record, ApprovalRequest)
                ]
                assert len(winners) == 1
                assert_identical(await storage.get_approval_request(request.id), winners[0])

    @clause("APR-2")
    @requires(Capability.DURABLE)
    async def test_of_decisions_by_four_processes_one_wins(self, storage: StorageAdapter, store: Store) -> None:
        requests = [await _pending(storage) for _ in range(20)]
        ids = [request.id for request in requests]
        won = await asyncio.gather(
            *(store.run_in_subprocess(subprocess_functions.decide_all, ids, number, 4) for number in range(4))
        )
        winners = {request_id: f"process {number}" for number, ids_won in enumerate(won) for request_id in ids_won}
        assert sum(map(len, won)) == len(ids)
        for request_id in ids:
            request = await storage.get_approval_request(request_id)
            assert request is not None
            assert request.resolved_by == winners[request_id]

    @clause("APR-3")
    @pytest.mark.parametrize("was_turned", [False, True], ids=["not yet turned into expired", "turned into expired"])
    async def test_a_request_that_has_run_out_cannot_be_decided(
        self, storage: StorageAdapter, was_turned: bool
    ) -> None:
        request = await _pending(storage, expires_at=now() - timedelta(milliseconds=1))
        if was_turned:
            (request,) = await storage.expire_approvals()
        for decide in (storage.approve_request, storage.reject_request):
            with pytest.raises(ConflictError) as caught:
                await decide(request.id, "ann")
            assert_identical(caught.value.current, request)
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-3", "APR-5")
    async def test_a_request_runs_out_while_it_waits(self, storage: StorageAdapter) -> None:
        await storage.list_pending_approvals()
        await storage.expire_approvals()
        request = await _pending(storage, expires_at=now() + timedelta(milliseconds=80))
        assert request.expires_at is not None
        while (left := request.expires_at - now()) > timedelta(0):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(left.total_seconds())
        assert await storage.list_pending_approvals() == []
        with pytest.raises(ConflictError):
            await storage.approve_request(request.id, "ann")
        assert [each.id for each in await storage.expire_approvals()] == [request.id]

    @clause("APR-3")
    async def test_expiring_turns_what_has_run_out_in_all_sessions_and_returns_it_by_time(
        self, storage: StorageAdapter
    ) -> None:
        noon = samples.instant(10_000)
        run_out = [
            await _pending(storage, id=name, created_at=samples.instant(number), expires_at=expires_at)
            for name, number, expires_at in [
                ("third", 3, noon),
                ("first", 1, noon - ONE_MICROSECOND),
                ("b", 2, LONG_AGO),
                ("a", 2, noon - timedelta(days=400)),
            ]
        ]
        await _pending(storage, expires_at=noon + ONE_MICROSECOND)
        await _pending(storage, expires_at=None)
        for status in DECIDED:
            await _pending(storage, status=status, expires_at=LONG_AGO)
        before = await everything_in(storage)
        expired = await storage.expire_approvals(noon)
        in_order = sorted(run_out, key=lambda request: ["first", "a", "b", "third"].index(request.id))
        assert_identical(expired, [attrs.evolve(request, status=EXPIRED) for request in in_order])
        changed = {request.id: request for request in expired}
        before["approval_requests"] = [changed.get(each.id, each) for each in before["approval_requests"]]
        assert_identical(await everything_in(storage), before)
        assert await storage.expire_approvals(noon) == []

    @clause("APR-3")
    async def test_expiring_without_an_instant_means_now(self, storage: StorageAdapter) -> None:
        request = await _pending(storage, expires_at=now() - timedelta(seconds=1))
        later = await _pending(storage, expires_at=now() + timedelta(hours=1))
        assert_identical(await storage.expire_approvals(), [attrs.evolve(request, status=EXPIRED)])
        assert_identical(await storage.get_approval_request(later.id), later)

    @clause("APR-3")
    async def test_expiring_at_something_that_is_no_instant_changes_nothing(self, storage: StorageAdapter) -> None:
        request = await _pending(storage, expires_at=LONG_AGO)
        wrong: tuple[Any, ...] = (datetime(2030, 1, 1), "2030-01-01", 0, LONG_AGO.date())  # noqa: DTZ001 - on purpose
        for instant in wrong:
            with pytest.raises(ValidationError):
                await storage.expire_approvals(instant)
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-3", "APR-4")
    async def test_a_request_whose_time_is_extended_can_be_decided_again(self, storage: StorageAdapter) -> None:
        one, other = await _pending(storage, expires_at=LONG_AGO), await _pending(storage, expires_at=LONG_AGO)
        await storage.update_approval_request(one.id, expires_at=now() + timedelta(hours=1))
        await storage.update_approval_request(other.id, expires_at=None)
        assert (await storage.approve_request(one.id, "ann")).status is APPROVED
        assert (await storage.reject_request(other.id, "ann")).status is REJECTED

    @clause("APR-4")
    async def test_a_pending_request_takes_a_new_context_and_expiry(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        changed = await storage.update_approval_request(request.id, context={"asked": 2}, expires_at=LONG_AGO)
        assert_identical(changed, attrs.evolve(request, context={"asked": 2}, expires_at=LONG_AGO))
        assert_identical(await storage.get_approval_request(request.id), changed)

    @clause("APR-4")
    async def test_a_pending_request_may_be_set_to_expired_only(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        for status in ("approved", "rejected", "pending", APPROVED, "unknown", None):
            change: dict[str, Any] = {"status": status, "context": {}}
            with pytest.raises(ValidationError):
                await storage.update_approval_request(request.id, **change)
            assert_identical(await storage.get_approval_request(request.id), request)
        expired = await storage.update_approval_request(request.id, status="expired")
        assert_identical(expired, attrs.evolve(request, status=EXPIRED))

    @clause("APR-4")
    async def test_who_decided_cannot_be_set_by_an_update(self, storage: StorageAdapter) -> None:
        request = await _pending(storage)
        for field in ("resolved_by", "resolved_at", "resolution_notes", "type", "session_id", "node_id", "created_at"):
            change: dict[str, Any] = {field: None, "context": {}}
            with pytest.raises(ValidationError):
                await storage.update_approval_request(request.id, **change)
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-4")
    @pytest.mark.parametrize("status", DECIDED)
    async def test_a_decided_request_is_immutable(self, storage: StorageAdapter, status: ApprovalStatus) -> None:
        request = await _pending(storage, status=status, resolved_by="ann", resolution_notes="done")
        changes: tuple[dict[str, Any], ...] = (
            *({"context": {}}, {"expires_at": None}, {"status": "expired"}),
            {"expires_at": now() + timedelta(hours=1)},
        )
        for change in changes:
            with pytest.raises(ConflictError) as caught:
                await storage.update_approval_request(request.id, **change)
            assert_identical(caught.value.current, request)
        await storage.expire_approvals(datetime(9000, 1, 1, tzinfo=UTC))
        assert_identical(await storage.get_approval_request(request.id), request)

    @clause("APR-5")
    async def test_pending_approvals_are_those_of_all_sessions_that_can_still_be_decided(
        self, storage: StorageAdapter
    ) -> None:
        open_ones = [await _pending(storage), await _pending(storage, expires_at=None)]
        open_ones.append(await samples.stored_request(storage, open_ones[0].session_id))
        for session_status in SessionStatus:
            session = await samples.stored_session(storage, status=session_status)
            open_ones.append(await samples.stored_request(storage, session.id))
        await _pending(storage, expires_at=LONG_AGO)
        for status in DECIDED:
            await _pending(storage, status=status)
        assert_identical(await storage.list_pending_approvals(), open_ones)
        await storage.reject_request(open_ones[0].id, "ann")
        await storage.update_approval_request(open_ones[1].id, expires_at=LONG_AGO)
        assert_identical(await storage.list_pending_approvals(), open_ones[2:])


async def _pending(storage: StorageOperations, **fields: Any) -> ApprovalRequest:
    """Store a request in a new session; it is pending unless the fields say otherwise."""
    session = await samples.stored_session(storage)
    return await samples.stored_request(storage, session.id, **fields)
