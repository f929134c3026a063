"""Writers that report each write when it begins and when it is acknowledged, and the history that checks the store."""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import attrs

from aaow_storage import ConflictError, StorageAdapter, StorageOperations
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import Call
from aaow_storage_conformance.data.contents import everything_in, first_difference
from aaow_storage_memory import MemoryAdapter

NODES = tuple(f"node {number:02}" for number in range(20))
POOLS = ("root pool", "middle pool", "leaf pool")
BUDGET_PER_CALL = 1

Unit = tuple[Call, ...]
"""The calls of one transaction, or a single call."""
Entry = tuple[str, Unit | None]
"""A writer's name, and the unit that it begins, or None when that unit is acknowledged."""


def initial_calls() -> list[Call]:
    """Return the calls that store the pools that all writers consume from."""
    pools = [
        samples.a_pool(id=name, parent_pool_id=parent, total_budget=1_000_000, used_budget=0)
        for parent, name in zip((None, *POOLS), POOLS, strict=False)
    ]
    return [Call("create_budget_pool", (pool,)) for pool in pools]


async def make_calls(storage: StorageOperations, calls: Iterable[Call]) -> None:
    """Make the calls in order."""
    for call in calls:
        await call.on(storage)


def calls_of_turn(writer: str, turn: int) -> list[Call]:
    """Return the calls of a turn; they build on the last turn, and change no records of other writers."""
    session, earlier = f"{writer} session {turn:03}", f"{writer} session {turn - 1:03}"
    workflow, execution = f"{writer} workflow {turn:03}", f"{writer} execution {turn:03}"
    states = [
        samples.a_state(session, node_states={name: samples.a_node_state(name) for name in NODES}) for _ in range(2)
    ]
    changes = {"definition": samples.a_definition(turn), "updated_at": samples.instant(turn)}
    calls = [
        Call("save_workflow", (samples.a_workflow(id=workflow),)),
        Call("create_session", (samples.a_session(id=session, workflow_id=workflow),)),
        Call("save_execution_state", (states[0],)),
        Call("consume_budget", (POOLS[-1], BUDGET_PER_CALL)),
        Call("save_llm_execution", (session, "draft", samples.a_result(id=execution))),
        Call("log_tool_call", (samples.a_tool_call(execution, id=f"{writer} log {turn:03}"),)),
        Call("update_workflow", (workflow,), changes),
        Call("save_execution_state", (states[1],)),
        Call("update_node_state", (session, NODES[7], samples.a_node_state(NODES[7]))),
        Call("create_approval_request", (samples.a_request(session, id=f"{writer} approval {turn:03}"),)),
    ]
    return [*calls, Call("delete_session", (earlier,))] if turn % 2 else calls


@attrs.frozen(kw_only=True)
class Writers:
    """Tasks that write at the same time.

    Attributes:
        names: the names of the tasks.
        in_transactions: whether each turn is one transaction, rather than single calls.
        turns: the number of turns; None to write until the process is killed.
        kills_itself_after: the process kills itself after so many acknowledged units; None for never.
    """

    names: tuple[str, ...]
    in_transactions: bool = False
    turns: int | None = None
    kills_itself_after: int | None = None

    async def write(self, storage: StorageAdapter, report: Callable[[Entry], None]) -> None:
        """Run the writers; report every beginning and acknowledgement."""
        done = itertools.count(1)

        def report_entry(entry: Entry) -> None:
            report(entry)
            if entry[1] is None and next(done) == self.kills_itself_after:
                kill_this_process()

        await asyncio.gather(*(self._write_as(name, storage, report_entry) for name in self.names))

    async def _write_as(self, name: str, storage: StorageAdapter, report: Callable[[Entry], None]) -> None:
        for unit in self._units_of(name):
            report((name, unit))
            if len(unit) == 1:
                await unit[0].on(storage)
            else:
                while not await _is_written(storage, unit):
                    continue
            report((name, None))

    def _units_of(self, name: str) -> Iterator[Unit]:
        for turn in itertools.count() if self.turns is None else range(self.turns):
            calls = calls_of_turn(name, turn)
            yield from [tuple(calls)] if self.in_transactions else [(call,) for call in calls]


async def _is_written(storage: StorageAdapter, unit: Unit) -> bool:
    """Make the calls in one transaction; return False if another transaction was in its way."""
    try:
        async with storage.transaction() as transaction:
            for call in unit:
                await call.on(transaction)
    except ConflictError:
        return False
    return True


class History:
    """What writers began and what was acknowledged, replayed on a memory backend (the oracle)."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._initial_calls = list(calls)
        self._oracle = MemoryAdapter()
        self._acknowledged: list[Unit] = []
        self._in_flight: dict[str, Unit] = {}
        self._names: set[str] = set()
        self.count = 0

    @property
    def in_flight(self) -> set[str]:
        """The writers with a unit that is not acknowledged."""
        return set(self._in_flight)

    def record(self, entry: Entry) -> None:
        """Record a writer's report."""
        name, unit = entry
        self._names.add(name)
        if unit is None:
            self._acknowledged.append(self._in_flight.pop(name))
            self.count += 1
        else:
            self._in_flight[name] = unit

    async def check(self, storage: StorageAdapter) -> None:
        """Check that the store holds every acknowledged unit, and each unit in flight whole or not at all.

        This decides which units in flight count as stored; later entries must be of other writers.
        """
        async with self._oracle:
            await self._check(storage)

    async def _check(self, storage: StorageAdapter) -> None:
        await self._replay()
        found = await everything_in(storage)
        acknowledged = await everything_in(self._oracle)
        with_in_flight = await self._with_all_in_flight()
        stored = [name for name in self._names if self._was_stored(name, found, acknowledged, with_in_flight)]
        await self._check_pools(found["budget_pools"], stored)
        await self._replay()
        assert_equal(found, await everything_in(self._oracle), "the store differs from what the writers stored")
        self._names.clear()

    async def _replay(self) -> None:
        for call in (*self._initial_calls, *itertools.chain(*self._acknowledged)):
            await call.on(self._oracle)
        self._initial_calls.clear()
        self._acknowledged.clear()

    async def _with_all_in_flight(self) -> dict[str, list[Any]]:
        transaction = await self._oracle.begin_transaction()
        for call in itertools.chain(*self._in_flight.values()):
            await call.on(transaction)
        contents = await everything_in(transaction)
        await transaction.rollback()
        return contents

    def _was_stored(
        self,
        name: str,
        found: dict[str, list[Any]],
        acknowledged: dict[str, list[Any]],
        with_in_flight: dict[str, list[Any]],
    ) -> bool:
        """Return whether the writer's unit in flight was stored; fail if it was stored in part."""
        records = _records_of(name, found)
        if first_difference(records, _records_of(name, acknowledged)) is None:
            return False
        if name in self._in_flight and first_difference(records, _records_of(name, with_in_flight)) is None:
            return True
        unit = [call.name for call in self._in_flight.get(name, ())]
        problem = f"with {unit} in flight, the store holds neither all nor none of it" if unit else "a write was lost"
        assert_equal(records, _records_of(name, with_in_flight if unit else acknowledged), f"{name}: {problem}")
        return True

    async def _check_pools(self, pools: list[Any], stored: list[str]) -> None:
        """Check that the pools hold every acknowledged consumption, and decide which of those in flight were stored."""
        leaf = await self._oracle.get_budget_pool(POOLS[-1])
        assert leaf is not None
        self._acknowledged += [self._in_flight[name] for name in stored]
        with_records = sum(_consumptions(self._in_flight[name]) for name in stored)
        unknown = [unit for unit in self._in_flight.values() if len(unit) == _consumptions(unit)]
        least = leaf.used_budget + with_records * BUDGET_PER_CALL
        used = pools[-1].used_budget
        assert {pool.used_budget for pool in pools} == {used}
        assert least <= used <= least + len(unknown) * BUDGET_PER_CALL, (
            f"each pool has to have used {least} (acknowledged) to {least + len(unknown) * BUDGET_PER_CALL}; "
            f"found {used}"
        )
        self._acknowledged += unknown[: int(Decimal(used - least) / BUDGET_PER_CALL)]
        self._in_flight.clear()


def kill_this_process() -> None:
    """Kill this process with SIGKILL, like `kill -9`."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def assert_equal(found: Any, expected: Any, what: str) -> None:
    """Check that two values are identical; the message begins with `what`."""
    difference = first_difference(found, expected)
    assert difference is None, f"{what}: {difference}"


def _consumptions(unit: Unit) -> int:
    return sum(call.name == "consume_budget" for call in unit)


def _records_of(name: str, contents: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the records of one writer: their ids begin with its name."""
    return {
        kind: [record for record in records if (getattr(record, "id", None) or record.session_id).startswith(name)]
        for kind, records in contents.items()
    }
