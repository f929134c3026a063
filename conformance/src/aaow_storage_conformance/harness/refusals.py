"""Checks that every call is refused, on an adapter that is not open and on a transaction that is over."""

from collections.abc import Awaitable
from typing import Any

import pytest

from aaow_storage import (
    AdapterClosedError,
    Capability,
    StorageAdapter,
    StorageError,
    Transaction,
    TransactionError,
    TransactionOutcome,
)
from aaow_storage_conformance.data.calls import calls_without_streams, every_call


async def check_closed(adapter: StorageAdapter) -> None:
    """Check that every call on the adapter raises AdapterClosedError, because the adapter is not open."""
    has_streams = Capability.STREAM_EVENTS in adapter.capabilities
    for call in every_call() if has_streams else calls_without_streams():
        await _check_refused(f"{call.name}() on an adapter that is not open", call.on(adapter), AdapterClosedError)
    await _check_refused(
        "begin_transaction() on an adapter that is not open", adapter.begin_transaction(), AdapterClosedError
    )
    with pytest.raises(AdapterClosedError):
        async with adapter.transaction():
            pytest.fail("transaction() on an adapter that is not open has to raise AdapterClosedError; it began one")


async def check_over(transaction: Transaction) -> None:
    """Check that the transaction was aborted with its adapter, and that every call on it raises TransactionError."""
    assert transaction.outcome is TransactionOutcome.ABORTED
    for call in calls_without_streams():
        await _check_refused(f"{call.name}() on a transaction that is over", call.on(transaction), TransactionError)
    for end in (transaction.commit, transaction.rollback):
        await _check_refused(f"{end.__name__}() on a transaction that is over", end(), TransactionError)
    with pytest.raises(TransactionError):
        async with transaction.savepoint():
            pytest.fail("savepoint() on a transaction that is over has to raise TransactionError; it opened one")


async def _check_refused(what: str, call: Awaitable[Any], error: type[StorageError]) -> None:
    try:
        returned = await call
    except error:
        return
    pytest.fail(f"{what} has to raise {error.__name__}; it returned {returned!r}")
