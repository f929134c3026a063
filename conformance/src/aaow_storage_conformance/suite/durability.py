"""Durability: after a process is killed, every acknowledged write is stored, and no write in part."""

import asyncio
import random
import threading
import time
from contextlib import AsyncExitStack

import attrs
import pytest

from aaow_storage import Capability, SchemaVersionError
from aaow_storage_conformance._contract import clause, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.seed import inconclusive, rng_for
from aaow_storage_conformance.harness.history import History, Writers, initial_calls, kill_this_process, make_calls
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.subprocesses import Report, Subprocess
from aaow_storage_conformance.harness.time_limits import ENDS_WITHIN_S, SOON_S

INSTANTS, FEW_ROUNDS, MANY_ROUNDS = 2, 3, 25
"""Processes killed in one test."""
MAX_ROUNDS = 200
"""Rounds after which a test is inconclusive if no kill came during a write."""
MAX_WAIT_S = 0.03
MIN_STEP_S = 0.0005
MAX_ROUNDS_OF_FOUR = 5

WAYS = {
    "single writes": (1, False, 30),
    "writes of many callers": (32, False, 90),
    "transactions": (1, True, 5),
    "transactions of many callers": (4, True, 12),
}
"""By name: the number of writing tasks, whether they use transactions, and the most reports before a kill."""
each_way = pytest.mark.parametrize("way", WAYS)


@requires(Capability.DURABLE)
class DurabilityTests:
    """Processes that are killed while they write."""

    @each_way
    @clause("DUR-1")
    async def test_what_is_acknowledged_is_there_when_the_process_is_killed_in_that_instant(
        self, store: Store, way: str
    ) -> None:
        rng = rng_for("killed when it has acknowledged", way)
        history = await _open_history(store)
        for number in range(INSTANTS):
            writers = attrs.evolve(_make_writers(way, number), kills_itself_after=rng.randint(1, WAYS[way][2] // 2))
            async with store.process(write, writers) as process:
                for entry in await process.last_reports():
                    history.record(entry)
            await _check_reopened(store, history)

    @each_way
    @clause("DUR-1")
    async def test_a_kill_at_any_moment_leaves_the_acknowledged_whole_and_nothing_in_part(
        self, store: Store, way: str
    ) -> None:
        await _check_kills(store, way, FEW_ROUNDS, rng_for("killed at any moment", way))

    @each_way
    @pytest.mark.slow
    @clause("DUR-1")
    async def test_of_many_kills_none_loses_what_was_acknowledged_or_leaves_anything_in_part(
        self, store: Store, way: str
    ) -> None:
        await _check_kills(store, way, MANY_ROUNDS, rng_for("killed many times", way))

    @clause("DUR-1", "CON-1")
    async def test_when_one_of_four_writing_processes_is_killed_the_others_go_on(self, store: Store) -> None:
        history = await _open_history(store)
        kills_during_writes = rounds = 0
        while not kills_during_writes and rounds < MAX_ROUNDS_OF_FOUR:
            kills_during_writes += await _kill_one_of_four(store, history, f"round {rounds}")
            rounds += 1
        if not kills_during_writes:
            inconclusive(f"none of {rounds} kills came during a write")

    @clause("DUR-1", "LIF-1")
    async def test_a_store_whose_first_opening_is_killed_is_opened_by_the_next(self, store: Store) -> None:
        rng = rng_for("killed while it opened")
        max_wait_s, killed_while_opening, was_opened = MIN_STEP_S, 0, False
        while not was_opened:
            assert max_wait_s < ENDS_WITHIN_S, f"no process opened the store within {ENDS_WITHIN_S:g} s"
            async with store.process(open_and_stay, rng.uniform(0, max_wait_s)) as process:
                was_reported_open = "open" in await process.last_reports()
            was_opened = await _has_schema(store)
            assert was_opened or not was_reported_open, (
                "a process reported the store open before it was killed, but the next process finds no schema in it"
            )
            killed_while_opening += not was_opened
            max_wait_s *= 1.5
        async with store.open() as storage:
            workflow = await samples.stored_workflow(storage)
            assert_identical(await storage.get_workflow(workflow.id), workflow)
        if not killed_while_opening:
            inconclusive("the store was opened before the first kill came")


async def open_and_stay(store: Store, report: Report, killed_after_s: float | None = None) -> None:
    """Report "opening" and "open", and keep the store open; run in a subprocess.

    With `killed_after_s` the process kills itself so many seconds after "opening".
    """
    storage = store.adapter()
    report("opening")
    if killed_after_s is not None:
        threading.Thread(target=_kill_after, args=(killed_after_s,), daemon=True).start()
    await storage.initialize()
    report("open")
    await asyncio.Event().wait()


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    kill_this_process()


async def _kill_one_of_four(store: Store, history: History, name: str) -> bool:
    """Kill one of four writing processes, and check the store; return whether the kill came during a write."""
    groups = [tuple(f"{name} process {number} writer {each}" for each in range(4)) for number in range(4)]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(store.process(write, Writers(names=group))) for group in groups]
        async with asyncio.timeout(SOON_S):
            for process in processes:
                await _receive(process, 40, history)
            for entry in await processes[0].kill():
                history.record(entry)
            was_in_flight = history.in_flight & set(groups[0])
            for process in processes[1:]:
                await _receive(process, 80, history)
        for process in processes[1:]:
            for entry in await process.kill():
                history.record(entry)
    await _check_reopened(store, history)
    return bool(was_in_flight)


async def write(store: Store, report: Report, writers: Writers) -> None:
    """Run the writers on one adapter."""
    async with store.open() as storage:
        await writers.write(storage, report)


def _make_writers(way: str, number: int) -> Writers:
    """Make the writers of one round; their names are new in each round."""
    count, in_transactions, _ = WAYS[way]
    names = tuple(f"round {number:03} writer {each:02}" for each in range(count))
    return Writers(names=names, in_transactions=in_transactions)


async def _open_history(store: Store) -> History:
    calls = initial_calls()
    async with store.open() as storage:
        await make_calls(storage, calls)
    return History(calls)


async def _check_kills(store: Store, way: str, rounds: int, rng: random.Random) -> None:
    """Kill a writing process in each round, and add rounds until a kill came during a write."""
    history = await _open_history(store)
    kills_during_writes = number = 0
    while number < rounds or (not kills_during_writes and number < MAX_ROUNDS):
        async with store.process(write, _make_writers(way, number)) as process:
            reports = rng.randint(1, WAYS[way][2]) if number else WAYS[way][2]
            took_s = await _receive(process, reports, history)
            await asyncio.sleep(rng.uniform(0, min(took_s, MAX_WAIT_S)))
            for entry in await process.kill():
                history.record(entry)
        kills_during_writes += bool(history.in_flight)
        await _check_reopened(store, history)
        number += 1
    assert history.count, f"none of {number} processes wrote anything before it was killed"
    if not kills_during_writes:
        inconclusive(f"none of {number} kills came during a write")


async def _has_schema(store: Store) -> bool:
    """Return whether the store has its schema; fail if it has a part of one."""
    try:
        await store.adapter().initialize(migrate=False)
    except SchemaVersionError as error:
        found = error.found
    else:
        return True
    assert found is None, f"a kill during initialize() left a part of the schema: found {found}, expected None"
    return False


async def _receive(process: Subprocess, count: int, history: History) -> float:
    """Receive so many reports; return the seconds that one unit of a writer took, by their times."""
    history.record(await process.next_report())
    started, done = time.perf_counter(), history.count
    for _ in range(count - 1):
        history.record(await process.next_report())
    done, writers = history.count - done, len(history.in_flight) + 1
    return writers * (time.perf_counter() - started) / done if done else MAX_WAIT_S


async def _check_reopened(store: Store, history: History) -> None:
    async with store.open() as storage:
        await history.check(storage)
