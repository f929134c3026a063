"""Return values: the record as stored, a new list, or None; changing them changes nothing stored."""

import copy
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from aaow_storage import (
    ConflictError,
    QueryFilter,
    StorageAdapter,
    StorageError,
    StorageOperations,
    ValidationError,
    create_adapter,
)
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import Call, calls_with
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.failing_calls import failing_calls, prepare_for_failing_calls
from aaow_storage_conformance.data.kinds import APPROVAL_REQUEST, BUDGET_POOL, SESSION, WORKFLOW, Kind, prepare
from aaow_storage_conformance.data.steps import LONG_AGO, READS, every_read, read_all, steps_for
from aaow_storage_conformance.harness.store import Store

SECOND = timedelta(seconds=1)

SILENT = ("save", "create", "log", "delete", "update_node_state")
"""Prefixes of the operations that return None."""


@attrs.frozen
class Change:
    """An operation that returns the changed record.

    Attributes:
        kind: the kind of the record.
        call: changes the record with the given id.
        fields: what the record holds before the change.
    """

    kind: Kind
    call: Callable[[StorageOperations, str], Awaitable[Any]]
    fields: dict[str, Any] = attrs.field(factory=dict)


SPENT = {"total_budget": 1, "used_budget": 1, "status": "exhausted"}
CHANGES: dict[str, Change] = {
    "update_workflow": Change(WORKFLOW, lambda storage, key: storage.update_workflow(key, name="renamed")),
    "update_workflow with its time": Change(
        WORKFLOW,
        lambda storage, key: storage.update_workflow(key, definition={"a": 1.0}, metadata=None, updated_at=LONG_AGO),
    ),
    "update_workflow without changes": Change(WORKFLOW, lambda storage, key: storage.update_workflow(key)),
    "update_session": Change(
        SESSION, lambda storage, key: storage.update_session(key, status="failed", metadata={"a": -0.0})
    ),
    "update_session without changes": Change(SESSION, lambda storage, key: storage.update_session(key)),
    "update_budget_pool": Change(
        BUDGET_POOL, lambda storage, key: storage.update_budget_pool(key, total_budget="12.50", status="suspended")
    ),
    "consume_budget": Change(BUDGET_POOL, lambda storage, key: storage.consume_budget(key, "2.50")),
    "consume_budget to the end": Change(
        BUDGET_POOL, lambda storage, key: storage.consume_budget(key, 3), {"total_budget": 3, "used_budget": 0}
    ),
    "increase_budget": Change(BUDGET_POOL, lambda storage, key: storage.increase_budget(key, "0.10")),
    "increase_budget of an exhausted pool": Change(
        BUDGET_POOL, lambda storage, key: storage.increase_budget(key, "0.10"), SPENT
    ),
    "increase_budget of a suspended pool": Change(
        BUDGET_POOL, lambda storage, key: storage.increase_budget(key, 1), {"status": "suspended"}
    ),
    "update_approval_request": Change(
        APPROVAL_REQUEST,
        lambda storage, key: storage.update_approval_request(key, context={"b": 1, "a": True}, expires_at=None),
    ),
    "update_approval_request to expired": Change(
        APPROVAL_REQUEST, lambda storage, key: storage.update_approval_request(key, status="expired")
    ),
    "approve_request": Change(APPROVAL_REQUEST, lambda storage, key: storage.approve_request(key, "ann", "fine")),
    "approve_request without notes": Change(APPROVAL_REQUEST, lambda storage, key: storage.approve_request(key, "ann")),
    "reject_request": Change(APPROVAL_REQUEST, lambda storage, key: storage.reject_request(key, "bob", "too much")),
}

where = pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])


class ReturnTests:
    """What each operation returns, and that the caller owns it."""

    @clause("OPS-4", "BUD-1", "BUD-2", "APR-1")
    @where
    async def test_an_operation_that_changes_a_record_returns_it_as_it_is_stored(
        self, storage: StorageAdapter, store: Store, is_inside: bool
    ) -> None:
        await prepare(storage)
        stored = {name: change.kind.make(id=name, **change.fields) for name, change in CHANGES.items()}
        for name, change in CHANGES.items():
            await change.kind.store(storage, stored[name])
        returned: dict[str, Any] = {}

        async def change_all(operations: StorageOperations) -> None:
            for name, change in CHANGES.items():
                returned[name] = await change.call(operations, name)
                assert (name, returned[name] == stored[name]) == (name, False)
                assert_identical(await change.kind.find(operations, stored[name]), returned[name])

        if is_inside:
            async with storage.transaction() as transaction:
                await change_all(transaction)
        else:
            await change_all(storage)
        async with store.open() as other:
            for reader in (storage, other):
                found = {name: await change.kind.find(reader, stored[name]) for name, change in CHANGES.items()}
                assert_identical(found, returned)

    @clause("APR-3")
    @where
    async def test_a_sweep_returns_what_it_expired_as_it_is_stored_by_time_then_id(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        await prepare_for_failing_calls(storage)
        late = {"created_at": samples.EPOCH, "expires_at": LONG_AGO}
        for name in ("z", "B", "late too"):
            await samples.stored_request(storage, "s", id=name, **late)
        await samples.stored_request(
            storage, "bare", id="first", created_at=samples.EPOCH - SECOND, expires_at=LONG_AGO
        )

        async def sweep(operations: StorageOperations) -> None:
            expired = await operations.expire_approvals()
            assert [request.id for request in expired] == ["first", "B", "late too", "z", "late"]
            assert_identical([await operations.get_approval_request(request.id) for request in expired], expired)
            assert {request.status for request in expired} == {"expired"}
            assert_identical(await operations.expire_approvals(), [])

        await _run(sweep, storage, is_inside=is_inside)

    @clause("OPS-2", "OPS-3", "OPS-5", "STA-3")
    @where
    async def test_what_stores_a_record_or_deletes_one_returns_none(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        steps = steps_for(storage.capabilities)
        silent = [step for step in steps if step.name.startswith(SILENT) and not step.returns]
        assert silent

        async def take_all(operations: StorageOperations) -> None:
            for step in steps:
                returned = await step.change(operations)
                assert (step.name, returned is None) == (step.name, step in silent)

        await _run(take_all, storage, is_inside=is_inside)

    @clause("OPS-1")
    @where
    async def test_arguments_may_be_given_by_their_names(self, storage: StorageAdapter, is_inside: bool) -> None:
        await prepare_for_failing_calls(storage)

        async def read_by_names(operations: StorageOperations) -> None:
            for call in every_read(storage.capabilities):
                named = _with_named_arguments(call)
                assert_identical(await named.on(operations), await call.on(operations))
                if call.name.startswith("summarize"):
                    continue  # its filter has no limit
                if "filter" in inspect.signature(getattr(StorageOperations, call.name)).parameters:
                    nothing = attrs.evolve(named, changes={**named.changes, "filter": QueryFilter(limit=0)})
                    assert await nothing.on(operations) in ([], 0)

        await _run(read_by_names, storage, is_inside=is_inside)
        before = await read_all(storage, storage.capabilities)
        for call in calls_with(()):
            if not call.name.startswith((*READS, "update_workflow", "update_session", "delete_budget")):
                transaction = await storage.begin_transaction()
                await _with_named_arguments(call).on(transaction)
                assert (call, await read_all(transaction, storage.capabilities) == before) == (call, False)
                await transaction.rollback()
        for decide, by, why in (
            (storage.approve_request, "approved_by", "notes"),
            (storage.reject_request, "rejected_by", "reason"),
        ):
            request = await samples.stored_request(storage, "s")
            arguments: dict[str, Any] = {"id": request.id, by: "ann", why: "fine"}
            decided = await decide(**arguments)
            assert (decided.resolved_by, decided.resolution_notes) == ("ann", "fine")
        late = await samples.stored_request(storage, "s", expires_at=LONG_AGO)
        expired = await storage.expire_approvals(now=LONG_AGO)
        assert late.id in {request.id for request in expired}

    @clause("OPS-1")
    @where
    async def test_a_list_is_a_new_list_each_time_and_a_count_an_int(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        async def check(operations: StorageOperations) -> None:
            for call in every_read(storage.capabilities):
                one, other = await call.on(operations), await call.on(operations)
                if call.name.startswith("count"):
                    assert (call.name, type(one)) == (call.name, int)
                elif isinstance(one, list):
                    assert (call, one is other) == (call, False)
                    one.append("added")
                    assert_identical(await call.on(operations), other)
                else:
                    assert one is None or attrs.has(type(one)), f"{call} has to return records; it returned {one!r}"

        await _run(check, storage, is_inside=is_inside)
        await prepare_for_failing_calls(storage)
        await _run(check, storage, is_inside=is_inside)

    @clause("REC-6")
    @where
    async def test_changing_what_any_operation_returned_changes_nothing_stored(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        async def spoil_all(operations: StorageOperations) -> None:
            for step in steps_for(storage.capabilities):
                returned = await step.change(operations)
                if returned is None:
                    continue
                before = copy.deepcopy(await read_all(operations, storage.capabilities))
                _change_in_place(returned)
                spoiled = await read_all(operations, storage.capabilities)
                assert_identical(spoiled, before)
                _change_in_place(spoiled)
                assert_identical(await read_all(operations, storage.capabilities), before)

        await _run(spoil_all, storage, is_inside=is_inside)

    @clause("REC-6")
    async def test_what_two_callers_read_is_not_shared_between_them(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            for step in steps_for(storage.capabilities):
                await step.change(storage)
            read = [await read_all(reader, storage.capabilities) for reader in (storage, storage, other)]
            expected = copy.deepcopy(read[0])
            for mine in read:
                assert_identical(mine, expected)
                _change_in_place(mine)

    @clause("REC-6", "ERR-1")
    @where
    async def test_changing_what_an_error_carries_changes_nothing_stored(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        await prepare_for_failing_calls(storage)

        async def fail_all(operations: StorageOperations) -> None:
            before = await read_all(operations, storage.capabilities)
            pools = [await operations.get_budget_pool(name) for name in ("p", "suspended")]
            for failure in failing_calls():
                with pytest.raises(StorageError) as raised:
                    await failure.call(operations)
                if isinstance(raised.value, ConflictError):
                    _change_in_place([raised.value.current, getattr(raised.value, "pool", None)])
            assert_identical(await read_all(operations, storage.capabilities), before)
            assert_identical([await operations.get_budget_pool(name) for name in ("p", "suspended")], pools)

        await _run(fail_all, storage, is_inside=is_inside)

    @clause("ERR-1")
    async def test_an_error_of_a_driver_is_the_cause_of_the_error_that_is_raised(
        self, store: Store, tmp_path: Path
    ) -> None:
        """Every driver fails at a place that cannot be reached; a backend without places refuses the URL."""
        (tmp_path / "a file").write_bytes(b"no store " * 1000)
        scheme = (store.url or "").partition(":")[0] or store.backend.name
        for place in ("//127.0.0.1:1/store", f"///{tmp_path}/a file/store", f"///{tmp_path}/a file"):
            try:
                adapter = create_adapter(store.backend.name, f"{scheme}:{place}")
            except ValidationError:
                continue
            error = await _error_of_opening(adapter)
            context = None if error is None else error.__context__
            if error is not None and isinstance(context, Exception) and not isinstance(context, StorageError):
                assert error.__cause__ is not None, f"the __cause__ of {error!r} has to be {context!r}; it is None"


async def _error_of_opening(adapter: StorageAdapter) -> StorageError | None:
    try:
        await adapter.initialize()
    except StorageError as error:
        return error
    finally:
        await adapter.close()
    return None


async def _run(
    work: Callable[[StorageOperations], Awaitable[None]], storage: StorageAdapter, *, is_inside: bool
) -> None:
    """Run the function on the adapter, or in a transaction that is then rolled back."""
    if not is_inside:
        await work(storage)
        return
    transaction = await storage.begin_transaction()
    try:
        await work(transaction)
    finally:
        await transaction.rollback()


def _with_named_arguments(call: Call) -> Call:
    """Return the call with all arguments given by name, if they may be."""
    parameters = list(inspect.signature(getattr(StorageOperations, call.name)).parameters.values())[1:]
    pairs = list(zip(parameters, call.arguments, strict=False))
    return attrs.evolve(
        call,
        arguments=tuple(value for parameter, value in pairs if parameter.kind is parameter.POSITIONAL_ONLY),
        changes={
            **call.changes,
            **{parameter.name: value for parameter, value in pairs if parameter.kind is not parameter.POSITIONAL_ONLY},
        },
    )


def _change_in_place(value: Any) -> None:
    """Change every dict and list in a value and its records in place."""
    if isinstance(value, dict):
        for part in [*value.values()]:
            _change_in_place(part)
        value["added"] = "later"
    elif isinstance(value, list | tuple):
        for part in value:
            _change_in_place(part)
        if isinstance(value, list):
            value.append("later")
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            _change_in_place(getattr(value, field.name))
