"""Two adapters that are asked alike, a store under test and a model, and must answer alike."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

import attrs

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    Capability,
    Change,
    ConflictError,
    ContentionError,
    NotFoundError,
    Session,
    StorageAdapter,
    StorageError,
    StorageOperations,
    StoredWorkflow,
    Transaction,
    TransactionError,
    ValidationError,
)
from aaow_storage_conformance.data import random_calls, random_records, samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in, set_by_the_store
from aaow_storage_conformance.data.initial_calls import INITIAL_CALLS
from aaow_storage_conformance.data.versions import is_tested_since
from aaow_storage_conformance.harness.fresh_context import start_in_fresh_context
from aaow_storage_conformance.harness.stop import Stop
from aaow_storage_conformance.harness.time_limits import SOON_S

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

ATTEMPTS = 2
"""How often `transact` runs at most."""
_POLL_S = 0.002
_OPEN_FOR_S = 600.0
"""How long a transaction may be open: a busy machine may take longer for a history than transactions usually have."""
_MAX_LEVELS = 40
"""Most levels of pools in a history."""
_ALL_CHANGES = random_calls.ReadChanges(None, None, 1000)
_RESOLVED = datetime(2026, 1, 1, tzinfo=UTC)
_ERRORS = (ValidationError, NotFoundError, AlreadyExistsError, ConflictError, TransactionError)


class Pair:
    """The adapter and the model, always in the same transaction and savepoints."""

    def __init__(self, storage: StorageAdapter, model: StorageAdapter) -> None:
        self.adapters = (storage, model)
        self.transactions: tuple[Transaction, ...] = ()
        self.savepoints: list[tuple[AbstractAsyncContextManager[None], ...]] = []
        self.has_changes = is_tested_since("1.1") and all(
            Capability.CHANGES in each.capabilities for each in self.adapters
        )
        self.beginnings: list[str | None] = [None, None]
        """The position in each feed from which on nothing was pruned."""
        self.seen: list[str | None] = [None, None]
        """The position in each feed up to which the changes were compared."""

    @property
    def inside(self) -> tuple[StorageOperations, ...]:
        """Where calls go: to the open transactions, or else to the adapters."""
        return self.transactions or self.adapters

    async def begin(self) -> None:
        """Empty both stores, and store a record of each kind in both. In contract 1.0, events cannot be deleted."""
        storage, model = self.adapters
        await model.initialize()
        for each in self.adapters:
            await _delete_everything(each)
        if Capability.STREAM_EVENTS in storage.capabilities:
            for stream_id in random_records.STREAMS:
                if is_tested_since("1.1"):
                    await self._align_sequences(stream_id)
                else:
                    known = await model.get_stream_events(stream_id)
                    for event in (await storage.get_stream_events(stream_id))[len(known) :]:
                        await model.save_stream_event(event)
        await self._begin_to_read_changes()
        await self.call(*INITIAL_CALLS)

    async def _begin_to_read_changes(self) -> None:
        """Compare what is recorded from now on, once each feed shows what was before."""
        if self.has_changes:
            self.seen = [await start_in_fresh_context(_position_of_a_new_change(each)) for each in self.adapters]
            self.beginnings = [*self.seen]

    async def _align_sequences(self, stream_id: str) -> None:
        """Use up sequences of the stream that only one store has given, which an earlier failure may have caused."""
        last = {}
        for each in self.adapters:
            (probe,) = await each.save_stream_events([samples.an_event(stream_id)])
            last[each] = probe.sequence or 0
        for each, sequence in last.items():
            await each.save_stream_events([samples.an_event(stream_id) for _ in range(max(last.values()) - sequence)])
            await each.delete_stream_events(stream_id)

    async def transact(self, calls: list[random_calls.RandomCall], lost: int) -> None:
        """Let `transact` of both make the calls, the first times in vain, and compare the outcomes."""
        found, expected = [await start_in_fresh_context(_transact(each, calls, lost)) for each in self.adapters]
        assert_identical(found, expected)

    async def call(self, *calls: random_calls.AnyCall, outside: bool = False) -> None:
        """Make each call on both, and compare the outcomes."""
        for call in calls:
            asked = self.adapters if outside else self.inside
            found, expected = [await start_in_fresh_context(_outcome_of(call.on(each))) for each in asked]
            assert_identical(found, expected)
            if isinstance(call, random_calls.RandomCall) and call.may_write and not self.transactions:
                await self.compare_changes()

    async def wait(self, wait: random_calls.Wait) -> None:
        """Wait for a decision on both adapters, and compare the outcomes."""
        found, expected = [await start_in_fresh_context(_outcome_of(wait.on(each))) for each in self.adapters]
        assert_identical(found, expected)

    async def compare_changes(self) -> None:
        """Compare what was recorded since the last time; if there is an open transaction, that is nothing."""
        if self.has_changes:
            await self._compare_changes(self.adapters, self.seen, _ALL_CHANGES)

    async def read_changes(self, read: random_calls.ReadChanges) -> None:
        """Compare some of the changes of the whole history, seen inside the transaction."""
        await self._compare_changes(self.inside, [*self.beginnings], read)

    async def prune_changes(self, before: datetime | None) -> None:
        """Prune what was recorded before an instant, or before what was compared last; go on from there."""
        await self.compare_changes()
        for adapter, seen in zip(self.adapters, self.seen, strict=True):
            if (position := before or seen) is not None:
                await adapter.prune_changes(position)
        self.beginnings = [*self.seen]

    async def _compare_changes(
        self, storages: Sequence[StorageOperations], positions: list[str | None], read: random_calls.ReadChanges
    ) -> None:
        """Compare what the feeds show after the positions, which move to the end of it.

        A backend may show a change later than its commit, as after `_position_of_a_new_change`.
        """
        storage, model = storages
        expected = await start_in_fresh_context(read.after(positions[1], model))
        found = await start_in_fresh_context(read.after(positions[0], storage))
        end = monotonic() + SOON_S
        while Counter(_seen_in(found)) < Counter(_seen_in(expected)) and monotonic() < end:
            await asyncio.sleep(_POLL_S)
            found += await start_in_fresh_context(read.after(found[-1].position if found else positions[0], storage))
        assert_identical(_seen_in(found), _seen_in(expected))
        for index, changes in enumerate((found, expected)):
            positions[index] = changes[-1].position if changes else positions[index]

    async def begin_transaction(self) -> None:
        """Begin a transaction on both."""
        storage, model = self.adapters
        self.transactions = (
            await storage.begin_transaction(timeout=_OPEN_FOR_S),
            await model.begin_transaction(timeout=_OPEN_FOR_S),
        )

    async def end_transaction(self, *, commit: bool) -> None:
        """End the transaction on both."""
        try:
            for transaction in self.transactions:
                await (transaction.__aexit__(None, None, None) if commit else transaction.__aexit__(Stop, Stop(), None))
        finally:
            await self._forget_transaction()

    async def open_savepoint(self) -> None:
        """Open a savepoint in both."""
        savepoints = tuple(transaction.savepoint() for transaction in self.transactions)
        for savepoint in savepoints:
            await savepoint.__aenter__()
        self.savepoints.append(savepoints)

    async def close_savepoint(self, *, undo: bool) -> None:
        """Close the innermost savepoint of both."""
        for savepoint in self.savepoints.pop():
            await (savepoint.__aexit__(Stop, Stop(), None) if undo else savepoint.__aexit__(None, None, None))

    async def reopen(self) -> None:
        """Close and open both, perhaps during a transaction."""
        for adapter in self.adapters:
            await adapter.close()
            await adapter.initialize()
        await self._forget_transaction()

    async def _forget_transaction(self) -> None:
        """Leave the savepoints of a transaction that is over."""
        self.transactions = ()
        while self.savepoints:
            await self.close_savepoint(undo=True)

    async def compare(self) -> None:
        """Compare all records, seen inside the transaction and outside of it."""
        for storage, model in {self.inside, self.adapters}:
            found, expected = [await start_in_fresh_context(_contents(each)) for each in (storage, model)]
            assert_identical(found, expected)
        await self.compare_changes()

    async def end(self) -> None:
        """End the transaction, because the next history would wait for it; compare all records.

        Closes the model.
        """
        try:
            try:
                await self.compare()
            finally:
                was_open = bool(self.transactions)
                if was_open:
                    await self.end_transaction(commit=False)
            if was_open:
                await self.compare()
        finally:
            await self.adapters[1].close()


async def _position_of_a_new_change(storage: StorageAdapter) -> str:
    """Make a change, and return its position once the feed shows it.

    A backend may show a change later than its commit, while a transaction that began before is open: of another store
    of the server, too.
    """
    last = await storage.last_change()
    pool = samples.a_pool()
    await storage.create_budget_pool(pool)
    await storage.delete_budget_pool(pool.id)
    position = None if last is None else last.position
    async with asyncio.timeout(SOON_S):
        while True:
            for change in await storage.get_changes(position):
                position = change.position
                if (change.id, change.action) == (pool.id, "deleted"):
                    return position
            await asyncio.sleep(_POLL_S)


def _seen_in(changes: list[Change]) -> list[tuple[str, str, str, str]]:
    """Return what changes say, sorted, because one write may record its changes in any order.

    Several updates of an execution state in one transaction may be recorded once.
    """
    seen = [(each.kind, each.id, each.session_id or "", each.action.value) for each in changes]
    of_states = {each for each in seen if each[0] == "execution_state"}
    return sorted([*(each for each in seen if each not in of_states), *of_states])


async def _delete_everything(storage: StorageAdapter) -> None:
    """Delete all records but stream events, which no operation deletes in contract 1.0."""
    if Capability.STREAM_EVENTS in storage.capabilities and is_tested_since("1.1"):
        for stream in await storage.list_streams():
            await storage.delete_stream_events(stream.stream_id)
    for workflow in await storage.list_workflows():
        await storage.delete_workflow(workflow.id)
    for session in await storage.list_sessions():
        await storage.delete_session(session.id)
    for _ in range(_MAX_LEVELS):
        pools = await storage.list_budget_pools()
        parents = {pool.parent_pool_id for pool in pools}
        for pool in pools:
            if pool.id not in parents:
                await storage.delete_budget_pool(pool.id)


async def _transact(storage: StorageAdapter, calls: list[random_calls.RandomCall], lost: int) -> list[Any]:
    runs = 0

    async def work(transaction: Transaction) -> list[Any]:
        nonlocal runs
        runs += 1
        outcomes = [await _outcome_of(call.on(transaction)) for call in calls]
        if runs <= lost:
            raise ContentionError("lost on purpose")
        return outcomes

    outcome = await _outcome_of(storage.transact(work, attempts=ATTEMPTS))
    return [runs, outcome]


async def _outcome_of(answer: Awaitable[Any]) -> Any:
    """Return the result or the facts of the error, without instants that each store takes from its own clock."""
    try:
        found = await answer
    except StorageError as error:
        kind = next((each.__name__ for each in _ERRORS if isinstance(error, each)), type(error).__name__)
        current = getattr(error, "current", None)
        if isinstance(current, ApprovalRequest | StoredWorkflow | Session):
            return ["error", kind, _without_clock_instants(current)]
        return ["error", kind, *([error.id] if isinstance(error, AlreadyExistsError) else [])]
    places = set_by_the_store(found) if is_tested_since("1.1") else []
    return {"found": _without_clock_instants(found), "set by the store": places}


def _without_clock_instants(found: Any) -> Any:
    if isinstance(found, list):
        return [_without_clock_instants(each) for each in found]
    if isinstance(found, ApprovalRequest) and found.resolved_at is not None:
        return attrs.evolve(found, resolved_at=_RESOLVED)
    return found


async def _contents(storage: StorageOperations) -> dict[str, list[Any]]:
    contents = await everything_in(
        storage, sessions=random_records.SESSIONS, executions=random_records.EXECUTIONS, streams=random_records.STREAMS
    )
    contents["counts"] = [await storage.count_workflows(), await storage.count_sessions()]
    contents["pending_approvals"] = await storage.list_pending_approvals()
    for request_id in random_records.REQUESTS:
        contents[f"request {request_id}"] = [await storage.get_approval_request(request_id)]
    for pool_id in random_records.POOLS:
        contents[f"pool {pool_id}"] = [await storage.get_budget_pool(pool_id)]
        contents[f"children of {pool_id}"] = list(await storage.get_child_budget_pools(pool_id))
    for workflow_id in random_records.WORKFLOWS:
        contents[f"workflow {workflow_id}"] = [await storage.get_workflow(workflow_id)]
    if is_tested_since("1.1"):
        contents["set by the store"] = [set_by_the_store(contents[kind]) for kind in ("tool_calls", "stream_events")]
        if contents.get("stream_events"):
            contents["streams"] = list(await storage.list_streams())
    for session_id in random_records.SESSIONS:
        contents[f"session {session_id}"] = [await storage.get_session(session_id)]
        contents[f"tool calls of {session_id}"] = list(await storage.get_session_tool_calls(session_id))
        for node_id in random_records.NODES:
            made = await storage.get_node_llm_executions(session_id, node_id)
            contents[f"executions of {session_id} {node_id}"] = list(made)
    return {name: _without_clock_instants(records) for name, records in contents.items()}
