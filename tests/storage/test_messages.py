"""The errors that a user meets first: each message says what happened, to which record and field, and what to do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    OrderBy,
    QueryFilter,
    Session,
    StorageAdapter,
    StorageError,
    StoredWorkflow,
    create_adapter,
)


def a_session(**fields: Any) -> Session:
    return Session(**{"id": "s", "workflow_id": None, "workflow_snapshot": {}, **fields})


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageAdapter]:
    url = None if request.param == "memory" else str(tmp_path / "agents.db")
    async with create_adapter(request.param, url) as adapter:
        await adapter.create_session(a_session())
        await adapter.create_budget_pool(BudgetPool(id="p", total_budget=10, used_budget=7))
        await adapter.create_approval_request(ApprovalRequest(id="r", session_id="s", node_id="n", type="human_review"))
        await adapter.approve_request("r", "Ada")
        yield adapter


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: create_adapter("SQLite"),
            "no usable storage backend 'SQLite': did you mean 'sqlite'?",
        ),
        (
            lambda: create_adapter("sqlite", "a.db", synchronus="FULL"),
            (
                "create_adapter.synchronus: is not an option of the backend 'sqlite'; its options are busy_timeout, "
                "changes, file_mode, indexes, inline_reads, reader_threads, synchronous"
            ),
        ),
        (
            lambda: StoredWorkflow(name=None, version="1", definition={}),
            "StoredWorkflow.name: must be str, not NoneType",
        ),
        (
            lambda: a_session(created_at=datetime(2026, 1, 1)),  # noqa: DTZ001 - the point
            (
                "Session.created_at: 2026-01-01 00:00:00 has no time zone; pass an aware datetime, such as "
                "datetime.now(UTC)"
            ),
        ),
        (
            lambda: a_session(metadata={"nodes": [{"timeout": timedelta(1)}]}),
            (
                "Session.metadata.nodes[0].timeout: timedelta is not JSON; convert it to None, bool, int, "
                "float, str, list "
                "or dict"
            ),
        ),
        (
            lambda: QueryFilter(order_by="created_at"),
            (
                "QueryFilter.order_by: must be OrderBy, such as OrderBy('created_at'), or a list or tuple of "
                "them, not "
                "'created_at'"
            ),
        ),
        (
            lambda: QueryFilter().after(None),
            (
                "QueryFilter.after: must be the last record of the page before, not None; after an empty page "
                "there is no "
                "other"
            ),
        ),
    ],
)
def test_a_value_that_is_wrong_is_refused_at_once(make: Callable[[], object], message: str):
    with pytest.raises(StorageError) as caught:
        make()
    assert str(caught.value).partition(" (installed: ")[0] == message


async def _after_its_end(storage: StorageAdapter) -> None:
    async with storage.transaction() as tx:
        pass
    await tx.get_session("s")


async def _around_a_transaction(storage: StorageAdapter) -> None:
    async with storage.transaction():
        await storage.get_session("s")


async def _closed(storage: StorageAdapter) -> None:
    await storage.close()
    await storage.get_session("s")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda storage: storage.create_session(a_session(id="t", workflow_id="w")),
            "there is no workflow 'w': check the id, or store it first",
        ),
        (
            lambda storage: storage.create_session(a_session()),
            "the session 's' already exists: it was not changed; use another id, such as new_id() makes",
        ),
        (
            lambda storage: storage.update_session("s", colour="red"),
            "Session.colour: is not a field of Session; only status, metadata, updated_at can be updated",
        ),
        (
            lambda storage: storage.consume_budget("p", 5),
            (
                "the budget pool 'p' has 3 left, 5 was asked for: nothing was consumed; ask for less, or call "
                "increase_budget() first"
            ),
        ),
        (
            lambda storage: storage.reject_request("r", "Bob"),
            (
                "the approval request 'r' is already approved by 'Ada': this decision was not stored; the error's "
                "`current` is the stored request"
            ),
        ),
        (
            lambda storage: storage.list_sessions(QueryFilter({"state": "running"})),
            (
                "Session.state: is not a field that a filter may name; there are id, workflow_id, status, "
                "parent_session_id, created_at, updated_at, and paths into workflow_snapshot, metadata"
            ),
        ),
        (
            lambda storage: storage.list_sessions(QueryFilter(order_by=OrderBy("metadata"))),
            (
                "Session.metadata: is JSON, so a filter needs a path into it, such as 'metadata.key'; there are id, "
                "workflow_id, status, parent_session_id, created_at, updated_at, "
                "and paths into workflow_snapshot, metadata"
            ),
        ),
        (_after_its_end, "the transaction is over: it was committed; begin another one"),
        (
            _around_a_transaction,
            (
                "the adapter was called by a task that has an open transaction of it (began it, used it, or was "
                "started "
                "inside its block): call the transaction's operations, or end it first; start an independent "
                "task before "
                "the transaction, or with create_task(..., context=contextvars.Context())"
            ),
        ),
        (_closed, "the adapter is not open: call initialize(), or use it in `async with`"),
    ],
)
@pytest.mark.asyncio
async def test_an_operation_that_cannot_be_done_is_refused(
    storage: StorageAdapter, call: Callable[[StorageAdapter], Awaitable[object]], message: str
):
    with pytest.raises(StorageError) as caught:
        await call(storage)
    assert str(caught.value) == message
