"""`check_store`: a sound store has no finding, and each kind of damage has one that names its record and a remedy."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from histories import START, History
from of_contract_1_0 import OfContract10

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Capability,
    CorruptDataError,
    DelegatingAdapter,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    WorkflowExecutionState,
    create_adapter,
    maintenance_of,
    open_adapter,
)
from aaow_storage_tools import (
    CheckReport,
    Finding,
    Progress,
    PrunePolicy,
    PruneRule,
    check_store,
    erase,
    prune,
    verify_receipt,
)

EARLIER = START - timedelta(days=1)
LONG = [{"role": "user", "content": "a long message " * 500}]


async def fill(storage: StorageAdapter) -> None:
    """Store one record of each kind, with ids that the tests know."""
    await storage.save_workflow(
        StoredWorkflow(id="w", name="w", version="1", definition={"nodes": [1]}, created_at=START, updated_at=START)
    )
    for session_id, parent in (("s", None), ("child", "s")):
        snapshot = {"of": session_id}
        await storage.create_session(
            Session(
                id=session_id,
                workflow_id="w",
                workflow_snapshot=snapshot,
                parent_session_id=parent,
                created_at=START,
                updated_at=START,
            )
        )
    node = NodeExecutionState(node_id="n", status="running", started_at=START)
    await storage.save_execution_state(
        WorkflowExecutionState(session_id="s", status="running", node_states={"n": node}, budget_pool_id="below")
    )
    for number in range(3):
        result = LLMExecutionResult(id=f"e{number}", timestamp=START, success=True, input=LONG * (number + 1), output=1)
        await storage.save_llm_execution("s", "n", result)
    await storage.log_tool_call(ToolCallLog(id="t", execution_id="e0", tool_call_id="c", tool_name="x", args={}))
    await storage.create_budget_pool(BudgetPool(id="above", total_budget=10, created_at=START))
    await storage.create_budget_pool(BudgetPool(id="below", parent_pool_id="above", total_budget=5, created_at=START))
    await storage.consume_budget("below", 2)
    request = ApprovalRequest(id="a", session_id="s", node_id="n", type="human_review", created_at=START)
    await storage.create_approval_request(request)
    for number in range(3):
        event = StreamEvent(id=f"v{number}", stream_id="stream", node_id="n", data=number, session_id="s")
        await storage.save_stream_event(event)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'store.db'}"


def damage(url: str, *statements: str) -> None:
    """Run statements on the file of a closed store, past all rules."""
    with closing(sqlite3.connect(url.removeprefix("file:"), isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)


async def checked(url: str, **options: Any) -> CheckReport:
    async with open_adapter(url) as storage:
        return await check_store(storage, maintenance=maintenance_of(url), **options)


def named(report: CheckReport) -> set[tuple[str, str | None, str]]:
    return {(str(each.problem), each.kind, each.id) for each in report.findings}


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(4))
async def test_a_sound_store_has_no_finding(seed: int, url: str):
    async with open_adapter(url) as storage:
        await History(storage, seed).live(40)
        report = await check_store(storage, maintenance=maintenance_of(url))
        assert (report.findings, report.skipped) == ((), ())
        assert report.is_sound
        assert report.records["session"] == await storage.count_sessions()
        assert report.records["llm_execution"] == await storage.count_llm_executions()


@pytest.mark.asyncio
async def test_a_pool_and_a_request_that_are_named_by_value_alone_need_not_be_stored(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
        node = NodeExecutionState(node_id="n", status="waiting_for_approval", pending_approval_id="elsewhere")
        state = WorkflowExecutionState(
            session_id="s", status="running", budget_pool_id="elsewhere", node_states={"n": node}
        )
        await storage.save_execution_state(state)
        assert (await check_store(storage, maintenance=maintenance_of(url))).findings == ()


@pytest.mark.asyncio
async def test_a_sound_store_of_a_backend_that_cannot_be_asked_has_no_finding():
    async with create_adapter("memory") as storage:
        await History(storage, 7).live(40)
        report = await check_store(storage)
        assert (report.findings, len(report.skipped)) == ((), 1)


OF_CHILD = "(SELECT snapshot_digest FROM sessions WHERE id = 'child')"
DAMAGES = {
    "a document is lost": (
        ["DELETE FROM documents WHERE digest = (SELECT snapshot_digest FROM sessions WHERE id = 's')"],
        {("document-missing", "session", "s")},
    ),
    "the document of a workflow is lost": (
        ["DELETE FROM documents WHERE digest = (SELECT definition_digest FROM workflows WHERE id = 'w')"],
        {("document-missing", "workflow", "w")},
    ),
    "a document was changed": (
        [f"UPDATE documents SET body = replace(body, 'child', 'other') WHERE digest = {OF_CHILD}"],
        {("document-damaged", "session", "child")},
    ),
    "a document is no text": (
        [f"UPDATE documents SET body = x'00ff' WHERE digest = {OF_CHILD}"],
        {("document-damaged", "session", "child")},
    ),
    "a message was changed": (
        ['UPDATE messages SET body = \'{"role":"user"}\' WHERE previous IS NOT NULL'],
        {("document-damaged", "session", "s")},
    ),
    "a message is lost": (
        ["DELETE FROM messages WHERE previous IS NULL"],
        {("document-missing", "session", "s"), ("document-missing", "llm_execution", "e0")},
    ),
    "a short input is no JSON": (
        ["UPDATE llm_executions SET input = '{\"cut', input_digest = NULL WHERE id = 'e0'"],
        {("unreadable", "llm_execution", "e0")},
    ),
    "an output is no JSON": (
        ["UPDATE llm_executions SET output = '[1' WHERE id = 'e1'"],
        {("unreadable", "llm_execution", "e1")},
    ),
    "a status is unknown": (
        ["UPDATE sessions SET status = 'lost' WHERE id = 'child'"],
        {("unreadable", "session", "child")},
    ),
    "the metadata of an execution is no JSON": (
        ["UPDATE llm_executions SET metadata = '{' WHERE id = 'e2'"],
        {("unreadable", "llm_execution", "e2")},
    ),
    "an amount is no number": (
        ["UPDATE budget_pools SET total_budget = 'much' WHERE id = 'below'"],
        {("unreadable", "budget_pool", "below")},
    ),
    "a workflow is lost": (
        ["DELETE FROM workflows WHERE id = 'w'"],
        {
            ("reference-dangling", "session", "s"),
            ("reference-dangling", "session", "child"),
            ("document-unused", None, "DIGEST"),
        },
    ),
    "a parent session is lost": (
        ["UPDATE sessions SET parent_session_id = 'nobody' WHERE id = 'child'"],
        {("reference-dangling", "session", "child")},
    ),
    "an execution of a tool call is lost": (
        ["DELETE FROM llm_executions WHERE id = 'e0'"],
        {("reference-dangling", "tool_call", "t")},
    ),
    "a session is lost": (
        ["DELETE FROM sessions WHERE id = 's'"],
        {
            ("document-unused", None, "DIGEST"),
            ("reference-dangling", "session", "s"),
            ("reference-dangling", "session", "child"),
            ("reference-dangling", "execution_state", "s"),
            ("reference-dangling", "approval_request", "a"),
            *(("reference-dangling", "llm_execution", f"e{number}") for number in range(3)),
            *(("reference-dangling", "stream_event", f"v{number}") for number in range(3)),
        },
    ),
    "an execution state is lost": (
        ["DELETE FROM execution_states WHERE session_id = 's'"],
        {("reference-dangling", "execution_state", "s")},
    ),
    "sessions are each other's parents": (
        ["UPDATE sessions SET parent_session_id = 'child' WHERE id = 's'"],
        {("reference-cycle", "session", "s"), ("reference-cycle", "session", "child")},
    ),
    "a pool is its own parent": (
        ["UPDATE budget_pools SET parent_pool_id = 'above' WHERE id = 'above'"],
        {("reference-cycle", "budget_pool", "above"), ("budget-sum", "budget_pool", "above")},
    ),
    "a document is used by nobody": (
        ["INSERT INTO documents VALUES (x'" + "ab" * 32 + "', '{}')"],
        {("document-unused", None, "ab" * 32)},
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_of_rows_is_found_with_its_record_and_a_remedy(name: str, url: str):
    statements, expected = DAMAGES[name]
    async with open_adapter(url) as storage:
        await fill(storage)
    assert (await checked(url)).findings == ()
    damage(url, *statements)
    report = await checked(url)
    found = {each for each in named(report) if each[0] != "store-damaged"}  # SQLite finds dangling rows, too
    assert {each if each[2] in str(expected) else (*each[:2], "DIGEST") for each in found} == expected
    assert all(each.remedy and each.message for each in report.findings)
    assert not report.is_sound


async def _expired_before_it_was_made(storage: StorageAdapter) -> None:
    await storage.create_approval_request(
        ApprovalRequest(id="x", session_id="s", node_id="n", type="tool_call", created_at=START, expires_at=EARLIER)
    )


async def _pending_and_decided(storage: StorageAdapter) -> None:
    await storage.create_approval_request(
        ApprovalRequest(id="x", session_id="s", node_id="n", type="tool_call", resolved_by="ada")
    )


async def _decided_at_no_time(storage: StorageAdapter) -> None:
    await storage.create_approval_request(
        ApprovalRequest(id="x", session_id="s", node_id="n", type="tool_call", status="approved", resolved_by="ada")
    )


async def _node(storage: StorageAdapter, **fields: Any) -> None:
    await storage.update_node_state("s", "n", NodeExecutionState(node_id="n", **fields))


async def _completed_with_a_running_node(storage: StorageAdapter) -> None:
    await storage.update_session("s", status="completed", updated_at=START)


async def _execution(storage: StorageAdapter, **fields: Any) -> None:
    await storage.save_llm_execution("s", "n", LLMExecutionResult(id="e0", timestamp=START, **fields))


async def _exhausted_with_something_left(storage: StorageAdapter) -> None:
    await storage.update_budget_pool("below", status="exhausted")


ATTEMPT = NodeAttempt(status="failed", started_at=START, completed_at=EARLIER)
IMPOSSIBLE = {
    "a workflow was changed before it was made": (
        lambda storage: storage.update_workflow("w", updated_at=EARLIER),
        ("instants-out-of-order", "workflow", "w"),
    ),
    "a session was changed before it was made": (
        lambda storage: storage.update_session("s", updated_at=EARLIER),
        ("instants-out-of-order", "session", "s"),
    ),
    "a state ended before it began": (
        lambda storage: storage.save_execution_state(
            WorkflowExecutionState(session_id="s", status="running", started_at=START, completed_at=EARLIER)
        ),
        ("instants-out-of-order", "execution_state", "s"),
    ),
    "an attempt ended before it began": (
        lambda storage: _node(storage, status="completed", retry_count=1, attempts=(ATTEMPT,)),
        ("instants-out-of-order", "execution_state", "s"),
    ),
    "an execution ended before it began": (
        lambda storage: _execution(storage, success=True, completed_at=EARLIER),
        ("instants-out-of-order", "llm_execution", "e0"),
    ),
    "a request expired before it was made": (
        _expired_before_it_was_made,
        ("instants-out-of-order", "approval_request", "x"),
    ),
    "a pending request was decided": (_pending_and_decided, ("state-impossible", "approval_request", "x")),
    "a request was decided at no time": (_decided_at_no_time, ("state-impossible", "approval_request", "x")),
    "a running node has ended": (
        lambda storage: _node(storage, status="running", completed_at=START),
        ("state-impossible", "execution_state", "s"),
    ),
    "a node has more attempts than retries": (
        lambda storage: _node(storage, status="running", attempts=(NodeAttempt(status="failed"),)),
        ("state-impossible", "execution_state", "s"),
    ),
    "a node of a completed session runs": (
        _completed_with_a_running_node,
        ("state-impossible", "execution_state", "s"),
    ),
    "an execution that runs has ended": (
        lambda storage: _execution(storage, completed_at=START),
        ("state-impossible", "llm_execution", "e0"),
    ),
    "an exhausted pool has something left": (
        _exhausted_with_something_left,
        ("state-impossible", "budget_pool", "below"),
    ),
    "a pool has used less than its children": (
        lambda storage: storage.update_budget_pool("above", used_budget=1),
        ("budget-sum", "budget_pool", "above"),
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("backend", ["sqlite", "memory"])
async def test_what_cannot_have_happened_is_found(backend: str, name: str, url: str):
    happen, expected = IMPOSSIBLE[name]
    async with create_adapter("memory") if backend == "memory" else create_adapter(url) as storage:
        await fill(storage)
        await happen(storage)
        report = await check_store(storage)
    assert named(report) == {expected}
    (finding,) = report.findings
    assert finding.message
    assert finding.remedy
    assert finding.to_dict()["problem"] == expected[0]


@pytest.mark.asyncio
async def test_two_statuses_of_a_session_are_found():
    class TwoStatuses(DelegatingAdapter):
        async def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
            return next(iter(await self.list_execution_states()))

        async def list_execution_states(self, filter: Any = None) -> list[WorkflowExecutionState]:
            return [WorkflowExecutionState(session_id="s", status="failed")] if _is_first(filter) else []

    def _is_first(filter: Any) -> bool:
        return filter is None or filter.after_record is None

    async with TwoStatuses(create_adapter("memory")) as storage:
        await fill(storage)
        report = await check_store(storage)
    assert named(report) == {("status-differs", "session", "s")}


@pytest.mark.asyncio
async def test_two_events_with_one_sequence_are_found(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
    damage(url, "DROP INDEX ix_stream_events_stream_id_sequence", "UPDATE stream_events SET sequence = 2")
    async with open_adapter(url) as storage:
        report = await check_store(storage)
    assert {each[:2] for each in named(report)} == {("sequence-wrong", "stream_event")}
    assert report.counts == {"sequence-wrong": 2}


@pytest.mark.asyncio
async def test_records_after_unreadable_ones_are_read(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
        for number in range(60):
            result = LLMExecutionResult(id=f"f{number:02}", timestamp=START, success=True)
            await storage.save_llm_execution("s", "n", result)
    damage(url, "UPDATE llm_executions SET metadata = '{' WHERE id IN ('f10', 'f11', 'f30', 'f59')")
    report = await checked(url)
    assert named(report) == {("unreadable", "llm_execution", f"f{number}") for number in (10, 11, 30, 59)}
    assert report.records["llm_execution"] == 63 - 4


@pytest.mark.asyncio
async def test_a_file_with_damaged_pages_is_found(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
        await History(storage, 1).live(30)
    path = Path(url.removeprefix("file:"))
    data = bytearray(path.read_bytes())
    for page in range(3, len(data) // 8192, 4):
        data[page * 8192 : page * 8192 + 512] = bytes(512)
    path.write_bytes(data)
    try:
        report = await checked(url)
    except CorruptDataError:
        return
    assert "store-damaged" in report.counts


@pytest.mark.asyncio
async def test_a_changed_file_is_checked_again_before_it_is_told(url: str):
    """A consumption between two reads makes a child look as if it had used more than its parent."""

    class Consuming(DelegatingAdapter):
        async def list_budget_pools(self, filter: Any = None) -> list[BudgetPool]:
            pools = await self.wrapped.list_budget_pools(filter)
            if filter is not None and filter.where and not self.has_consumed:
                self.has_consumed = True
                return [pool if pool.id != "below" else _with_more_used(pool) for pool in pools]
            return pools

        has_consumed = False

    def _with_more_used(pool: BudgetPool) -> BudgetPool:
        return BudgetPool(id=pool.id, parent_pool_id="above", total_budget=5, used_budget=4)

    async with Consuming(create_adapter(url)) as storage:
        await fill(storage)
        report = await check_store(storage)
        assert storage.has_consumed
    assert report.findings == ()


@pytest.mark.asyncio
async def test_the_number_of_findings_that_are_kept_is_bounded_and_all_are_told(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
    numbers = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 700)"
    damage(url, f"{numbers} INSERT INTO documents SELECT CAST(printf('%032d', x) AS BLOB), '{{}}' FROM n")
    told: list[Finding] = []
    steps: list[Progress] = []
    report = await checked(url, max_findings=10, on_finding=told.append, progress=steps.append)
    assert (len(report.findings), len(told), report.counts) == (10, 700, {"document-unused": 700})
    assert steps[-1].what == "checking stream events"


async def records_of(url: str) -> list[Any]:
    async with open_adapter(url) as storage:
        return [
            await storage.list_workflows(),
            await storage.list_sessions(),
            await storage.list_execution_states(),
            await storage.list_llm_executions(),
            await storage.list_tool_calls(),
            await storage.list_approval_requests(),
            await storage.list_stream_events(),
        ]


@pytest.mark.asyncio
async def test_repair_deletes_unused_documents_and_loses_nothing(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
    before = await records_of(url)
    damage(url, f"INSERT INTO documents VALUES (x'{'ab' * 32}', '{{}}')")
    report = await checked(url, repair=True)
    assert [(each.is_repairable, each.is_repaired) for each in report.findings] == [(True, True)]
    assert report.is_sound
    assert (await checked(url)).findings == ()
    assert await records_of(url) == before


@pytest.mark.asyncio
async def test_repair_makes_an_index_again(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
    before = await records_of(url)
    path = url.removeprefix("file:")
    name = "ix_stream_events_stream_id_timestamp_id"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (row,) = connection.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE stream_events SET timestamp = timestamp + 1 WHERE id = 'v1'")
        connection.execute("UPDATE stream_events SET timestamp = timestamp - 1 WHERE id = 'v1'")
        connection.execute("UPDATE stream_events SET timestamp = timestamp + 5 WHERE id = 'v2'")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    found = await checked(url)
    assert found.counts["index-wrong"] == 1
    assert (await checked(url, repair=True)).is_sound
    assert (await checked(url)).findings == ()
    after = await records_of(url)
    assert after[:-1] == before[:-1]
    assert [event.data for event in after[-1]] == [0, 1, 2]


@pytest.mark.asyncio
async def test_repair_makes_an_exhausted_pool_active_that_has_something_left(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
        await storage.update_budget_pool("below", status="exhausted")
        report = await check_store(storage, repair=True)
        pool = await storage.get_budget_pool("below")
        assert (report.is_sound, pool and pool.status) == (True, "active")


@pytest.mark.asyncio
async def test_repair_leaves_what_would_lose_something(url: str):
    async with open_adapter(url) as storage:
        await fill(storage)
    damage(url, *DAMAGES["a session is lost"][0])
    with closing(sqlite3.connect(url.removeprefix("file:"))) as connection:
        count = connection.execute("SELECT count(*) FROM llm_executions").fetchone()
    report = await checked(url, repair=True)
    assert not report.is_sound
    assert {each.problem for each in report.findings if each.is_repaired} == {"document-unused"}
    with closing(sqlite3.connect(url.removeprefix("file:"))) as connection:
        assert connection.execute("SELECT count(*) FROM llm_executions").fetchone() == count


@pytest.mark.asyncio
async def test_a_backend_of_contract_1_0_is_checked_pruned_and_erased_from():
    async with OfContract10(capabilities=frozenset({Capability.STREAM_EVENTS})) as storage:
        await fill(storage)
        report = await check_store(storage)
        assert (report.findings, len(report.skipped)) == ((), 2)
        assert report.records["tool_call"] == 1
        await storage.update_session("s", status="failed")
        await storage.update_session("child", status="failed", metadata={"user": "ada"})
        receipt = await erase(storage, {"metadata.user": "ada"})
        assert receipt.counts == {"session": 1}
        assert await verify_receipt(storage, receipt) == []
        rule = PruneRule(older_than=timedelta(0))
        done = await prune(storage, PrunePolicy(rules=[rule], pending_approvals=True))
        counts = {"session": 1, "execution_state": 1, "llm_execution": 3, "tool_call": 1, "approval_request": 1}
        assert (dict(done.counts), await storage.list_sessions()) == (counts, [])
