"""Shared documents: no transaction waits for another, and a document stays while any record refers to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, closing
from contextvars import Context
from itertools import count, pairwise
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from aaow_storage import OrderBy, QueryFilter, Session, StorageAdapter, StoredWorkflow, Transaction, create_adapter
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql._mapping.documents import digest_of, encode_document
from aaow_storage_sql._repositories import documents
from aaow_storage_sql._repositories.documents import MAX_TRIES, release_document, store_document

pytestmark = pytest.mark.asyncio

T = TypeVar("T")

SHARED = {"nodes": [{"id": "a"}], "text": "shared"}
OTHER = {"nodes": [{"id": "b"}], "text": "another"}
WAITS_S = 2.0
DOCUMENTS = "SELECT count(*) FROM documents"
ORPHANS = """
SELECT count(*) FROM documents WHERE digest NOT IN (SELECT snapshot_digest FROM sessions)
AND digest NOT IN (SELECT definition_digest FROM workflows)
"""


def session(id: str, snapshot: dict = SHARED) -> Session:
    """Return a session with that snapshot."""
    return Session(id=id, workflow_id=None, workflow_snapshot=snapshot)


def workflow(id: str, definition: dict = SHARED) -> StoredWorkflow:
    """Return a workflow with that definition."""
    return StoredWorkflow(id=id, name=id, version="1", definition=definition)


@pytest_asyncio.fixture
async def quick(url: str) -> AsyncIterator[StorageAdapter]:
    """An adapter with a short lock timeout."""
    async with create_adapter("postgresql", url, statement_timeout=WAITS_S) as adapter:
        yield adapter


@pytest.fixture
def connections(storage: StorageAdapter, url: str) -> Iterator[list[PostgreSQLConnection]]:
    """Two connections to the store, with a transaction open on each."""
    del storage
    opened = [connect(Settings(url, statement_timeout=WAITS_S)) for _ in range(2)]
    with closing(opened[0]), closing(opened[1]):
        for connection in opened:
            connection.begin_writing()
        yield opened


async def test_equal_documents_are_stored_once(storage: StorageAdapter, raw: Callable[..., list[tuple]]):
    await storage.save_workflow(workflow("w"))
    for number in range(3):
        await storage.create_session(session(f"{number}"))
    async with storage.transaction() as transaction:
        await transaction.create_session(session("3"))
        await transaction.save_workflow(workflow("v"))
    assert raw(DOCUMENTS) == [(1,)]


async def test_concurrent_transactions_store_one_new_document(quick: StorageAdapter, raw: Callable[..., list[tuple]]):
    async with AsyncExitStack() as stack:
        for number in range(4):
            transaction = await begin(quick, stack)
            await transaction.create_session(session(f"s{number}"))
            await transaction.create_session(session(f"t{number}"))
            await transaction.save_workflow(workflow(f"w{number}"))
    sessions, workflows = await quick.list_sessions(), await quick.list_workflows()
    assert [each.workflow_snapshot for each in sessions] == [SHARED] * 8
    assert [each.definition for each in workflows] == [SHARED] * 4
    assert len(await quick.list_sessions(QueryFilter({"workflow_snapshot.text": "shared"}))) == 8
    assert raw(DOCUMENTS)[0][0] <= 4
    for each in sessions:
        await quick.delete_session(each.id)
    for each in workflows:
        await quick.save_workflow(workflow(each.id))
    assert raw(DOCUMENTS) == [(1,)]


async def test_transactions_that_store_two_documents_in_opposite_order_do_not_deadlock(quick: StorageAdapter):
    async with AsyncExitStack() as stack:
        one, other = await begin(quick, stack), await begin(quick, stack)
        await one.create_session(session("1", SHARED))
        await other.create_session(session("2", OTHER))
        await asyncio.gather(
            apart(one.create_session(session("3", OTHER))),
            apart(other.create_session(session("4", SHARED))),
        )
    assert [each.workflow_snapshot for each in await quick.list_sessions()] == [SHARED, OTHER, OTHER, SHARED]


async def test_a_session_is_created_while_the_last_one_with_its_snapshot_is_deleted(
    quick: StorageAdapter, raw: Callable[..., list[tuple]]
):
    await quick.create_session(session("old"))
    async with AsyncExitStack() as stack:
        deleting = await begin(quick, stack)
        await deleting.delete_session("old")
        await apart(quick.create_session(session("new")))
        await apart(quick.save_workflow(workflow("w")))
    assert (await quick.get_session("new")).workflow_snapshot == SHARED
    assert (await quick.get_workflow("w")).definition == SHARED
    assert raw(ORPHANS) == [(0,)]


async def test_a_session_is_deleted_while_another_with_its_snapshot_is_created(
    quick: StorageAdapter, raw: Callable[..., list[tuple]]
):
    await quick.create_session(session("old"))
    async with AsyncExitStack() as stack:
        creating = await begin(quick, stack)
        await creating.create_session(session("new"))
        await apart(quick.delete_session("old"))
    assert (await quick.get_session("new")).workflow_snapshot == SHARED
    await quick.delete_session("new")
    assert raw(DOCUMENTS) == [(0,)]


async def test_a_workflow_changes_its_definition_while_others_use_the_old_and_the_new(quick: StorageAdapter):
    await quick.save_workflow(workflow("w", SHARED))
    async with AsyncExitStack() as stack:
        one, other = await begin(quick, stack), await begin(quick, stack)
        await one.create_session(session("1", SHARED))
        await other.create_session(session("2", OTHER))
        await apart(quick.update_workflow("w", definition=OTHER))
        await apart(quick.delete_workflow("w"))
    assert [each.workflow_snapshot for each in await quick.list_sessions()] == [SHARED, OTHER]


async def test_an_unreferenced_document_is_deleted_with_the_next_release(
    connections: list[PostgreSQLConnection], raw: Callable[..., list[tuple]]
):
    one, other = connections
    document, next_one = (encode_document(each, record="Session", field="snapshot") for each in (SHARED, OTHER))
    store_document(one, document)
    store_document(one, next_one)
    one.command("COMMIT")
    store_document(other, document)
    one.begin_writing()
    release_document(one, document.digest)
    one.command("COMMIT")
    assert raw(DOCUMENTS) == [(2,)]
    other.command("ROLLBACK")
    one.begin_writing()
    release_document(one, next_one.digest)
    one.command("COMMIT")
    assert raw(DOCUMENTS) == [(0,)]


async def test_a_document_referenced_by_an_open_transaction_is_not_deleted(
    connections: list[PostgreSQLConnection], raw: Callable[..., list[tuple]]
):
    one, other = connections
    document = encode_document(SHARED, record="Session", field="snapshot")
    assert store_document(one, document) == document.digest
    copies = {store_document(other, document) for _ in range(MAX_TRIES)}
    assert len(copies) == 1
    assert copies != {document.digest}
    release_document(other, document.digest)
    one.command("COMMIT")
    assert store_document(other, document) == document.digest
    other.command("COMMIT")
    assert raw(DOCUMENTS) == [(2,)]


async def test_a_copy_is_stored_once_if_the_first_try_has_a_lock_that_another_transaction_holds(
    connections: list[PostgreSQLConnection], monkeypatch: pytest.MonkeyPatch
):
    one, other = connections
    document = encode_document(SHARED, record="Session", field="snapshot")
    taken = next(
        suffix
        for length in count(64)
        if digest_of(document.body + (suffix := " " * length))[0] == document.digest[0]  # the locks go by this byte
    )
    suffixes = iter([taken, *(" " * length for length in range(1, MAX_TRIES))])
    monkeypatch.setattr(documents, "_random_suffix", lambda: next(suffixes))
    store_document(one, document)
    copies = {store_document(other, document) for _ in range(MAX_TRIES)}
    assert len(copies) == 1
    assert copies.isdisjoint({document.digest, digest_of(document.body + taken)})


async def test_thousands_of_documents_are_stored_in_one_transaction(
    storage: StorageAdapter, raw: Callable[..., list[tuple]]
):
    async with storage.transaction(timeout=300) as transaction:
        for number in range(3_000):
            await transaction.create_session(session(f"{number:04}", {"n": number}))
        [(locks,)] = raw("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert locks <= 256
    sessions = await storage.list_sessions(QueryFilter(order_by=OrderBy("id")))
    assert all(later.workflow_snapshot["n"] - each.workflow_snapshot["n"] == 1 for each, later in pairwise(sessions))
    assert len(sessions) == 3_000


def apart(call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Make a call in a task outside the transactions of this one."""
    return asyncio.create_task(call, context=Context())


async def begin(adapter: StorageAdapter, stack: AsyncExitStack) -> Transaction:
    """Begin a transaction in its own task, so that a test may open several; it commits when the stack closes."""
    transaction = await apart(adapter.begin_transaction())
    stack.push_async_callback(transaction.commit)
    return transaction
