"""The errors: one tree, facts as attributes, and safe to send to another process."""

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest

from aaow_storage import BudgetPool, Session, errors
from aaow_storage.errors import (
    AdapterClosedError,
    AlreadyExistsError,
    BackendNotFoundError,
    BudgetExceededError,
    ChangesLostError,
    ConflictError,
    ContentionError,
    CorruptDataError,
    NotFoundError,
    NotOfferedError,
    OutcomeUnknownError,
    SchemaVersionError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    TransactionError,
    UnsupportedOperationError,
    ValidationError,
)

POOL = BudgetPool(id="p", total_budget=5)
SESSION = Session(id="s", workflow_id=None, workflow_snapshot={})

LOST = """changes after the position '0a.0.7.0.1' are not kept any more: take the position of last_change(), read the \
records, and go on after that position"""
EXAMPLES = [
    (StorageError("something"), "something"),
    (ValidationError("Session", "status", "'x' is wrong"), "Session.status: 'x' is wrong"),
    (NotFoundError("budget_pool", "it's"), 'there is no budget pool "it\'s": check the id, or store it first'),
    (NotFoundError("llm_execution", "x"), "there is no LLM execution 'x': check the id, or store it first"),
    (ValidationError("S", f"a{'.b' * 150}", "is deep"), f"S.a{'.b' * 49}....{'.b' * 50}: is deep"),
    (
        AlreadyExistsError("tool_call", "t"),
        "the tool call 't' already exists: it was not changed; use another id, such as new_id() makes",
    ),
    (ConflictError("it is not pending", SESSION), "it is not pending"),
    (
        ChangesLostError("0a.0.7.0.1"),
        LOST,
    ),
    (ConflictError("there is nothing to show"), "there is nothing to show"),
    (BudgetExceededError("too little", POOL), "too little"),
    (ContentionError("it lost"), "it lost"),
    (ContentionError("it lost", SESSION), "it lost"),
    (TransactionError("it is over"), "it is over"),
    (AdapterClosedError(), "the adapter is not open: call initialize(), or use it in `async with`"),
    (AdapterClosedError("it was closed"), "the adapter is not open: it was closed"),
    (
        NotOfferedError("backup", "SQLite in memory", "use a store in a file"),
        "SQLite in memory: its backend does not offer backup(): use a store in a file",
    ),
    (
        UnsupportedOperationError("save_stream_event", "stream_events"),
        (
            "save_stream_event() needs the capability 'stream_events', which this backend lacks: "
            "see adapter.capabilities, and Backend.contract, because operations come with later contracts"
        ),
    ),
    (
        SchemaVersionError("0001", "0003", "call initialize()"),
        "the store has schema version 0001, and this code needs version 0003: call initialize()",
    ),
    (SchemaVersionError(None, "1", "migrate"), "the store has no schema, and this code needs version 1: migrate"),
    (StorageUnavailableError("away"), "away"),
    (StoreBusyError("busy"), "busy"),
    (OutcomeUnknownError("in doubt"), "in doubt"),
    (CorruptDataError("digest"), "digest"),
    (
        BackendNotFoundError("x", iter(["memory", "sqlite"]), "not there"),
        "no usable storage backend 'x': not there (installed: memory, sqlite)",
    ),
    (BackendNotFoundError("x", [], "not there"), "no usable storage backend 'x': not there (installed: none)"),
]

each_example = pytest.mark.parametrize(("error", "message"), EXAMPLES, ids=lambda value: type(value).__name__)


def test_every_error_has_an_example_here():
    classes = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)}
    assert {type(error) for error, _ in EXAMPLES} == classes
    assert {error.__name__ for error in classes} == set(errors.__all__)


@each_example
def test_an_error_says_what_happened(error: StorageError, message: str):
    assert str(error) == message


@each_example
@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying_and_pickling(
    error: StorageError, message: str, remake: Callable[[StorageError], StorageError]
):
    error.add_note("seen on the way")
    again = remake(error)
    assert type(again) is type(error)
    assert str(again) == message
    assert vars(again) == vars(error)


def test_errors_are_also_what_the_language_calls_them():
    assert issubclass(ValidationError, ValueError)
    assert all(
        issubclass(each, LookupError)
        for each in (NotFoundError, AlreadyExistsError, ChangesLostError, BackendNotFoundError)
    )
    assert issubclass(BudgetExceededError, ConflictError)


def test_a_budget_error_carries_the_pool_as_the_stored_record():
    error = BudgetExceededError("too little", POOL)
    assert error.pool is error.current is POOL


RETRYABLE = {ContentionError, StorageUnavailableError, StoreBusyError}


@each_example
def test_an_error_says_whether_another_attempt_may_succeed(error: StorageError, message: str):
    assert error.is_retryable is (type(error) in RETRYABLE), message
    with pytest.raises(AttributeError):
        error.is_retryable = True  # type: ignore[misc]  # a property of the class


def test_the_drawing_of_the_tree_marks_the_retryable_errors():
    drawn = [line.partition("-- ")[2] for line in (errors.__doc__ or "").splitlines()]
    marked = {line.split()[0] for line in drawn if " (*) " in line}
    assert marked == {kind.__name__ for kind in RETRYABLE}


def test_contention_is_a_conflict_and_a_busy_store_an_unavailable_one():
    assert issubclass(ContentionError, ConflictError)
    assert issubclass(StoreBusyError, StorageUnavailableError)
    assert issubclass(OutcomeUnknownError, StorageUnavailableError)


def test_the_drawing_of_the_tree_shows_every_error_below_its_parent():
    above = ["StorageError"]
    drawn = list(above)
    for line in (errors.__doc__ or "").splitlines():
        branch, found, rest = line.partition("-- ")
        if found:
            name, level = rest.split()[0], len(branch) // 4
            parent = above[level - 1]
            assert parent in [base.__name__ for base in getattr(errors, name).__bases__]
            above[level:] = [name]
            drawn.append(name)
    assert sorted(drawn) == sorted(errors.__all__)
