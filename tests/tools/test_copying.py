"""Copying a store into another, and comparing two."""

import asyncio
import itertools
import json
import select
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import attrs
import demo_store
import pytest
from hypothesis import HealthCheck, given, settings
from of_contract_1_0 import OfContract10
from random_stores import contents_of, random_writes, write, write_first

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Capability,
    In,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    QueryFilter,
    Session,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
    ValidationError,
    WorkflowExecutionState,
    create_adapter,
)
from aaow_storage.authoring import KINDS
from aaow_storage_memory import MemoryAdapter
from aaow_storage_tools import (
    AlreadyRunningError,
    Mismatch,
    NotEmptyError,
    ToolError,
    UnsupportedByBackendError,
    compare_stores,
    copy_store,
)
from aaow_storage_tools._copying import following
from aaow_storage_tools._copying.differences import differing_fields, is_same

quick = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
thorough = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
START = demo_store.START


async def check_a_copy(folder: Path, calls) -> None:
    async with create_adapter("memory") as source, create_adapter(f"file:{folder}/target.db") as target:
        await write_first(source, *calls)
        before = await contents_of(source)
        result = await copy_store(source, target)
        assert result.comparison is not None
        assert result.comparison.differences == ()
        assert await contents_of(target) == before == await contents_of(source)


async def check_a_second_copy(folder: Path, first, later) -> None:
    journal = folder / "journal"
    async with create_adapter("memory") as source, create_adapter("memory") as target:
        await write_first(source, *first)
        await copy_store(source, target, journal=journal)
        await write(source, *later)
        with mock.patch.object(following, "AT_ONCE", 3):  # so that changes come in many parts
            result = await copy_store(source, target, journal=journal)
        assert result.comparison is not None
        assert result.comparison.differences == ()
        assert await contents_of(target) == await contents_of(source)


@quick
@given(random_writes)
def test_a_copy_has_every_field_of_every_record(tmp_path_factory, calls):
    asyncio.run(check_a_copy(tmp_path_factory.mktemp("copy"), calls))


@quick
@given(random_writes, random_writes)
def test_a_copy_is_brought_up_to_date_by_another_call(tmp_path_factory, first, later):
    asyncio.run(check_a_second_copy(tmp_path_factory.mktemp("copy"), first, later))


@pytest.mark.slow(seconds=20)  # a hundred random stores
@thorough
@given(random_writes)
def test_copies_of_many_random_stores_have_every_field(tmp_path_factory, calls):
    asyncio.run(check_a_copy(tmp_path_factory.mktemp("copy"), calls))


@pytest.mark.slow(seconds=40)  # a hundred random stores, each changed at random
@thorough
@given(random_writes, random_writes)
def test_copies_of_many_random_stores_are_brought_up_to_date(tmp_path_factory, first, later):
    asyncio.run(check_a_second_copy(tmp_path_factory.mktemp("copy"), first, later))


async def check_a_round_trip(folder: Path, calls, urls: Sequence[str]) -> None:
    """Copy a store in a file to each of the others in turn, and back into a file."""
    here, back = f"file:{folder}/here.db", f"file:{folder}/back.db"
    async with create_adapter(here) as source:
        await demo_store.fill(source)
        await write_first(source, *calls)
        before = await contents_of(source)
    for first, second in itertools.pairwise([here, *urls, back]):
        async with create_adapter(first) as source, create_adapter(second) as target:
            result = await copy_store(source, target)
            assert result.comparison is not None
            assert result.comparison.differences == ()
            assert await contents_of(target) == before


@settings(quick, max_examples=2)
@given(random_writes)
def test_nothing_is_lost_on_the_way_to_postgresql_and_back(tmp_path_factory, calls):
    from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database  # noqa: PLC0415 - may be missing

    with skipped_where_missing(), temporary_database() as url:
        asyncio.run(check_a_round_trip(tmp_path_factory.mktemp("copy"), calls, [url]))


@settings(quick, max_examples=2)
@given(random_writes)
def test_nothing_is_lost_on_the_way_to_mariadb_and_back(tmp_path_factory, calls):
    from aaow_storage_mariadb.testing import skipped_where_missing, temporary_database  # noqa: PLC0415 - may be missing

    with skipped_where_missing(), temporary_database() as url:
        asyncio.run(check_a_round_trip(tmp_path_factory.mktemp("copy"), calls, [url]))


@pytest.mark.slow(seconds=20)  # copies twenty random stores to two servers
@settings(thorough, max_examples=20)
@given(random_writes)
def test_nothing_is_lost_on_the_way_to_mariadb_and_postgresql_and_back(tmp_path_factory, calls):
    from aaow_storage_mariadb import testing as mariadb  # noqa: PLC0415 - may be missing
    from aaow_storage_postgresql import testing as postgresql  # noqa: PLC0415 - may be missing

    with (
        mariadb.skipped_where_missing(),
        postgresql.skipped_where_missing(),
        mariadb.temporary_database() as one,
        postgresql.temporary_database() as other,
    ):
        asyncio.run(check_a_round_trip(tmp_path_factory.mktemp("copy"), calls, [one, other]))


def in_memory(test):
    """Run a test with an empty source and an empty target."""

    async def run(*arguments) -> None:
        async with create_adapter("memory") as source, create_adapter("memory") as target:
            await test(source, target, *arguments)

    def with_stores(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    with_stores.__name__ = test.__name__
    return with_stores


def a_session(session_id: str, **fields) -> Session:
    return Session(id=session_id, **{"workflow_id": None, "workflow_snapshot": {}, "created_at": START, **fields})


def an_event(number: int, **fields) -> StreamEvent:
    return StreamEvent(**{"id": f"v{number}", "stream_id": "out", "node_id": "n", "data": number, **fields})


async def assert_equal(source, target) -> None:
    assert (await compare_stores(source, target)).differences == ()
    assert await contents_of(source) == await contents_of(target)


@in_memory
async def test_a_second_copy_is_a_no_op(source, target, folder):
    await demo_store.fill(source)
    first = await copy_store(source, target, journal=folder / "journal")
    last = await target.last_change()
    second = await copy_store(source, target, journal=folder / "journal")
    assert first.stored == sum(first.comparison.compared.values())
    assert (second.stored, second.changes, second.was_resumed) == (0, 0, True)
    assert await target.last_change() == last
    assert {path.name for path in folder.iterdir()} == {"journal"}


@in_memory
async def test_the_source_is_not_written_to(source, target, folder):
    await demo_store.fill(source)
    before = await source.last_change()
    await copy_store(source, target)
    assert await source.last_change() == before


@in_memory
async def test_a_target_with_records_is_refused_unless_it_is_merged(source, target, folder):
    await demo_store.fill(source)
    await target.create_session(a_session("mine"))
    await target.save_workflow(attrs.evolve(demo_store.WORKFLOW, name="older"))
    with pytest.raises(NotEmptyError, match="workflows, sessions"):
        await copy_store(source, target)
    merged = await copy_store(source, target, merge=True)
    assert [(each.id, each.problem) for each in merged.comparison.differences] == [("mine", Mismatch.EXTRA)]
    assert await target.get_workflow(demo_store.WORKFLOW.id) == demo_store.WORKFLOW


@in_memory
async def test_a_target_that_is_in_use_is_not_overwritten_by_another_call(source, target, folder):
    await demo_store.fill(source)
    await copy_store(source, target, journal=folder / "journal")
    (session, *_) = await target.list_sessions()
    await target.update_session(session.id, metadata={"used": True})
    result = await copy_store(source, target, journal=folder / "journal")
    assert [(each.id, each.problem, each.fields) for each in result.comparison.differences] == [
        (session.id, Mismatch.DIFFERS, ("updated_at", "metadata"))
    ]


@in_memory
async def test_a_target_that_was_made_anew_is_filled_again(source, target, folder):
    await demo_store.fill(source)
    await copy_store(source, target, journal=folder / "journal")
    async with create_adapter("memory") as new:
        await copy_store(source, new, journal=folder / "journal")
        await assert_equal(source, new)


@in_memory
async def test_a_parent_that_was_made_later_comes_first(source, target, folder):
    for place, session_id in enumerate("abcde"):
        parent = "abcde"[place - 1] if place else None
        made_at = demo_store.at(-place)
        await source.create_session(a_session(session_id, parent_session_id=parent, created_at=made_at))
        await source.create_budget_pool(
            BudgetPool(id=session_id, parent_pool_id=parent, total_budget=1, created_at=made_at)
        )
    await copy_store(source, target)
    await assert_equal(source, target)
    async with create_adapter("memory") as chosen:
        await copy_store(source, chosen, where={"id": "c"})
        assert sorted(session.id for session in await chosen.list_sessions()) == ["a", "b", "c"]


@in_memory
async def test_chosen_sessions_come_with_what_they_refer_to_and_nothing_else(source, target, folder):
    await demo_store.fill(source)
    result = await copy_store(source, target, where={"status": "completed"})
    assert result.comparison.is_equal
    completed = await source.count_sessions(QueryFilter({"status": "completed"}))
    assert (
        await target.count_sessions() >= completed == await target.count_sessions(QueryFilter({"status": "completed"}))
    )
    for session in await target.list_sessions(QueryFilter({"status": "completed"})):
        assert await target.get_llm_executions(session.id) == await source.get_llm_executions(session.id)
        assert await target.get_session_tool_calls(session.id) == await source.get_session_tool_calls(session.id)


@in_memory
async def test_stream_events_keep_their_sequences_where_others_are_gone(source, target, folder):
    await source.create_session(a_session("short"))
    await source.save_stream_events([an_event(number, session_id="short") for number in range(3)])
    await source.save_stream_events([an_event(3)])
    await source.save_stream_events([an_event(number, session_id="short") for number in range(4, 6)])
    await source.save_stream_events([an_event(6), an_event(7)])
    await source.delete_session("short")
    await copy_store(source, target)
    events = await target.get_stream_events("out", after_sequence=0)
    assert [(event.id, event.sequence) for event in events] == [("v3", 4), ("v6", 7), ("v7", 8)]
    assert await target.count_sessions() == 0
    (saved,) = await target.save_stream_events([an_event(9)])
    assert saved.sequence == 9


@in_memory
async def test_stream_events_keep_their_sequences_where_the_last_ones_are_gone(source, target, folder):
    for round_ in range(3):
        await source.create_session(a_session(f"s{round_}"))
        await source.save_stream_events([an_event(10 * round_), an_event(10 * round_ + 1, session_id=f"s{round_}")])
        await copy_store(source, target, journal=folder / "journal")
        await source.delete_session(f"s{round_}")
        result = await copy_store(source, target, journal=folder / "journal")
        assert result.comparison.differences == ()
    await source.save_stream_events([an_event(99)])
    await copy_store(source, target, journal=folder / "journal")
    assert [event.sequence for event in await target.get_stream_events("out", after_sequence=0)] == [1, 3, 5, 7]


@in_memory
async def test_an_execution_goes_with_the_session_that_it_was_moved_to(source, target, folder):
    await source.create_session(a_session("first"))
    await source.save_llm_execution("first", "n", LLMExecutionResult(id="e"))
    await source.log_tool_call(ToolCallLog(id="c", execution_id="e", tool_call_id="c", tool_name="t", args={}))
    await copy_store(source, target, journal=folder / "journal")
    await source.create_session(a_session("second"))
    await source.save_llm_execution("second", "n", LLMExecutionResult(id="e"))
    await source.delete_session("second")
    await copy_store(source, target, journal=folder / "journal")
    await assert_equal(source, target)


@in_memory
async def test_events_of_chosen_sessions_keep_their_sequences_in_shared_streams(source, target, folder):
    for session_id in "abcd":
        await source.create_session(a_session(session_id))
    for number, session_id in enumerate("acbbaddcb"):
        await source.save_stream_events([an_event(number, session_id=session_id)])
        await source.save_stream_events([an_event(10 + number, stream_id=session_id, session_id=session_id)])
    await source.save_stream_events([an_event(20), an_event(21, session_id="b")])
    result = await copy_store(source, target, where={"id": In(["a", "b"])})
    assert result.comparison.differences == ()
    events = await target.get_stream_events("out", after_sequence=0)
    assert [(event.id, event.sequence) for event in events] == [
        ("v0", 1), ("v2", 3), ("v3", 4), ("v4", 5), ("v8", 9), ("v21", 11)
    ]  # fmt: skip
    assert len(await target.get_stream_events("a")) == 2


@in_memory
async def test_events_that_change_their_stream_keep_their_sequences(source, target, folder):
    await source.save_stream_events([an_event(number) for number in range(4)])
    await copy_store(source, target, journal=folder / "journal")
    await source.save_stream_events([an_event(9, stream_id="other")])
    await source.save_stream_events([an_event(number, stream_id="other") for number in range(2)])
    await source.save_stream_events([an_event(0)])
    await source.save_stream_events([an_event(8, stream_id="other"), an_event(7)])
    result = await copy_store(source, target, journal=folder / "journal")
    assert result.comparison.differences == ()


@in_memory
async def test_events_come_in_order_where_sessions_are_stored_anew(source, target, folder):
    await source.create_session(a_session("s"))
    request = ApprovalRequest(id="r", session_id="s", node_id="n", type="human_review")
    await source.create_approval_request(request)
    await source.save_stream_events([an_event(0, session_id="s"), an_event(1)])
    await copy_store(source, target, journal=folder / "journal")
    for number in range(2, following.AT_ONCE + 2):
        await source.save_stream_events([an_event(number, session_id="s" if number % 2 else None)])
    await source.approve_request("r", "ada")
    await source.save_stream_events([an_event(5000), an_event(5001, session_id="s")])
    result = await copy_store(source, target, journal=folder / "journal")
    assert result.comparison.differences == ()


@in_memory
async def test_a_large_session_is_copied_in_parts(source, target, folder):
    await source.create_session(a_session("large"))
    for number in range(90):
        await source.save_llm_execution("large", "n", LLMExecutionResult(id=f"e{number}", timestamp=START, text="x"))
        log = ToolCallLog(
            id=f"c{number}", execution_id=f"e{number % 3}", tool_call_id="c", tool_name="t", args={}, timestamp=START
        )
        await source.log_tool_call(log)
        await source.log_tool_call(
            attrs.evolve(log, id=f"d{number}", execution_id=None, session_id="large", node_id="n")
        )
    await copy_store(source, target)
    await assert_equal(source, target)
    await target.log_tool_call(attrs.evolve(log, id="extra"))
    comparison = await compare_stores(source, target)
    assert [(each.kind, each.id, each.problem) for each in comparison.differences] == [
        ("tool_call", "extra", Mismatch.EXTRA)
    ]


@in_memory
async def test_a_comparison_names_what_is_missing_what_is_extra_and_what_differs(source, target, folder):
    await demo_store.fill(source)
    await copy_store(source, target)
    sessions = await source.list_sessions()
    await target.delete_session(sessions[0].id)
    await target.update_session(sessions[1].id, status="cancelled", updated_at=sessions[1].updated_at)
    await target.create_session(a_session("extra"))
    comparison = await compare_stores(source, target)
    assert not comparison.is_equal
    found = {(each.kind, each.id): each for each in comparison.differences}
    assert found["session", sessions[0].id].problem is Mismatch.MISSING
    assert found["session", sessions[1].id].fields == ("status",)
    assert found["session", "extra"].problem is Mismatch.EXTRA
    assert comparison.found == len(comparison.differences)


@in_memory
async def test_a_decision_keeps_its_instant_and_the_session_its_children(source, target, folder):
    await demo_store.fill(source)
    await copy_store(source, target, journal=folder / "journal")
    (request, *_) = await source.list_approval_requests(filter=QueryFilter({"status": "pending"}))
    await source.create_session(a_session("child", parent_session_id=request.session_id))
    await source.save_stream_events([an_event(1, session_id="child"), an_event(2, session_id=request.session_id)])
    await copy_store(source, target, journal=folder / "journal")
    await source.update_approval_request(request.id, expires_at=None)
    await source.approve_request(request.id, "ada", "fine", session_status="running")
    await source.create_session(a_session("grandchild", parent_session_id="child"))
    result = await copy_store(source, target, journal=folder / "journal")
    assert result.comparison.differences == ()
    await assert_equal(source, target)


@in_memory
async def test_a_running_copy_is_not_begun_twice(source, target, folder):
    await demo_store.fill(source)
    tasks = [copy_store(source, target, journal=folder / "journal") for _ in range(2)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each).__name__ for each in done] == ["CopyResult", "AlreadyRunningError"]
    assert isinstance(done[1], AlreadyRunningError)
    assert "journal.lock" in str(done[1])


@in_memory
async def test_the_journal_of_another_copy_is_refused(source, target, folder):
    await copy_store(source, target, journal=folder / "journal", target_name="this")
    with pytest.raises(ToolError, match="of other stores"):
        await copy_store(source, target, journal=folder / "journal", target_name="that")


@in_memory
async def test_a_target_without_stream_events_is_refused_before_anything_is_copied(source, unused, folder):
    await source.save_stream_events([an_event(1)])
    async with MemoryAdapter(capabilities=frozenset()) as target:
        with pytest.raises(UnsupportedByBackendError, match="stream events"):
            await copy_store(source, target)
    async with MemoryAdapter(capabilities=source.capabilities - {Capability.CHANGES}) as target:
        await copy_store(source, target)
        await assert_equal(source, target)
        with pytest.raises(UnsupportedByBackendError, match="change feed"):
            await copy_store(target, source, follow=asyncio.Event())


@in_memory
async def test_a_choice_cannot_be_followed(source, target, folder):
    with pytest.raises(ValidationError, match="leave one out"):
        await copy_store(source, target, where={"status": "running"}, follow=asyncio.Event())
    with pytest.raises(ValidationError, match="must map"):
        await copy_store(source, target, where="status=running")  # type: ignore[arg-type]  # it is wrong


@in_memory
async def test_a_backend_of_contract_1_0_is_copied_session_by_session(source, target, folder):
    await demo_store.fill(source)
    capabilities = source.capabilities - {Capability.CHANGES}
    async with OfContract10(capabilities=capabilities) as old, OfContract10(capabilities=capabilities) as other:
        await copy_store(source, old, stream_events=False)
        with pytest.raises(UnsupportedByBackendError, match="a list of all stream events"):
            await copy_store(old, other)
        await copy_store(old, other, stream_events=False)
        assert (await compare_stores(source, other, stream_events=False)).is_equal
        await other.create_session(a_session("extra"))
        assert (await compare_stores(old, other, stream_events=False)).found == 1


@quick
@given(random_writes, random_writes)
def test_what_is_written_while_a_copy_is_followed_is_in_it(first, later):
    async def run() -> None:
        async with create_adapter("memory") as source, create_adapter("memory") as target:
            cut_over = asyncio.Event()

            async def write_meanwhile() -> None:
                for call in later:
                    await write(source, call)
                    for _ in range(5):
                        await asyncio.sleep(0)
                cut_over.set()

            await write_first(source, *first)
            result, _ = await asyncio.gather(copy_store(source, target, follow=cut_over), write_meanwhile())
            assert result.comparison.differences == ()
            await assert_equal(source, target)

    asyncio.run(run())


@in_memory
async def test_a_copy_follows_until_it_is_told_to_cut_over(source, target, folder):
    await demo_store.fill(source)
    cut_over = asyncio.Event()
    copying = asyncio.create_task(copy_store(source, target, follow=cut_over, journal=folder / "journal"))
    while await target.count_sessions() < await source.count_sessions():
        await asyncio.sleep(0.01)
    await source.create_session(a_session("late"))
    while await target.get_session("late") is None:
        await asyncio.sleep(0.01)
    assert await target.list_pending_approvals() == []
    await source.delete_session("late")
    await source.create_session(a_session("last"))
    cut_over.set()
    result = await copying
    assert result.comparison.differences == ()
    assert await target.get_session("last") is not None
    await assert_equal(source, target)


@in_memory
async def test_a_copy_that_was_followed_and_cancelled_goes_on(source, target, folder):
    await demo_store.fill(source)
    copying = asyncio.create_task(copy_store(source, target, follow=asyncio.Event(), journal=folder / "journal"))
    while await target.count_sessions() < await source.count_sessions():
        await asyncio.sleep(0.01)
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    await source.create_session(a_session("late"))
    result = await copy_store(source, target, journal=folder / "journal")
    assert result.was_resumed
    assert result.comparison.differences == ()


@in_memory
async def test_if_changes_are_lost_the_copy_starts_over(source, target, folder):
    await demo_store.fill(source)
    await copy_store(source, target, journal=folder / "journal")
    for number in range(3):
        await source.create_session(a_session(f"late {number}"))
    await source.prune_changes((await source.last_change()).position)
    result = await copy_store(source, target, journal=folder / "journal")
    assert result.comparison.differences == ()


SCRIPT = Path(__file__).with_name("killed_copy.py")


@pytest.fixture(scope="module")
def copied_until() -> Iterator[Callable[[int, Path], int]]:
    """Copy in another process that kills itself at a step; return its exit code."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, SCRIPT], stdin=pipe, stdout=pipe, text=True) as forking:
        assert forking.stdin is not None
        assert forking.stdout is not None
        asked, answers = forking.stdin, forking.stdout

        def copied_until(step: int, folder: Path) -> int:
            copy = [f"file:{folder}/source.db", f"file:{folder}/target.db", str(folder / "journal"), step]
            print(json.dumps(copy), file=asked, flush=True)
            ready, _, _ = select.select([answers], [], [], 60)
            assert ready, "the copy does not end"
            return int(answers.readline())

        yield copied_until
        asked.close()


async def fill_source(folder: Path) -> None:
    async with create_adapter(f"file:{folder}/source.db") as source:
        await demo_store.fill(source)
        await source.delete_stream_events("no such stream")


async def compare_files(folder: Path) -> None:
    async with (
        create_adapter(f"file:{folder}/source.db") as source,
        create_adapter(f"file:{folder}/target.db") as target,
    ):
        await assert_equal(source, target)


def test_a_killed_copy_goes_on_where_it_was(tmp_path, copied_until):
    asyncio.run(fill_source(tmp_path))
    assert copied_until(9, tmp_path) == -signal.SIGKILL
    assert copied_until(0, tmp_path) == 0
    asyncio.run(compare_files(tmp_path))


@pytest.mark.slow(seconds=5)  # a process for each step
def test_a_copy_that_is_killed_again_and_again_ends_equal(tmp_path, copied_until):
    asyncio.run(fill_source(tmp_path))
    codes = []
    for attempt in range(60):
        codes.append(copied_until(2 + attempt % 5, tmp_path))
        if codes[-1] == 0:
            break
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert codes[-1] == 0
    asyncio.run(compare_files(tmp_path))


@pytest.mark.slow(seconds=10)  # a process for each step
def test_a_copy_that_is_killed_at_any_step_ends_equal(tmp_path, copied_until):
    asyncio.run(fill_source(tmp_path))
    for step in range(1, 21):
        folder = tmp_path / str(step)
        folder.mkdir()
        (folder / "source.db").write_bytes((tmp_path / "source.db").read_bytes())
        assert copied_until(step, folder) == -signal.SIGKILL
        assert copied_until(0, folder) == 0
        asyncio.run(compare_files(folder))


async def peak_of_a_copy(folder: Path, sessions: int) -> int:
    source_url, target_url = (f"file:{folder}/{name}{sessions}.db" for name in ("source", "target"))
    async with create_adapter(source_url) as source, create_adapter(target_url) as target:
        workflow = StoredWorkflow(name="w", version="1", definition={"text": "x" * 2000})
        await source.save_workflow(workflow)
        for begin in range(0, sessions, 500):
            async with source.transaction() as transaction:
                for number in range(begin, begin + 500):
                    session = a_session(
                        f"s{number}", workflow_id=workflow.id, workflow_snapshot={"text": f"{number:02000}"}
                    )
                    await transaction.create_session(session)
                    await transaction.save_execution_state(
                        WorkflowExecutionState(session_id=session.id, status=session.status)
                    )
        await copy_store(source, target, where={"id": "s1"}, verify=False, merge=True)  # imports and caches
        tracemalloc.start()
        try:
            await copy_store(source, target, merge=True)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.slow(seconds=20)  # it stores thousands of sessions
def test_memory_does_not_grow_with_the_store(tmp_path):
    small = asyncio.run(peak_of_a_copy(tmp_path, 1500))
    large = asyncio.run(peak_of_a_copy(tmp_path, 6000))
    assert large < 1.3 * small


DOCUMENTS = ({}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": -0.0}, {"a": 0.0}, {"a": [{}]}, {"b": 2, "a": 1})


@pytest.mark.parametrize("one", [*DOCUMENTS, {"a": 1, "b": 2}], ids=repr)
@pytest.mark.parametrize("other", [*DOCUMENTS, None], ids=repr)
def test_records_are_the_same_only_if_types_and_order_of_keys_are(one, other):
    session = Session(id="s", workflow_id=None, workflow_snapshot={}, metadata=one)
    changed = attrs.evolve(session, metadata=other)
    assert is_same(session, changed) == (repr(one) == repr(other))
    assert is_same(session, changed) == (not differing_fields(session, changed))


def test_records_whose_parts_differ_are_not_the_same():
    node = NodeExecutionState(node_id="n", status="completed", attempts=(NodeAttempt(status="failed"),))
    state = WorkflowExecutionState(session_id="s", status="completed", node_states={"n": node})
    again = attrs.evolve(state, node_states={"n": attrs.evolve(node)})
    assert is_same(state, again)
    for other in (
        attrs.evolve(state, node_states={}),
        attrs.evolve(state, node_states={"n": node, "m": attrs.evolve(node, node_id="m")}),
        attrs.evolve(state, node_states={"n": attrs.evolve(node, attempts=())}),
        attrs.evolve(state, node_states={"n": attrs.evolve(node, attempts=(NodeAttempt(status="failed", error="e"),))}),
    ):
        assert not is_same(state, other)
        assert differing_fields(state, other) == ("node_states",)


def test_every_kind_is_compared():
    assert set(KINDS.values()) == set(asyncio.run(_compared()))


async def _compared() -> Mapping[str, int]:
    async with create_adapter("memory") as source, create_adapter("memory") as target:
        return (await compare_stores(source, target)).compared
