"""A backend that was written for contract 1.0 still works: it loads, keeps what it claims, and gets the defaults.

It is the distribution in `contract_1_0`, which is frozen.
"""

import ast
import importlib
import inspect
import json
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

import aaow_storage
from aaow_storage import (
    ApprovalRequest,
    Backend,
    ConflictError,
    LLMExecutionResult,
    NodeExecutionState,
    NotFoundError,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StorageError,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCallLog,
    Transaction,
    UnsupportedOperationError,
    ValidationError,
    WorkflowExecutionState,
    available_backends,
    create_adapter,
    register_plugin,
    unregister_plugin,
)
from aaow_storage_conformance._contract import CLAUSES
from aaow_storage_conformance.data.contents import assert_identical

FOLDER = Path(__file__).with_name("contract_1_0")
MODULES = sorted((FOLDER / "src" / "aaow_ledger").glob("*.py"))
BEGIN = datetime(2024, 3, 1, 12, tzinfo=UTC)

OPERATIONS_1_0 = """
approve_request consume_budget count_sessions count_workflows create_approval_request create_budget_pool create_session
delete_budget_pool delete_session delete_workflow expire_approvals get_approval_request get_budget_pool
get_child_budget_pools get_execution_state get_llm_executions get_node_llm_executions get_session
get_session_tool_calls get_stream_events get_tool_calls get_workflow increase_budget list_approval_requests
list_budget_pools list_pending_approvals list_sessions list_workflows log_tool_call reject_request save_execution_state
save_llm_execution save_stream_event save_workflow update_approval_request update_budget_pool update_node_state
update_session update_workflow
"""
NAMES_1_0 = """
AdapterClosedError AlreadyExistsError ApprovalRequest ApprovalStatus Backend BudgetPool Capability ConflictError
CorruptDataError LLMExecution LLMExecutionResult NodeExecutionState NotFoundError QueryFilter Session StorageAdapter
StorageOperations StoredWorkflow StreamEvent TokenUsage ToolCall ToolCallLog Transaction TransactionError
TransactionOutcome ValidationError WorkflowExecutionState new_id now
INHERITED KINDS OpenTransactions apply_changes bind_transaction check_event_loop check_id check_instant check_pending
check_record check_text check_timeout consumed dumps given_up_after_fork has_run_out increased is_decidable loads
own_changes plan_query positive_amount released_when_dropped resolved hookimpl
"""
"""What the backend uses of the interface; the interface of contract 1.0 had all of it."""

Answer = Callable[[Any], Awaitable[Any]]

ANSWERS: dict[str, list[Answer]] = {
    "get_node_state": [
        lambda storage: storage.get_node_state("s 1", "draft"),
        lambda storage: storage.get_node_state("s 1", "nothing"),
        lambda storage: storage.get_node_state("nothing", "draft"),
    ],
    "list_node_states": [
        lambda storage: storage.list_node_states(),
        lambda storage: storage.list_node_states(QueryFilter({"node_id": "draft"}, limit=2)),
    ],
    "list_execution_states": [lambda storage: storage.list_execution_states()],
    "list_llm_executions": [
        lambda storage: storage.list_llm_executions(),
        lambda storage: storage.list_llm_executions(QueryFilter({"node_id": "draft"}, limit=3, offset=1)),
    ],
    "count_llm_executions": [lambda storage: storage.count_llm_executions()],
    "list_tool_calls": [
        lambda storage: storage.list_tool_calls(),
        lambda storage: storage.list_tool_calls(QueryFilter({"session_id": "s 2"})),
    ],
    "list_approval_requests": [lambda storage: storage.list_approval_requests()],
    "count_approval_requests": [lambda storage: storage.count_approval_requests()],
    "summarize_usage": [
        lambda storage: storage.summarize_usage(),
        lambda storage: storage.summarize_usage(("session_id", "node_id")),
        lambda storage: storage.summarize_usage(("workflow_id", "day")),
    ],
    "transact": [lambda storage: storage.transact(lambda transaction: transaction.count_sessions())],
}
"""Calls of each operation that contract 1.1 added, and that has a default for every backend."""

if hasattr(StorageAdapter, "wait_for_approval"):
    ANSWERS["wait_for_approval"] = [lambda storage: storage.wait_for_approval("a 1", timeout=10)]

REFUSED: dict[str, Answer] = {
    "list_stream_events": lambda storage: storage.list_stream_events(),
    "list_streams": lambda storage: storage.list_streams(),
    "delete_stream_events": lambda storage: storage.delete_stream_events("stream"),
    "watch_stream": lambda storage: anext(storage.watch_stream("stream")),
    "get_changes": lambda storage: storage.get_changes(),
    "last_change": lambda storage: storage.last_change(),
    "prune_changes": lambda storage: storage.prune_changes(BEGIN),
    "changes": lambda storage: anext(storage.changes()),
}
"""A call of each operation that contract 1.1 added, and that needs a backend of that contract."""

OTHERS = {"save_stream_events", "transaction"}
"""What has a test of its own, and what was there before."""


def added_to(kind: type) -> set[str]:
    """Return the operations that contract 1.1 added to a class."""
    named = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    return {
        name
        for name in named - {*OPERATIONS_1_0.split(), *OTHERS}
        if not getattr(getattr(kind, name), "__isabstractmethod__", False)
    }


def event(number: int) -> StreamEvent:
    return StreamEvent(id=f"event {number}", stream_id="stream", node_id="draft", data=number, timestamp=BEGIN)


async def fill(storage: StorageAdapter) -> None:
    """Store records of contract 1.0, several of each kind that has more operations now."""
    await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition={}, created_at=BEGIN))
    for number in (2, 0, 1):
        session, minute = f"s {number}", timedelta(minutes=number)
        workflow = "w" if number else None
        await storage.create_session(
            Session(id=session, workflow_id=workflow, workflow_snapshot={"n": number}, created_at=BEGIN + minute)
        )
        if number == 0:
            continue
        nodes = {
            node: NodeExecutionState(node_id=node, output=[number, node], started_at=BEGIN)
            for node in ("review", "draft")
        }
        await storage.save_execution_state(
            WorkflowExecutionState(session_id=session, status="running", node_states=nodes, started_at=BEGIN)
        )
        for index, node in enumerate(["draft", "draft", "review"]):
            usage = TokenUsage(prompt_tokens=10 * number, completion_tokens=index, total_tokens=10 * number + index)
            execution = LLMExecutionResult(
                id=f"e {number} {index}",
                timestamp=BEGIN + timedelta(days=index) + minute,
                success=[True, False, None][index],
                usage=usage if index else None,
                text=f"text {index}",
            )
            await storage.save_llm_execution(session, node, execution)
            call = {"tool_call_id": "c", "tool_name": "search", "args": {"q": index}}
            log = ToolCallLog(**call, id=f"t {number} {index}", execution_id=execution.id, timestamp=BEGIN - minute)
            await storage.log_tool_call(log)
        await storage.create_approval_request(
            ApprovalRequest(
                id=f"a {number}", session_id=session, node_id="review", type="human_review", created_at=BEGIN - minute
            )
        )
    await storage.update_approval_request("a 1", status="expired")
    await storage.save_stream_event(event(1))


@pytest.fixture(scope="module")
def ledger() -> Iterator[Backend]:
    """The backend, registered in this process."""
    folder = str(FOLDER / "src")
    sys.path.insert(0, folder)
    plugin = importlib.import_module("aaow_ledger.plugin")
    register_plugin(plugin)
    yield available_backends()["ledger"]
    unregister_plugin(plugin)
    sys.path.remove(folder)


@pytest_asyncio.fixture
async def stores(ledger: Backend) -> AsyncIterator[tuple[StorageAdapter, StorageAdapter]]:
    """A store of the backend, and one in memory with the same records."""
    async with create_adapter(ledger.name) as old, create_adapter("memory") as new:
        for storage in (old, new):
            await fill(storage)
        yield old, new


def test_the_backend_uses_nothing_that_came_after_contract_1_0():
    imported: set[str] = set()
    defined: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aaow_storage"):
                assert node.module in {"aaow_storage", "aaow_storage.authoring", "aaow_storage.hookspecs"}
                imported |= {each.name for each in node.names}
            elif isinstance(node, ast.AsyncFunctionDef):
                defined.add(node.name)
    assert sorted(imported) == sorted(NAMES_1_0.split())
    life = {"commit", "rollback", "savepoint", "initialize", "close", "begin_transaction", "acquire"}
    assert sorted(name for name in defined - life if not name.startswith("_")) == sorted(OPERATIONS_1_0.split())


def test_the_interface_asks_for_no_operation_more_than_contract_1_0():
    required = {
        name
        for name, each in inspect.getmembers(StorageOperations, inspect.isfunction)
        if getattr(each, "__isabstractmethod__", False)
    }
    assert sorted(required) == sorted(OPERATIONS_1_0.split())


def test_a_backend_that_names_no_contract_was_built_for_1_0(ledger: Backend):
    assert (ledger.contract, ledger.problem) == ("1.0", None)
    assert available_backends()["memory"].contract == "1.1"


@pytest.mark.parametrize("kind", [StorageAdapter, Transaction])
def test_every_operation_that_was_added_is_called_here(kind: type):
    assert sorted(added_to(kind) - {*ANSWERS, *REFUSED}) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
async def test_a_default_answers_as_the_memory_backend_does(
    stores: tuple[StorageAdapter, StorageAdapter], is_inside: bool
):
    answers: list[dict[str, Any]] = []
    for storage in stores:
        target = await storage.begin_transaction() if is_inside else storage
        answers.append(
            {
                f"{name} {number}": await call(target)
                for name, calls in ANSWERS.items()
                for number, call in enumerate(calls)
                if hasattr(target, name)
            }
        )
        if isinstance(target, Transaction):
            await target.rollback()
    assert_identical(answers[0], answers[1])
    assert len(answers[0]["list_llm_executions 0"]) == answers[0]["count_llm_executions 0"] == 6
    assert [each.id for each in answers[0]["list_approval_requests 0"]] == ["a 2", "a 1"]


@pytest.mark.asyncio
@pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
async def test_what_needs_a_backend_of_contract_1_1_is_refused_and_leaves_no_trace(
    stores: tuple[StorageAdapter, StorageAdapter], is_inside: bool
):
    storage, _ = stores
    target: StorageOperations = await storage.begin_transaction() if is_inside else storage
    for name, call in REFUSED.items():
        if hasattr(target, name):
            with pytest.raises(UnsupportedOperationError, match=name):
                await call(target)
    assert_identical(await target.get_stream_events("stream"), [event(1)])
    if isinstance(target, Transaction):
        await target.rollback()


@pytest.mark.asyncio
@pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
async def test_several_events_are_saved_all_or_none_without_sequences(
    stores: tuple[StorageAdapter, StorageAdapter], is_inside: bool
):
    saved = []
    for storage in stores:
        target = await storage.begin_transaction() if is_inside else storage
        saved.append(await target.save_stream_events([event(3), event(2)]))
        with pytest.raises(StorageError):
            await target.save_stream_events([event(4), attrs.evolve(event(5), stream_id="other"), "no event"])
        assert await target.get_stream_events("stream") == [event(1), event(2), event(3)]
        if isinstance(target, Transaction):
            await target.commit()
    assert saved == [[event(3), event(2)]] * 2
    assert [[each.sequence for each in events] for events in saved] == [[None, None], [2, 3]]


@pytest.mark.asyncio
async def test_a_condition_of_an_update_is_refused_rather_than_ignored(stores: tuple[StorageAdapter, StorageAdapter]):
    storage, _ = stores
    with pytest.raises(ValidationError, match="only_if"):
        await storage.update_session("s 1", only_if={"status": "running"}, status="completed")
    session = await storage.get_session("s 1")
    assert session is not None
    assert session.status == "running"


async def status_of(storage: StorageOperations, session_id: str) -> str:
    session = await storage.get_session(session_id)
    assert session is not None
    return session.status


@pytest.mark.asyncio
@pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
async def test_a_decision_sets_the_status_of_its_session_though_the_backend_takes_none(
    stores: tuple[StorageAdapter, StorageAdapter], is_inside: bool
):
    answers = []
    for storage in stores:
        for number in (0, 1, 2):
            request = {"id": f"late {number}", "session_id": f"s {number}", "node_id": "review", "created_at": BEGIN}
            expires_at = BEGIN + timedelta(days=1) if number else None
            await storage.create_approval_request(
                ApprovalRequest(**request, type="human_review", expires_at=expires_at)
            )
        target = await storage.begin_transaction() if is_inside else storage
        approved = await target.approve_request("late 0", "ann", "fine", session_status="completed")
        rejected = await target.reject_request("a 2", "bob", session_status=SessionStatus.FAILED)
        found = [await status_of(target, f"s {number}") for number in (0, 1, 2)]
        expired = await target.expire_approvals(BEGIN + timedelta(days=2), session_status="cancelled")
        found += [await status_of(target, f"s {number}") for number in (0, 1, 2)]
        assert await target.expire_approvals(BEGIN + timedelta(days=2), session_status="paused") == []
        with pytest.raises(ConflictError):
            await target.approve_request("late 0", "ann", session_status="failed")
        with pytest.raises(ValidationError, match="session_status"):
            await target.reject_request("late 1", "ann", session_status="expired")
        with pytest.raises(NotFoundError):
            await target.approve_request("nothing", "ann", session_status="failed")
        found += [await status_of(target, f"s {number}") for number in (0, 1, 2)]
        if isinstance(target, Transaction):
            await target.commit()
        decided = [await storage.get_approval_request(each.id) for each in (approved, rejected, *expired)]
        assert decided == [approved, rejected, *expired]
        said = [
            (each.id, each.status, each.resolved_by, each.resolution_notes) for each in (approved, rejected, *expired)
        ]
        answers.append((said, found))
    assert answers[0] == answers[1]
    assert answers[0][1] == ["completed", "running", "failed"] + ["completed", "cancelled", "cancelled"] * 2


@pytest.mark.asyncio
@pytest.mark.parametrize("is_inside", [False, True], ids=["adapter", "transaction"])
async def test_a_decision_whose_status_cannot_be_set_is_not_made(
    stores: tuple[StorageAdapter, StorageAdapter], is_inside: bool, monkeypatch: pytest.MonkeyPatch
):
    storage, _ = stores
    target = probe = await storage.begin_transaction()
    if not is_inside:
        await probe.rollback()
        target = storage
    monkeypatch.setattr(type(probe), "update_session", lambda *_, **__: _fail())
    with pytest.raises(StorageError, match="on purpose"):
        await target.approve_request("a 2", "ann", session_status="completed")
    request = await target.get_approval_request("a 2")
    assert request is not None
    assert request.status == "pending"
    assert (await target.approve_request("a 2", "ann")).status == "approved"
    assert await status_of(target, "s 2") == "running"
    if is_inside:
        await probe.rollback()


async def _fail() -> None:
    raise StorageError("on purpose")


@pytest.mark.asyncio
async def test_a_patch_works_because_the_interface_applies_it(stores: tuple[StorageAdapter, StorageAdapter]):
    for storage in stores:
        await storage.update_session("s 1", metadata={"a": 1, "b": 2})
        session = await storage.update_session("s 1", metadata=aaow_storage.Patch({"a": None, "c": 3}))
        assert session.metadata == {"b": 2, "c": 3}


@pytest.mark.asyncio
async def test_fields_that_the_backend_has_no_column_for_are_not_kept(stores: tuple[StorageAdapter, StorageAdapter]):
    storage, _ = stores
    result = LLMExecutionResult(id="e", success=True, model="large", cost=Decimal(1), currency="EUR")
    await storage.save_llm_execution("s 0", "draft", result)
    (stored,) = await storage.get_llm_executions("s 0")
    assert (stored.success, stored.model, stored.cost, stored.currency) == (True, None, None, None)
    call = ToolCallLog(tool_call_id="c", tool_name="search", args={}, session_id="s 0", node_id="draft")
    with pytest.raises(ValidationError, match="needs an execution_id"):
        await storage.log_tool_call(call)


@pytest.mark.slow(seconds=60)
def test_installed_it_passes_the_clauses_of_its_contract_and_the_report_says_which(suite_on_installed, tmp_path: Path):
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    done = suite_on_installed(project, "--conformance-report=report.json", modules=FOLDER / "src")
    assert done.returncode == 0, done.stdout
    assert "= storage contract 1.0 (the suite has 1.1): ledger =" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "quick profile"
    assert report["backend"]["distribution"] == "aaow-ledger"
    assert (report["backend"]["contract"], report["contract"]["version"]) == ("1.0", "1.1")
    results = {each["id"]: each["result"] for each in report["clauses"]}
    assert {name for name, clause in CLAUSES.items() if clause.since == "1.1"} <= {
        name for name, result in results.items() if result == "not claimed"
    }
    assert {results[name] for name, clause in CLAUSES.items() if clause.since == "1.0"} <= {
        *("passed", "incomplete", "not claimed", "not run")
    }
    assert "later than the contract 1.0 that it was built for: " in report["sentence"]
