"""Out of an adapter and its transactions come errors of storage, cancellations, and what ends the interpreter."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aaow_storage import (
    CorruptDataError,
    Session,
    StorageAdapter,
    StorageError,
    StorageUnavailableError,
    create_adapter,
)
from aaow_storage_conformance.data.calls import Call, every_call
from aaow_storage_sql import SQLConnection
from aaow_storage_sql._mapping.hydration import Hydrator

pytestmark = pytest.mark.asyncio

FORESEEN = {
    OSError(errno.EMFILE, "Too many open files"): StorageUnavailableError,
    MemoryError(): StorageUnavailableError,
    RuntimeError("can't start new thread"): StorageUnavailableError,
    AttributeError("no such thing"): StorageError,
    UnicodeEncodeError("utf-8", "x", 0, 1, "why not"): StorageError,
    RecursionError("too deep"): StorageError,
}
"""What may be raised anywhere, and the kind of the error of storage that is made of it."""


async def error_of(awaitable: Awaitable[Any]) -> BaseException:
    """Return the error that comes of it."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is, the test says what it should be
        await awaitable
    return caught.value


def fail_with(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises."""

    def failing(*_: object, **__: object) -> Any:
        raise error

    return failing


@pytest.mark.parametrize("error", FORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_inside", [False, True], ids=["on the adapter", "in a transaction"])
async def test_every_operation_raises_a_storage_error_whatever_its_thread_raises(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch, error: Exception, is_inside: bool
):
    async def check(target: Any, call: Call) -> None:
        with monkeypatch.context() as patch:
            for name in ("rows", "compiled_rows", "row", "run", "run_rows"):
                patch.setattr(SQLConnection, name, fail_with(error))
            found = await error_of(call.on(target))
        assert type(found) is FORESEEN[error]
        assert found.__cause__ is error
        assert ("unforeseen" in str(found)) is (FORESEEN[error] is StorageError)

    for call in every_call():
        if is_inside:
            async with storage.transaction() as transaction:
                await check(transaction, call)
        else:
            await check(storage, call)
    assert await storage.list_workflows() == []


@pytest.mark.parametrize("error", FORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("step", ["open", "shut"])
async def test_opening_and_closing_raise_a_storage_error_whatever_happens(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, error: Exception, step: str
):
    del storage
    adapter = create_adapter("sqlite", str(tmp_path / "other.db"))
    executor: Any = adapter._executor
    if step == "shut":
        await adapter.initialize()
    with monkeypatch.context() as patch:
        patch.setattr(executor, step, fail_with(error))
        found = await error_of(adapter.initialize() if step == "open" else adapter.close())
    assert type(found) is FORESEEN[error]
    assert found.__cause__ is error
    await adapter.initialize()
    await adapter.close()


async def test_an_exit_and_a_cancellation_are_raised_unchanged(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch
):
    for error in (asyncio.CancelledError(), SystemExit(3)):
        with monkeypatch.context() as patch:
            patch.setattr(storage._executor, "submit", fail_with(error))
            found = await error_of(storage.list_workflows())
        assert found is error


async def test_a_bug_in_hydration_is_raised_with_the_record_and_the_cause(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch
):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    error = TypeError("a fault of the code")
    monkeypatch.setattr(Hydrator, "__call__", fail_with(error))
    with pytest.raises(CorruptDataError, match=r"a stored Session with the id 's' .*: TypeError") as caught:
        await storage.get_session("s")
    assert caught.value.__cause__ is error
