"""Random histories: the store under test and a model (the memory backend by default) answer every call alike."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from aaow_storage import Capability, StorageAdapter
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import random_calls, random_records
from aaow_storage_conformance.data.calls import capability_of
from aaow_storage_conformance.data.seed import rng_for
from aaow_storage_conformance.data.versions import is_tested_since
from aaow_storage_conformance.harness.model_pair import ATTEMPTS, Pair
from aaow_storage_conformance.harness.shrink_limit import ShrinkLimit
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.watchdog import run_in_loop
from aaow_storage_memory import MemoryAdapter

EXAMPLES, STEPS = 10, 12
MANY_EXAMPLES, MANY_STEPS = 200, 12
COMPARED = "compare everything"
BEGINNING = "a store with a record of each kind"


class ModelTests:
    """Random sequences of operations, transactions, savepoints and reopenings."""

    @clause("OPS-3", "OPS-4", "SES-3", "TXN-1", "TXN-2", "TXN-4", "LIF-3")
    async def test_a_random_history_goes_as_in_the_model(
        self, store: Store, storage: StorageAdapter, model_store: Store | None
    ) -> None:
        await _check(store, storage, model_store, EXAMPLES, STEPS)

    @clause("OPS-3", "OPS-4", "SES-3", "TXN-1", "TXN-2", "TXN-4", "LIF-3")
    @pytest.mark.slow
    async def test_many_random_histories_go_as_in_the_model(
        self, store: Store, storage: StorageAdapter, model_store: Store | None
    ) -> None:
        await _check(store, storage, model_store, MANY_EXAMPLES, MANY_STEPS)


async def _check(store: Store, storage: StorageAdapter, model_store: Store | None, examples: int, steps: int) -> None:
    async with AsyncExitStack() as stack:
        for each in (store,) if model_store is None else (store, model_store):
            if Capability.DURABLE not in each.capabilities:
                await stack.enter_async_context(each.open())  # keeps open a store that lives as long as its adapters
        memory = MemoryAdapter(capabilities=storage.capabilities)
        model = await stack.enter_async_context(memory if model_store is None else model_store.open())
        await asyncio.to_thread(_compare_histories, storage, model, asyncio.get_running_loop(), examples, steps)


def _compare_histories(
    storage: StorageAdapter,
    model: StorageAdapter,
    loop: asyncio.AbstractEventLoop,
    examples: int,
    steps: int,
) -> None:
    """Run random histories on adapters of another thread's loop, and shrink one that fails."""
    shrink_limit = ShrinkLimit()
    story: list[object] = []

    def ask(question: Awaitable[Any], step: object) -> Any:
        if step == BEGINNING:
            shrink_limit.begin_example()
            story.clear()
        story.append(step)
        try:
            return run_in_loop(_coroutine(question), loop)
        except Exception as error:
            shrink_limit.record_failure(error, story)
            raise

    how = settings(
        database=None,
        deadline=None,
        max_examples=examples,
        stateful_step_count=steps,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    machine = seed(rng_for("random histories", steps).getrandbits(64))(_machine(storage, model, ask))
    with shrink_limit.applied():
        run_state_machine_as_test(machine, settings=how)


async def _coroutine(question: Awaitable[Any]) -> Any:
    return await question


def _machine(
    storage: StorageAdapter, model: StorageAdapter, ask: Callable[[Awaitable[Any], object], Any]
) -> type[RuleBasedStateMachine]:
    def is_offered(operation: str) -> bool:
        needed = capability_of(operation)
        return needed is None or needed in storage.capabilities

    all_reads, all_writes = random_calls.reads(is_offered), random_calls.writes(is_offered)
    waits, change_reads = st.deferred(lambda: random_calls.waits), st.deferred(lambda: random_calls.change_reads)
    reads = st.deferred(lambda: all_reads)  # deferred, so that hypothesis prints a short name
    writes = st.deferred(lambda: all_writes)

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair(storage, model)
            ask(self.pair.begin(), BEGINNING)

        def is_in_a_transaction(self) -> bool:
            return bool(self.pair.transactions)

        def is_in_a_savepoint(self) -> bool:
            return bool(self.pair.savepoints)

        @rule(calls=st.lists(writes, min_size=4, max_size=12))
        def write(self, calls: list[random_calls.RandomCall]) -> None:
            ask(self.pair.call(*calls), calls)
            if self.is_in_a_transaction():
                ask(self.pair.compare(), COMPARED)

        @rule(calls=st.lists(reads, min_size=2, max_size=6))
        def read(self, calls: list[random_calls.AnyCall]) -> None:
            ask(self.pair.call(*calls), calls)

        @precondition(is_in_a_transaction)
        @rule(calls=st.lists(reads, min_size=2, max_size=6))
        def read_outside(self, calls: list[random_calls.AnyCall]) -> None:
            ask(self.pair.call(*calls, outside=True), ["outside of the transaction:", *calls])

        @precondition(lambda self: not self.is_in_a_transaction())
        @rule()
        def begin(self) -> None:
            ask(self.pair.begin_transaction(), "begin a transaction")

        @precondition(lambda self: is_tested_since("1.1") and not self.is_in_a_transaction())
        @rule(calls=st.lists(writes, min_size=1, max_size=4), lost=st.sampled_from((0, 1, ATTEMPTS)))
        def transact(self, calls: list[random_calls.RandomCall], lost: int) -> None:
            ask(self.pair.transact(calls, lost), [f"transact, of which {lost} are lost:", *calls])
            ask(self.pair.compare(), COMPARED)

        @precondition(is_in_a_transaction)
        @rule(commit=st.booleans())
        def end(self, commit: bool) -> None:
            ask(self.pair.end_transaction(commit=commit), "commit" if commit else "roll back")
            ask(self.pair.compare(), COMPARED)

        @precondition(is_in_a_transaction)
        @rule()
        def open_savepoint(self) -> None:
            ask(self.pair.open_savepoint(), "open a savepoint")

        @precondition(is_in_a_savepoint)
        @rule(undo=st.booleans())
        def close_savepoint(self, undo: bool) -> None:
            ask(self.pair.close_savepoint(undo=undo), "undo the savepoint" if undo else "keep the savepoint")

        @rule(wait=waits, read=change_reads)
        def look(self, wait: random_calls.Wait, read: random_calls.ReadChanges) -> None:
            if is_tested_since("1.1"):
                ask(self.pair.wait(wait), wait)
            if self.pair.has_changes:
                ask(self.pair.read_changes(read), read)

        @precondition(lambda self: self.pair.has_changes and not self.is_in_a_transaction())
        @rule(before=st.sampled_from((None, random_records.FUTURE)))
        def prune(self, before: datetime | None) -> None:
            ask(self.pair.prune_changes(before), f"prune changes before {before or 'the last'}")

        @rule()
        def reopen(self) -> None:
            ask(self.pair.reopen(), "close and initialize")
            ask(self.pair.compare(), COMPARED)

        def teardown(self) -> None:
            ask(self.pair.end(), COMPARED)

    return History
