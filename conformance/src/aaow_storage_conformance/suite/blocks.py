"""Blocks that fail raise their own error, even if the clean-up after it fails too."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aaow_storage import StorageAdapter, StorageUnavailableError, Transaction, TransactionError
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.refusals import check_closed
from aaow_storage_conformance.harness.stop import Stop
from aaow_storage_conformance.harness.store import Store


class BlockTests:
    """Blocks of adapters, transactions and savepoints."""

    @clause("TXN-1")
    @pytest.mark.parametrize("failure", [StorageUnavailableError("gone"), TransactionError("over"), OSError("full")])
    async def test_the_error_of_a_block_comes_out_whatever_the_rollback_does(
        self, storage: StorageAdapter, failure: Exception
    ) -> None:
        error = Stop()
        await samples.stored_workflow(storage)
        before = await everything_in(storage)

        async def work(patch: pytest.MonkeyPatch) -> None:
            async with storage.transaction() as transaction:
                await samples.stored_workflow(transaction)
                _fail_after(patch, type(transaction), "rollback", failure)
                raise error

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop) as caught:
            await work(patch)
        assert caught.value is error
        assert_identical(await everything_in(storage), before)
        await samples.stored_workflow(storage)

    @clause("LIF-4")
    @pytest.mark.parametrize("failure", [StorageUnavailableError("gone"), OSError("full")])
    async def test_the_error_of_a_block_comes_out_whatever_closing_does(self, store: Store, failure: Exception) -> None:
        error = Stop()
        adapter = store.adapter()

        async def work(patch: pytest.MonkeyPatch) -> None:
            async with adapter:
                _fail_after(patch, type(adapter), "close", failure)
                raise error

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop) as caught:
            await work(patch)
        assert caught.value is error
        await check_closed(adapter)

    @clause("TXN-4")
    async def test_the_error_of_a_savepoint_comes_out_where_its_transaction_is_over(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        for ending in ("commit", "rollback"):
            transaction = await storage.begin_transaction()
            with pytest.raises(Stop):
                await _end_and_stop(transaction, getattr(transaction, ending))
        async with store.adapter() as other:
            transaction = await other.begin_transaction()
            with pytest.raises(Stop):
                await _end_and_stop(transaction, other.close)


async def _end_and_stop(transaction: Transaction, end: Callable[[], Awaitable[None]]) -> None:
    """End a transaction inside one of its savepoints, then raise out of the savepoint's block."""
    async with transaction.savepoint():
        await samples.stored_workflow(transaction)
        await end()
        raise Stop


def _fail_after(patch: pytest.MonkeyPatch, kind: type, name: str, failure: Exception) -> None:
    """Patch a coroutine method to raise after it has done its work."""
    method = getattr(kind, name)

    async def failing(self: Any, *args: Any, **kwargs: Any) -> None:
        await method(self, *args, **kwargs)
        raise failure

    patch.setattr(kind, name, failing)
