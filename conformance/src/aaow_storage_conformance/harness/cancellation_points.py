"""Cancellation at every point where a coroutine waits, and a scenario of records for every write to change."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from functools import partial
from typing import Any

import attrs

from aaow_storage import Capability, Patch, StorageAdapter, StorageOperations, StreamEvent
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import Call
from aaow_storage_conformance.data.contents import everything_in, first_difference
from aaow_storage_conformance.data.versions import is_tested_since
from aaow_storage_conformance.harness.time_limits import CANCELLED_WITHIN_S
from aaow_storage_memory import MemoryAdapter

DELAYS_S = (0.0002, 0.0006, 0.0015)
"""Timeouts of operations, for backends that await once while a thread takes many steps."""
STREAM_ID = "stream"
MAX_WAITS = 500
_RESOLVED_AT = samples.instant(0)


class CancelledAt:
    """An awaitable that runs a coroutine, and cancels its task at the coroutine's nth await point, from 0.

    Attributes:
        was_reached: whether there was such a point.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: int) -> None:
        self.was_reached = False
        self._coroutine = coroutine
        self._at = at

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run the coroutine."""
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        for count in itertools.count():
            try:
                awaited = resume()
            except StopIteration as stop:
                return stop.value
            if count == self._at:
                self.was_reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - passed to the coroutine
                resume = partial(self._coroutine.throw, error)
            else:
                resume = partial(self._coroutine.send, None)
        raise AssertionError


async def run_cancelled_at(work: Callable[[], Awaitable[Any]], at: int) -> tuple[asyncio.Task[Any], bool]:
    """Run the function in a task that is cancelled at its nth await point; return the task, and if it got there.

    The task is done: cancelled or successful.
    """

    async def run() -> Any:
        return await work()

    cancelled_at = CancelledAt(run(), at)

    async def run_and_cancel() -> Any:
        return await cancelled_at

    task = asyncio.create_task(run_and_cancel())
    await wait_until_done(task)
    return task, cancelled_at.was_reached


async def wait_until_done(*tasks: asyncio.Task[Any]) -> None:
    """Wait until the tasks are done; raise the error of one that was not cancelled."""
    _, waiting = await asyncio.wait(tasks, timeout=CANCELLED_WITHIN_S)
    assert not waiting, (
        f"cancelled tasks have to end at once; after {CANCELLED_WITHIN_S:g} s these still wait: {waiting}"
    )
    for task in tasks:
        if not task.cancelled():
            task.result()


class Scenario:
    """Records that every write can change, in the store and in an oracle: a memory backend with the right contents."""

    def __init__(self, storage: StorageAdapter, other: StorageAdapter) -> None:
        self.storage = storage
        self.other = other
        self._oracle = MemoryAdapter()
        self._number = 0
        self._barrier = Call("save_workflow", (samples.a_workflow(id="barrier"),))

    async def set_up(self) -> None:
        """Store a new set of records."""
        self._number += 1
        async with self._oracle, self.storage.transaction() as transaction:
            for call in (self._barrier, *self._records()):
                await call.on(transaction)
                await call.on(self._oracle)

    def name(self, word: str) -> str:
        """Return the id of a record of the current set."""
        return f"{word} {self._number:03}"

    async def expected(self, calls: Iterable[Call] = ()) -> dict[str, list[Any]]:
        """Return the right contents after the calls; the oracle stays as it is."""
        async with self._oracle:
            transaction = await self._oracle.begin_transaction()
            for call in calls:
                await call.on(transaction)
            contents = await contents_of(transaction)
            await transaction.rollback()
        return contents

    async def check(self, what: str, *alternatives: Sequence[Call]) -> bool:
        """Check that exactly one of the alternatives has happened; return whether it is the first.

        Checks too that both adapters can write, and that nothing is written after the task has ended.
        """
        found = await contents_of(self.storage)
        async with asyncio.timeout(CANCELLED_WITHIN_S):
            await self._barrier.on(self.other)
            await self._barrier.on(self.storage)
        late = first_difference(await contents_of(self.storage), found)
        assert late is None, f"{what}: the store changed after the task had ended: {late}"
        differences = []
        for calls in alternatives:
            differences.append(first_difference(found, await self.expected(calls)))
            if differences[-1] is None:
                async with self._oracle:
                    for call in calls:
                        await call.on(self._oracle)
                return len(differences) == 1
        raise AssertionError(f"{what}: has to happen whole or not at all; differences from each: {differences}")

    def _records(self) -> list[Call]:
        name = self.name
        session, parent = name("session"), name("pool")
        waiting = samples.a_request(session, id=name("late approval"), expires_at=samples.instant(0))
        has_streams = Capability.STREAM_EVENTS in self.storage.capabilities and is_tested_since("1.1")
        events = [samples.an_event(STREAM_ID, id=f"{name('event')} {number}") for number in range(3)]
        return [
            *([Call("save_stream_events", (events,))] if has_streams else []),
            Call("save_workflow", (samples.a_workflow(id=name("workflow")),)),
            Call("create_session", (samples.a_session(id=session, workflow_id=name("workflow")),)),
            Call("create_session", (samples.a_session(id=name("child"), parent_session_id=session),)),
            Call("save_execution_state", (samples.a_state(session),)),
            Call("save_llm_execution", (session, "draft", samples.a_result(id=name("execution")))),
            Call("log_tool_call", (samples.a_tool_call(name("execution"), id=name("log")),)),
            Call("create_budget_pool", (samples.a_pool(id=parent, used_budget=0),)),
            Call("create_budget_pool", (samples.a_pool(id=name("leaf"), parent_pool_id=parent, used_budget=0),)),
            Call("create_approval_request", (samples.a_request(session, id=name("approval")),)),
            Call("create_approval_request", (waiting,)),
        ]

    def call(self, operation: str) -> Call:
        """Return a call of the operation that changes the current records; it writes new values each time."""
        name = self.name
        workflow, session, leaf, approval = name("workflow"), name("session"), name("leaf"), name("approval")
        later = samples.instant(10**6)
        nodes = {node: samples.a_node_state(node) for node in [f"node {number:02}" for number in range(12)]}
        arguments: dict[str, tuple[Any, ...]] = {
            "save_workflow": (samples.a_workflow(id=workflow),),
            "update_workflow": (workflow,),
            "delete_workflow": (workflow,),
            "create_session": (samples.a_session(id=name("new session"), workflow_id=workflow),),
            "update_session": (session,),
            "delete_session": (session,),
            "save_execution_state": (samples.a_state(session, node_states=nodes),),
            "update_node_state": (session, "draft", samples.a_node_state("draft")),
            "save_llm_execution": (session, "review", samples.a_result(id=name("execution"))),
            "log_tool_call": (samples.a_tool_call(name("execution"), id=name("new log")),),
            "create_budget_pool": (samples.a_pool(id=name("new pool"), parent_pool_id=leaf),),
            "update_budget_pool": (leaf,),
            "delete_budget_pool": (leaf,),
            "consume_budget": (leaf, 3),
            "increase_budget": (leaf, 3),
            "create_approval_request": (samples.a_request(session, id=name("new approval")),),
            "update_approval_request": (approval,),
            "approve_request": (approval, "ann", "well"),
            "reject_request": (approval, "ann", "no"),
            "expire_approvals": (samples.instant(1),),
            "save_stream_event": (samples.an_event(STREAM_ID, id=name("event")),),
            "update_session with a patch": (session,),
            "save_stream_events": ([self._an_event(number, session) for number in range(2, 6)],),
            "delete_stream_events": (STREAM_ID,),
        }
        status = {"status": "failed"} if is_tested_since("1.1") else {}  # which its execution state shows too
        changes: dict[str, dict[str, Any]] = {
            "update_workflow": {"definition": samples.a_definition(self._number), "updated_at": later},
            "update_session": {"metadata": {"by": "ann"}, "updated_at": later, **status},
            "update_session with a patch": {
                "only_if": {"status": "paused"},
                "metadata": Patch({"user": None, "nested": {"b": "patched"}}),
                "updated_at": later,
            },
            "update_budget_pool": {"metadata": {"by": "ann"}},
            "update_approval_request": {"context": {"asked": "twice"}},
        }
        return Call(operation.partition(" ")[0], arguments[operation], changes.get(operation, {}))

    def _an_event(self, number: int, session_id: str) -> StreamEvent:
        """Make an event that is new or stored, of one of two streams, of a session or of none."""
        stream_id, owner = (STREAM_ID, session_id) if number % 2 else (f"{STREAM_ID} of the session", None)
        return samples.an_event(stream_id, id=f"{self.name('event')} {number}", session_id=owner)


WRITES = (
    "save_workflow",
    "update_workflow",
    "delete_workflow",
    "create_session",
    "update_session",
    "delete_session",
    "save_execution_state",
    "update_node_state",
    "save_llm_execution",
    "log_tool_call",
    "create_budget_pool",
    "update_budget_pool",
    "delete_budget_pool",
    "consume_budget",
    "increase_budget",
    "create_approval_request",
    "update_approval_request",
    "approve_request",
    "reject_request",
    "expire_approvals",
    "save_stream_event",
)
"""Every operation of contract 1.0 that writes; the last needs the capability `stream_events`."""
LATER_WRITES = ("update_session with a patch", "save_stream_events", "delete_stream_events")
"""Operations of contract 1.1 that write; the last two need the capability `stream_events`."""


async def contents_of(storage: StorageOperations) -> dict[str, list[Any]]:
    """List all records, without `resolved_at`, which comes from the store's clock."""
    contents = await everything_in(storage, streams=[STREAM_ID, f"{STREAM_ID} of the session"])
    contents["approval_requests"] = [
        request if request.resolved_at is None else attrs.evolve(request, resolved_at=_RESOLVED_AT)
        for request in contents["approval_requests"]
    ]
    return contents


def possible_outcomes(task: asyncio.Task[Any], calls: Sequence[Call], rest: Sequence[Call] = ()) -> list[list[Call]]:
    """Return what may have happened: the calls and the rest, or if the task was cancelled, the rest alone."""
    whole = [*calls, *rest]
    return [whole, [*rest]] if task.cancelled() else [whole]
