"""What a run of the shipped workflow stores, and that the report says what is stored."""

from collections.abc import AsyncIterator
from decimal import Decimal
from subprocess import CompletedProcess
from typing import Any

import pytest
import pytest_asyncio

from aaow_storage import (
    ApprovalStatus,
    ApprovalType,
    BudgetPoolStatus,
    NodeExecutionStatus,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    create_adapter,
)

pytestmark = pytest.mark.asyncio


@pytest.fixture
def output(finished: tuple[CompletedProcess[str], str]) -> str:
    return finished[0].stdout


@pytest_asyncio.fixture
async def storage(finished: tuple[CompletedProcess[str], str]) -> AsyncIterator[StorageAdapter]:
    async with create_adapter("sqlite", finished[1]) as storage:
        yield storage


@pytest_asyncio.fixture
async def session(storage: StorageAdapter) -> Session:
    (session,) = await storage.list_sessions()
    return session


async def test_the_run_succeeds_without_a_warning(finished: tuple[CompletedProcess[str], str]):
    assert (finished[0].returncode, finished[0].stderr) == (0, "")


async def test_the_session_is_complete_and_ran_on_the_shipped_definition(
    storage: StorageAdapter, session: Session, shipped: dict[str, Any]
):
    workflow = await storage.get_workflow(shipped["id"])
    state = await storage.get_execution_state(session.id)
    assert session.status is state.status is SessionStatus.COMPLETED
    assert session.workflow_snapshot == workflow.definition == shipped
    assert list(session.workflow_snapshot) == list(shipped)


async def test_every_step_ran_after_the_steps_that_lead_to_it(
    storage: StorageAdapter, session: Session, shipped: dict[str, Any]
):
    nodes = (await storage.get_execution_state(session.id)).node_states
    assert set(nodes) == {node["id"] for node in shipped["nodes"]}
    assert {state.status for state in nodes.values()} == {NodeExecutionStatus.COMPLETED}
    for edge in shipped["edges"]:
        assert nodes[edge["from"]].completed_at <= nodes[edge["to"]].started_at


async def test_every_model_call_has_ended_and_the_one_that_was_refused_was_tried_again(
    storage: StorageAdapter, session: Session
):
    executions = await storage.get_llm_executions(session.id)
    assert {execution.success for execution in executions} == {True, False}
    (refused,) = [execution for execution in executions if not execution.success]
    retried = (await storage.get_execution_state(session.id)).node_states[refused.node_id]
    assert (refused.usage, retried.retry_count, retried.error) == (None, 1, None)
    (first_attempt,) = retried.attempts
    assert (first_attempt.status, first_attempt.error) == (NodeExecutionStatus.FAILED, refused.error)
    calls = await storage.get_node_llm_executions(session.id, refused.node_id)
    assert [(call.attempt, call.success) for call in calls] == [(0, False), (1, True)]


async def test_a_model_call_says_which_model_got_what_when_it_ended_and_what_it_cost(
    storage: StorageAdapter, session: Session
):
    for execution in await storage.get_llm_executions(session.id):
        assert execution.provider == "simulated"
        assert [message["role"] for message in execution.input] == ["system", "user"]
        assert execution.duration is not None
        if execution.success:
            assert (execution.finish_reason, execution.currency) == ("stop", "USD")


async def test_the_report_sums_up_each_model(storage: StorageAdapter, session: Session, output: str):
    of_session = QueryFilter(where={"session_id": session.id})
    summaries = await storage.summarize_usage(["model"], of_session)
    assert [summary.keys["model"] for summary in summaries] == ["simulated-large", "simulated-small"]
    for summary in summaries:
        (line,) = [line for line in output.splitlines() if line.startswith(summary.keys["model"])]
        assert line.split()[1:] == [
            str(summary.executions),
            str(summary.failed),
            f"{summary.prompt_tokens:,}",
            f"{summary.cache_read_tokens:,}",
            f"{summary.completion_tokens:,}",
            f"{summary.reasoning_tokens:,}",
            f"{summary.costs['USD']:.4f}",
        ]


async def test_the_tool_calls_of_an_execution_are_those_that_were_logged(storage: StorageAdapter, session: Session):
    logged = 0
    for execution in await storage.get_llm_executions(session.id):
        logs = await storage.get_tool_calls(execution.id)
        assert [log.tool_call_id for log in logs] == [call.tool_call_id for call in execution.tool_calls or ()]
        logged += len(logs)
    assert logged == len(await storage.get_session_tool_calls(session.id)) == 8


async def test_the_pools_used_exactly_what_the_model_calls_cost(storage: StorageAdapter, session: Session):
    executions = await storage.get_llm_executions(session.id)
    cost = sum(execution.cost for execution in executions if execution.success)
    state = await storage.get_execution_state(session.id)
    pool = await storage.get_budget_pool(state.budget_pool_id)
    parent = await storage.get_budget_pool(pool.parent_pool_id)
    children = await storage.get_child_budget_pools(pool.id)
    assert cost == pool.used_budget == parent.used_budget == sum(child.used_budget for child in children)


async def test_an_exhausted_pool_was_increased_once_by_the_first_of_two_approvers(
    storage: StorageAdapter, session: Session, shipped: dict[str, Any]
):
    requests = await storage.list_approval_requests(session.id)
    (increase,) = [request for request in requests if request.type is ApprovalType.BUDGET_INCREASE]
    assert (increase.status, increase.resolved_by) == (ApprovalStatus.APPROVED, "maria.lopez")
    pool = await storage.get_budget_pool(increase.context["pool_id"])
    before = Decimal(shipped["budget"]["pools"][pool.metadata["name"]])
    assert pool.total_budget == before + Decimal(increase.context["amount"])
    assert pool.status is BudgetPoolStatus.ACTIVE
    journal = [event.data["text"] for event in await storage.get_stream_events(f"{session.id}:journal")]
    told = [
        "BudgetExceededError says that",
        "is exhausted; asking for",
        "in one transaction",
        "ConflictError says that",
    ]
    assert all(any(part in text for text in journal) for part in told)


async def test_the_review_was_decided_and_another_is_left_pending(storage: StorageAdapter, session: Session):
    requests = await storage.list_approval_requests(session.id)
    reviews = [request for request in requests if request.type is ApprovalType.HUMAN_REVIEW]
    assert [request.status for request in reviews] == [ApprovalStatus.APPROVED, ApprovalStatus.PENDING]
    assert await storage.list_pending_approvals() == reviews[1:]
    assert reviews[1].expires_at is not None


async def test_the_stream_step_emitted_its_items_in_order(storage: StorageAdapter, session: Session):
    events = await storage.get_stream_events(f"{session.id}/publish")
    assert [event.data["number"] for event in events] == [1, 2, 3]
    assert [event.data["is_last"] for event in events] == [False, False, True]


async def test_the_report_says_what_is_stored(storage: StorageAdapter, session: Session, output: str):
    executions = await storage.get_llm_executions(session.id)
    tokens = sum(execution.usage.total_tokens for execution in executions if execution.usage)
    state = await storage.get_execution_state(session.id)
    pool = await storage.get_budget_pool(state.budget_pool_id)
    (first_line,) = [line for line in output.splitlines() if line.startswith("Session completed")]
    assert first_line.split()[-3::2] == [f"{tokens:,}", f"{pool.used_budget:.4f}"]
    assert "session 1 of this workflow" in output
    assert session.id in output
    for node in session.workflow_snapshot["nodes"]:
        assert node["name"] in output
    for child in await storage.get_child_budget_pools(pool.id):
        (line,) = [line for line in output.splitlines() if line.strip().startswith(f"{child.metadata['name']} ")]
        assert f"{child.used_budget:.4f}" in line
        assert f"{child.remaining_budget:.4f}" in line


async def test_the_report_names_the_store_at_the_start_and_at_the_end(output: str):
    lines = output.splitlines()
    assert "./aaow-quickstart.db" in "".join(lines[:2])
    assert "./aaow-quickstart.db" in lines[-5]


async def test_it_ends_with_the_command_that_opens_the_studio_on_its_store(output: str):
    explained, command = output.replace("\\\n", "").split("\n\n")[-2:]
    assert "browser" in explained.splitlines()[-1]
    assert command.split()[-6:] == ["studio", "-s", "./aaow-quickstart.db", "--allow-decisions", "--as", "you"]
