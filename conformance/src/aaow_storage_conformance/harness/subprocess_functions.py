"""Functions that tests run in other processes by `Store.run_in_subprocess`, which pickles them by name."""

import asyncio
import time
from collections.abc import Sequence

from aaow_storage import BudgetExceededError, ConflictError, StorageAdapter, StorageOperations
from aaow_storage_conformance.data import samples

BARRIER_TIMEOUT_S = 60.0
TURNS_PER_BARRIER = 5
"""Turns of a race between two barriers, because a process that is ahead races with none."""


async def wait_at_barrier(storage: StorageOperations, number: int, count: int, *, barrier: int = 0) -> None:
    """Wait until `count` processes have come to this barrier, so that they race; it may be used again."""
    await storage.save_workflow(samples.a_workflow(id=f"process {number} is ready for barrier {barrier}"))
    deadline = time.monotonic() + BARRIER_TIMEOUT_S
    while await storage.count_workflows() < count * (barrier + 1):
        await asyncio.sleep(0.002)
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"only {await storage.count_workflows()} of {count} processes came to the barrier in time"
            )


async def consume_until_refused(storage: StorageAdapter, pool_id: str, amount: str, number: int, count: int) -> int:
    """Consume until the budget is exhausted, and return how often."""
    await wait_at_barrier(storage, number, count)
    times = 0
    while True:
        try:
            await storage.consume_budget(pool_id, amount)
        except BudgetExceededError:
            return times
        times += 1


async def decide_all(storage: StorageAdapter, request_ids: Sequence[str], number: int, count: int) -> list[str]:
    """Try to decide every request, and return the ids of those that this process decided."""
    won = []
    for turn, request_id in enumerate(request_ids):
        if turn % TURNS_PER_BARRIER == 0:
            await wait_at_barrier(storage, number, count, barrier=turn // TURNS_PER_BARRIER)
        decide = storage.approve_request if (turn + number) % 2 else storage.reject_request
        try:
            await decide(request_id, f"process {number}")
        except ConflictError:
            continue
        won.append(request_id)
    return won


async def workflow_ids(storage: StorageOperations) -> list[str]:
    """Return the ids of all workflows, sorted."""
    return sorted(workflow.id for workflow in await storage.list_workflows())


async def count_up(storage: StorageAdapter, session_id: str, times: int, number: int, count: int) -> None:
    """Increment the counter in a session's metadata so many times."""
    await wait_at_barrier(storage, number, count)
    for _ in range(times):
        while not await _increment(storage, session_id):
            continue


async def _increment(storage: StorageAdapter, session_id: str) -> bool:
    try:
        async with storage.transaction() as transaction:
            session = await transaction.get_session(session_id)
            assert session is not None
            assert session.metadata is not None
            await transaction.update_session(session_id, metadata={"count": session.metadata["count"] + 1})
    except ConflictError:
        return False
    return True


async def rename(storage: StorageOperations, workflow_id: str, name: str) -> None:
    """Give a workflow another name."""
    await storage.update_workflow(workflow_id, name=name)
