"""Savepoints that tasks open and close across each other, on every backend of this repository."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, StoredWorkflow, Transaction, create_adapter
from aaow_storage.errors import TransactionError

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=["memory://", "sqlite://"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[StorageAdapter]:
    async with create_adapter(request.param) as adapter:
        yield adapter


async def save(transaction: Transaction, id: str) -> None:
    await transaction.save_workflow(StoredWorkflow(id=id, name="n", version="1", definition={}))


async def ids(storage: StorageAdapter) -> set[str]:
    return {workflow.id for workflow in await storage.list_workflows()}


async def test_a_savepoint_that_is_kept_keeps_those_opened_in_it(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        outer, inner = transaction.savepoint(), transaction.savepoint()
        await outer.__aenter__()
        await inner.__aenter__()
        await save(transaction, "inner")
        await outer.__aexit__(None, None, None)
        with pytest.raises(TransactionError, match="savepoint has ended"):
            await inner.__aexit__(None, None, None)
        await save(transaction, "after")
    assert await ids(storage) == {"inner", "after"}


async def test_a_savepoint_that_is_undone_undoes_those_opened_in_it(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        outer, inner = transaction.savepoint(), transaction.savepoint()
        await outer.__aenter__()
        await save(transaction, "outer")
        await inner.__aenter__()
        await save(transaction, "inner")
        assert not await outer.__aexit__(LookupError, LookupError(), None)
        with pytest.raises(TransactionError, match="savepoint has ended"):
            await inner.__aexit__(None, None, None)
        await save(transaction, "after")
    assert await ids(storage) == {"after"}


async def test_the_error_of_a_block_is_not_replaced_where_its_savepoint_has_ended(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        outer, inner = transaction.savepoint(), transaction.savepoint()
        await outer.__aenter__()
        await inner.__aenter__()
        await outer.__aexit__(None, None, None)
        assert not await inner.__aexit__(LookupError, LookupError(), None)


async def test_a_transaction_committed_inside_a_savepoint_keeps_it_and_says_that_it_is_over(storage: StorageAdapter):
    transaction = await storage.begin_transaction()
    savepoint = transaction.savepoint()
    await savepoint.__aenter__()
    await save(transaction, "inner")
    await transaction.commit()
    with pytest.raises(TransactionError, match="it was committed"):
        await savepoint.__aexit__(None, None, None)
    assert await ids(storage) == {"inner"}
