"""The status of a session, which its execution state shows too: by whatever it is set, also by a decision."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ApprovalRequest,
    ConflictError,
    ContentionError,
    In,
    Ne,
    NotFoundError,
    OrderBy,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    ValidationError,
    WorkflowExecutionState,
    now,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S

WAITING = SessionStatus.WAITING_FOR_HUMAN_REVIEW
QUEUED, FAILED, RUNNING = SessionStatus.QUEUED, SessionStatus.FAILED, SessionStatus.RUNNING
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
ROUNDS = 8
A_WHILE_S = 0.05
BY_STATUS = [OrderBy("status"), OrderBy("session_id", "desc")]


class SessionStatusTests:
    """A session and its execution state have one status; a decision sets it in the same step."""

    @clause("STA-5")
    async def test_the_status_that_an_update_of_the_session_sets_is_that_of_its_execution_state(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        state = await _stored_state(storage, session.id)
        others = [await _stored_state(storage, (await samples.stored_session(storage)).id) for _ in range(2)]
        for status in SessionStatus:
            await storage.update_session(session.id, status=status)
            assert_identical(await storage.get_execution_state(session.id), attrs.evolve(state, status=status))
        for other in others:
            assert_identical(await storage.get_execution_state(other.session_id), other)

    @clause("STA-5")
    async def test_the_status_that_an_execution_state_is_saved_with_is_that_of_its_session(
        self, storage: StorageAdapter
    ) -> None:
        session, other = await samples.stored_session(storage), await samples.stored_session(storage)
        for status in [*SessionStatus][::-1]:  # the first one is saved where there is no state yet
            before = now()
            state = await _stored_state(storage, session.id, status=status)
            stored = await _session(storage, session.id)
            assert_identical(stored, attrs.evolve(session, status=status, updated_at=stored.updated_at))
            assert before <= stored.updated_at <= now()
            found = await storage.get_execution_state(session.id)
            assert found is not None
            assert_identical(attrs.evolve(found, node_states=state.node_states), state)
        assert_identical(await storage.get_session(other.id), other)

    @clause("STA-5")
    async def test_a_state_with_the_status_that_the_session_has_leaves_the_session_as_it_was(
        self, storage: StorageAdapter
    ) -> None:
        for status in (None, QUEUED):
            session = await samples.stored_session(storage, **({} if status is None else {"status": status}))
            state = await _stored_state(storage, session.id, status=session.status)
            assert_identical(await storage.get_session(session.id), session)
            await storage.update_node_state(session.id, "draft", samples.a_node_state("draft"))
            await storage.update_session(session.id, metadata={"n": 1}, updated_at=session.updated_at)
            assert_identical(await storage.get_session(session.id), attrs.evolve(session, metadata={"n": 1}))
            found = await storage.get_execution_state(session.id)
            assert found is not None
            assert found.status is state.status

    @clause("STA-5", "APR-7")
    async def test_the_status_that_a_decision_sets_is_that_of_the_execution_state(
        self, storage: StorageAdapter
    ) -> None:
        asked = [await _asked(storage), await _asked(storage), await _asked(storage, expires_at=LONG_AGO)]
        states = [await _stored_state(storage, session.id, status=WAITING) for _, session in asked]
        await storage.approve_request(asked[0][0].id, "ann", session_status=QUEUED)
        await storage.reject_request(asked[1][0].id, "ann", session_status=QUEUED)
        await storage.expire_approvals(session_status=QUEUED)
        for state in states:
            found = await storage.get_execution_state(state.session_id)
            assert_identical(found, attrs.evolve(state, status=QUEUED))

    @clause("STA-5", "QRY-1", "OPS-12")
    async def test_lists_by_status_find_the_same_sessions_and_execution_states(self, storage: StorageAdapter) -> None:
        by_session, by_state, same = [(await samples.stored_session(storage)).id for _ in range(3)]
        for session_id in (by_session, by_state, same):
            await _stored_state(storage, session_id, status=RUNNING)
        await storage.update_session(by_session, status=FAILED)
        await _stored_state(storage, by_state, status=FAILED)
        conditions: tuple[tuple[Any, set[str]], ...] = (
            (FAILED, {by_session, by_state}),
            (RUNNING, {same}),
            (In([FAILED, QUEUED]), {by_session, by_state}),
            (Ne(FAILED), {same}),
        )
        for condition, expected in conditions:
            filter = QueryFilter({"status": condition})  # noqa: A001 - as the argument is called
            assert {each.id for each in await storage.list_sessions(filter)} == expected
            assert await storage.count_sessions(filter) == len(expected)
            assert {each.session_id for each in await storage.list_execution_states(filter)} == expected
        ordered = await storage.list_execution_states(QueryFilter(order_by=BY_STATUS))
        assert [each.session_id for each in ordered] == [*sorted([by_session, by_state], reverse=True), same]
        page = QueryFilter(order_by=BY_STATUS).after(ordered[0])
        assert_identical(await storage.list_execution_states(page), ordered[1:])

    @clause("STA-5", "OPS-10")
    async def test_an_update_on_a_condition_sees_the_status_of_the_execution_state(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        await _stored_state(storage, session.id, status=WAITING)
        with pytest.raises(ConflictError):
            await storage.update_session(session.id, only_if={"status": "running"}, status="completed")
        assert (await _status_of_both(storage, session.id)) == (WAITING, WAITING)
        await storage.update_session(session.id, only_if={"status": WAITING}, status="completed")
        assert (await _status_of_both(storage, session.id)) == (SessionStatus.COMPLETED, SessionStatus.COMPLETED)

    @clause("STA-5", "TXN-2", "TXN-4")
    async def test_a_transaction_shows_one_status_and_undoes_it_for_both(self, storage: StorageAdapter) -> None:
        session = await samples.stored_session(storage, status=RUNNING)
        await _stored_state(storage, session.id, status=RUNNING)
        async with storage.transaction() as transaction:
            await transaction.update_session(session.id, status=QUEUED)
            assert await _status_of_both(transaction, session.id) == (QUEUED, QUEUED)
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await _stored_state(transaction, session.id, status=FAILED)
                    assert await _status_of_both(transaction, session.id) == (FAILED, FAILED)
                    raise ZeroDivisionError
            assert await _status_of_both(transaction, session.id) == (QUEUED, QUEUED)
        transaction = await storage.begin_transaction()
        await _stored_state(transaction, session.id, status=FAILED)
        await transaction.rollback()
        assert await _status_of_both(storage, session.id) == (QUEUED, QUEUED)

    @clause("STA-5", "CON-1")
    async def test_the_two_agree_after_many_have_set_either_at_once(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        session = await samples.stored_session(storage)
        state = await _stored_state(storage, session.id)
        async with store.open() as other:
            for _ in range(ROUNDS):
                await asyncio.gather(
                    *(adapter.update_session(session.id, status=QUEUED) for adapter in (storage, other)),
                    *(
                        adapter.save_execution_state(attrs.evolve(state, status=status))
                        for adapter in (storage, other)
                        for status in (FAILED, RUNNING)
                    ),
                )
                of_session, of_state = await _status_of_both(other, session.id)
                assert of_session is of_state

    @clause("STA-5", "TXN-8")
    async def test_who_reads_one_of_the_two_and_then_sets_it_loses_no_status_that_was_set_by_the_other(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for reads_state in (True, False):
                session = await samples.stored_session(storage, status=RUNNING)
                state = await _stored_state(storage, session.id, status=RUNNING)
                transaction = await storage.begin_transaction()
                writing: asyncio.Task[Any]
                if reads_state:
                    await transaction.get_execution_state(session.id)
                    writing = start_in_fresh_context(
                        other.update_session(session.id, only_if={"status": "running"}, status="paused")
                    )
                else:
                    await transaction.get_session(session.id)
                    writing = start_in_fresh_context(
                        _save_if_running(other, attrs.evolve(state, status=SessionStatus.PAUSED))
                    )
                await asyncio.sleep(A_WHILE_S)
                try:
                    if reads_state:
                        await transaction.save_execution_state(attrs.evolve(state, status=SessionStatus.COMPLETED))
                    else:
                        await transaction.update_session(session.id, status="completed")
                    await transaction.commit()
                    expected = SessionStatus.COMPLETED
                except ContentionError:
                    expected = SessionStatus.PAUSED
                with suppress(ConflictError, ContentionError):
                    await asyncio.wait_for(writing, SOON_S)
                assert await _status_of_both(storage, session.id) == (expected, expected)

    @clause("APR-7")
    @pytest.mark.parametrize("decision", ["approve_request", "reject_request"])
    async def test_a_decision_sets_the_status_of_its_session_and_of_no_other(
        self, storage: StorageAdapter, decision: str
    ) -> None:
        request, session = await _asked(storage)
        other = await samples.stored_session(storage, status=WAITING)
        before = now()
        decided = await getattr(storage, decision)(request.id, "ann", session_status="queued")
        assert_identical(await storage.get_approval_request(request.id), decided)
        stored = await _session(storage, session.id)
        assert_identical(stored, attrs.evolve(session, status=QUEUED, updated_at=stored.updated_at))
        assert before <= stored.updated_at <= now()
        assert_identical(await storage.get_session(other.id), other)

    @clause("APR-7")
    async def test_expiring_sets_the_status_of_the_sessions_whose_requests_it_returns(
        self, storage: StorageAdapter
    ) -> None:
        late = [await _asked(storage, expires_at=LONG_AGO) for _ in range(3)]
        again = await samples.stored_request(storage, late[0][1].id, expires_at=LONG_AGO)
        others = [await _asked(storage), await _asked(storage, expires_at=LONG_AGO, status="rejected")]
        expired = await storage.expire_approvals(session_status=FAILED)
        assert {each.id for each in expired} == {again.id, *(request.id for request, _ in late)}
        assert {(await _session(storage, session.id)).status for _, session in late} == {FAILED}
        for _, session in others:
            assert_identical(await storage.get_session(session.id), session)

    @clause("APR-7")
    async def test_a_decision_without_a_status_leaves_the_session_as_it_was(self, storage: StorageAdapter) -> None:
        asked = [await _asked(storage), await _asked(storage), await _asked(storage, expires_at=LONG_AGO)]
        (one, _), (other, _), _ = asked
        await storage.approve_request(one.id, "ann", session_status=None)
        await storage.reject_request(other.id, "ann", session_status=None)
        await storage.expire_approvals(session_status=None)
        for _, session in asked:
            assert_identical(await storage.get_session(session.id), session)

    @clause("APR-7", "APR-1")
    @pytest.mark.parametrize("decision", ["approve_request", "reject_request"])
    async def test_a_decision_that_is_refused_sets_no_status(self, storage: StorageAdapter, decision: str) -> None:
        decided, _ = await _asked(storage, status="rejected")
        late, _ = await _asked(storage, expires_at=LONG_AGO)
        pending, _ = await _asked(storage)
        before = await everything_in(storage)
        decide: Any = getattr(storage, decision)
        for request in (decided, late):
            with pytest.raises(ConflictError) as caught:
                await decide(request.id, "ann", session_status="queued")
            assert_identical(caught.value.current, request)
        with pytest.raises(NotFoundError):
            await decide("nothing", "ann", session_status="queued")
        for wrong in ("unknown", "", 7, "approved", "QUEUED", True):
            with pytest.raises(ValidationError):
                await decide(pending.id, "ann", session_status=wrong)
            with pytest.raises(ValidationError):
                await storage.expire_approvals(session_status=wrong)  # type: ignore[arg-type]  # on purpose
        assert_identical(await everything_in(storage), before)

    @clause("APR-7", "TXN-1", "TXN-4")
    async def test_a_decision_and_its_status_are_undone_together(self, storage: StorageAdapter) -> None:
        request, session = await _asked(storage)
        late, of_late = await _asked(storage, expires_at=LONG_AGO)
        transaction = await storage.begin_transaction()
        await transaction.approve_request(request.id, "ann", session_status="queued")
        await transaction.expire_approvals(session_status="failed")
        assert (await _session(transaction, session.id)).status is QUEUED
        assert (await _session(transaction, of_late.id)).status is FAILED
        await transaction.rollback()
        for each, its_session in ((request, session), (late, of_late)):
            assert_identical(await storage.get_approval_request(each.id), each)
            assert_identical(await storage.get_session(its_session.id), its_session)
        async with storage.transaction() as transaction:
            await transaction.reject_request(request.id, "ann", session_status="cancelled")
        assert (await _session(storage, session.id)).status is SessionStatus.CANCELLED

    @clause("APR-7", "APR-2")
    async def test_of_decisions_at_once_the_one_that_wins_sets_the_status(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for _ in range(ROUNDS):
                request, session = await _asked(storage)
                outcomes = await asyncio.gather(
                    storage.approve_request(request.id, "ann", session_status="queued"),
                    other.reject_request(request.id, "bea", session_status="failed"),
                    return_exceptions=True,
                )
                (winner,) = [each for each in outcomes if isinstance(each, ApprovalRequest)]
                assert [type(each) for each in outcomes if each is not winner] == [ConflictError]
                expected = QUEUED if winner.resolved_by == "ann" else FAILED
                assert (await _session(storage, session.id)).status is expected

    @clause("APR-7", "SES-3")
    async def test_a_decision_and_the_deletion_of_its_session_at_once_both_end(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for turn in range(ROUNDS):
                request, session = await _asked(storage)
                calls: list[Any] = [
                    storage.approve_request(request.id, "ann", session_status="queued"),
                    other.delete_session(session.id),
                ]
                outcomes = await asyncio.gather(*(calls[::-1] if turn % 2 else calls), return_exceptions=True)
                errors = [each for each in outcomes if isinstance(each, Exception)]
                assert [type(each) for each in errors] in ([], [NotFoundError])
                assert await storage.get_session(session.id) is None
                assert await storage.get_approval_request(request.id) is None


async def _stored_state(storage: StorageOperations, session_id: str, **fields: Any) -> WorkflowExecutionState:
    """Make an execution state, and save it."""
    state = samples.a_state(session_id, **fields)
    await storage.save_execution_state(state)
    return state


async def _save_if_running(storage: StorageAdapter, state: WorkflowExecutionState) -> None:
    """Save the state if the stored one is still running, in one transaction."""
    async with storage.transaction() as transaction:
        stored = await transaction.get_execution_state(state.session_id)
        if stored is not None and stored.status is RUNNING:
            await transaction.save_execution_state(state)


async def _status_of_both(
    storage: StorageOperations, session_id: str
) -> tuple[SessionStatus | None, SessionStatus | None]:
    """Return the status that the session shows, and the one that its execution state shows."""
    session, state = await storage.get_session(session_id), await storage.get_execution_state(session_id)
    return (None if session is None else session.status), (None if state is None else state.status)


async def _session(storage: StorageOperations, session_id: str) -> Session:
    session = await storage.get_session(session_id)
    assert session is not None
    return session


async def _asked(storage: StorageOperations, **fields: Any) -> tuple[ApprovalRequest, Session]:
    """Store a request in a new session that waits for it."""
    session = await samples.stored_session(storage, status=WAITING)
    return await samples.stored_request(storage, session.id, **fields), session
