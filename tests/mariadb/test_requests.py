"""Statements that need no answer in between go to the server in one request, and fail as if each went alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aaow_storage import (
    ChangeAction,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    WorkflowExecutionState,
    create_adapter,
)
from aaow_storage.errors import NotFoundError, ValidationError

pytestmark = pytest.mark.asyncio

A_SESSION = Session(id="s", workflow_id=None, workflow_snapshot={})


@pytest_asyncio.fixture
async def storage(url: str, driver: str) -> AsyncIterator[StorageAdapter]:
    """An adapter whose connections are open."""
    async with create_adapter("mariadb", url, driver=driver, pool_size=2) as adapter:
        await adapter.create_session(A_SESSION)
        await adapter.list_sessions()
        yield adapter


@pytest.fixture
def sent(storage: StorageAdapter, requests: list[str]) -> list[str]:
    """What is sent from now on."""
    del storage
    requests.clear()
    return requests


async def test_a_save_and_its_change_and_its_commit_are_one_request(storage: StorageAdapter, sent: list[str]):
    result = LLMExecutionResult(id="e", text="An answer; with 'quotes' and \\ and %s.")
    for _ in range(2):
        await storage.save_llm_execution("s", "n", result)
    await storage.save_llm_execution("s", "m", result)
    assert [request.endswith(";COMMIT;END") for request in sent] == [True] * 3
    assert [each.node_id for each in await storage.get_llm_executions("s")] == ["m"]
    changes = [(each.kind, each.id, each.action) for each in await storage.get_changes()]
    kind = "llm_execution"
    assert changes[1:] == [(kind, "e", ChangeAction.CREATED), (kind, "e", ChangeAction.UPDATED)]


async def test_an_operation_begins_with_its_first_statement_and_commits_with_its_change(
    storage: StorageAdapter, sent: list[str]
):
    await storage.save_execution_state(WorkflowExecutionState(session_id="s", status="running"))
    assert sent[0].startswith("START TRANSACTION;")
    assert sent[-1].startswith("INSERT INTO changes")
    assert sent[-1].endswith(";COMMIT")


async def test_a_transaction_that_does_nothing_sends_nothing(storage: StorageAdapter, sent: list[str]):
    async with storage.transaction():
        pass
    assert sent == []


async def test_a_save_that_fails_leaves_nothing_of_the_request(storage: StorageAdapter):
    with pytest.raises(NotFoundError, match="session 'missing'"):
        await storage.save_llm_execution("missing", "n", LLMExecutionResult(id="e"))
    assert len(await storage.get_changes()) == 1
    await storage.save_llm_execution("s", "n", LLMExecutionResult(id="e"))
    assert len(await storage.get_changes()) == 2


async def test_what_failed_in_a_transaction_is_undone_alone(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        await transaction.save_execution_state(WorkflowExecutionState(session_id="s", status="running"))
        await transaction.update_node_state("s", "a", NodeExecutionState(node_id="a"))
        with pytest.raises(NotFoundError):
            await transaction.save_llm_execution("missing", "n", LLMExecutionResult(id="e"))
        with pytest.raises(NotFoundError):
            await transaction.save_execution_state(WorkflowExecutionState(session_id="missing", status="running"))
        await transaction.update_node_state("s", "b", NodeExecutionState(node_id="b"))
    state = await storage.get_execution_state("s")
    assert state is not None
    assert sorted(state.node_states) == ["a", "b"]
    assert await storage.get_llm_executions("s") == []


async def test_a_document_that_the_server_would_not_accept_is_refused_before_it_is_sent(
    storage: StorageAdapter, raw, url: str
):
    ((longest,),) = raw("SELECT @@max_allowed_packet")
    quotes = '"' * (longest // 2)
    with pytest.raises(ValidationError, match="max_allowed_packet"):
        await storage.create_session(Session(id="large", workflow_id=None, workflow_snapshot={"text": quotes}))
    with pytest.raises(ValidationError, match="max_allowed_packet"):
        await storage.save_llm_execution("s", "n", LLMExecutionResult(text=quotes * 2))
    assert [each.id for each in await storage.list_sessions()] == ["s"]
    await asyncio.gather(*(storage.get_session("s") for _ in range(5)))
