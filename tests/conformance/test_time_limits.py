"""Time limits: a test that stalls fails in time, and names the operation that did not return."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from aaow_storage import All, Not, QueryFilter, Session
from aaow_storage_conformance.broken import BROKEN
from aaow_storage_conformance.broken._runner import ContractTest, reference_backend_for, verdicts
from aaow_storage_conformance.harness import stall_report
from aaow_storage_conformance.harness.shrink_limit import ShrinkLimit, ShrunkEnough
from aaow_storage_conformance.harness.watchdog import Limits, Stalled, Watchdog, run_in_loop, watching
from aaow_storage_memory import MemoryAdapter

pytest_plugins = ["pytester"]
pytestmark = [
    pytest.mark.usefixtures("collect_garbage_at_the_end"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # of what they dropped
]

NAMED = {
    "GetsForEver": "get_workflow('",
    "WaitsWhereItShouldRaise": "delete_session('",
    "NeverCloses": "close() of NeverCloses did not return",
    "ClosesInAThreadThatNeverEnds": "close() of ClosesInAThreadThatNeverEnds did not return",
    "BlocksItsLoop": "of BlocksItsLoop blocked its event loop",
    "LocksItsLoopOut": "of LocksItsLoopOut blocked its event loop",
    "DeadlocksAtTheSecondTransaction": "begin_transaction(30.0) of DeadlocksAtTheSecondTransaction",
    "KeepsTheLineAfterItsEnd": "did not return within 1.5 s",
    "GoesOnWaitingWhenCancelled": "update_workflow('",
    "StandsStillWhereSavepointsNest": "save_workflow(StoredWorkflow(",
}
NAMED_WITHIN_S = 5.0
FOUND_WITHIN_S = 180.0
FORCED_TO_END_WITHIN_S = 300.0
"""On a busy machine; the thread that never ends would keep the run for an hour."""

REGISTERED = """
from aaow_storage import register_plugin
from aaow_storage_conformance.broken import BROKEN
from aaow_storage_conformance.broken._runner import BrokenPlugin

register_plugin(BrokenPlugin(BROKEN["{name}"], "{on}"))
"""


async def _list_sessions(filter: QueryFilter) -> str:
    """Return how the report names a task that lists sessions with a filter."""
    listed = asyncio.Event()

    class Waits(MemoryAdapter):
        async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
            listed.set()
            await asyncio.Event().wait()
            return []

    task = asyncio.create_task(Waits().list_sessions(filter))
    await listed.wait()
    found = stall_report.awaited_operation(task)
    task.cancel()
    assert found is not None
    return found[1]


def test_a_condition_with_more_parts_than_can_be_written_is_named_at_once():
    shared = Not("mine")
    for _ in range(64):
        shared = All(shared, shared)
    started = time.monotonic()
    named = asyncio.run(_list_sessions(QueryFilter({"id": shared})))
    assert named.startswith("list_sessions(QueryFilter(where={'id': All(")
    assert time.monotonic() - started < NAMED_WITHIN_S


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_the_runner_of_broken_backends_names_the_stalled_operation(name: str):
    started = time.monotonic()
    reference = reference_backend_for(BROKEN[name])
    assert reference is not None
    (verdict,) = verdicts(BROKEN[name], reference)
    assert verdict.failure.startswith("Stalled: stalled: ")
    assert NAMED[name] in verdict.failure
    assert time.monotonic() - started < FOUND_WITHIN_S


def suite_on_broken(
    pytester: pytest.Pytester, name: str, chosen: str, *more: str, on: str = "memory", limit_s: int = 4
):
    """Run tests of the suite on a broken backend, with a limit for each test; that of an operation is a quarter."""
    pytester.makeconftest(REGISTERED.format(name=name, on=on))
    return pytester.runpytest_subprocess(
        *("--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider", "-k", chosen, *more),
        *("--storage-backend=broken", f"--storage-test-timeout={limit_s}"),
        timeout=FORCED_TO_END_WITHIN_S,
    )


@pytest.mark.parametrize(
    ("name", "chosen", "line"),
    [
        (
            "GetsForEver",
            "test_saving_again_replaces_the_whole",
            "stalled: get_workflow('*') of GetsForEver did not return within 1 s",
        ),
        ("BlocksItsLoop", "test_a_state_of_a_thousand_nodes", "stalled: save_execution_state(*blocked its event*"),
        ("NeverCloses", "test_a_transaction_is_committed_by_hand", "stalled: close() of NeverCloses did not*"),
        (
            "GoesOnWaitingWhenCancelled",
            "test_changing_what_an_update_took",
            "stalled: update_workflow(*did not return*",
        ),
        ("KeepsTheLineAfterItsEnd", "test_a_random_history_goes", "stalled: *did not return within 1 s"),
    ],
)
def test_a_run_of_the_suite_fails_and_names_the_stalled_operation(
    pytester: pytest.Pytester, name: str, chosen: str, line: str
):
    result = suite_on_broken(pytester, name, chosen)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines(["not conformant: *"])


def test_a_run_on_several_workers_ends_too(pytester: pytest.Pytester):
    result = suite_on_broken(pytester, "BlocksItsLoop", "test_a_saved_state_replaces", "-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["stalled: save_execution_state(*blocked its event loop*"])


def test_a_run_ends_even_if_a_thread_of_the_backend_never_does(pytester: pytest.Pytester):
    result = suite_on_broken(pytester, "ClosesInAThreadThatNeverEnds", "test_a_block_holds_the_adapter_itself_open")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["stalled: close() of ClosesInAThreadThatNeverEnds did not return within 1 s"])


def test_a_stalled_operation_in_another_process_is_named(pytester: pytest.Pytester):
    chosen = "test_another_process_finds_what_this_one_stored"
    result = suite_on_broken(pytester, "GetsForEverInOtherProcesses", chosen, on="sqlite", limit_s=40)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*stalled: list_workflows(*) of GetsForEverInOtherProcesses did not return*"])


def test_after_three_stalled_tests_the_limits_are_shorter(pytester: pytest.Pytester):
    result = suite_on_broken(pytester, "NeverCloses", "TestWorkflows or TestStreams")
    result.stdout.fnmatch_lines(["stalled: close() *within 1 s", "stalled: close() *within 0.1 s"])


def in_limits(test_s: float, work: Callable[[], None]) -> None:
    """Do some work within the limits of a test."""
    watch = Watchdog("work", Limits(test_s))
    with watching(watch), watch.phase("call"):
        work()


@pytest.mark.parametrize("wrong", ["0", "-1", "nan"])
def test_a_time_limit_that_is_not_positive_is_refused(pytester: pytest.Pytester, wrong: str):
    result = pytester.runpytest_subprocess(f"--storage-test-timeout={wrong}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --storage-test-timeout={wrong} must be a number of seconds above 0"])


def test_a_slow_test_has_more_time_than_others(suite: list[ContractTest]):
    assert any(test.is_slow for test in suite)
    assert Limits(10).for_a_test(is_slow=False) == Limits(10)
    assert Limits(10).for_a_test(is_slow=True).test_s == 50


def test_a_test_that_ends_in_time_is_left_alone():
    async def work() -> str:
        await asyncio.sleep(0.3)
        return "done"

    with watching(Watchdog("work", Limits(5))) as watch, watch.phase("call"):
        assert asyncio.run(work()) == "done"


def test_a_test_that_waits_for_no_operation_has_the_limit_of_a_test():
    with pytest.raises(Stalled, match="the call of work did not end within its limit"):
        in_limits(0.4, lambda: time.sleep(60))


def test_many_short_operations_are_not_taken_for_a_long_one():
    limits = Limits(4.0)  # a busy machine may hold up a single operation for some 0.1 s

    async def work() -> None:
        ends_at = time.monotonic() + 2 * limits.await_s
        async with MemoryAdapter() as storage:
            while time.monotonic() < ends_at:
                await storage.get_workflow("w")

    watch = Watchdog("work", limits)
    watch.follow(loop := asyncio.new_event_loop())
    with watching(watch), watch.phase("call"):
        loop.run_until_complete(work())
    loop.close()


def test_ask_does_not_run_a_coroutine_after_the_time_limit():
    asked = []
    loop = asyncio.new_event_loop()

    async def question() -> None:
        asked.append("question")

    def work() -> None:
        try:
            threading.Event().wait(60)
        finally:
            run_in_loop(question(), loop)

    with pytest.raises(Stalled):
        in_limits(0.2, work)
    loop.close()
    assert asked == []


def test_hypothesis_shortens_a_failing_example_for_a_limited_time(monkeypatch: pytest.MonkeyPatch):
    clock = FakeClock()
    monkeypatch.setattr(f"{ShrinkLimit.__module__}.time", clock)
    shrink_limit = ShrinkLimit(seconds=20)
    shrink_limit.begin_example()
    shrink_limit.record_failure(AssertionError("long"), ["one", "two"])
    clock.now_s = 20
    shrink_limit.begin_example()
    shrink_limit.record_failure(AssertionError("short"), ["one"])
    clock.now_s = 21
    with pytest.raises(ShrunkEnough) as caught:
        shrink_limit.begin_example()
    assert str(caught.value).splitlines() == ["AssertionError: short", "after 1 steps:", "one"]


class FakeClock:
    """Stands in for the module `time`."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def test_nothing_keeps_a_watchdog_and_its_loop_after_the_test():
    for _ in range(20):
        watch = Watchdog("work", Limits(5))
        kept = weakref.ref(watch)
        with watching(watch), watch.phase("call"):
            time.sleep(0.001)  # the thread that looks at it may begin to wait
        del watch
        assert kept() is None
