"""Checks that calls are refused: one call, or all of them on a closed adapter or an ended transaction."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from aaow_storage import (
    AdapterClosedError,
    Capability,
    StorageAdapter,
    StorageError,
    Transaction,
    TransactionError,
    TransactionOutcome,
    UnsupportedOperationError,
)
from aaow_storage_conformance.data.calls import calls_with, capability_of, every_call
from aaow_storage_conformance.data.versions import is_tested_since

ErrorT = TypeVar("ErrorT", bound=StorageError)


async def check_closed(adapter: StorageAdapter) -> None:
    """Check that every call on the adapter raises AdapterClosedError, because the adapter is not open."""
    for call in calls_with(adapter.capabilities):
        await check_raises(AdapterClosedError, f"{call.name}() on an adapter that is not open", call.on, adapter)
    await check_raises(
        AdapterClosedError, "begin_transaction() on an adapter that is not open", adapter.begin_transaction
    )
    if is_tested_since("1.1"):
        what = "wait_for_approval() on an adapter that is not open"
        await check_raises(AdapterClosedError, what, adapter.wait_for_approval, "a", 0)
        if Capability.STREAM_EVENTS in adapter.capabilities:
            watcher = adapter.watch_stream("stream")
            await check_raises(AdapterClosedError, "watch_stream() on an adapter that is not open", anext, watcher)
        if Capability.CHANGES in adapter.capabilities:
            follower = adapter.changes()
            await check_raises(AdapterClosedError, "changes() on an adapter that is not open", anext, follower)
    with pytest.raises(AdapterClosedError):
        async with adapter.transaction():
            pytest.fail("transaction() on an adapter that is not open has to raise AdapterClosedError; it began one")


async def check_over(transaction: Transaction) -> None:
    """Check that the transaction was aborted with its adapter, and that every call on it raises TransactionError."""
    assert transaction.outcome is TransactionOutcome.ABORTED
    await check_calls_raise(transaction, "a transaction that is over")
    for end in (transaction.commit, transaction.rollback):
        await check_raises(TransactionError, f"{end.__name__}() on a transaction that is over", end)
    with pytest.raises(TransactionError):
        async with transaction.savepoint():
            pytest.fail("savepoint() on a transaction that is over has to raise TransactionError; it opened one")


async def check_calls_raise(transaction: Transaction, what: str) -> None:
    """Check that every call on the transaction raises TransactionError, or that its capability is missing."""
    for call in every_call():
        try:
            returned = await call.on(transaction)
        except TransactionError:
            continue
        except UnsupportedOperationError:
            if capability_of(call.name) is not None:
                continue
            raise
        pytest.fail(f"{call.name}() on {what} has to raise TransactionError; it returned {returned!r}")


async def check_raises(error: type[ErrorT], what: str, function: Callable[..., Awaitable[Any]], *args: Any) -> ErrorT:
    """Check that `await function(*args)` raises the error, and return it; `what` names the call if it does not."""
    try:
        returned = await function(*args)
    except error as raised:
        return raised
    pytest.fail(f"{what} has to raise {error.__name__}; it returned {returned!r}")
