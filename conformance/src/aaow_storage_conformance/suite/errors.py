"""Errors: every failure raises a StorageError with its facts; it can be copied and pickled, and shows no password."""

import asyncio
import contextlib
import copy
import inspect
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from aaow_storage import (
    AdapterClosedError,
    AlreadyExistsError,
    ApprovalChanges,
    BackendNotFoundError,
    BudgetExceededError,
    BudgetPoolChanges,
    Capability,
    ConflictError,
    Contains,
    CorruptDataError,
    In,
    Lt,
    NotFoundError,
    OrderBy,
    QueryFilter,
    SchemaVersionError,
    SessionChanges,
    StorageAdapter,
    StorageError,
    StorageOperations,
    StorageUnavailableError,
    TransactionError,
    UnsupportedOperationError,
    ValidationError,
    WorkflowChanges,
    create_adapter,
)
from aaow_storage_conformance._contract import clause, lacks, since
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import STREAM_OPERATIONS, Call, calls_with, every_call
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.failing_calls import (
    FAILING_CALLS,
    FailingCall,
    failing_calls,
    prepare_for_failing_calls,
)
from aaow_storage_conformance.data.versions import is_later
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import AT_ONCE_S

TREE: dict[type[StorageError], tuple[type[BaseException], ...]] = {
    ValidationError: (StorageError, ValueError),
    NotFoundError: (StorageError, LookupError),
    AlreadyExistsError: (StorageError, LookupError),
    ConflictError: (StorageError,),
    BudgetExceededError: (ConflictError,),
    TransactionError: (StorageError,),
    AdapterClosedError: (StorageError,),
    UnsupportedOperationError: (StorageError,),
    SchemaVersionError: (StorageError,),
    StorageUnavailableError: (StorageError,),
    CorruptDataError: (StorageError,),
    BackendNotFoundError: (StorageError, LookupError),
}

WRONG: tuple[Any, ...] = (object(), b"x", 1j, Ellipsis)
"""Values that no argument takes."""
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**63 - 1, 2**64, 10**400, float("nan"), Decimal("Infinity"), Decimal("sNaN")),
    *("", "\x00", "\ud800", "x" * 300, "1e999999", [], {}, (), [None], {"a": object()}, {1: 2}, type, print),
)
"""Values that an argument may take or refuse, and that a driver may fail at."""

CHANGES: dict[str, type] = {
    "update_workflow": WorkflowChanges,
    "update_session": SessionChanges,
    "update_budget_pool": BudgetPoolChanges,
    "update_approval_request": ApprovalChanges,
}

SECRET = "s3cr3t-w0rd"  # noqa: S105 - the password of no account
PLACES = (
    "//ann:{secret}@127.0.0.1:1/store",
    "//ann:{secret}@localhost/a/b?mode=unknown",
    "//127.0.0.1:1/store?password={secret}",
    "///no/such/folder/store?user=ann&password={secret}",
)
FIELDS = ("name", "created_at", "metadata.user")
SHORT_S = 0.01


class ErrorTests:
    """Types, attributes and copies of errors."""

    @clause("ERR-1")
    @pytest.mark.parametrize(
        "failure", [pytest.param(each, id=each.name, marks=since(each.since)) for each in FAILING_CALLS]
    )
    async def test_an_error_keeps_its_facts_and_survives_copying_and_pickling(
        self, storage: StorageAdapter, failure: FailingCall
    ) -> None:
        await prepare_for_failing_calls(storage)
        before = await everything_in(storage)
        for error in (await _error_of(failure.call(storage)), await _error_inside(storage, failure)):
            _check_kind(error, failure.kind)
            _check_copies(error)
            _check_cause(error)
            for name, fact in failure.facts.items():
                assert_identical(getattr(error, name), fact)
            if "id" in failure.facts:
                assert repr(failure.facts["id"]) in str(error)
            if failure.record is not None:
                _check_record(error, await failure.record(storage), may_lack_it=failure.may_lack_record)
        assert_identical(await everything_in(storage), before)

    @clause("ERR-1", "REC-6")
    async def test_changing_the_record_in_an_error_changes_nothing_stored(self, storage: StorageAdapter) -> None:
        await prepare_for_failing_calls(storage)
        before = await everything_in(storage)
        for failure in failing_calls():
            error = await _error_of(failure.call(storage))
            if isinstance(error, ConflictError) and error.current is not None:
                document = getattr(error.current, "context", None) or getattr(error.current, "metadata", None)
                assert isinstance(document, dict)
                document["spoilt"] = True
        assert_identical(await everything_in(storage), before)

    @clause("ERR-1", "CON-1")
    async def test_each_of_many_failures_at_once_has_an_error_of_its_own(self, storage: StorageAdapter) -> None:
        ids = [f"nowhere {number}" for number in range(50)]
        errors = await asyncio.gather(*(_error_of(storage.delete_workflow(name)) for name in ids))
        assert [getattr(error, "id", None) for error in errors] == ids
        assert len({id(error) for error in errors}) == len(ids)

    @clause("ERR-1", "LIF-2")
    async def test_the_errors_of_a_closed_adapter_survive_copying_and_pickling(self, store: Store) -> None:
        adapter = store.adapter()
        for _ in range(2):
            for call in (adapter.get_workflow, adapter.delete_session):
                error = await _error_of(call("x"))
                _check_kind(error, AdapterClosedError)
                _check_copies(error)
            await adapter.initialize()
            await adapter.close()

    @clause("ERR-1", "TXN-3", "TXN-6", "TXN-7")
    async def test_the_errors_of_transactions_survive_copying_and_pickling(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        async with store.open() as other:
            late = await other.begin_transaction(timeout=SHORT_S)
            await asyncio.sleep(2 * SHORT_S)
            too_late = await _error_of(late.commit())
        over = await storage.begin_transaction()
        bypassed = await _error_of(storage.list_workflows())
        await over.commit()
        errors = (bypassed, too_late, await _error_of(over.list_workflows()))
        for error in errors:
            _check_kind(error, TransactionError)
            _check_copies(error)
        assert len({str(error) for error in errors}) == len(errors)

    @clause("ERR-1")
    async def test_the_error_of_a_store_without_a_schema_survives_copying_and_pickling(self, store: Store) -> None:
        """A backend without a schema refuses nothing, and passes."""
        adapter = store.adapter()
        try:
            await adapter.initialize(migrate=False)
        except SchemaVersionError as error:
            _check_kind(error, SchemaVersionError)
            _check_copies(error)
        else:
            assert await adapter.list_workflows() == []

    @clause("ERR-1", "STR-1")
    @lacks(Capability.STREAM_EVENTS)
    async def test_the_error_of_a_missing_capability_tells_which(self, storage: StorageAdapter) -> None:
        for call in every_call():
            if call.name in STREAM_OPERATIONS:
                error = await _error_of(call.on(storage))
                _check_kind(error, UnsupportedOperationError)
                _check_copies(error)
                assert (getattr(error, "operation", ""), getattr(error, "capability", "")) == (
                    call.name,
                    Capability.STREAM_EVENTS,
                )

    @clause("ERR-1")
    @pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
    async def test_an_argument_of_a_wrong_type_is_refused_everywhere(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        await prepare_for_failing_calls(storage)
        before = await everything_in(storage)
        async with contextlib.AsyncExitStack() as stack:
            target = await stack.enter_async_context(storage.transaction()) if is_inside else storage
            for call in _calls_with(WRONG, storage.capabilities):
                error = await _outcome_of(call, target)
                assert isinstance(error, ValidationError), f"{call} has to raise ValidationError; it came to {error!r}"
                assert error.record
                assert error.field
                assert error.problem in str(error)
        assert_identical(await everything_in(storage), before)

    @clause("ERR-1")
    @pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
    async def test_nothing_but_storage_errors_comes_of_odd_arguments(
        self, storage: StorageAdapter, is_inside: bool
    ) -> None:
        await prepare_for_failing_calls(storage)
        async with contextlib.AsyncExitStack() as stack:
            target = await stack.enter_async_context(storage.transaction()) if is_inside else storage
            for call in _calls_with(ODD, storage.capabilities):
                await _outcome_of(call, target)
            for odd in _odd_filters():
                await _outcome_of(Call("list_workflows", (odd,)), target)
            await samples.stored_workflow(target, id="usable")
        assert await storage.get_workflow("usable") is not None

    @clause("ERR-1")
    async def test_nothing_but_storage_errors_comes_of_odd_timeouts(self, storage: StorageAdapter) -> None:
        for timeout in (*WRONG, *ODD):
            try:
                transaction = await storage.begin_transaction(timeout)
            except StorageError:
                continue
            await transaction.rollback()
        await samples.stored_workflow(storage)

    @clause("ERR-1")
    @pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
    def test_an_error_is_of_the_kinds_that_the_tree_says(self, kind: type[StorageError]) -> None:
        assert kind.__bases__ == TREE[kind]
        assert issubclass(kind, StorageError)

    @clause("ERR-1")
    @pytest.mark.parametrize("place", PLACES, ids=["user", "user and path", "parameter", "parameter of a path"])
    async def test_the_password_of_a_url_shows_nowhere(self, store: Store, tmp_path: Path, place: str) -> None:
        schemes = {store.backend.name, (store.url or "").partition(":")[0] or store.backend.name}
        with contextlib.chdir(tmp_path), _collect_log() as log:
            for scheme in sorted(schemes):
                shown = await _texts_of(store.backend.name, f"{scheme}:{place.format(secret=SECRET)}")
                assert not [text for text in shown if SECRET in text]
        assert not [text for text in log if SECRET in text]


async def _outcome_of(call: Call, storage: StorageOperations) -> StorageError | None:
    """Return the storage error that a call raises, or None if it succeeds; fail the test on any other error.

    A plain StorageError fails it too: its type tells a caller nothing.
    """
    try:
        await call.on(storage)
    except StorageError as error:
        if type(error) is StorageError:
            pytest.fail(f"{call} has to raise a subclass of StorageError; it raised {error!r}")
        return error
    except Exception as error:  # noqa: BLE001 - any other error is the failure
        pytest.fail(f"{call} has to raise a StorageError; it raised {error!r}")
    return None


async def _error_of(call: Awaitable[Any]) -> StorageError:
    with pytest.raises(StorageError) as caught:
        await call
    return caught.value


async def _error_inside(storage: StorageAdapter, failure: FailingCall) -> StorageError:
    async with storage.transaction() as transaction:
        return await _error_of(failure.call(transaction))


def _check_kind(error: StorageError, kind: type[StorageError]) -> None:
    """Check that the error is an instance of that type and its bases, and of no other type of the tree."""
    assert [each for each in TREE if isinstance(error, each)] == [each for each in TREE if issubclass(kind, each)]
    assert all(isinstance(error, base) for base in TREE[kind])


def _check_cause(error: StorageError) -> None:
    """Check that an error raised while handling a driver's error has it as `__cause__`."""
    met = error.__context__
    if met is not None and not isinstance(met, StorageError) and type(met).__module__ != "builtins":
        assert error.__cause__ is not None, f"the __cause__ of {error!r} has to be {met!r}; it is None"


def _check_copies(error: StorageError) -> None:
    pickled = [pickle.dumps(error, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    unpickled = [pickle.loads(each) for each in pickled]  # noqa: S301 - pickled just before
    for again in (*unpickled, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert_identical(again.args, error.args)
        assert_identical(vars(again), vars(error))


def _check_record(error: StorageError, stored: Any, *, may_lack_it: bool) -> None:
    assert isinstance(error, ConflictError)
    if error.current is not None or not may_lack_it:
        assert_identical(error.current, stored)
    if isinstance(error, BudgetExceededError):
        assert_identical(error.pool, stored)


def _calls_with(values: tuple[Any, ...], capabilities: frozenset[Capability]) -> Iterator[Call]:
    """Yield every call with each of its arguments, optional ones too, replaced by each of the values."""
    for call in calls_with(capabilities):
        _, *parameters = inspect.signature(getattr(StorageOperations, call.name)).parameters.values()  # without self
        open_ones = parameters[len(call.arguments) :]
        options = [each.name for each in open_ones if each.default is not each.empty and not is_later(each.name)]
        options += CHANGES[call.name].__annotations__ if call.name in CHANGES else []
        for value in values:
            for index in range(len(call.arguments)):
                yield attrs.evolve(call, arguments=(*call.arguments[:index], value, *call.arguments[index + 1 :]))
            for option in options:
                yield attrs.evolve(call, changes={option: value})


def _odd_filters() -> Iterator[QueryFilter]:
    """Yield the filters that can be built of odd values; most cannot."""
    makers: list[Callable[[Any], QueryFilter]] = [
        lambda odd: QueryFilter(limit=odd),
        lambda odd: QueryFilter(offset=odd),
        lambda odd: QueryFilter(limit=1, offset=odd),
        lambda odd: QueryFilter(order_by=odd),
        lambda odd: QueryFilter(order_by=[OrderBy(odd)]),
        *(lambda odd, name=name: QueryFilter({name: odd}) for name in FIELDS),
        *(lambda odd, name=name: QueryFilter({name: Lt(odd)}) for name in FIELDS),
        *(lambda odd, name=name: QueryFilter({name: In([odd, odd])}) for name in FIELDS),
        *(lambda odd, name=name: QueryFilter({name: Contains(odd)}) for name in FIELDS),
        lambda odd: QueryFilter({("metadata", odd) if isinstance(odd, str) else "metadata.x": 1}),
        lambda odd: QueryFilter(where=odd),
    ]
    for make in makers:
        for odd in ODD:
            with contextlib.suppress(StorageError):
                yield make(odd)


async def _texts_of(backend: str, url: str) -> list[str]:
    """Return every text that shows an adapter of the URL, or the error that refuses the URL."""
    try:
        adapter = create_adapter(backend, url)
        try:
            async with asyncio.timeout(AT_ONCE_S):
                await adapter.initialize()
        finally:
            await adapter.close()
    except (StorageError, TimeoutError) as error:
        return [str(error), repr(error), "".join(traceback.format_exception(error))]
    return [str(adapter), repr(adapter)]


@contextlib.contextmanager
def _collect_log() -> Iterator[list[str]]:
    """Collect all log records meanwhile, of every logger and level."""
    lines: list[str] = []
    root, handler = logging.getLogger(), logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]  # all it is for
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
