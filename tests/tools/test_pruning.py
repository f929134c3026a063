"""`prune`: what a policy gives up goes whole, what it keeps stays, and the dry run says the same."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from whole_sessions import LONG, NOW, WHOLE, add, days_ago, left

from aaow_storage import (
    ApprovalRequest,
    DelegatingAdapter,
    DelegatingTransaction,
    Gt,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    StorageUnavailableError,
    StoredWorkflow,
    ToolCallLog,
    Transaction,
    ValidationError,
    create_adapter,
    maintenance_of,
    now,
)
from aaow_storage_tools import (
    Progress,
    PrunePolicy,
    PruneReport,
    PruneRule,
    ResumableError,
    check_store,
    prune,
    read_policy,
)

OLD = PruneRule(older_than=timedelta(days=90))
POLICY = PrunePolicy(rules=[OLD])


@pytest_asyncio.fixture(params=["sqlite", "memory"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageAdapter]:
    url = f"file:{tmp_path / 'store.db'}" if request.param == "sqlite" else "memory"
    async with create_adapter(url) as storage:
        yield storage


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'store.db'}"


async def pruned(storage: StorageAdapter, policy: PrunePolicy = POLICY, **options: Any) -> PruneReport:
    """Prune, after a dry run that has to say the same."""
    before = await left(storage)
    dry = await prune(storage, policy, dry_run=True, at=NOW, **options)
    assert await left(storage) == before
    real = await prune(storage, policy, at=NOW, **options)
    assert (dry.counts, dry.stored_bytes, dry.kept, dry.changes) == (
        real.counts,
        real.stored_bytes,
        real.kept,
        real.changes,
    )
    return real


@pytest.mark.asyncio
async def test_old_sessions_that_have_ended_go_with_all_that_belongs_to_them(storage: StorageAdapter):
    await add(storage, "old", whole=True)
    await add(storage, "young", days=80, whole=True)
    report = await pruned(storage)
    assert report.counts == WHOLE
    assert await left(storage) == {"young"}
    assert [each.id for each in await storage.list_llm_executions()] == ["young/e"]
    assert {each.id for each in await storage.list_tool_calls()} == {"young/t", "young/u"}
    assert [each.id for each in await storage.list_approval_requests()] == ["young/a"]
    assert [each.id for each in await storage.list_stream_events()] == ["young/v"]
    assert [each.session_id for each in await storage.list_execution_states()] == ["young"]


@pytest.mark.asyncio
async def test_nothing_of_a_pruned_session_stays_in_the_tables_of_sqlite(url: str):
    async with create_adapter(url) as storage:
        for number in range(30):
            await add(storage, f"old {number}", whole=True)
        report = await pruned(storage, maintenance=maintenance_of(url), reclaim=True)
        assert report.stored_bytes is not None
        assert report.stored_bytes > 10_000
        assert report.reclaimed is not None
        assert (await check_store(storage, maintenance=maintenance_of(url))).findings == ()
    with closing(sqlite3.connect(url.removeprefix("file:"))) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = {"aaow_schema_version", "change_feed", "changes", "streams"}
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    assert {name for name, count in counts.items() if count} - kept == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["queued", "running", "paused", "waiting_for_human_review"])
async def test_a_session_that_has_not_ended_stays(storage: StorageAdapter, status: str):
    await add(storage, "s", status=status)
    assert (await pruned(storage)).counts == {}
    named = PrunePolicy(rules=[PruneRule(older_than=timedelta(days=90), status=[status])])
    assert (await pruned(storage, named)).counts == {"session": 1}


@pytest.mark.asyncio
async def test_a_tree_goes_whole_and_the_deepest_first(storage: StorageAdapter):
    await add(storage, "root")
    await add(storage, "child", parent_session_id="root")
    await add(storage, "grandchild", parent_session_id="child")
    assert (await pruned(storage, max_records=1)).counts == {"session": 3}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("not_ended", {"status": "running"}),
        ("too_young", {"days": 80}),
        ("held", {"metadata": {"hold": "case 7"}}),
        ("held", {"metadata": {"hold": True}}),
        ("held", {"metadata": {"hold": 0}}),
    ],
)
@pytest.mark.parametrize("which", ["root", "child", "grandchild"])
async def test_a_tree_stays_as_long_as_one_of_it_stays(
    storage: StorageAdapter, which: str, reason: str, fields: dict[str, Any]
):
    for session_id, parent in (("root", None), ("child", "root"), ("grandchild", "child")):
        await add(storage, session_id, parent_session_id=parent, **(fields if session_id == which else {}))
    report = await pruned(storage)
    assert report.counts == {}
    assert len(await left(storage)) == 3
    if which != "root" or reason == "held":
        assert report.kept == {reason: 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("value", [None, False])
async def test_what_holds_nothing_is_no_hold(storage: StorageAdapter, value: object):
    await add(storage, "s", metadata={"hold": value})
    assert (await pruned(storage)).counts == {"session": 1}


@pytest.mark.asyncio
async def test_another_path_may_hold_a_session_or_none(storage: StorageAdapter):
    await add(storage, "s", metadata={"legal": {"case": 7}, "hold": True})
    by_case = PrunePolicy(rules=[OLD], hold="metadata.legal.case")
    assert (await pruned(storage, by_case)).kept == {"held": 1}
    assert (await pruned(storage, PrunePolicy(rules=[OLD], hold=None))).counts == {"session": 1}


@pytest.mark.asyncio
async def test_a_session_stays_while_somebody_can_decide_a_request_of_it_or_of_a_child(storage: StorageAdapter):
    await add(storage, "s")
    await add(storage, "child", parent_session_id="s")
    request = ApprovalRequest(session_id="child", node_id="n", type="tool_call", created_at=days_ago(100))
    await storage.create_approval_request(request)
    assert (await pruned(storage)).kept == {"pending_approval": 1}
    named = PrunePolicy(rules=[OLD], pending_approvals=True)
    assert (await pruned(storage, named)).counts == {"session": 2, "approval_request": 1}


@pytest.mark.asyncio
async def test_a_request_that_nobody_can_decide_any_more_holds_nothing(storage: StorageAdapter):
    await add(storage, "s")
    due = {"created_at": days_ago(100), "expires_at": days_ago(99)}
    await storage.create_approval_request(ApprovalRequest(session_id="s", node_id="n", type="tool_call", **due))
    assert (await pruned(storage)).counts == {"session": 1, "approval_request": 1}


@pytest.mark.asyncio
async def test_the_last_sessions_of_each_workflow_stay(storage: StorageAdapter):
    for workflow in ("w1", "w2"):
        await storage.save_workflow(StoredWorkflow(id=workflow, name=workflow, version="1", definition={}))
        for number in range(5):
            await add(storage, f"{workflow}/{number}", days=100 + number, workflow_id=workflow)
    await add(storage, "none/0")
    await add(storage, "child", days=100, parent_session_id="w1/4", workflow_id="w2")
    rule = PruneRule(older_than=timedelta(days=90), keep_last=2)
    report = await pruned(storage, PrunePolicy(rules=[rule]))
    assert await left(storage) == {"w1/0", "w1/1", "w2/0", "w2/1", "none/0"}
    assert report.kept == {"among_the_last": 5}


@pytest.mark.asyncio
async def test_only_the_sessions_of_the_named_workflows_and_conditions_go(storage: StorageAdapter):
    for workflow in ("w1", "w2"):
        await storage.save_workflow(StoredWorkflow(id=workflow, name=workflow, version="1", definition={}))
        for number in range(4):
            await add(storage, f"{workflow}/{number}", workflow_id=workflow, metadata={"rank": number})
    rule = PruneRule(older_than=timedelta(days=90), workflows="w2", where={"metadata.rank": Gt(1)})
    await pruned(storage, PrunePolicy(rules=[rule]))
    assert await left(storage) == {"w1/0", "w1/1", "w1/2", "w1/3", "w2/0", "w2/1"}


@pytest.mark.asyncio
async def test_rules_that_overlap_count_a_session_once(storage: StorageAdapter):
    await add(storage, "failed", days=40, status="failed")
    await add(storage, "completed", days=40)
    await add(storage, "both", days=100, status="failed")
    soon = PruneRule(older_than=timedelta(days=30), status=["failed"])
    report = await pruned(storage, PrunePolicy(rules=[soon, OLD]))
    assert report.counts == {"session": 2}
    assert await left(storage) == {"completed"}


@pytest.mark.asyncio
async def test_a_policy_without_rules_prunes_nothing(storage: StorageAdapter):
    await add(storage, "s")
    assert (await pruned(storage, PrunePolicy())).counts == {}


class _Interfering(DelegatingAdapter):
    """Lets somebody change the store between the selection and the deletion."""

    def __init__(self, wrapped: StorageAdapter, change: Any) -> None:
        super().__init__(wrapped)
        self._change = change

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - as in the interface
        change, self._change = self._change, None
        if change is not None:
            await change(self.wrapped)
        return await super().begin_transaction(timeout)


async def _hold(storage: StorageAdapter) -> None:
    await storage.update_session("s", metadata={"hold": True}, updated_at=days_ago(100))


async def _resume(storage: StorageAdapter) -> None:
    await storage.update_session("s", status="running")


async def _ask(storage: StorageAdapter) -> None:
    await storage.create_approval_request(ApprovalRequest(session_id="s", node_id="n", type="tool_call"))


async def _call(storage: StorageAdapter) -> None:
    await add(storage, "new child", parent_session_id="s", status="running")


async def _hold_child(storage: StorageAdapter) -> None:
    await storage.update_session("child", metadata={"hold": True}, updated_at=days_ago(100))


@pytest.mark.asyncio
@pytest.mark.parametrize("change", [_hold, _resume, _ask, _call, _hold_child])
async def test_a_session_that_is_changed_between_selection_and_deletion_stays(storage: StorageAdapter, change: Any):
    await add(storage, "s")
    await add(storage, "child", parent_session_id="s")
    await add(storage, "other")
    report = await prune(_Interfering(storage, change), POLICY, at=NOW)
    assert {"s", "child"} <= await left(storage)
    assert "other" not in await left(storage)
    assert (report.counts, report.kept) == ({"session": 1}, {"changed_meanwhile": 1})


@pytest.mark.asyncio
async def test_a_prune_that_is_cancelled_at_any_step_goes_on_with_the_next_call(storage: StorageAdapter):
    for number in range(12):
        await add(storage, f"s{number:02}", whole=True, parent_session_id=f"s{number - 1:02}" if number % 3 else None)
    kept = 12
    for step in range(1, 40):
        job = asyncio.create_task(prune(storage, POLICY, at=NOW, max_records=10))
        for _ in range(step * 3):
            await asyncio.sleep(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        remaining = await left(storage)
        assert len(remaining) <= kept
        kept = len(remaining)
        for session_id in remaining:
            assert len(await storage.get_session_tool_calls(session_id)) == 2  # whole, or gone
    await prune(storage, POLICY, at=NOW)
    assert await left(storage) == set()
    assert await storage.list_tool_calls() == []


class _Leaving(DelegatingAdapter):
    """Loses the server at the third transaction."""

    transactions = 0

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - as in the interface
        self.transactions += 1
        if self.transactions == 3:
            raise StorageUnavailableError("the server is gone")
        return await super().begin_transaction(timeout)


@pytest.mark.asyncio
async def test_an_outage_says_that_the_same_call_goes_on(storage: StorageAdapter):
    for number in range(5):
        await add(storage, f"s{number}")
    with pytest.raises(ResumableError, match="the server is gone; run it again"):
        await prune(_Leaving(storage), POLICY, at=NOW, max_records=1)
    assert len(await left(storage)) == 3
    assert (await prune(storage, POLICY, at=NOW)).counts == {"session": 3}


class _Counting(DelegatingAdapter):
    """Notes how many sessions each transaction deletes."""

    def __init__(self, wrapped: StorageAdapter) -> None:
        super().__init__(wrapped)
        self.deleted: list[int] = []

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - as in the interface
        counting = self
        counting.deleted.append(0)

        class Noting(DelegatingTransaction):
            async def delete_session(self, id: str) -> None:
                counting.deleted[-1] += 1
                await super().delete_session(id)

        return Noting(await self.wrapped.begin_transaction(timeout))


@pytest.mark.asyncio
async def test_a_transaction_deletes_no_more_records_than_it_may(storage: StorageAdapter):
    for number in range(10):
        await add(storage, f"s{number}", whole=True)
    counting = _Counting(storage)
    progress: list[Progress] = []
    await prune(counting, POLICY, at=NOW, max_records=3 * sum(WHOLE.values()), progress=progress.append)
    assert counting.deleted == [3, 3, 3, 1]
    assert [each.done for each in progress] == [3, 6, 9, 10]


@pytest.mark.asyncio
async def test_a_writer_has_its_turn_between_two_transactions(storage: StorageAdapter):
    for number in range(20):
        await add(storage, f"s{number:02}", whole=True)
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
            written += 1

    counting = _Counting(storage)
    writer = asyncio.create_task(write())
    await prune(counting, POLICY, at=NOW, max_records=sum(WHOLE.values()))
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    assert counting.deleted == [1] * 20
    assert written >= 20


@pytest.mark.slow(seconds=8)  # processes that are killed
def test_a_prune_that_is_killed_leaves_whole_sessions_and_goes_on(url: str):
    async def fill() -> None:
        async with create_adapter(url) as storage, storage.transaction() as transaction:
            for number in range(120):
                await add(transaction, f"s{number:03}", whole=True)

    async def look() -> int:
        async with create_adapter(url) as storage:
            assert (await check_store(storage, maintenance=maintenance_of(url))).findings == ()
            remaining = await storage.list_sessions()
            for session in remaining:
                assert len(await storage.get_session_tool_calls(session.id)) == 2
            return len(remaining)

    asyncio.run(fill())
    path = url.removeprefix("file:")
    command = [
        sys.executable,
        "-m",
        "aaow_storage_tools.command_line",
        "prune",
        "--older-than",
        "1d",
        "--yes",
        "--json",
    ]
    kept = 120
    for _ in range(2):
        with subprocess.Popen([*command, "--storage", url], stdout=subprocess.PIPE) as job:
            while job.poll() is None and _count(path) > kept - 20:
                time.sleep(0.002)
            job.kill()
        left_now = asyncio.run(look())
        assert left_now <= kept - 20
        kept = left_now
    done = subprocess.run([*command, "--storage", url], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["counts"].get("session", 0) == kept
    assert asyncio.run(look()) == 0


def _count(path: str) -> int:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        count: int = connection.execute("SELECT count(*) FROM sessions").fetchone()[0]
        return count


@pytest.mark.asyncio
async def test_a_session_with_very_much_is_deleted_in_short_steps(url: str):
    async with create_adapter(url) as storage:
        await add(storage, "large", whole=True)
        for number in range(60):
            execution = LLMExecutionResult(id=f"x{number}", success=True, input=[*LONG, {"n": number}])
            await storage.save_llm_execution("large", "n", execution)
            call = {"tool_call_id": "c", "tool_name": "x", "args": {}}
            await storage.log_tool_call(ToolCallLog(execution_id=execution.id, **call))
        maintenance = maintenance_of(url)
        trimmed: list[int] = []
        trim = maintenance.trim_session

        async def noting(session_id: str, limit: int) -> int:
            trimmed.append(await trim(session_id, limit))
            return trimmed[-1]

        maintenance.trim_session = noting  # type: ignore[method-assign]  # it is seen here alone
        report = await prune(storage, POLICY, at=NOW, maintenance=maintenance, max_records=20)
        assert report.counts == {**WHOLE, "llm_execution": 61, "tool_call": 62}
        assert max(trimmed) <= 20
        assert len(trimmed) > 6
        assert await left(storage) == set()
        assert (await check_store(storage, maintenance=maintenance)).findings == ()


@pytest.mark.asyncio
async def test_old_changes_go_from_the_feed_and_young_ones_stay(storage: StorageAdapter):
    for number in range(30):
        await add(storage, f"s{number}", status="running")
    policy = PrunePolicy(changes_older_than=timedelta(days=1))
    assert (await prune(storage, policy, dry_run=True)).changes == 0
    assert (await prune(storage, policy)).changes == 0
    later = now() + timedelta(days=2)
    assert (await prune(storage, policy, dry_run=True, at=later)).changes == 30
    assert (await prune(storage, policy, at=later)).changes == 30
    assert await storage.get_changes() == []


def test_a_policy_is_read_from_a_file(tmp_path: Path):
    file = tmp_path / "policy.toml"
    file.write_text(
        """
        hold = "metadata.legal"
        changes_older_than = "30d"

        [[rule]]
        older_than = "90d"
        status = ["completed"]
        workflows = ["refunds"]
        keep_last = 10
        where = { "metadata.tier" = "free" }

        [[rule]]
        older_than = "2w"
        """
    )
    first = PruneRule(
        older_than=timedelta(days=90),
        status=["completed"],
        workflows=["refunds"],
        keep_last=10,
        where={"metadata.tier": "free"},
    )
    assert read_policy(file) == PrunePolicy(
        rules=[first, PruneRule(older_than=timedelta(weeks=2))],
        hold="metadata.legal",
        changes_older_than=timedelta(days=30),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "says nothing"),
        ("colour = 1", "colour"),
        ("[[rule]]", "older_than"),
        ("[[rule]]\nolder_than = '90'", "90d"),
        ("[[rule]]\nolder_than = 90", "older_than must be str"),
        ("[[rule]]\nolder_than = '90d'\nstatus = ['done']", "'done' is not one of"),
        ("[[rule]]\nolder_than = '90d'\nkeep_last = -1", "0 to 10000"),
        ("[[rule]]\nolder_than = '90d'\nwhere = { status = 'failed' }", "use `status`"),
        ("[[rule]]\nolder_than = '90d'\nage = '1d'", "'age' is not known"),
        ("hold = [", "TOML"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_with_the_key(text: str, problem: str, tmp_path: Path):
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(ValidationError) as caught:
        read_policy(file)
    assert problem in str(caught.value)


@pytest.mark.asyncio
async def test_a_condition_that_no_session_can_have_is_refused_before_anything_is_deleted(storage: StorageAdapter):
    await add(storage, "s")
    with pytest.raises(ValidationError):
        await prune(storage, PrunePolicy(rules=[PruneRule(older_than=timedelta(0), where={"colour": 1})]), at=NOW)
    assert await left(storage) == {"s"}
