"""Records: invalid ones cannot be built or stored; valid ones come back equal."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import StorageAdapter, ValidationError, new_id
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples, values
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.invalid_values import INVALID_FIELDS, VALID_RECORDS
from aaow_storage_conformance.data.kinds import (
    BUDGET_POOL,
    EXECUTION_STATE,
    KINDS,
    NODE_STATE,
    SESSION_ID,
    WORKFLOW,
    Kind,
    each,
    prepare,
)
from aaow_storage_conformance.harness.refusals import check_raises

Call = Callable[[Any], Awaitable[object]]


class RecordTests:
    """Validation, and what is read back of each field."""

    @clause("REC-1")
    @pytest.mark.parametrize("record", VALID_RECORDS, ids=lambda record: type(record).__name__)
    def test_a_record_with_a_wrong_value_cannot_be_built(self, record: Any) -> None:
        for field, wrong in INVALID_FIELDS[type(record)].items():
            for value in wrong:
                with pytest.raises(ValidationError) as raised:
                    attrs.evolve(record, **{field: value})
                assert raised.value.record == type(record).__name__
                assert raised.value.field.startswith(field), (
                    f"{field}={value!r} has to raise ValidationError for {field}; it names {raised.value.field}"
                )
                assert field in str(raised.value)

    @clause("REC-1")
    @each(KINDS)
    async def test_something_that_is_not_a_record_is_not_stored(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        before = await everything_in(storage, streams=["stream-1"])
        record = kind.make()
        other = samples.a_session() if kind is WORKFLOW else samples.a_workflow()
        impostors: tuple[Any, ...] = (None, {}, "text", attrs.asdict(record, recurse=False), other)
        for impostor in impostors:
            with pytest.raises(ValidationError):
                await _store_anything(storage, kind, impostor)
        assert_identical(await everything_in(storage, streams=["stream-1"]), before)

    @clause("REC-1", "REC-4")
    @each(tuple(kind for kind in KINDS if kind.objects))
    async def test_a_record_that_its_owner_spoiled_is_not_stored(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        before = await everything_in(storage)
        for field in kind.objects:
            for wrong in (float("nan"), (1, 2), "\ud800", {1: 2}, {1, 2}):
                record = kind.make()
                getattr(record, field)["added later"] = [wrong]
                with pytest.raises(ValidationError):
                    await kind.store(storage, record)
        assert_identical(await everything_in(storage), before)

    @clause("REC-1", "REC-2")
    async def test_a_wrong_id_is_refused_by_every_operation_that_takes_one(self, storage: StorageAdapter) -> None:
        await prepare(storage)
        calls: tuple[Call, ...] = (
            storage.get_workflow,
            storage.update_workflow,
            storage.delete_workflow,
            storage.get_session,
            storage.update_session,
            storage.delete_session,
            storage.get_execution_state,
            storage.get_llm_executions,
            storage.get_budget_pool,
            storage.get_child_budget_pools,
            storage.update_budget_pool,
            storage.delete_budget_pool,
            storage.get_tool_calls,
            storage.get_session_tool_calls,
            storage.get_approval_request,
            lambda wrong: storage.list_approval_requests("" if wrong is None else wrong),  # None is all sessions
            storage.update_approval_request,
            lambda wrong: storage.get_node_llm_executions(wrong, "draft"),
            lambda wrong: storage.get_node_llm_executions(SESSION_ID, wrong),
            lambda wrong: storage.save_llm_execution(wrong, "draft", samples.a_result()),
            lambda wrong: storage.save_llm_execution(SESSION_ID, wrong, samples.a_result()),
            lambda wrong: storage.update_node_state(wrong, "draft", samples.a_node_state("draft")),
            lambda wrong: storage.update_node_state(SESSION_ID, wrong, samples.a_node_state("draft")),
            lambda wrong: storage.consume_budget(wrong, 1),
            lambda wrong: storage.increase_budget(wrong, 1),
            lambda wrong: storage.approve_request(wrong, "ann"),
            lambda wrong: storage.reject_request(wrong, "ann"),
        )
        before = await everything_in(storage)
        for number, call in enumerate(calls):
            for wrong in (*values.INVALID_IDS, None):
                await check_raises(ValidationError, f"calls[{number}] with the id {wrong!r}", call, wrong)
        assert_identical(await everything_in(storage), before)

    @clause("REC-2")
    @each(KINDS)
    async def test_ids_of_any_characters_stay_apart(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        records = [kind.make(**{kind.key: text}) for text in values.IDS]
        if kind is EXECUTION_STATE:
            await _consume(storage.create_session(samples.a_session(id=text)) for text in values.IDS)
        await _consume(kind.store(storage, record) for record in records)
        for record in records:
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-2")
    async def test_ids_that_refer_to_other_records_may_hold_any_characters(self, storage: StorageAdapter) -> None:
        for text in values.IDS:
            await storage.save_workflow(samples.a_workflow(id=text))
            session = samples.a_session(id=text, workflow_id=text)
            await storage.create_session(session)
            assert_identical(await storage.get_session(text), session)
            execution = await samples.stored_execution(storage, text, text, id=text)
            log = await samples.stored_tool_call(storage, text, tool_call_id=text)
            request = await samples.stored_request(storage, text, node_id=text)
            assert_identical(await storage.get_node_llm_executions(text, text), [execution])
            assert_identical(await storage.get_session_tool_calls(text), [log])
            assert_identical(await storage.list_approval_requests(text), [request])

    @clause("REC-2")
    async def test_an_id_made_later_sorts_later(self, storage: StorageAdapter) -> None:
        ids = [new_id() for _ in range(5_000)]
        assert ids == sorted(set(ids))
        assert {(text[14], len(text)) for text in ids} == {("7", 36)}
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        for text in reversed(ids[:20]):
            await storage.save_workflow(samples.a_workflow(id=text, created_at=moment))
        assert [workflow.id for workflow in await storage.list_workflows()] == ids[:20]

    @clause("REC-3")
    @each(KINDS)
    async def test_instants_come_back_in_utc_to_the_microsecond(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        records = [
            kind.make(
                **{kind.key: SESSION_ID if kind is EXECUTION_STATE else f"at {index}"},
                **dict.fromkeys(kind.instants, at),
            )
            for index, at in enumerate(values.INSTANTS)
        ]
        for record, at in zip(records, values.INSTANTS, strict=True):
            await kind.store(storage, record)
            found = await kind.find(storage, record)
            assert_identical(found, record)
            for field in kind.instants:
                assert (getattr(found, field) - at, getattr(found, field).tzinfo) == (at - at, UTC)

    @clause("REC-3", "OPS-4")
    async def test_an_instant_that_an_update_names_comes_back_in_utc_to_the_microsecond(
        self, storage: StorageAdapter
    ) -> None:
        session = await samples.stored_session(storage)
        for at in values.INSTANTS:
            returned = await storage.update_session(session.id, updated_at=at)
            assert returned.updated_at - at == at - at
            assert_identical(await storage.get_session(session.id), returned)

    @clause("REC-5")
    @each(tuple(kind for kind in KINDS if kind.texts))
    async def test_text_of_any_characters_comes_back(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        records = [
            kind.make(**{kind.key: f"text {index}"}, **dict.fromkeys(kind.texts, text))
            for index, text in enumerate(values.TEXTS)
        ]
        await _consume(kind.store(storage, record) for record in records)
        for record in records:
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-5", "REC-1")
    async def test_text_with_nul_or_a_lone_surrogate_is_refused_by_the_operations_that_take_it(
        self, storage: StorageAdapter
    ) -> None:
        await prepare(storage)
        workflow = await samples.stored_workflow(storage)
        request = await samples.stored_request(storage, SESSION_ID)
        before = await everything_in(storage)
        calls = (
            lambda wrong: storage.update_workflow(workflow.id, name=wrong),
            lambda wrong: storage.approve_request(request.id, wrong),
            lambda wrong: storage.approve_request(request.id, "ann", wrong),
            lambda wrong: storage.reject_request(request.id, wrong),
            lambda wrong: storage.reject_request(request.id, "ann", wrong),
        )
        for number, call in enumerate(calls):
            for wrong in values.INVALID_TEXTS:
                await check_raises(ValidationError, f"calls[{number}] with the text {wrong!r}", call, wrong)
        assert_identical(await everything_in(storage), before)

    @clause("REC-5", "OPS-3")
    @each(tuple(kind for kind in KINDS if kind.texts))
    async def test_absent_text_is_not_empty_text(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        optional = [field for field in kind.texts if field not in {"name", "version", "tool_name"}]
        for index, text in enumerate((None, "", None)):
            record = kind.make(**{kind.key: f"text {index}"}, **dict.fromkeys(optional, text))
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)

    @clause("REC-8")
    async def test_amounts_come_back_exactly(self, storage: StorageAdapter) -> None:
        for amount in values.AMOUNTS:
            pool = samples.a_pool(total_budget=amount, used_budget=amount)
            await storage.create_budget_pool(pool)
            assert_identical(await BUDGET_POOL.find(storage, pool), pool)
            updated = await storage.update_budget_pool(pool.id, total_budget=Decimal(7), used_budget=amount)
            assert [updated.total_budget, updated.used_budget] == [Decimal(7), amount]
            assert_identical(await storage.get_budget_pool(pool.id), updated)

    @clause("REC-8")
    async def test_sums_of_amounts_do_not_drift(self, storage: StorageAdapter) -> None:
        root = await samples.stored_pool(storage, total_budget="1000", used_budget=0)
        pool = await samples.stored_pool(storage, total_budget="1", used_budget=0, parent_pool_id=root.id)
        for _ in range(5):
            async with storage.transaction() as transaction:
                for _ in range(100):
                    await transaction.increase_budget(pool.id, 0.1)
                    await transaction.consume_budget(pool.id, 0.1)
                    await transaction.consume_budget(pool.id, "0.001")
        found, parent = await storage.get_budget_pool(pool.id), await storage.get_budget_pool(root.id)
        assert found is not None
        assert parent is not None
        assert [found.total_budget, found.used_budget] == [Decimal(51), Decimal("50.5")]
        assert [parent.total_budget, parent.used_budget] == [Decimal(1000), Decimal("50.5")]

    @clause("REC-8")
    async def test_a_large_and_a_tiny_amount_add_up_exactly(self, storage: StorageAdapter) -> None:
        pool = await samples.stored_pool(storage, total_budget="99999999.9999999", used_budget="90071992.5474099")
        consumed = await storage.consume_budget(pool.id, "0.0000001")
        assert (consumed.used_budget, consumed.remaining_budget) == (
            Decimal("90071992.54741"),
            Decimal("9928007.4525899"),
        )
        assert_identical(await storage.get_budget_pool(pool.id), consumed)

    @clause("REC-8", "REC-1")
    async def test_an_amount_that_cannot_be_kept_exactly_is_refused(self, storage: StorageAdapter) -> None:
        pool = await samples.stored_pool(storage, total_budget="999999999999999e3")
        before = await everything_in(storage)
        calls: tuple[Call, ...] = (
            lambda wrong: storage.consume_budget(pool.id, wrong),
            lambda wrong: storage.increase_budget(pool.id, wrong),
            lambda wrong: storage.update_budget_pool(pool.id, used_budget=wrong),
            lambda wrong: storage.update_budget_pool(pool.id, total_budget=wrong),
        )
        for number, call in enumerate(calls):
            for wrong in values.INVALID_AMOUNTS:
                await check_raises(ValidationError, f"calls[{number}] with the amount {wrong!r}", call, wrong)
        with pytest.raises(ValidationError):
            await storage.increase_budget(pool.id, "1000")
        assert_identical(await everything_in(storage), before)

    @clause("OPS-3", "OPS-2")
    @each(KINDS)
    async def test_what_was_stored_comes_back_equal(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        full, bare = kind.make(), _with_defaults(kind.make())
        for record in (bare, full):
            await kind.store(storage, record)
            assert_identical(await kind.find(storage, record), record)


async def _consume(calls: Any) -> None:
    for call in calls:
        await call


async def _store_anything(storage: StorageAdapter, kind: Kind, value: Any) -> None:
    if kind is NODE_STATE:
        await storage.update_node_state(SESSION_ID, "draft", value)
    elif kind.name == "llm_execution":
        await storage.save_llm_execution(SESSION_ID, "draft", value)
    else:
        await kind.store(storage, value)


def _with_defaults(record: Any) -> Any:
    """Return the record with the default in every field that has one, but for ids."""
    required = {
        field.name: getattr(record, field.name)
        for field in attrs.fields(type(record))
        if field.default is attrs.NOTHING or field.name in {"id", "execution_id"}
    }
    return type(record)(**required)
