"""Instances of subclasses of str, datetime, Decimal, float and int are stored as the plain values that they hold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import (
    Contains,
    In,
    Le,
    Lt,
    Ne,
    OrderBy,
    QueryFilter,
    StartsWith,
    StorageAdapter,
    ValidationError,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.invalid_values import VALID_RECORDS
from aaow_storage_conformance.data.kinds import EXECUTION_ID, KINDS, SESSION_ID, Kind, each, prepare
from aaow_storage_conformance.data.lying_subclasses import (
    IMPOSTORS,
    LyingAmount,
    LyingFloat,
    LyingInstant,
    LyingInteger,
    LyingText,
    disguise,
    disguise_fields,
    members_of,
)

IDS = (LyingText, *(lambda text, number=number: members_of(text)[number] for number in range(2)))


class PlainValueTests:
    """Subclasses in records, arguments, changes and filters."""

    @clause("REC-1")
    @pytest.mark.parametrize("record", VALID_RECORDS, ids=lambda record: type(record).__name__)
    def test_a_record_built_of_instances_of_subclasses_holds_plain_values(self, record: Any) -> None:
        disguises = disguise_fields(record)
        for name, value in disguises.items():
            assert_identical(attrs.evolve(record, **{name: value}), record)
        assert_identical(attrs.evolve(record, **disguises), record)

    @clause("REC-1")
    @pytest.mark.parametrize("record", VALID_RECORDS, ids=lambda record: type(record).__name__)
    def test_no_subclass_gets_a_wrong_value_into_a_record(self, record: Any) -> None:
        naive = LyingInstant(2024, 1, 1)
        wrong = {str: LyingText("a\x00b"), datetime: naive, Decimal: LyingAmount("NaN")}
        for name, value in disguise_fields(record).items():
            if isinstance(value, float):
                continue
            (liar,) = [lie for kind, lie in wrong.items() if isinstance(value, kind)]
            for refused in (liar, *IMPOSTORS):
                with pytest.raises(ValidationError):
                    attrs.evolve(record, **{name: refused})

    @clause("REC-1", "REC-2", "REC-3", "REC-5")
    @each(KINDS)
    async def test_what_was_stored_of_instances_of_subclasses_comes_back_plain(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        record = kind.make()
        await kind.store(storage, attrs.evolve(record, **disguise_fields(record)))
        assert_identical(await kind.find(storage, record), record)

    @clause("REC-2")
    @pytest.mark.parametrize("made", IDS, ids=["lying", "StrEnum", "str-and-Enum"])
    async def test_an_id_of_a_subclass_finds_what_its_text_finds(self, storage: StorageAdapter, made: Any) -> None:
        await prepare(storage)
        await samples.stored_workflow(storage, id="a workflow")
        await samples.stored_pool(storage, id="a pool")
        await samples.stored_pool(storage, id="a child", parent_pool_id="a pool")
        await storage.log_tool_call(samples.a_tool_call(EXECUTION_ID))
        request = samples.a_request(SESSION_ID, id="a request", status="pending", expires_at=None)
        await storage.create_approval_request(request)
        await storage.update_node_state(made(SESSION_ID), made("draft"), samples.a_node_state("draft"))
        await storage.save_llm_execution(made(SESSION_ID), made("draft"), samples.a_result())
        finds: tuple[tuple[Any, ...], ...] = (
            (storage.get_workflow, "a workflow"),
            (storage.get_session, SESSION_ID),
            (storage.get_execution_state, SESSION_ID),
            (storage.get_llm_executions, SESSION_ID),
            (storage.get_node_llm_executions, SESSION_ID, "draft"),
            (storage.get_tool_calls, EXECUTION_ID),
            (storage.get_session_tool_calls, SESSION_ID),
            (storage.get_budget_pool, "a pool"),
            (storage.get_child_budget_pools, "a pool"),
            (storage.get_approval_request, "a request"),
            (storage.list_approval_requests, SESSION_ID),
        )
        for find, *ids in finds:
            found = await find(*ids)
            assert found not in (None, [])
            assert_identical(await find(*map(made, ids)), found)
        await storage.approve_request(made("a request"), made("ann"), made("well done"))
        approved = await storage.get_approval_request("a request")
        assert approved is not None
        assert_identical((approved.resolved_by, approved.resolution_notes), ("ann", "well done"))
        for delete, record_id in (
            (storage.delete_budget_pool, "a child"),
            (storage.delete_workflow, "a workflow"),
            (storage.delete_session, SESSION_ID),
        ):
            await delete(made(record_id))
        assert_identical(await everything_in(storage), {**_NOTHING, "budget_pools": [await _pool(storage)]})

    @clause("OPS-4")
    async def test_a_change_to_an_instance_of_a_subclass_stores_the_plain_value(self, storage: StorageAdapter) -> None:
        at = datetime(2030, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
        await samples.stored_workflow(storage, id="w")
        await samples.stored_session(storage, id="s")
        await samples.stored_pool(storage, id="p")
        workflow = await storage.update_workflow(LyingText("w"), name=LyingText("new"), updated_at=disguise(at))
        failed: Any = LyingText("failed")
        session = await storage.update_session(LyingText("s"), status=failed, updated_at=disguise(at))
        pool = await storage.update_budget_pool(LyingText("p"), total_budget=LyingAmount("12.50"))
        assert_identical((workflow.name, workflow.updated_at), ("new", at))
        assert_identical((str(session.status), session.updated_at), ("failed", at))
        assert_identical(pool.total_budget, Decimal("12.50"))
        assert_identical(await storage.get_workflow("w"), workflow)
        assert_identical(await storage.get_session("s"), session)
        assert_identical(await storage.get_budget_pool("p"), pool)

    @clause("APR-4")
    async def test_no_subclass_gets_another_status_into_a_request(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        request = samples.a_request(SESSION_ID, status="pending", expires_at=None)
        await storage.create_approval_request(request)
        changes: dict[str, Any] = {"status": LyingText("approved")}
        with pytest.raises(ValidationError):
            await storage.update_approval_request(request.id, **changes)
        stored = await storage.get_approval_request(request.id)
        assert stored is not None
        assert stored.status == "pending"

    @clause("REC-8", "BUD-1")
    @pytest.mark.parametrize(
        ("made", "plain"),
        [(LyingAmount, "0.25"), (LyingFloat, "0.25"), (LyingInteger, "3"), (LyingText, "0.25")],
    )
    async def test_an_amount_of_a_subclass_counts_as_what_it_holds(
        self, storage: StorageAdapter, made: Any, plain: str
    ) -> None:
        await samples.stored_pool(storage, id="p", total_budget=100, used_budget=0, status="active")
        used = (await storage.consume_budget("p", made(plain))).used_budget
        total = (await storage.increase_budget("p", made(plain))).total_budget
        assert_identical((used, total), (Decimal(plain), 100 + Decimal(plain)))

    @clause("APR-3")
    async def test_an_instant_of_a_subclass_expires_what_the_instant_expires(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        at = datetime(2030, 5, 6, tzinfo=UTC)
        for number in (-1, 1):
            expires_at = at + timedelta(seconds=number)
            request = samples.a_request(SESSION_ID, id=f"{number}", status="pending", expires_at=expires_at)
            await storage.create_approval_request(request)
        expired = await storage.expire_approvals(disguise(at))
        assert [request.id for request in expired] == ["-1"]

    @clause("QRY-1", "QRY-5")
    async def test_a_filter_of_instances_of_subclasses_asks_for_the_plain_values(self, storage: StorageAdapter) -> None:
        at = datetime(2030, 5, 6, tzinfo=UTC)
        for number, status in enumerate(("paused", "failed", "paused")):
            created_at = at + timedelta(seconds=number)
            await samples.stored_session(storage, id=f"s{number}", status=status, created_at=created_at)
            await samples.stored_pool(storage, id=f"p{number}", total_budget=number + 1)
        downwards: Any = LyingText("desc")
        newest_first = OrderBy(LyingText("created_at"), downwards)
        cases: tuple[tuple[dict[Any, Any], list[str]], ...] = (
            ({LyingText("status"): LyingText("paused")}, ["s2", "s0"]),
            ({"status": Ne(LyingText("paused"))}, ["s1"]),
            ({"status": In([*members_of("failed")])}, ["s1"]),
            ({"id": LyingText("s1")}, ["s1"]),
            ({"id": In({LyingText("s1"), "s2"})}, ["s2", "s1"]),
            ({"id": StartsWith(LyingText("s"))}, ["s2", "s1", "s0"]),
            ({"id": Contains(LyingText("1"))}, ["s1"]),
            ({"created_at": Le(disguise(at + timedelta(seconds=1)))}, ["s1", "s0"]),
        )
        for where, ids in cases:
            found = await storage.list_sessions(QueryFilter(where, order_by=newest_first))
            assert [session.id for session in found] == ids
        for amount in (LyingAmount(3), LyingFloat(3.0), LyingInteger(3), LyingText("3")):
            pools = await storage.list_budget_pools(QueryFilter({"total_budget": Lt(amount)}))
            assert {pool.id for pool in pools} == {"p0", "p1"}


_NOTHING: dict[str, list[Any]] = {
    "workflows": [],
    "sessions": [],
    "budget_pools": [],
    "execution_states": [],
    "llm_executions": [],
    "tool_calls": [],
    "approval_requests": [],
    "stream_events": [],
}


async def _pool(storage: StorageAdapter) -> Any:
    return await storage.get_budget_pool("a pool")
