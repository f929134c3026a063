"""Misuse of an adapter: copying it, entering it twice, or calling it outside of asyncio raises at once."""

import asyncio
import copy
import pickle
from collections.abc import Callable, Collection
from typing import Any

import pytest

from aaow_storage import Capability, StorageAdapter, StorageError
from aaow_storage.errors import UnsupportedOperationError
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import every_call
from aaow_storage_conformance.harness import subprocess_functions
from aaow_storage_conformance.harness.refusals import check_closed
from aaow_storage_conformance.harness.store import Store

COPIES: tuple[Callable[[Any], object], ...] = (copy.copy, copy.deepcopy, pickle.dumps)


class HandlingTests:
    """Copies, second blocks and other event loops are refused, and change nothing."""

    @clause("ERR-1")
    @pytest.mark.parametrize("make_copy", COPIES, ids=["copy", "deepcopy", "pickle"])
    async def test_a_copy_of_an_adapter_or_transaction_is_refused_in_words(
        self, storage: StorageAdapter, store: Store, make_copy: Callable[[Any], object]
    ) -> None:
        for adapter in (store.adapter(), storage):
            with pytest.raises(StorageError, match="cannot be copied or pickled"):
                make_copy(adapter)
        async with storage.transaction() as transaction:
            with pytest.raises(StorageError, match="cannot be copied or pickled"):
                make_copy(transaction)
            await samples.stored_workflow(transaction, id="w")
        assert await subprocess_functions.workflow_ids(storage) == ["w"]

    @clause("LIF-4")
    async def test_a_second_block_is_refused_and_the_first_goes_on(self, store: Store) -> None:
        adapter = store.adapter()
        async with adapter:
            with pytest.raises(StorageError, match="`async with`"):
                await adapter.__aenter__()
            await samples.stored_workflow(adapter, id="w")
            with pytest.raises(StorageError, match="`async with`"):
                await asyncio.create_task(adapter.__aenter__())
            assert await subprocess_functions.workflow_ids(adapter) == ["w"]
        await check_closed(adapter)

    @clause("LIF-4")
    async def test_one_block_may_follow_another(self, store: Store) -> None:
        adapter = store.adapter()
        await adapter.initialize()
        for number in range(3):
            async with adapter:
                await samples.stored_workflow(adapter, id=f"{number}")
                await adapter.initialize()
        await check_closed(adapter)

    @clause("ERR-1")
    async def test_a_call_outside_of_asyncio_is_refused_in_words(self, storage: StorageAdapter, store: Store) -> None:
        closed = store.adapter()
        transaction = await storage.begin_transaction()
        calls: list[Any] = [
            *(lambda call=call: call.on(storage) for call in every_call()),
            *(lambda call=call: call.on(transaction) for call in every_call()),
            storage.begin_transaction,
            storage.initialize,
            storage.close,
            closed.initialize,
            closed.close,
            closed.__aenter__,
            transaction.commit,
            transaction.rollback,
        ]
        problems: list[str] = []
        await asyncio.to_thread(_drive, calls, storage.capabilities, problems)
        assert problems == []
        assert transaction.outcome is None
        await transaction.rollback()
        assert await storage.list_workflows() == []


def _drive(calls: list[Callable[[], Any]], claimed: Collection[Capability], problems: list[str]) -> None:
    """Drive each call as another kind of event loop would; append those that are not refused to `problems`.

    A call that needs a capability that is not claimed may be refused for that reason.
    """
    for number, call in enumerate(calls):
        coroutine = call()
        try:
            coroutine.send(None)
        except UnsupportedOperationError as error:
            if error.capability in claimed:
                problems.append(f"call {number}: {error!r}")
        except StorageError as error:
            if "asyncio" not in str(error):
                problems.append(f"call {number}: {error!r}")
        except BaseException as error:  # noqa: BLE001 - any other error is a problem
            problems.append(f"call {number}: {error!r}")
        else:
            problems.append(f"call {number} has to raise at once; it began")
        finally:
            coroutine.close()
