"""The operations that are measured beside a baseline: what is in the store, both ways to do it, and targets."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from aaow_storage import QueryFilter, Session, StorageAdapter
from benchmarks import baselines, payloads
from benchmarks.measuring import BareOperation, Operation
from benchmarks.payloads import RECORDS

FIRST_SESSION = "session-0000000"
HUNDRED = QueryFilter(limit=100)
BARE_HUNDRED = QueryFilter(limit=100, documents=False)

Fill = Callable[[StorageAdapter], Awaitable[None]]


@frozen
class Case:
    """One line of the table for each number of callers."""

    name: str
    fill: Fill
    ours: Callable[[StorageAdapter], Operation]
    baseline: Callable[[sqlite3.Connection], BareOperation]
    operations: int
    """How many a run has."""
    targets: Mapping[int, float]
    """The ratio aimed at with `synchronous=FULL`, by the number of callers."""
    most_callers: int = 256


# what is in the store


async def one_session(storage: StorageAdapter) -> None:
    """Store a session whose state has twenty nodes."""
    await storage.create_session(payloads.small_session(0))
    await storage.save_execution_state(payloads.execution_state(FIRST_SESSION, 0))


async def one_workflow(storage: StorageAdapter) -> None:
    """Store a definition of 20 kB."""
    await storage.save_workflow(payloads.WORKFLOW)


async def hundreds(storage: StorageAdapter) -> None:
    """Store hundreds of sessions, pools and requests."""
    await one_session(storage)
    async with storage.transaction() as unit:
        for number in range(RECORDS):
            if number:
                await unit.create_session(payloads.small_session(number))
            await unit.create_budget_pool(payloads.budget_pool(number))
            await unit.create_approval_request(payloads.approval(number, FIRST_SESSION))


async def sessions_of_one_workflow(storage: StorageAdapter) -> None:
    """Store a hundred sessions with one and the same snapshot of 20 kB."""
    await storage.save_workflow(payloads.WORKFLOW)
    async with storage.transaction() as unit:
        for _ in range(100):
            await unit.create_session(_session_of_workflow())


async def sessions_of_many_workflows(storage: StorageAdapter) -> None:
    """Store a hundred sessions, each with a snapshot of its own of 100 kB."""
    async with storage.transaction() as unit:
        for number in range(100):
            snapshot = payloads.document(100_000, number)
            await unit.create_session(Session(workflow_id=None, workflow_snapshot=snapshot))


# the operations


def save_llm_execution(storage: StorageAdapter) -> Operation:
    """Save a model call of one session."""
    return lambda number: storage.save_llm_execution(FIRST_SESSION, "fetch", payloads.llm_result(number))


def update_node_state(storage: StorageAdapter) -> Operation:
    """Replace the state of one of twenty nodes."""

    def update(number: int) -> Awaitable[None]:
        node_id = f"node-{number % payloads.NODES}"
        return storage.update_node_state(FIRST_SESSION, node_id, payloads.node_state(node_id, number))

    return update


def save_execution_state(storage: StorageAdapter) -> Operation:
    """Save a state with twenty nodes."""
    return lambda number: storage.save_execution_state(payloads.execution_state(FIRST_SESSION, number))


def create_session(storage: StorageAdapter) -> Operation:
    """Create a session of a workflow that is known."""
    return lambda _: storage.create_session(_session_of_workflow())


def get_session(storage: StorageAdapter) -> Operation:
    """Read one of hundreds of sessions, with a small snapshot."""
    return lambda number: storage.get_session(f"session-{number % RECORDS:07}")


def get_budget_pool(storage: StorageAdapter) -> Operation:
    """Read one of hundreds of pools."""
    return lambda number: storage.get_budget_pool(f"pool-{number % RECORDS:07}")


def get_approval_request(storage: StorageAdapter) -> Operation:
    """Read one of hundreds of requests."""
    return lambda number: storage.get_approval_request(f"approval-{number % RECORDS:07}")


def get_execution_state(storage: StorageAdapter) -> Operation:
    """Read a state with twenty nodes."""
    return lambda _: storage.get_execution_state(FIRST_SESSION)


def list_sessions(storage: StorageAdapter) -> Operation:
    """Read the first hundred sessions."""
    return lambda _: storage.list_sessions(HUNDRED)


def list_sessions_without_documents(storage: StorageAdapter) -> Operation:
    """Read the first hundred sessions, and none of their snapshots."""
    return lambda _: storage.list_sessions(BARE_HUNDRED)


def _session_of_workflow() -> Session:
    return Session(workflow_id="workflow", workflow_snapshot=payloads.WORKFLOW.definition)


APPEND = {1: 0.55, 64: 4.0, 256: 5.0}
POINT_READ = {1: 0.15, 64: 0.35}
HALF = {1: 0.5}

WRITES = (
    Case("save_llm_execution", one_session, save_llm_execution, baselines.save_llm_execution, 2000, APPEND),
    Case("update_node_state", one_session, update_node_state, baselines.update_node_state, 2000, APPEND),
    Case(
        "save_execution_state, 20 nodes",
        one_session,
        save_execution_state,
        baselines.save_execution_state,
        500,
        {1: 0.6},
    ),
    Case("create_session, 20 kB", one_workflow, create_session, baselines.create_session_inline, 1000, {64: 3.0}),
)
READS = (
    Case("get_session", hundreds, get_session, baselines.get_session, 4000, POINT_READ),
    Case("get_budget_pool", hundreds, get_budget_pool, baselines.get_budget_pool, 4000, POINT_READ),
    Case("get_approval_request", hundreds, get_approval_request, baselines.get_approval_request, 4000, POINT_READ),
    Case("get_execution_state, 20 nodes", one_session, get_execution_state, baselines.get_execution_state, 500, HALF),
    Case("list_sessions, 100 small", hundreds, list_sessions, baselines.list_sessions, 100, HALF, 64),
    Case(
        "list_sessions, 100 of one 20 kB workflow",
        sessions_of_one_workflow,
        list_sessions,
        baselines.list_sessions,
        100,
        HALF,
        64,
    ),
    Case(
        "list_sessions, 100 of 100 kB each",
        sessions_of_many_workflows,
        list_sessions,
        baselines.list_sessions,
        8,
        {},
        1,
    ),
    Case(
        "list_sessions, 100 of 100 kB each, without documents",
        sessions_of_many_workflows,
        list_sessions_without_documents,
        baselines.list_sessions_without_documents,
        100,
        HALF,
        64,
    ),
)
